package trial

import (
	"fmt"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/workloads"
)

// beyondLeast is how many requests must lie beyond a percentile: it is known to one
// part in the root of them, and of fewer the next round has another tail.
const beyondLeast = 5

// percentile is the metric of the percentile beyond which one request in so many lies,
// or the reason why there is none: a percentile with hardly a request beyond it is
// the maximum by another name.
func percentile(s *load.Summary, oneIn int64, us float64, what string) result.Metric {
	need := beyondLeast * oneIn
	switch {
	case s.Count == 0:
		return result.Missing("no "+what+" in the window", "us", result.SourceLoad)
	case s.Count < need:
		return result.Missing(fmt.Sprintf("only %d (%s) in the window: this percentile needs %d, %d beyond it", s.Count, what, need, beyondLeast), "us", result.SourceLoad)
	}
	return result.Of(us, "us", result.SourceLoad)
}

// percentiles takes back those that have too few requests behind them.
func (r *run) percentiles(rep *load.Report) {
	latency, service, lag := &rep.All.Latency, &rep.All.Service, &rep.All.SendLag
	for _, p := range []struct {
		name  string
		of    *load.Summary
		oneIn int64
		us    float64
	}{
		{result.LatencyP50, latency, 2, latency.P50Us}, {result.LatencyP90, latency, 10, latency.P90Us},
		{result.LatencyP99, latency, 100, latency.P99Us}, {result.LatencyP999, latency, 1000, latency.P999Us},
		{result.ServiceP50, service, 2, service.P50Us}, {result.ServiceP99, service, 100, service.P99Us},
		{result.SendLagP99, lag, 100, lag.P99Us},
	} {
		r.out.Metrics[p.name] = percentile(p.of, p.oneIn, p.us, "request")
	}
}

// kinds gives each kind of request its own percentiles: under the names of the
// blocking curve where one kind reads from disk and one does not. A game's kinds
// that the plan does not ask for are left out.
func (r *run) kinds(rep *load.Report) {
	for i := range rep.Kinds {
		k := &rep.Kinds[i]
		prefix := "latency_" + k.Name + "_"
		switch k.Name {
		case "disk":
			prefix = "blocked_"
		case "echo":
			prefix = "unblocked_"
		}
		for _, p := range []struct {
			suffix string
			oneIn  int64
			us     float64
		}{{"p50", 2, k.Latency.P50Us}, {"p99", 100, k.Latency.P99Us}, {"p999", 1000, k.Latency.P999Us}} {
			if k.Latency.Count > 0 || r.spec.Workload != workloads.Game {
				r.out.Metrics[prefix+p.suffix] = percentile(&k.Latency, p.oneIn, p.us, "request of this kind")
			}
		}
	}
}
