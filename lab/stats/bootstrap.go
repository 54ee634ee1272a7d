package stats

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Interval is a quantity that was made of rounds, with its bootstrap interval.
type Interval struct {
	Value  float64
	Lo, Hi float64
	// Draws of the rounds on which the quantity exists, of bootstrapDraws. Below nine
	// tenths of them there is no interval: Lo and Hi are NaN.
	Draws int
}

const (
	bootstrapDraws = 2000
	// bootstrapSeed is the same for all: the same rounds give the same interval.
	bootstrapSeed = 0x5eed
	// bootstrapLeast rounds: of fewer, the draws are too much alike.
	bootstrapLeast = 6
)

// Bootstrap is for what order statistics do not serve: quantities of several metrics,
// ratios of medians of paired rounds, differences between knees. of is the quantity of
// rounds given by their numbers in 0..n-1, with repetitions; it gets as many as there
// are, sorted in no way, and must not keep the slice. What belongs to one round is
// drawn together. NaN says that a draw has no such quantity.
//
// The interval is that of percentiles, of 2,000 draws with a fixed seed, at levels widened
// for few rounds (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13;
// the widening: Hesterberg, "What teachers should know about the bootstrap", 2015).
// How often it holds the truth is measured in TestBootstrapCoverage. With fewer than
// six rounds there is none.
func Bootstrap(n int, of func(rounds []int) float64) Interval {
	return bootstrap([]int{n}, func(draw [][]int) float64 { return of(draw[0]) })
}

// BootstrapBoth is Bootstrap of a quantity of two conditions whose rounds are not
// paired: na rounds of one, nb of the other, drawn apart.
func BootstrapBoth(na, nb int, of func(a, b []int) float64) Interval {
	return bootstrap([]int{na, nb}, func(draw [][]int) float64 { return of(draw[0], draw[1]) })
}

func bootstrap(sizes []int, of func([][]int) float64) Interval {
	draw := make([][]int, len(sizes))
	for k, n := range sizes {
		draw[k] = make([]int, n)
		for i := range draw[k] {
			draw[k][i] = i
		}
	}
	least := slices.Min(sizes)
	out := Interval{Value: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
	if least < 1 {
		return out
	}
	out.Value = of(draw)
	if least < bootstrapLeast || math.IsNaN(out.Value) {
		return out
	}
	rng := rand.New(rand.NewPCG(bootstrapSeed, uint64(least)))
	values := make([]float64, 0, bootstrapDraws)
	for range bootstrapDraws {
		for k, n := range sizes {
			for i := range draw[k] {
				draw[k][i] = rng.IntN(n)
			}
		}
		if v := of(draw); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	out.Draws = len(values)
	if 10*out.Draws < 9*bootstrapDraws {
		return out
	}
	slices.Sort(values)
	tail := wideTail(least)
	at := int(tail * float64(len(values)))
	// Widening keeps the confidence, as in Compare.
	out.Lo, out.Hi = min(values[at], out.Value), max(values[len(values)-1-at], out.Value)
	return out
}

// wideTail is the share of draws beyond each end of the interval: less than
// (1-Confidence)/2, by as much as Student's distribution is wider than the normal one
// and the draws' spread smaller than the rounds'.
func wideTail(n int) float64 {
	t := studentQuantile(1-Alpha/2, n-1) * math.Sqrt(float64(n)/float64(n-1))
	return math.Erfc(t/math.Sqrt2) / 2
}

// RatioOfMedians is median(a)/median(b), where a[i] and b[i] are of the same round: both
// have the same length. Where the question is the ratio within a round, take
// PairedRatio; this is for what a reader divides himself, the two medians of a table.
func RatioOfMedians(a, b []float64) Interval {
	pick := make([]float64, len(a))
	of := func(from []float64, rounds []int) float64 {
		for i, r := range rounds {
			pick[i] = from[r]
		}
		return median(pick)
	}
	return Bootstrap(len(a), func(rounds []int) float64 {
		top, bottom := of(a, rounds), of(b, rounds)
		if !(bottom > 0) {
			return math.NaN()
		}
		return top / bottom
	})
}
