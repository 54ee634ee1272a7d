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
}

// PairedRatio relates a to b: a[i] and b[i] are of the same round. Both have the
// same length.
func PairedRatio(a, b []float64) Paired {
	p := Paired{Ratio: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
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
	return Paired{N: s.N, Ratio: s.Median, Lo: s.Lo, Hi: s.Hi, Reached: s.Reached}
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
