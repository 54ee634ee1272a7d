package stats

import (
	"math"
	"slices"
)

// Trend is whether a series rises or falls, and by how much.
type Trend struct {
	// Tau and P are MannKendall's.
	Tau, P float64
	// Change is how far the series went from its begin to its end, as a share of its
	// median: 0.1 is a rise by a tenth. It is the slope of Theil and Sen (the median of
	// the slopes of all pairs: Sen, "Estimates of the regression coefficient based on
	// Kendall's tau", 1968), so that single odd values do not make it. NaN with fewer
	// than two values or if their median is 0.
	Change float64
}

// TrendOf looks for a trend in a series of values at even distances, all finite.
func TrendOf(values []float64) Trend {
	t := Trend{Change: math.NaN()}
	t.Tau, t.P = MannKendall(values)
	if len(values) < 2 {
		return t
	}
	slopes := make([]float64, 0, len(values)*(len(values)-1)/2)
	for i, v := range values {
		for j := i + 1; j < len(values); j++ {
			slopes = append(slopes, (values[j]-v)/float64(j-i))
		}
	}
	if m := median(values); m != 0 {
		t.Change = median(slopes) * float64(len(values)-1) / math.Abs(m)
	}
	return t
}

// MannKendall tests a series for a trend, rising or falling, of any shape: tau is
// in [-1, 1], 1 if each value is above all before it; p is the chance of a tau
// this far from 0 in a series without trend whose values do not hang together.
// Values that do hang together make p too small: ask for the trend's size, too
// (TrendOf). With fewer than four values p is 1. (Mann 1945; Kendall, Rank
// Correlation Methods, 1975: exact for short series without ties, otherwise the
// normal approximation with correction for continuity and ties.)
func MannKendall(values []float64) (tau, p float64) {
	n := len(values)
	if n < 4 {
		return 0, 1
	}
	s, tied := 0, map[float64]float64{}
	for i, v := range values {
		tied[v]++
		for _, later := range values[i+1:] {
			switch {
			case later > v:
				s++
			case later < v:
				s--
			}
		}
	}
	pairs := n * (n - 1) / 2
	tau = float64(s) / float64(pairs)
	if len(tied) == n && n <= kendallExactMost {
		return tau, kendallExact(n, s)
	}
	variance := pairs18(float64(n))
	for _, t := range tied {
		variance -= pairs18(t)
	}
	if variance <= 0 {
		return tau, 1
	}
	z := max(0, math.Abs(float64(s))-1) / math.Sqrt(variance/18)
	return tau, math.Erfc(z / math.Sqrt2)
}

// pairs18 is n(n-1)(2n+5), of which a part in 18 is the variance of Kendall's S.
func pairs18(n float64) float64 { return n * (n - 1) * (2*n + 5) }

// kendallExactMost bounds the length of series whose p is counted. At it the normal
// approximation is right to 0.004.
const kendallExactMost = 24

// kendallExact is the chance of an S at least this far from 0 among all orders of n
// different values. S is pairs-2k for k inversions; the numbers of orders by
// inversions are the coefficients of the product of 1+q+...+q^(i-1), i to n.
func kendallExact(n, s int) float64 {
	pairs := n * (n - 1) / 2
	share := make([]float64, pairs+1) // of the orders of the first i values, by inversions
	share[0] = 1
	for i := 2; i <= n; i++ {
		sum, next := 0.0, make([]float64, pairs+1)
		for k := range next {
			sum += share[k]
			if k >= i {
				sum -= share[k-i]
			}
			next[k] = sum / float64(i)
		}
		share = next
	}
	p := 0.0
	for k, chance := range share {
		if far := pairs - 2*k; far >= s && far >= -s || far <= s && far <= -s {
			p += chance
		}
	}
	return min(1, max(0, p))
}

// median is the middle of values; of an even number the mean of the two.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return sorted[(n-1)/2]/2 + sorted[n/2]/2
}
