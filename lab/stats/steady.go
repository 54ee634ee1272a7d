package stats

import "math"

// SteadyLeast is the number of values below which Steady says no. Noise hides a trend
// in so few: the shortest warm-up had better be cut into twice as many slices.
const SteadyLeast = 10

// Bounds of Steady. A false alarm makes a warm-up a slice longer, a drift passed over
// spoils a trial: so the level of the test is high and the size that is let pass low.
const (
	steadyAlpha  = 0.2
	steadyChange = 0.05
)

// Steady reports whether a series has come to rest, so that a warm-up may end.
// Values are one quantity, the mean latency or the answers say, of equal slices of
// time from the begin on; more are added until it is true. Values that are not
// finite (a slice without answers) are left out.
//
// The rule: of the later half of the values, at least SteadyLeast, either Mann and
// Kendall's test finds no trend at 0.2, or the trend's size (TrendOf) over that half
// is at most 5 % of the median. The begin is left out as fast as new values come, so
// that a start of any length is forgotten (the halves of Geweke 1992 and of
// Robinson's and Welch's rules for simulations).
//
// A series at rest without autocorrelation is called unsteady at most one time in
// five, and a few slices later no more. A drift that is small against the noise of
// the slices passes: with 20 of them, one of about twice their spread is found.
func Steady(values []float64) bool {
	finite := make([]float64, 0, len(values))
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			finite = append(finite, v)
		}
	}
	n := len(finite)
	if n < SteadyLeast {
		return false
	}
	t := TrendOf(finite[n-max(SteadyLeast, n/2):])
	return t.P >= steadyAlpha || math.Abs(t.Change) <= steadyChange
}
