package load

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/syslet/syslet/lab/result"
)

// TestMetricsMakeATrial: what a run reports can be written as a trial.
func TestMetricsMakeATrial(t *testing.T) {
	s := serve(t, nil)
	for _, mode := range []Mode{Open, Closed} {
		r := mustRun(t, Config{Target: s.target(), Conns: 2, Mode: mode, Rate: 1000, Duration: 100 * time.Millisecond, Load: tagged{window: 64}})
		trial := result.Trial{
			Experiment: "e", Workload: "w", Model: "m", Round: 1, Verdict: result.Valid,
			DurationS: r.DurationS, Metrics: r.Metrics(), Distributions: r.Distributions(),
		}
		require.NoError(t, trial.Check())
		for name, m := range trial.Metrics {
			require.True(t, m.Available(), name)
			if info := result.Describe(name); info.Unit != "" {
				require.Equal(t, info.Unit, m.Unit, name)
			}
		}
		require.Contains(t, trial.Distributions, "latency:third")
		_, saturated := trial.Metrics[result.SaturationThroughput]
		require.Equal(t, mode == Closed, saturated)
		third, ok := r.Kind("third")
		require.True(t, ok)
		require.Positive(t, third.Latency.Count)
	}
	_, ok := (&Report{}).Kind("x")
	require.False(t, ok)
	empty := (&Report{Mode: Open}).Metrics()
	require.Contains(t, empty[result.LatencyP99].Unavailable, "no request")
	require.False(t, empty[result.Throughput].Available())
	require.False(t, empty[result.CPULoadPerOp].Available())
}
