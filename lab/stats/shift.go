package stats

import (
	"math"
	"slices"
)

// Shift is by how much the rounds of one condition, a, lie above those of
// another, b, in the unit of both.
type Shift struct {
	NA, NB int
	// By is median(a) - median(b). NaN without rounds.
	By float64
	// Lo and Hi bound it with the confidence Reached. Invariant: Lo <= By <= Hi.
	Lo, Hi float64
	// Reached is at least Confidence if there are rounds enough, otherwise the
	// most that these can give.
	Reached float64
}

// ShiftOf says by how much a lies above b: the difference of the medians, with
// the interval that inverts the Mann-Whitney test (Moses; Hollander and Wolfe,
// Nonparametric Statistical Methods, section 4.3).
func ShiftOf(a, b []float64) Shift {
	s := Shift{NA: len(a), NB: len(b), By: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
	if len(a) == 0 || len(b) == 0 {
		return s
	}
	diffs := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			diffs = append(diffs, x-y)
		}
	}
	slices.Sort(diffs)
	k, reached := intervalOrder(len(a), len(b))
	s.By = Summarize(a).Median - Summarize(b).Median
	// Widening keeps the confidence, as in Compare.
	s.Lo, s.Hi, s.Reached = min(diffs[k-1], s.By), max(diffs[len(diffs)-k], s.By), reached
	return s
}

// Side is on which side of a bound something lies.
type Side int

const (
	// Unknown: the interval contains the bound, or there are no rounds.
	Unknown Side = iota
	// Below the bound, the whole interval.
	Below
	// Above the bound, or at it, the whole interval.
	Above
)

// Against says on which side of the bound the shift lies, by its whole interval.
func (s Shift) Against(bound float64) Side {
	switch {
	case s.Reached == 0:
		return Unknown
	case s.Hi < bound:
		return Below
	case s.Lo >= bound:
		return Above
	}
	return Unknown
}
