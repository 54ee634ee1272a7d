package reports

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/result"
)

// TestThresholds: the median over the rounds that count is what matters, for each model
// and level; what nobody measured is not met; page and summary say the same.
func TestThresholds(t *testing.T) {
	r := &result.Run{Environment: &result.Environment{Plan: []result.Planned{{Experiment: "e", Workload: "w", Models: []string{"nonblock", "iouring", "threadlet"},
		Thresholds: []string{"latency_p99 <= 2ms", "latency_p99 <= soon"}}}}}
	add := func(experiment, model, level string, verdict result.Verdict, us ...float64) {
		for round, v := range us {
			m := result.Of(v, "us", "x")
			if v < 0 {
				m = result.Missing("because", "us", "x")
			}
			r.Trials = append(r.Trials, result.Trial{Experiment: experiment, Workload: "w", Model: model, Round: round + 1, Verdict: verdict,
				Factors: result.Factors{"conns": level}, Metrics: map[string]result.Metric{"latency_p99": m}})
		}
	}
	add("e", "threadlet", "1", result.Valid, -1, -1)
	add("e", "iouring", "1", result.Valid, 100, 9000, 200)
	add("e", "iouring", "1", result.Invalid, 9000, 9000, 9000)
	add("e", "nonblock", "1", result.Valid, 1997, 1998, 1999)
	add("e", "nonblock", "64", result.Suspect, 1999, 2001, 2500)
	add("other", "iouring", "1", result.Valid, 1e9)
	rows := thresholdRows(r)
	var lines []string
	for _, row := range rows {
		lines = append(lines, row.text())
	}
	require.Equal(t, []string{
		"e nonblock conns=1: latency_p99 <= 2ms met: median 1,998 µs [1,997 to 1,999 at 75 %]",
		"e nonblock conns=64: latency_p99 <= 2ms unmet: median 2,001 µs [1,999 to 2,500 at 75 %]; the interval contains the bound",
		"e iouring conns=1: latency_p99 <= 2ms met: median 200 µs [100 to 9,000 at 75 %]; the interval contains the bound",
		"e threadlet conns=1: latency_p99 <= 2ms unmet; not measured in any round that counts",
		"e: latency_p99 <= soon unmet; this version cannot read it",
	}, lines)
	dir := t.TempDir()
	require.NoError(t, write(r, dir))
	md, page := read(t, dir, "summary.md"), read(t, dir, "report.html")
	for _, text := range []string{md, page} {
		require.Contains(t, text, "2 of 5 thresholds are met")
	}
	require.Contains(t, md, "- "+mdText(lines[1])+"\n")
	require.NotContains(t, md, mdText(lines[0]))
	require.Contains(t, page, "the interval contains the bound")
}
