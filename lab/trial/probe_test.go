package trial

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/sensor"
)

// TestProbeLevels: what the probe saw of each level is in the trial, a refused one with
// its reason.
func TestProbeLevels(t *testing.T) {
	res := sensor.ProbeResult{Levels: []sensor.LevelResult{
		{Level: 1, LinesPerRequest: 7, Samples: 100}, {Level: 2, LinesPerRequest: 9, Samples: 100}, {Level: 3, Refused: "why"},
	}}
	r := run{spec: Spec{ProbeFor: time.Second}, cache: result.Of(5, "1", result.SourceProbe), levels: res.Metrics(),
		out: result.Trial{Metrics: map[string]result.Metric{}}}
	r.cacheMisses()
	m := r.out.Metrics
	require.Equal(t, 5.0, m[result.CacheMissesPerOp].Value)
	require.Equal(t, 7.0, m[result.L1DisplacedPerOp].Value)
	require.Equal(t, 9.0, m[result.L2DisplacedPerOp].Value)
	require.Equal(t, "why", m[result.L3DisplacedPerOp].Unavailable)
}
