package stats

import "math"

// MannKendall tests a series for a trend, rising or falling, of any shape: tau is
// in [-1, 1], 1 if each value is above all before it; p is the chance of a tau
// this far from 0 in a series without trend whose values do not hang together.
// Values that do hang together make p too small: thin them first. With fewer than
// four values p is 1. (Mann 1945, Kendall 1975; the normal approximation with
// correction for continuity and ties.)
func MannKendall(values []float64) (tau, p float64) {
	n := len(values)
	if n < 4 {
		return 0, 1
	}
	s, ties := 0.0, map[float64]float64{}
	for i, v := range values {
		ties[v]++
		for _, later := range values[i+1:] {
			switch {
			case later > v:
				s++
			case later < v:
				s--
			}
		}
	}
	variance := pairs18(float64(n))
	for _, t := range ties {
		variance -= pairs18(t)
	}
	tau = s / (float64(n) * float64(n-1) / 2)
	if variance <= 0 {
		return tau, 1
	}
	z := max(0, math.Abs(s)-1) / math.Sqrt(variance/18)
	return tau, math.Erfc(z / math.Sqrt2)
}

// pairs18 is n(n-1)(2n+5), of which a part in 18 is the variance of Kendall's S.
func pairs18(n float64) float64 { return n * (n - 1) * (2*n + 5) }

// Autocorrelation is how far each value of a series is foretold by the one before
// it: lag one, in [-1, 1], near 0 for values that do not hang together. NaN with
// fewer than three values or if all are equal.
func Autocorrelation(values []float64) float64 {
	if len(values) < 3 {
		return math.NaN()
	}
	mean := 0.0
	for _, v := range values {
		mean += v / float64(len(values))
	}
	var shared, all float64
	for i, v := range values {
		all += (v - mean) * (v - mean)
		if i > 0 {
			shared += (v - mean) * (values[i-1] - mean)
		}
	}
	if all == 0 {
		return math.NaN()
	}
	return shared / all
}
