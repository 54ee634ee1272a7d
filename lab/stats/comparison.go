package stats

import (
	"fmt"
	"math"
	"slices"
)

// Comparison is how the rounds of one model, a, relate to those of another, b.
type Comparison struct {
	NA, NB int
	// Ratio is median(a)/median(b): the effect. NaN unless all values are
	// positive and the ratios finite: a ratio to zero says nothing.
	Ratio float64
	// Lo and Hi bound the ratio with the confidence Reached; NaN if Ratio is.
	// Invariant: Lo <= Ratio <= Hi.
	Lo, Hi float64
	// Reached is at least Confidence if there are rounds enough, otherwise the
	// most that these can give (0.9 for three against three).
	Reached float64
	// P is the Mann-Whitney U test's: the probability of a difference like this
	// if there were none. Of several tests see Family.
	P float64
	// Delta is Cliff's: the share of pairs of rounds in which a is above b, less that
	// in which it is below. In [-1, 1]; NaN without rounds. See Effect.
	Delta float64
	// Warnings: too few rounds to show anything, all values equal.
	Warnings []string
}

// Compare relates a to b. Both need at least one value, all finite.
func Compare(a, b []float64) Comparison {
	c := Comparison{NA: len(a), NB: len(b), Ratio: math.NaN(), Lo: math.NaN(), Hi: math.NaN(), P: 1, Delta: math.NaN()}
	if len(a) == 0 || len(b) == 0 {
		c.Warnings = []string{"nothing to compare: no round"}
		return c
	}
	u, p := mannWhitney(a, b)
	c.P, c.Delta = p, 2*u/float64(len(a)*len(b))-1
	if least := leastP(len(a), len(b)); least > Alpha && p > Alpha {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%d rounds against %d can show no difference: p is %.2g at least", len(a), len(b), least))
	}
	if all := slices.Concat(a, b); slices.Min(all) == slices.Max(all) {
		c.Warnings = append(c.Warnings, "all values are equal")
	}
	if slices.Min(a) <= 0 || slices.Min(b) <= 0 {
		return c
	}
	c.Ratio = Summarize(a).Median / Summarize(b).Median
	lo, hi, reached := ratioInterval(a, b)
	if math.IsInf(c.Ratio, 0) || math.IsInf(hi, 0) || lo == 0 {
		c.Ratio = math.NaN() // beyond what a float64 holds: no ratio either
		return c
	}
	c.Lo, c.Hi, c.Reached = lo, hi, reached
	// The interval is that of the pairwise ratios' median; the ratio of medians
	// can lie outside it for many rounds. Widening keeps the confidence.
	c.Lo, c.Hi = min(c.Lo, c.Ratio), max(c.Hi, c.Ratio)
	return c
}

// Enough reports whether there are rounds enough to tell anything at Confidence.
func (c Comparison) Enough() bool { return c.Reached >= Confidence }

// Differs reports whether a and b differ at Confidence: the test rejects
// equality and the interval of the ratio excludes 1.
func (c Comparison) Differs() bool {
	return c.P <= Alpha && c.Enough() && (c.Lo > 1 || c.Hi < 1)
}

// ratioInterval inverts the Mann-Whitney test: the k-th smallest and k-th largest
// of all pairwise ratios bound the ratio by which b must be scaled to be like a
// (Moses; Hollander and Wolfe, Nonparametric Statistical Methods, section 4.3, on
// a logarithmic scale). So the interval excludes 1 exactly where the test rejects
// equality, ties apart.
func ratioInterval(a, b []float64) (lo, hi, reached float64) {
	ratios := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			ratios = append(ratios, x/y)
		}
	}
	slices.Sort(ratios)
	k, reached := intervalOrder(len(a), len(b))
	return ratios[k-1], ratios[len(ratios)-k], reached
}

// intervalOrder is the largest k for which the k-th smallest and k-th largest
// pairwise ratios reach Confidence, or 1 if none does, and the level reached.
func intervalOrder(n, m int) (k int, reached float64) {
	ways := uCounts(n, m)
	total := 0.0
	for _, w := range ways {
		total += w
	}
	// P(U <= k-1) on each side lies outside the interval of order k.
	tail := 0.0
	for k = 1; k <= (n*m+1)/2; k++ {
		tail += ways[k-1] / total
		level := 1 - 2*tail
		if k == 1 {
			reached = max(level, 0)
		}
		if level < Confidence {
			return max(k-1, 1), reached
		}
		reached = level
	}
	return k - 1, reached
}

// uCounts are the numbers of ways in which U takes the values 0..n*m when n and m
// rounds are drawn from one distribution: the coefficients of the Gaussian
// binomial (n+m choose n). Rounds are few, so counting beats an approximation.
func uCounts(n, m int) []float64 {
	ways := make([]float64, n*m+1)
	ways[0] = 1
	for i := 1; i <= n; i++ {
		// Multiply by 1-q^(m+i), then divide by 1-q^i.
		for u := n * m; u >= m+i; u-- {
			ways[u] -= ways[u-m-i]
		}
		for u := i; u <= n*m; u++ {
			ways[u] += ways[u-i]
		}
	}
	return ways
}
