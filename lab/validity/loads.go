package validity

import (
	"fmt"
	"slices"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
)

// loadsOwn rules ask whether the load disturbed what it measured.
var loadsOwn = []Rule{
	{
		Name: "load was the limit", Looks: "time in which the load had something to do (its busiest thread)", Bound: 90, Unit: "%", Verdict: result.Suspect,
		words: "the load was busy for %s of the time: it may be the limit, not the server", Advice: "give it more threads and CPUs, or a lower rate",
		figure: func(e *Evidence) (float64, string) {
			if e.Report == nil || e.Report.Mode != load.Open {
				return unknown, ""
			}
			return 100 * e.Report.Self.Busy, ""
		},
	}, {
		Name: "late sends", Looks: "sends more than 1 ms after their time, of all", Bound: 4, Unit: "%", Verdict: result.Suspect,
		words: "the load was late: %s of its sends came more than 1 ms after their time", Advice: "give the load a CPU of its own",
		figure: func(e *Evidence) (float64, string) {
			if !e.paced() {
				return unknown, ""
			}
			return 100 * e.Report.Self.Late1ms, ""
		},
	}, {
		Name: "pacing", Looks: "the p90 of how late the load came to its sends, against the median latency", Bound: 50, Unit: "%", Verdict: result.Suspect,
		words: "the load's own lateness (p90) is %s of the median latency", Advice: "give the load a CPU of its own, or a lower rate",
		figure: pacing(func(s *load.Summary) float64 { return s.P90Us }, func(s *load.Summary) float64 { return s.P50Us }),
	}, {
		Name: "pacing of the tail", Looks: "the p99 of how late the load came to its sends, against the p99 of latency", Bound: 30, Unit: "%", Verdict: result.Valid,
		words: "the tail is in part the load's own: the p99 of its lateness is %s of the p99 latency", Advice: "compare medians and cost, or give the load a CPU of its own",
		figure: pacing(func(s *load.Summary) float64 { return s.P99Us }, func(s *load.Summary) float64 { return s.P99Us }),
	}, {
		Name: "load off its CPU", Looks: "time in which the load wanted to run and did not, of the window", Bound: 5, Unit: "%", Verdict: result.Suspect,
		words: "the load was off its CPU for %s of the window: another thread or the host took it", Advice: "leave the load's CPU to it",
		figure: func(e *Evidence) (float64, string) {
			r := e.Report
			if r == nil || r.DurationS <= 0 {
				return unknown, ""
			}
			return 100 * r.Self.StallsTotal / 1e6 / r.DurationS, fmt.Sprintf("longest %.1f ms", r.Self.StallMaxUs/1e3)
		},
	}, {
		Name: "load's CPUs", Looks: "threads of the load that ran on other CPUs than asked for", Bound: 0, Unit: "1", Verdict: result.Suspect,
		words: "%s threads of the load ran on other CPUs than asked for", Advice: "see which CPUs the lab may use (taskset, cpuset)",
		figure: func(e *Evidence) (float64, string) {
			if e.Report == nil || len(e.Report.Self.CPUsAsked) == 0 {
				return unknown, ""
			}
			s := &e.Report.Self
			if slices.Equal(slices.Compact(slices.Sorted(slices.Values(s.CPUsAsked))), s.CPUs) {
				return 0, ""
			}
			return 1, fmt.Sprintf("%v instead of %v", s.CPUs, s.CPUsAsked)
		},
	},
}

// paced reports whether the load kept times of its own.
func (e *Evidence) paced() bool {
	return e.Report != nil && e.Report.Mode == load.Open && e.Report.Self.Pacing.Count > 0
}

// pacing is a figure of the load's lateness as a share of one of latency, which counts
// from the time that a request was meant for, so that it contains it.
func pacing(late, latency func(*load.Summary) float64) func(*Evidence) (float64, string) {
	return func(e *Evidence) (float64, string) {
		if !e.paced() || e.Report.All.Latency.Count == 0 {
			return unknown, ""
		}
		by, of := late(&e.Report.Self.Pacing), latency(&e.Report.All.Latency)
		return 100 * by / of, fmt.Sprintf("%.0f us of %.0f us", by, of)
	}
}
