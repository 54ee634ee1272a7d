package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// noisy is log-normal noise of this spread around 1.
func noisy(rng *rand.Rand, spread float64) float64 { return math.Exp(spread * rng.NormFloat64()) }

func TestSteady(t *testing.T) {
	rest := []float64{5, 5.1, 4.9, 5, 5.05, 4.95, 5.02, 5, 4.97, 5.03}
	require.True(t, Steady(rest))
	require.False(t, Steady(rest[1:]), "too few")
	require.True(t, Steady([]float64{5, 5, 5, 5, 5, 5, 5, 5, 5, 5}))
	require.False(t, Steady([]float64{9, 8, 7, 6.5, 6, 5.7, 5.4, 5.2, 5, 4.9}), "falling")
	require.False(t, Steady([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}), "rising")
	require.True(t, Steady([]float64{5, 5.01, 5.02, 5.03, 5.04, 5.05, 5.06, 5.07, 5.08, 5.09}), "a trend, of 1.8 %")
	require.True(t, Steady(append([]float64{90, 60, 30, 20, 10, 8, 7, 6, 6, 6}, rest...)), "what is long past is forgotten")
	require.False(t, Steady(append([]float64{math.NaN()}, rest[1:]...)), "a slice without answers is none")
	require.True(t, Steady(append([]float64{math.NaN(), math.Inf(1)}, rest...)))
}

// How often a series at rest is called unsteady, by length and noise.
func TestSteadyAlarms(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	const draws = 3000
	for _, n := range []int{SteadyLeast, 20, 40} {
		for _, spread := range []float64{0.02, 0.2, 1} {
			alarms := 0
			for range draws {
				v := make([]float64, n)
				for i := range v {
					v[i] = noisy(rng, spread)
				}
				if !Steady(v) {
					alarms++
				}
			}
			share := float64(alarms) / draws
			require.Less(t, share, 0.22, "n %d spread %g", n, spread)
			t.Logf("%d slices, noise %g: %.1f %% called unsteady", n, spread, 100*share)
		}
	}
}

// A warm-up that ends by the rule: what is left of the start's latency by then, and
// how long one lasts that needs none.
func TestSteadyEndsTheWarmup(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 24))
	const draws, least, most = 100, 2 * SteadyLeast, 200
	// warm is the length of a warm-up that decays from 1+first to 1.
	warm := func(first, decay, spread float64) (slices int) {
		var v []float64
		for len(v) < most && (len(v) < least || !Steady(v)) {
			v = append(v, (1+first*math.Exp(-float64(len(v))/decay))*noisy(rng, spread))
		}
		return len(v)
	}
	for _, c := range []struct{ first, decay, spread, leftMost float64 }{
		{2, 4, 0.05, 0.1}, {2, 10, 0.05, 0.1}, {10, 10, 0.05, 0.1}, {2, 4, 0.3, 0.1}, {2, 10, 0.2, 0.4},
	} {
		over, length := 0, 0
		for range draws {
			n := warm(c.first, c.decay, c.spread)
			length += n
			if c.first*math.Exp(-float64(n)/c.decay) > c.leftMost {
				over++
			}
		}
		t.Logf("start at %g x, decay %g slices, noise %g: %d slices, %.1f %% ended with more than %.0f %% of it left",
			1+c.first, c.decay, c.spread, length/draws, 100*float64(over)/draws, 100*c.leftMost)
		require.Less(t, float64(over)/draws, 0.1, "%+v", c)
	}
	length := 0
	for range draws {
		length += warm(0, 1, 0.2)
	}
	t.Logf("at rest, noise 0.2: %.1f slices, of which %d are the least", float64(length)/draws, least)
	require.Less(t, float64(length)/draws, 1.25*least, "a server at rest waits in vain")
}
