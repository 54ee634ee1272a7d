// Package stats condenses the rounds of a run: a median with its confidence
// interval, whether two models differ and how much, whether that survives the number
// of questions asked, and when rounds are enough.
//
// Nothing here depends on a distribution's shape: medians, order-statistic intervals,
// the Mann-Whitney U test (exact, ties included), Holm's correction, and the bootstrap
// where these do not serve. The samples are rounds (one value a trial), never requests:
// requests of one trial share its machine, its minute and its memory layout, and
// thousands of them are still one sample. Within a trial there is a series of slices:
// Trend, Autocorrelation and Steady say whether it was at rest.
//
// Every function is pure and leaves its arguments alone, the bootstrap included: it
// draws with a fixed seed. All may be called from any goroutine.
package stats

import (
	"fmt"
	"math"
	"slices"
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
	sorted := slices.Sorted(slices.Values(values))
	if n == 1 {
		return Summary{N: 1, Median: sorted[0], Lo: sorted[0], Hi: sorted[0]}
	}
	k, reached := medianOrder(n)
	return Summary{N: n, Median: median(sorted), Lo: sorted[k-1], Hi: sorted[n-k], Reached: reached}
}

// medianOrder is the largest k for which the k-th smallest and k-th largest of n
// rounds hold the median between them with Confidence, or 1 if none does, and the
// level reached: the number of rounds below the median is binomial (David and
// Nagaraja, Order Statistics, section 7.1). Both ends are equally sure, so that the
// interval of what is turned around is the interval turned around.
func medianOrder(n int) (k int, reached float64) {
	logAll, _ := math.Lgamma(float64(n + 1))
	beyond := 0.0 // the chance of fewer than k rounds on one side
	for k = 1; k <= (n+1)/2; k++ {
		below, _ := math.Lgamma(float64(k))
		above, _ := math.Lgamma(float64(n - k + 2))
		beyond += math.Exp(logAll - below - above - float64(n)*math.Ln2)
		level := 1 - 2*beyond
		if level < Confidence {
			if k == 1 {
				return 1, level
			}
			return k - 1, reached
		}
		reached = level
	}
	return k - 1, reached
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
