package result

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadThreshold(t *testing.T) {
	for _, want := range []Threshold{
		{"latency_p99", "<=", 2000, "us"}, {"latency_ping_p999", "<", 1.5e6, "us"}, {"latency_p50", "<=", 0, "us"}, {"throughput", ">=", 5000, "1/s"},
		{"rss", "<=", 64 << 20, "bytes"}, {"syscalls_per_op", ">", 2.5, "1"}, {"saturation_server_busy", ">=", 95, "%"}, {"rss", "<", 1e21, "bytes"},
	} {
		got, err := ReadThreshold(want.String())
		require.NoError(t, err, want.String())
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "latency_p99", "latency_p99 <= soon", "latency_p99 = 2ms", "throughput <= NaN", "throughput <="} {
		_, err := ReadThreshold(text)
		require.Error(t, err, text)
	}
}

func TestThresholdCheck(t *testing.T) {
	for op, want := range map[string][3]bool{"<=": {true, true, false}, "<": {true, false, false}, ">=": {false, true, true}, ">": {false, false, true}} {
		th := Threshold{Metric: "x", Op: op, Bound: 2}
		require.Equal(t, want, [3]bool{th.Check(1), th.Check(2), th.Check(3)}, op)
	}
}
