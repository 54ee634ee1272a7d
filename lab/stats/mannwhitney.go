package stats

import (
	"cmp"
	"math"
	"slices"
)

// exactMost bounds the rounds, of both sides together, for which the distribution of
// U is counted. Above it the normal approximation is as good.
const exactMost = 64

// mannWhitney is U, the number of pairs in which the value of a is the larger, ties
// counting half, and p, the chance of a U at least this far from its mean if the
// rounds had been dealt to a and b at random. For few rounds p counts all deals of
// the very values that are there, so that ties are no approximation either. (Mann and
// Whitney 1947. golang.org/x/perf/benchmath has the same p where there are no ties;
// with ties and sides of different size it doubles one tail of a distribution that
// is not symmetric, and so can be too small, or above 1.)
func mannWhitney(a, b []float64) (u, p float64) {
	groups, rankSum := doubledRanks(a, b)
	n, m := len(a), len(b)
	twiceU := rankSum - n*(n+1)
	far := abs(twiceU - n*m)
	u = float64(twiceU) / 2
	if len(groups) < 2 {
		return u, 1
	}
	if n+m > exactMost {
		return u, approximateU(groups, n, m, far)
	}
	return u, exactU(groups, n, m, far)
}

// tieGroup is the rounds that have one value: how many, and twice their mean rank.
type tieGroup struct{ count, rank2 int }

// doubledRanks are the groups of all values in ascending order, and the sum of twice
// the ranks of a's.
func doubledRanks(a, b []float64) (groups []tieGroup, sumA int) {
	type round struct {
		value float64
		ofA   bool
	}
	all := make([]round, 0, len(a)+len(b))
	for _, v := range a {
		all = append(all, round{v, true})
	}
	for _, v := range b {
		all = append(all, round{v, false})
	}
	slices.SortFunc(all, func(x, y round) int { return cmp.Compare(x.value, y.value) })
	for i := 0; i < len(all); {
		j, ofA := i, 0
		for ; j < len(all) && all[j].value == all[i].value; j++ {
			if all[j].ofA {
				ofA++
			}
		}
		g := tieGroup{count: j - i, rank2: i + 1 + j} // ranks i+1..j
		groups, sumA = append(groups, g), sumA+ofA*g.rank2
		i = j
	}
	return groups, sumA
}

// exactU is the share of the deals of n of the ranks whose U lies at least far/2 from
// its mean. It is a generating function: the ways to take some of the ranks, by how
// many and by the sum of their doubles.
func exactU(groups []tieGroup, n, m, far int) float64 {
	most := (n + m) * (n + m + 1) // twice the sum of all ranks
	ways := make([][]float64, n+1)
	for i := range ways {
		ways[i] = make([]float64, most+1)
	}
	ways[0][0] = 1
	for _, g := range groups {
		for range g.count {
			for taken := n; taken > 0; taken-- {
				from, to := ways[taken-1], ways[taken]
				for sum := most; sum >= g.rank2; sum-- {
					to[sum] += from[sum-g.rank2]
				}
			}
		}
	}
	var all, extreme float64
	for sum, w := range ways[n] {
		all += w
		if abs(sum-n*(n+1)-n*m) >= far {
			extreme += w
		}
	}
	return extreme / all
}

// approximateU is the same by the normal distribution, with correction for ties and
// continuity.
func approximateU(groups []tieGroup, n, m, far int) float64 {
	total, ties := float64(n+m), 0.0
	for _, g := range groups {
		t := float64(g.count)
		ties += t*t*t - t
	}
	variance := float64(n*m) / 12 * (total + 1 - ties/(total*(total-1)))
	z := max(0, float64(far)/2-0.5) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2)
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// leastP is the smallest p that n rounds against m can have where none are equal: two
// of all deals.
func leastP(n, m int) float64 {
	deals := 1.0
	for i := 1; i <= n; i++ {
		deals *= float64(m+i) / float64(i)
	}
	return min(1, 2/deals)
}
