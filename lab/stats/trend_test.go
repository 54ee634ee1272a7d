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
