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
		Name: "late sends", Looks: "sends more than 1 ms after their time, of all", Bound: 0.1, Unit: "%", Verdict: result.Suspect,
		words: "the load was late: %s of its sends came more than 1 ms after their time", Advice: "give the load a CPU of its own",
		figure: func(e *Evidence) (float64, string) {
			if !e.paced() {
				return unknown, ""
			}
			return 100 * e.Report.Self.Late1ms, ""
		},
	}, {
		Name: "pacing", Looks: "the p99 of how late the load came to its sends, against the p99 of latency", Bound: 30, Unit: "%", Verdict: result.Suspect,
		words: "the load's own lateness is %s of the p99 latency", Advice: "give the load a CPU of its own, or a lower rate",
		figure: func(e *Evidence) (float64, string) {
			if !e.paced() || e.Report.All.Latency.P99Us <= 0 {
				return unknown, ""
			}
			late, latency := e.Report.Self.Pacing.P99Us, e.Report.All.Latency.P99Us
			return 100 * late / latency, fmt.Sprintf("%.0f us of %.0f us", late, latency)
		},
	}, {
		Name: "load off its CPU", Looks: "time in which the load wanted to run and did not, of the window", Bound: 1, Unit: "%", Verdict: result.Suspect,
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
