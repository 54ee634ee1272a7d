package stats

import (
	"cmp"
	"slices"
)

// Holm corrects the P values of one family of tests for their number: a test whose
// corrected value is below 0.05 is significant however many were made, with a
// chance of at most 5 % that any of the family is so by luck alone (Holm, "A simple
// sequentially rejective multiple test procedure", 1979). The result is in the order
// of p, each at least as large as the value it is of and at most 1.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	corrected := make([]float64, len(p))
	least := 0.0
	for rank, i := range order {
		least = max(least, min(1, p[i]*float64(len(p)-rank)))
		corrected[i] = least
	}
	return corrected
}
