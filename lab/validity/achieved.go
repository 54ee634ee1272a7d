package validity

import (
	"fmt"
	"math"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
)

// achieved rules ask whether what was to be done was done.
var achieved = []Rule{
	{
		Name: "errors", Looks: "requests that failed", Bound: 0, Unit: "1", Verdict: result.Suspect,
		words: "%s requests failed", Advice: "look at the server's last words, and at limits of connections and memory",
		figure: func(e *Evidence) (float64, string) {
			if 100*float64(e.Errors) > float64(e.Operations) {
				return unknown, "" // said by "many errors"
			}
			more := ""
			if e.LastFailure != "" {
				more = fmt.Sprintf("the last: %q", e.LastFailure)
			}
			return float64(e.Errors), more
		},
	}, {
		Name: "timeouts", Looks: "requests without an answer within the time that the plan gives them", Bound: 0, Unit: "1", Verdict: result.Suspect,
		words: "%s requests timed out", Advice: "lower the rate, or give them more time",
		figure: count(func(r *load.Report) int64 { return r.Counts.TimedOut }),
	}, {
		Name: "disconnects", Looks: "connections that were lost", Bound: 0, Unit: "1", Verdict: result.Suspect,
		words: "%s connections were lost", Advice: "look at the server's last words and its limits: those of idle time, unsent bytes, connections",
		figure: count(func(r *load.Report) int64 { return r.Counts.Disconnects }),
	}, {
		Name: "clipped", Looks: "latencies too long for the histogram", Bound: 0, Unit: "1", Verdict: result.Suspect,
		words: "%s latencies were above 60 s and stand as 60 s", Advice: "lower the rate",
		figure: count(func(r *load.Report) int64 { return r.Counts.Clipped }),
	}, {
		Name: "held back", Looks: "requests that had to wait for room among those of their connection, of all", Bound: 0.1, Unit: "%", Verdict: result.Suspect,
		words: "%s of the requests were held back because their connection had as many open as it may", Advice: "take more connections, or a lower rate",
		figure: func(e *Evidence) (float64, string) {
			if e.Report == nil || e.Report.Mode != load.Open || e.Report.Counts.Intended == 0 {
				return unknown, ""
			}
			return 100 * float64(e.Report.Counts.HeldBack) / float64(e.Report.Counts.Intended), ""
		},
	}, {
		Name: "offered rate", Looks: "requests offered, against the rate asked for; beside what chance gives", Bound: 2, Unit: "%", Verdict: result.Suspect,
		words: "the load offered a rate that is %s off the one asked for", Advice: "if the load was late, see there",
		figure: offRate,
	}, {
		Name: "achieved rate", Looks: "answers received in the window, against the requests offered in it", Bound: 1, Unit: "%", Verdict: result.Suspect,
		words:  "the server did not keep up: %s fewer answers than requests, so latency grows with the length of the run",
		Advice: "lower the rate: latency is that of a queue",
		figure: shortfall,
	},
}

// count is the figure of a rule that counts what should not be.
func count(of func(*load.Report) int64) func(*Evidence) (float64, string) {
	return func(e *Evidence) (float64, string) {
		if e.Report == nil {
			return unknown, ""
		}
		return float64(of(e.Report)), ""
	}
}

// steadyRate reports whether the load was to keep one rate all through the window.
func (e *Evidence) steadyRate() bool {
	return e.Report != nil && e.Report.Mode == load.Open && e.Shape.RampFrom == 0
}

// offRate is by how much the rate offered is off that asked for, less four standard
// deviations of the number of arrivals (of bursts, where they come in such).
func offRate(e *Evidence) (float64, string) {
	r := e.Report
	// Slow readers' requests are not among those offered.
	if !e.steadyRate() || e.Shape.SlowShare > 0 || r.RateAsked <= 0 || r.DurationS <= 0 {
		return unknown, ""
	}
	chance := 0.0
	if e.Shape.Arrivals != load.ArrivalsConstant {
		chance = 4 / math.Sqrt(r.RateAsked*r.DurationS/float64(max(1, e.Shape.BurstSize)))
	}
	off := math.Abs(r.Offered-r.RateAsked) / r.RateAsked
	return 100 * max(0, off-chance), fmt.Sprintf("%.0f/s against %.0f/s", r.Offered, r.RateAsked)
}

// shortfallLeast answers must be missing: the requests that are open at the window's
// two ends differ by some.
const shortfallLeast = 100

func shortfall(e *Evidence) (float64, string) {
	r := e.Report
	if r == nil || r.Mode != load.Open || r.Counts.Intended == 0 {
		return unknown, ""
	}
	answered := min(r.Counts.Answered, r.Counts.AnsweredInWindow)
	missing := r.Counts.Intended - answered
	if missing <= shortfallLeast {
		return 0, ""
	}
	return 100 * float64(missing) / float64(r.Counts.Intended), fmt.Sprintf("%d of %d", answered, r.Counts.Intended)
}
