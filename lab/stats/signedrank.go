package stats

import (
	"cmp"
	"math"
	"slices"
)

// SignedRank tests whether differences lie about zero: p is the chance that they lie
// as far to one side if each were as likely to have the other sign. For rounds in
// which two things were measured, take the logarithms of their ratios: what a round
// did to both falls out, which Compare would count as noise. Zeros are left out; with
// nothing else p is 1. (Wilcoxon 1945; the distribution is exact, given the ties.)
func SignedRank(diffs []float64) (p float64) {
	d := slices.DeleteFunc(slices.Clone(diffs), func(v float64) bool { return v == 0 || math.IsNaN(v) })
	slices.SortFunc(d, func(a, b float64) int { return cmp.Compare(math.Abs(a), math.Abs(b)) })
	n := len(d)
	// Ranks are doubled: those of ties, which share theirs, are whole then, too.
	chance, sum := make([]float64, n*(n+1)+1), 0
	chance[0] = 1
	for from := 0; from < n; {
		until := from + 1
		for until < n && math.Abs(d[until]) == math.Abs(d[from]) {
			until++
		}
		rank := from + until + 1 // twice the mean of from+1..until
		for _, v := range d[from:until] {
			if v > 0 {
				sum += rank
			}
			for w := len(chance) - 1; w >= 0; w-- {
				chance[w] /= 2
				if w >= rank {
					chance[w] += chance[w-rank] / 2
				}
			}
		}
		from = until
	}
	least := min(sum, n*(n+1)-sum)
	for _, c := range chance[:least+1] {
		p += 2 * c
	}
	return min(p, 1)
}
