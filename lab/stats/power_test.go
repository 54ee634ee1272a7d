package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSpread(t *testing.T) {
	rng := rand.New(rand.NewPCG(61, 62))
	v := make([]float64, 5000)
	for i := range v {
		v[i] = 700 * noisy(rng, 0.05)
	}
	require.InDelta(t, 0.05, Spread(v), 0.002)
	require.Zero(t, Spread([]float64{3, 3}))
	for _, none := range [][]float64{nil, {1}, {1, 0}, {1, -1}} {
		require.True(t, math.IsNaN(Spread(none)), "%v", none)
	}
}

// A difference of the size that is called detectable is found in about Power of the cases.
func TestDetectable(t *testing.T) {
	rng := rand.New(rand.NewPCG(63, 64))
	const draws = 600
	for _, family := range []int{1, 40} {
		for _, n := range []int{8, 10, 20} {
			const spread = 0.05
			share := Detectable(spread, n, family)
			found := 0
			for range draws {
				a, b := make([]float64, n), make([]float64, n)
				for i := range a {
					a[i], b[i] = (1+share)*noisy(rng, spread), noisy(rng, spread)
				}
				if Compare(a, b).P <= Alpha/float64(family) {
					found++
				}
			}
			t.Logf("family of %d, %d rounds scattered by 5 %%: %.1f %% is found in %.0f %% of the cases", family, n, 100*share, 100*float64(found)/draws)
			require.InDelta(t, Power, float64(found)/draws, 0.1, "family %d n %d", family, n)
		}
	}
	require.True(t, math.IsInf(Detectable(0.05, 3, 1), 1), "three against three never reach 5 %")
	require.False(t, math.IsInf(Detectable(0.05, 4, 1), 1))
	require.True(t, math.IsInf(Detectable(0.05, 5, 40), 1))
	require.True(t, math.IsInf(Detectable(0.05, 0, 1), 1))
}

func TestStudentQuantile(t *testing.T) {
	for _, c := range []struct{ p, degrees, want float64 }{
		{0.975, 5, 2.571}, {0.975, 9, 2.262}, {0.975, 18, 2.101}, {0.999375, 14, 4.026}, {0.9995, 10, 4.587}, {0.975, 1e6, 1.960},
	} {
		require.InEpsilon(t, c.want, studentQuantile(c.p, int(c.degrees)), 0.02, "%+v", c)
	}
}

func TestMinRounds(t *testing.T) {
	require.Equal(t, 4, MinRounds(0.0001, 0.1, 1), "the fewest that can be significant")
	require.Zero(t, MinRounds(0.1, 0, 1))
	rapid.Check(t, func(t *rapid.T) {
		spread, share := rapid.Float64Range(0.001, 0.3).Draw(t, "spread"), rapid.Float64Range(0.01, 0.5).Draw(t, "share")
		family := rapid.IntRange(1, 100).Draw(t, "family")
		n := MinRounds(spread, share, family)
		if n == 0 {
			return
		}
		require.LessOrEqual(t, Detectable(spread, n, family), share)
		require.Greater(t, Detectable(spread, n-1, family), share)
		require.GreaterOrEqual(t, MinRounds(spread, share, family+1), n)
	})
}
