package runtime

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseRing(t *testing.T) {
	o, err := ParseRing("")
	require.NoError(t, err)
	require.Equal(t, RingOptions{}, o)
	o, err = ParseRing("direct, quiet-sends=off,bundle=on,spin=20us,gather=1ms,kernel=6.1")
	require.NoError(t, err)
	require.Equal(t, RingOptions{Direct: On, QuietSends: Off, Bundle: On, Spin: 20 * time.Microsecond, Gather: time.Millisecond, Kernel: "6.1"}, o)
	for list, what := range map[string]string{
		"sqpoll": "there are quiet-sends", "direct=yes": "on or off", "spin=fast": "duration", "spin=1s": "Ring.Spin",
		"gather=-1us": "Ring.Gather", "incremental,bundle": "exclude",
	} {
		_, err := ParseRing(list)
		require.ErrorIs(t, err, ErrBadOption, list)
		require.ErrorContains(t, err, what, list)
	}
	_, err = Options{Ring: RingOptions{Spin: time.Second}}.withDefaults()
	require.ErrorIs(t, err, ErrBadOption)
}
