package plan

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/result"
)

func TestParseThreshold(t *testing.T) {
	for text, want := range map[string]Threshold{
		"latency_p99 <= 2ms":             {"latency_p99", "<=", 2000, "us"},
		"latency_ping_p999<1.5s":         {"latency_ping_p999", "<", 1.5e6, "us"},
		"throughput >= 5000":             {"throughput", ">=", 5000, "1/s"},
		"throughput > 5_000/s":           {"throughput", ">", 5000, "1/s"},
		"rss <= 64MiB":                   {"rss", "<=", 64 << 20, "bytes"},
		"syscalls_per_op <= 2.5":         {"syscalls_per_op", "<=", 2.5, "1"},
		"syscall:read_per_op <= 1":       {"syscall:read_per_op", "<=", 1, "1"},
		"saturation_server_busy >= 95 %": {"saturation_server_busy", ">=", 95, "%"},
	} {
		got, err := ParseThreshold(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := ParseThreshold(got.String())
		require.NoError(t, err, got.String())
		require.Equal(t, got, again)
	}
	for _, text := range []string{"", "<", "latency_p99", "latency_p99 <= 2", "nothing <= 2", "latency_p99 = 2ms", "rss <= 2ms", "throughput <= NaN", "latency_p99 <= "} {
		_, err := ParseThreshold(text)
		require.Error(t, err, text)
	}
}

func TestThresholdCheck(t *testing.T) {
	for op, want := range map[string][3]bool{"<=": {true, true, false}, "<": {true, false, false}, ">=": {false, true, true}, ">": {false, false, true}} {
		th := Threshold{Metric: "x", Op: op, Bound: 2}
		require.Equal(t, want, [3]bool{th.Check(1), th.Check(2), th.Check(3)}, op)
	}
}

// TestFindUnmet: the median over the rounds that count is what matters, for each
// model and level; what nobody measured is not met.
func TestFindUnmet(t *testing.T) {
	planned := []result.Planned{{Experiment: "e", Models: []string{"slow", "fast", "dumb"}, Thresholds: []string{"latency_p99 <= 2ms"}}}
	var trials []result.Trial
	add := func(model, level string, verdict result.Verdict, us ...float64) {
		for round, v := range us {
			m := result.Of(v, "us", "x")
			if v < 0 {
				m = result.Missing("because", "us", "x")
			}
			trials = append(trials, result.Trial{Experiment: "e", Model: model, Round: round + 1, Verdict: verdict,
				Factors: result.Factors{"conns": level}, Metrics: map[string]result.Metric{"latency_p99": m}})
		}
	}
	add("dumb", "1", result.Valid, -1, -1)
	add("fast", "1", result.Valid, 100, 9000, 200)
	add("fast", "1", result.Invalid, 9000, 9000, 9000)
	add("slow", "1", result.Valid, 1999, 2000, 2001)
	add("slow", "64", result.Suspect, 1999, 2001, 2500)
	trials = append(trials, result.Trial{Experiment: "other", Model: "fast", Verdict: result.Valid, Metrics: map[string]result.Metric{"latency_p99": result.Of(1e9, "us", "x")}})
	var lines []string
	unmet, err := FindUnmet(planned, trials)
	require.NoError(t, err)
	for _, u := range unmet {
		lines = append(lines, u.String())
	}
	require.Equal(t, []string{
		"threshold latency_p99 <= 2ms not met: e slow conns=64: median of 3 rounds is 2.001ms",
		"threshold latency_p99 <= 2ms: e dumb conns=1: not measured in any round",
	}, lines)
	planned[0].Thresholds = []string{"latency_p99 <= soon"}
	_, err = FindUnmet(planned, trials)
	require.ErrorContains(t, err, "soon")
}
