package threadlet

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpenRefuses(t *testing.T) {
	loop := func() {}
	for _, c := range []struct {
		cfg  Config
		says string
	}{
		{Config{CPU: -1, Standbys: 1}, "Config.Loop"},
		{Config{CPU: -1, Loop: loop}, "Config.Standbys is 0, must be 1 to 127"},
		{Config{CPU: -1, Loop: loop, Standbys: 128}, "Config.Standbys is 128"},
		{Config{CPU: -2, Loop: loop, Standbys: 1}, "Config.CPU is -2"},
		{Config{CPU: 1023, Loop: loop, Standbys: 1}, "Config.CPU 1023 is not among"},
		{Config{CPU: -1, Loop: loop, Standbys: 1, Detector: "psychic"}, `Config.Detector "psychic" is unknown (auto, idle, switch, timer, explicit)`},
	} {
		_, err := Open(c.cfg)
		require.ErrorContains(t, err, c.says)
	}
}

func TestDetectorSaysWhy(t *testing.T) {
	p, err := Open(Config{CPU: -1, Standbys: 1, Detector: DetectorExplicit, Loop: func() {}})
	require.NoError(t, err)
	name, why := p.Detector()
	require.Equal(t, "explicit", name)
	require.Equal(t, "asked for", why)

	p, err = Open(Config{CPU: -1, Standbys: 1, Loop: func() {}})
	require.NoError(t, err)
	name, why = p.Detector()
	if _, _, err := chooseDetector(DetectorSwitch, -1); err != nil {
		require.Equal(t, DetectorTimer, name)
		require.Contains(t, why, "perf_event_open")
	} else {
		require.Equal(t, DetectorSwitch, name)
	}
}
