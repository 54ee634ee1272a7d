package admin

import (
	"encoding/json"
	"math"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGoRuntimeOfThisProcess(t *testing.T) {
	before := Snapshot{PID: 1, Go: readGoRuntime()}
	done := make(chan struct{})
	for range 200 {
		go func() { done <- struct{}{} }()
	}
	for range 200 {
		<-done
	}
	runtime.GC()
	after := Snapshot{PID: 1, Goroutines: 7, Go: readGoRuntime()}
	m := GoMetrics(&before, &after)
	for _, name := range []string{"gc_cpu", "sched_latency_p99", "go_threads"} {
		require.True(t, m[name].Available(), "%s: %s", name, m[name].Unavailable)
		require.Positive(t, m[name].Value, name)
	}
	require.Equal(t, 7.0, m["goroutines"].Value)
	text, err := json.Marshal(after) // no infinity among the buckets
	require.NoError(t, err)
	require.Contains(t, string(text), `"sched_latencies"`)
}

func TestGoRuntimeInfo(t *testing.T) {
	info := GoRuntimeInfo()
	require.Len(t, info.Units, len(info.Quantities))
	require.Positive(t, *info.OverheadNs)
}

func TestGoMetricsOfOthers(t *testing.T) {
	m := GoMetrics(&Snapshot{PID: 1}, &Snapshot{PID: 1, Goroutines: 3})
	require.Contains(t, m["gc_cpu"].Unavailable, "does not tell")
	require.Equal(t, 3.0, m["goroutines"].Value)
	m = GoMetrics(&Snapshot{}, &Snapshot{})
	for name, metric := range m {
		require.Contains(t, metric.Unavailable, "could not be read", name)
	}
	idle := Snapshot{PID: 1, Go: &GoRuntime{CPUNs: 5}}
	m = GoMetrics(&idle, &idle)
	for _, name := range []string{"gc_cpu", "sched_latency_p99", "go_threads"} {
		require.False(t, m[name].Available(), name)
	}
}

func TestLatencyQuantile(t *testing.T) {
	from := latencyBuckets(&metrics.Float64Histogram{Counts: []uint64{5, 0, 0, 1}, Buckets: []float64{math.Inf(-1), 1e-6, 2e-6, 1, math.Inf(1)}})
	require.Equal(t, []LatencyBucket{{1e-6 * 1e9, 5}, {1e9, 1}}, from)
	until := []LatencyBucket{{1e-6 * 1e9, 5 + 98}, {5000, 2}, {1e9, 1}}
	for q, want := range map[float64]float64{0.5: 1, 0.98: 1, 0.99: 5, 1: 5} {
		us, ok := latencyQuantileUs(from, until, q)
		require.True(t, ok)
		require.InDelta(t, want, us, 1e-9)
	}
	_, ok := latencyQuantileUs(until, until, 0.5)
	require.False(t, ok)
}
