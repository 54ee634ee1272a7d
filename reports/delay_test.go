package reports

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/syslet/syslet/lab/result"
)

// bodiesRun has five rounds in which rankings add so many microseconds to each
// model's p99.
func bodiesRun(added map[string]float64) *result.Run {
	r := &result.Run{}
	for m, us := range added {
		for round := range 5 {
			for _, level := range []string{"0", "20"} {
				p99 := 80 + float64(round)
				metrics := map[string]result.Metric{}
				if level == "20" {
					p99 += us + 3*float64(round)
					metrics[result.QueryMean] = result.Of(5100, "us", result.SourceServer)
				}
				metrics[result.LatencyP99] = result.Of(p99, "us", result.SourceLoad)
				r.Trials = append(r.Trials, result.Trial{Experiment: "bodies", Workload: "game", Model: m, Round: round + 1, Verdict: result.Valid,
					Factors: result.Factors{rankings: level, "conns": "1000"}, Metrics: metrics})
			}
		}
	}
	return r
}

func TestDelayIsHeldAgainstTheRule(t *testing.T) {
	r := bodiesRun(map[string]float64{"nonblock": 50, "threadlet": 20, "nonblock-inline": 5000, "goroutine": 295})
	f := judge(r, views(r)).Answers[0]
	require.Equal(t, "A query of 5.1 ms in a body delays the p99 of the other players' pings by less than 0.3 ms under nonblock and threadlet, "+
		"by more than 0.3 ms under nonblock-inline, or not (undecided) under goroutine", f.Head)
	require.Equal(t, "note", f.Kind)
	require.Contains(t, f.Where, "from 0 rankings a second to 20 rankings a second")
	require.Len(t, f.Rows, 4)
	require.Equal(t, "82 to 138 µs", f.Rows[0].Value)
	require.Equal(t, "+56 µs", f.Rows[0].Relation)
	require.Contains(t, f.Rows[0].Detail, ": less than the bound")

	all := bodiesRun(map[string]float64{"nonblock": 295})
	require.Equal(t, "Whether a query of 5.1 ms in a body delays the p99 of the other players' pings by less than 0.3 ms is undecided under nonblock",
		judge(all, views(all)).Answers[0].Head)

	few := bodiesRun(map[string]float64{"nonblock": 50})
	few.Trials = few.Trials[:2] // one round
	f = judge(few, views(few)).Answers[0]
	require.Equal(t, "hint", f.Kind)
	require.Contains(t, f.Rows[0].Detail, "one round: no interval")
}
