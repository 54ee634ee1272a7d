package validity

import (
	"fmt"
	"math"
	"slices"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// within rules ask whether the trial was one thing all through, and whether its figures
// fit each other.
var within = []Rule{
	{
		Name: "warm-up not steady", Looks: "warm-ups that reached their longest time and were not steady by test", Bound: 0, Unit: "1", Verdict: result.Suspect,
		words: "the server was not steady when the warm-up ended%.0s", Advice: "allow a longer warm-up (warmup_most)",
		figure: func(e *Evidence) (float64, string) {
			switch {
			case e.Report == nil || e.Shape.WarmupMost == 0:
				return unknown, ""
			case e.Report.WarmupSteady:
				return 0, ""
			}
			return 1, fmt.Sprintf("after %.2f s", e.Report.WarmupS)
		},
	}, {
		Name: "drift of p50", Looks: "how far the slices' median latency went from begin to end, where a trend is sure", Bound: 60, Unit: "%", Verdict: result.Suspect,
		words: "the median latency drifted by %s within the window", Advice: "warm up longer, or find out what grows",
		figure: drift(func(s *result.Slice) float64 { return s.P50Us }),
	}, {
		Name: "drift of p99", Looks: "the same of the slices' p99", Bound: 150, Unit: "%", Verdict: result.Suspect,
		words: "the p99 latency drifted by %s within the window", Advice: "warm up longer, or find out what grows",
		figure: drift(func(s *result.Slice) float64 { return s.P99Us }),
	}, {
		Name: "drift of throughput", Looks: "the same of the slices' answers per second", Bound: 10, Unit: "%", Verdict: result.Suspect,
		words: "the throughput drifted by %s within the window", Advice: "warm up longer, or lower the rate",
		figure: drift(func(s *result.Slice) float64 { return float64(s.Answered) / s.DurationS }),
	}, {
		Name: "autocorrelation", Looks: "how far the slices' median latency is foretold by the slice before, where they scatter by more than a third", Bound: 0.8, Unit: "1", Verdict: result.Suspect,
		words: "slow and fast stretches follow each other: the slices' median latency has an autocorrelation of %s", Advice: "take a window that is longer than the stretches",
		figure: autocorrelation,
	}, {
		Name: "standstill", Looks: "slices of the window without one answer, though there were requests for 20", Bound: 0, Unit: "1", Verdict: result.Suspect,
		words: "the server gave no answer in %s slices of the window", Advice: "see what it waited for (block profile, collections), and whether the host stopped it",
		figure: standstill,
	}, {
		Name: "Little's law", Looks: "requests in flight by the clock, against throughput times mean latency, less what waits in the outer slices", Bound: 10, Unit: "%", Verdict: result.Suspect,
		words:  "requests in flight are %s off throughput times mean latency (Little's law): the clock, the counting or the window is wrong",
		Advice: "do not use the trial; if it comes again, it is a bug of the lab",
		figure: little,
	},
}

// slicesLeast is how many slices a trend needs: with fewer, none is sure.
const slicesLeast = 8

// driftAlpha is the level at which a trend is sure. Three series of each trial are
// looked at, and slices hang together a little: at 5 % every tenth trial would drift.
const driftAlpha = 0.002

// even are the slices that lie whole within a time that was meant to be even: none if
// the shape of the load changes it.
func (e *Evidence) even() []result.Slice {
	if e.Report == nil || e.Shape.RampFrom > 0 || e.Shape.StormConns > 0 {
		return nil
	}
	s := e.Report.Series
	if n := len(s); n > 1 && s[n-1].DurationS < 0.9*s[0].DurationS {
		s = s[:n-1] // a rest at the end
	}
	return s
}

// drift is the size of a sure trend, 0 if there is none.
func drift(of func(*result.Slice) float64) func(*Evidence) (float64, string) {
	return func(e *Evidence) (float64, string) {
		series := e.even()
		var values []float64
		for i := range series {
			if s := &series[i]; s.Answered > 0 && s.DurationS > 0 {
				values = append(values, of(s))
			}
		}
		if len(values) < slicesLeast {
			return unknown, ""
		}
		t := stats.TrendOf(values)
		if t.P >= driftAlpha || math.IsNaN(t.Change) {
			return 0, ""
		}
		way := "upwards"
		if t.Change < 0 {
			way = "downwards"
		}
		return 100 * math.Abs(t.Change), fmt.Sprintf("%s (Mann-Kendall: p = %.2g)", way, t.P)
	}
}

// scatterLeast is the distance between the quartiles of the slices, as a share of
// their median, below which it does not matter what follows what.
const scatterLeast = 0.33

func autocorrelation(e *Evidence) (float64, string) {
	series := e.even()
	var values []float64
	for i := range series {
		if series[i].Answered > 0 {
			values = append(values, series[i].P50Us)
		}
	}
	n := len(values)
	if n < slicesLeast {
		return unknown, ""
	}
	if stats.TrendOf(values).P < driftAlpha {
		return 0, "" // a drift is a drift
	}
	sorted := slices.Sorted(slices.Values(values))
	if sorted[3*n/4]-sorted[n/4] <= scatterLeast*sorted[n/2] {
		return 0, ""
	}
	return max(0, stats.Autocorrelation(values)), ""
}

// standstillLeast is how many requests without any answer are no chance.
const standstillLeast = 20

func standstill(e *Evidence) (float64, string) {
	series := e.even()
	if len(series) == 0 {
		return unknown, ""
	}
	n, longest, now := 0, 0.0, 0.0
	for i := range series {
		s := &series[i]
		if s.Answered > 0 || s.Intended < standstillLeast {
			now = 0
			continue
		}
		n, now = n+1, now+s.DurationS
		longest = max(longest, now)
	}
	return float64(n), fmt.Sprintf("for %.0f ms on end", 1e3*longest)
}

// littleEdges is the share of the window up to which latencies may be long: requests
// that are open at its ends belong to it in part only.
const littleEdges = 0.02

// little is how far the mean number in flight is off the requests' rate times their
// mean latency. Both are of the window, the one by the clock and the other by the
// requests (Little, "A proof for the queuing formula L = lambda W", 1961).
func little(e *Evidence) (float64, string) {
	r := e.Report
	if r == nil || r.Mode != load.Open || len(r.Series) == 0 || r.DurationS <= 0 {
		return unknown, ""
	}
	waited := 0.0 // seconds, of all requests of the window
	for i := range r.Kinds {
		waited += float64(r.Kinds[i].Latency.Count) * r.Kinds[i].Latency.MeanUs / 1e6
	}
	if longest := r.All.Latency.P99Us / 1e6; longest > littleEdges*r.DurationS || r.Counts.Unsent > 0 {
		return unknown, "" // a queue that grows, or a window that is too short for the law
	}
	byRequests := waited / r.DurationS
	if byRequests*r.DurationS < littleLeastS {
		return unknown, ""
	}
	// What waits at an end of the window is in one of the two and not in the other: a
	// pause of the host there is a good part of all waiting. It lies in the outer slices.
	first, last := &r.Series[0], &r.Series[len(r.Series)-1]
	ends := (first.InFlight*first.DurationS + last.InFlight*last.DurationS) / r.DurationS
	return 100 * max(0, math.Abs(r.MeanInFlight-byRequests)-ends) / byRequests,
		fmt.Sprintf("%.3g by the clock, %.3g by the requests", r.MeanInFlight, byRequests)
}

// littleLeastS is the time in flight of all requests together below which the ends of
// the window say more than its middle.
const littleLeastS = 0.01
