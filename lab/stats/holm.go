package stats

import (
	"cmp"
	"math"
	"slices"
)

// Holm corrects the P values of one family of tests for their number: a test whose
// corrected value is at most 0.05 is significant however many were made, with a
// chance of at most 5 % that any of the family is so by luck alone, whatever the tests
// have to do with each other (Holm, "A simple sequentially rejective multiple test
// procedure", 1979). The result is in the order of p, each at least as large as the
// value it is of and at most 1. NaN stays NaN: a test that was not made does not count.
func Holm(p []float64) []float64 {
	order := make([]int, 0, len(p))
	corrected := make([]float64, len(p))
	for i, v := range p {
		corrected[i] = math.NaN()
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	least := 0.0
	for rank, i := range order {
		least = max(least, min(1, p[i]*float64(len(order)-rank)))
		corrected[i] = least
	}
	return corrected
}
