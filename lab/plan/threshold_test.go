package plan

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/result"
)

func TestParseThreshold(t *testing.T) {
	for text, want := range map[string]Threshold{
		"latency_p99 <= 2ms":             {Metric: "latency_p99", Op: "<=", Bound: 2000, Unit: "us"},
		"latency_ping_p999<1.5s":         {Metric: "latency_ping_p999", Op: "<", Bound: 1.5e6, Unit: "us"},
		"throughput >= 5000":             {Metric: "throughput", Op: ">=", Bound: 5000, Unit: "1/s"},
		"throughput > 5_000/s":           {Metric: "throughput", Op: ">", Bound: 5000, Unit: "1/s"},
		"rss <= 64MiB":                   {Metric: "rss", Op: "<=", Bound: 64 << 20, Unit: "bytes"},
		"syscalls_per_op <= 2.5":         {Metric: "syscalls_per_op", Op: "<=", Bound: 2.5, Unit: "1"},
		"syscall:read_per_op <= 1":       {Metric: "syscall:read_per_op", Op: "<=", Bound: 1, Unit: "1"},
		"saturation_server_busy >= 95 %": {Metric: "saturation_server_busy", Op: ">=", Bound: 95, Unit: "%"},
	} {
		got, err := ParseThreshold(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := ParseThreshold(got.String())
		require.NoError(t, err, got.String())
		require.Equal(t, got, again)
		kept, err := result.ReadThreshold(got.String())
		require.NoError(t, err, "what a run keeps must be readable")
		require.Equal(t, got.Bound, kept.Bound)
	}
	for _, text := range []string{"", "<", "latency_p99", "latency_p99 <= 2", "nothing <= 2", "latency_p99 = 2ms", "rss <= 2ms", "throughput <= NaN", "latency_p99 <= "} {
		_, err := ParseThreshold(text)
		require.Error(t, err, text)
	}
}
