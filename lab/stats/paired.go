package stats

import "math"

// Paired is how a relates to b where both were measured in each round: by the
// ratios of the rounds. What a round did to both, a slow minute of the machine
// among it, falls out of the ratio.
type Paired struct {
	// N is the number of rounds.
	N int
	// Ratio is the median of the rounds' ratios a/b. NaN without rounds, or if a
	// value is not positive.
	Ratio float64
	// Lo and Hi bound it with the confidence Reached, by order statistics: see
	// Summary. Invariant: Lo <= Ratio <= Hi.
	Lo, Hi, Reached float64
	// P is the sign test's, of which the interval is the inversion: the chance that so
	// many rounds lie on one side of 1 if either side were as likely. Rounds at 1
	// do not count. NaN without a ratio. Of several tests see Family.
	P float64
}

// PairedRatio relates a to b: a[i] and b[i] are of the same round. Both have the
// same length.
func PairedRatio(a, b []float64) Paired {
	p := Paired{Ratio: math.NaN(), Lo: math.NaN(), Hi: math.NaN(), P: math.NaN()}
	ratios := make([]float64, len(a))
	for i := range a {
		if ratios[i] = a[i] / b[i]; !(a[i] > 0 && b[i] > 0) || math.IsInf(ratios[i], 0) || ratios[i] == 0 {
			return p
		}
	}
	if len(ratios) == 0 {
		return p
	}
	s := Summarize(ratios)
	return Paired{N: s.N, Ratio: s.Median, Lo: s.Lo, Hi: s.Hi, Reached: s.Reached, P: signTest(ratios)}
}

// Enough reports whether there are rounds enough for the interval to have the
// confidence that was aimed at.
func (p Paired) Enough() bool { return p.Reached >= Confidence }

// Against says on which side of the bound the ratio lies, by its whole interval: at
// the bound is below it. Unknown with too few rounds.
func (p Paired) Against(bound float64) Side {
	switch {
	case !p.Enough():
		return Unknown
	case p.Hi <= bound:
		return Below
	case p.Lo > bound:
		return Above
	}
	return Unknown
}

// signTest is the chance of so few values on the rarer side of 1 among values that lie
// on either with the same chance; those at 1 are dropped, as Dixon and Mood (1946) do.
func signTest(ratios []float64) float64 {
	below, above := 0, 0
	for _, r := range ratios {
		switch {
		case r < 1:
			below++
		case r > 1:
			above++
		}
	}
	n, rarer := float64(below+above), min(below, above)
	logAll, _ := math.Lgamma(n + 1)
	p := 0.0
	for i := 0; i <= rarer; i++ {
		x, _ := math.Lgamma(float64(i + 1))
		y, _ := math.Lgamma(n - float64(i) + 1)
		p += 2 * math.Exp(logAll-x-y-n*math.Ln2)
	}
	return min(1, p)
}
