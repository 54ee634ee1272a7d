package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMannKendall(t *testing.T) {
	rising := []float64{1, 2, 3, 5, 8, 13, 21, 34, 55, 89}
	tau, p := MannKendall(rising)
	require.Equal(t, 1.0, tau)
	require.Less(t, p, 0.001)
	falling := []float64{9, 8, 8, 7, 6, 6, 5, 4, 3, 1}
	tau, p = MannKendall(falling)
	require.Less(t, tau, -0.9)
	require.Less(t, p, 0.001)
	_, p = MannKendall([]float64{5, 5, 5, 5, 5, 5})
	require.Equal(t, 1.0, p)
	_, p = MannKendall([]float64{1, 2, 3})
	require.Equal(t, 1.0, p)
}

// Small n by hand: all orders of four values. Inversions 0..6 have 1, 3, 5, 6, 5, 3, 1 orders.
func TestKendallExact(t *testing.T) {
	for values, want := range map[[4]float64]float64{
		{1, 2, 3, 4}: 2.0 / 24, {1, 2, 4, 3}: 8.0 / 24, {2, 1, 4, 3}: 18.0 / 24, {1, 4, 3, 2}: 1, {4, 3, 2, 1}: 2.0 / 24,
	} {
		_, p := MannKendall(values[:])
		require.InDelta(t, want, p, 1e-12, "%v", values)
	}
	// At the longest counted the approximation takes over without a jump.
	n := kendallExactMost
	for _, s := range []int{20, 60, 100, 150} {
		z := float64(s-1) / math.Sqrt(pairs18(float64(n))/18)
		require.InDelta(t, math.Erfc(z/math.Sqrt2), kendallExact(n, s), 0.005, "S %d", s)
	}
}

// With ties the approximation stays close to all orders counted.
func TestMannKendallTies(t *testing.T) {
	values := []float64{1, 1, 2, 2, 3, 4, 4}
	_, p := MannKendall(values)
	extreme, all := 0, 0
	tau, _ := MannKendall(values)
	permute(values, func(v []float64) {
		all++
		if other, _ := MannKendall(v); math.Abs(other) >= math.Abs(tau)-1e-12 {
			extreme++
		}
	})
	require.InDelta(t, float64(extreme)/float64(all), p, 0.01)
}

// permute calls f with every order of v.
func permute(v []float64, f func([]float64)) {
	var rec func(int)
	rec = func(k int) {
		if k == len(v) {
			f(v)
			return
		}
		for i := k; i < len(v); i++ {
			v[k], v[i] = v[i], v[k]
			rec(k + 1)
			v[k], v[i] = v[i], v[k]
		}
	}
	rec(0)
}

func TestTrend(t *testing.T) {
	up := TrendOf([]float64{10, 11, 12, 13, 14})
	require.InDelta(t, 4.0/12, up.Change, 1e-12)
	require.Equal(t, 1.0, up.Tau)
	odd := TrendOf([]float64{10, 10.1, 9.9, 500, 10, 9.9, 10.1, 10})
	require.InDelta(t, 0, odd.Change, 0.02, "one odd value is no trend")
	require.True(t, math.IsNaN(TrendOf([]float64{1}).Change))
	require.True(t, math.IsNaN(TrendOf([]float64{0, 0, 0}).Change))
}

// A series without trend is taken for one about as often as the test promises.
func TestMannKendallAlarms(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const draws = 4000
	alarms := 0
	for range draws {
		v := make([]float64, 20)
		for i := range v {
			v[i] = math.Exp(rng.NormFloat64())
		}
		if _, p := MannKendall(v); p < 0.05 {
			alarms++
		}
	}
	require.InDelta(t, 0.05, float64(alarms)/draws, 0.015)
}

func TestAutocorrelation(t *testing.T) {
	require.InDelta(t, -0.9, Autocorrelation([]float64{1, -1, 1, -1, 1, -1, 1, -1, 1, -1}), 1e-9)
	rng := rand.New(rand.NewPCG(7, 8))
	v := make([]float64, 5000)
	for i := range v {
		v[i] = rng.NormFloat64()
		if i > 0 {
			v[i] += 0.7 * v[i-1]
		}
	}
	require.InDelta(t, 0.7, Autocorrelation(v), 0.05)
	require.True(t, math.IsNaN(Autocorrelation([]float64{1, 2})))
	require.True(t, math.IsNaN(Autocorrelation([]float64{3, 3, 3})))
}
