// Package stats condenses the rounds of a run: a median with its confidence
// interval, and whether two models differ.
//
// It is a thin layer over golang.org/x/perf/benchmath, with its assumption of
// nothing: medians, order-statistic intervals and the Mann-Whitney U test, so no
// figure here depends on a distribution's shape. The samples are rounds (one
// value a trial), never requests: requests of one trial share its machine, its
// minute and its memory layout, and thousands of them are still one sample.
//
// Every function is pure and leaves its arguments alone (benchmath.NewSample
// sorts in place, so values are copied here first). All may be called from any
// goroutine.
package stats

import (
	"fmt"
	"math"
	"slices"

	"golang.org/x/perf/benchmath"
)

// Confidence is the level that intervals aim at.
const Confidence = 0.95

// Summary is the median of some rounds and the interval that holds the true
// median with the probability Reached.
type Summary struct {
	// N is the number of rounds. With 0, nothing else means anything.
	N      int
	Median float64
	// Lo and Hi bound the interval; both are values that were measured.
	// Invariant: Lo <= Median <= Hi.
	Lo, Hi float64
	// Reached is the confidence of the interval: at least Confidence from six
	// rounds on, 1-2^(1-N) below that (the whole range: 0.9375 for five rounds,
	// 0.75 for three), and 0 for a single round, which has no interval.
	Reached float64
}

// Summarize is the median of values with its interval. Values must be finite.
func Summarize(values []float64) Summary {
	n := len(values)
	if n == 0 {
		return Summary{}
	}
	sample := newSample(values)
	if n == 1 {
		return Summary{N: 1, Median: values[0], Lo: values[0], Hi: values[0]}
	}
	want := Confidence
	if reachable := 1 - math.Ldexp(1, 1-n); reachable < want {
		// benchmath answers a level it cannot reach with an infinite interval.
		// The range of the sample is an interval too, of a lower level: ask for that.
		want = reachable - 1e-9
	}
	s := benchmath.AssumeNothing.Summary(sample, want)
	return Summary{N: n, Median: s.Center, Lo: s.Lo, Hi: s.Hi, Reached: s.Confidence}
}

// HasInterval reports whether there are enough rounds for any interval.
func (s Summary) HasInterval() bool { return s.N >= 2 }

// Enough reports whether the interval has the confidence that was aimed at.
func (s Summary) Enough() bool { return s.Reached >= Confidence }

// Level says which confidence the interval reached: "95 % interval" or what
// there is instead.
func (s Summary) Level() string {
	switch {
	case s.N == 0:
		return "no round"
	case s.N == 1:
		return "one round: no interval"
	default:
		return fmt.Sprintf("%s interval of %d rounds", Percent(s.Reached), s.N)
	}
}

// Percent writes a probability as "96.9 %", without a needless ".0", and never
// rounded up to 100.
func Percent(p float64) string {
	tenths := math.Floor(p*1000+1e-6) / 10
	return fmt.Sprintf("%g %%", tenths)
}

func newSample(values []float64) *benchmath.Sample {
	thresholds := benchmath.DefaultThresholds
	return benchmath.NewSample(slices.Clone(values), &thresholds)
}
