package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBootstrap(t *testing.T) {
	a := []float64{10, 11, 12, 13, 14, 15, 16, 17}
	b := []float64{5, 5.5, 6, 6.5, 7, 7.5, 8, 8.5} // exactly half, round by round
	i := RatioOfMedians(a, b)
	require.Equal(t, Interval{2, 2, 2, bootstrapDraws}, i, "what rounds share falls out, as they are drawn together")
	require.Equal(t, i, RatioOfMedians(a, b))
	require.Equal(t, []float64{10, 11, 12, 13, 14, 15, 16, 17}, a)

	mean := Bootstrap(len(a), func(rounds []int) (sum float64) {
		require.Len(t, rounds, len(a))
		for _, r := range rounds {
			sum += a[r] / float64(len(rounds))
		}
		return sum
	})
	require.InDelta(t, 13.5, mean.Value, 1e-12)
	require.True(t, mean.Lo < 12.2 && mean.Lo > 11 && mean.Hi > 14.8 && mean.Hi < 16, "%+v", mean)

	few := RatioOfMedians(a[:5], b[:5])
	require.InDelta(t, 2, few.Value, 1e-12)
	require.True(t, math.IsNaN(few.Lo), "five rounds: no interval")
	require.True(t, math.IsNaN(RatioOfMedians(nil, nil).Value))
	seldom := Bootstrap(10, func(rounds []int) float64 {
		if rounds[0] != 0 {
			return math.NaN()
		}
		return 1
	})
	require.Equal(t, 1.0, seldom.Value)
	require.True(t, math.IsNaN(seldom.Lo), "most draws have no such quantity: %d", seldom.Draws)
	require.True(t, math.IsNaN(RatioOfMedians(a, make([]float64, len(a))).Value))
}

// How often the intervals hold the truth, for what they are made for: a ratio of the
// medians of paired rounds, a difference of medians and of means of unpaired ones.
func TestBootstrapCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(71, 72))
	const draws = 100
	for _, n := range []int{6, 10} {
		held := map[string]int{}
		for range draws {
			a, b, c := make([]float64, n), make([]float64, n), make([]float64, n)
			for i := range a {
				minute := noisy(rng, 0.2) // what the round did to both
				a[i], b[i], c[i] = 1.5*minute*noisy(rng, 0.05), minute*noisy(rng, 0.05), 1.5*noisy(rng, 0.2)
			}
			of := func(v []float64, rounds []int) []float64 {
				out := make([]float64, len(rounds))
				for i, r := range rounds {
					out[i] = v[r]
				}
				return out
			}
			mean := func(v []float64) (sum float64) {
				for _, x := range v {
					sum += x / float64(len(v))
				}
				return sum
			}
			hold := func(name string, i Interval, truth float64) {
				if i.Lo <= truth && truth <= i.Hi {
					held[name]++
				}
			}
			hold("ratio of paired medians", RatioOfMedians(a, b), 1.5)
			hold("difference of medians", BootstrapBoth(n, n, func(x, y []int) float64 { return median(of(c, x)) - median(of(b, y)) }), 0.5)
			hold("ratio of means", BootstrapBoth(n, n, func(x, y []int) float64 { return mean(of(c, x)) / mean(of(b, y)) }), 1.5)
		}
		for name, times := range held {
			t.Logf("%d rounds, %s: %.1f %% hold it", n, name, 100*float64(times)/draws)
			require.GreaterOrEqual(t, float64(times)/draws, 0.90, "%d rounds, %s", n, name)
		}
	}
}
