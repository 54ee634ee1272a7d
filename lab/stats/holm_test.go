package stats

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestHolm(t *testing.T) {
	// Sorted: 0.005*4, 0.01*3, 0.03*2, 0.04*1 raised to what came before.
	require.InDeltaSlice(t, []float64{0.03, 0.06, 0.06, 0.02}, Holm([]float64{0.01, 0.04, 0.03, 0.005}), 1e-12)
	require.Equal(t, []float64{0.2}, Holm([]float64{0.2}))
	require.Equal(t, []float64{1, 1}, Holm([]float64{0.6, 0.9}))
	require.Empty(t, Holm(nil))
}

func TestHolmProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.Float64Range(0, 1), 1, 50).Draw(t, "p")
		got := Holm(p)
		for i := range p {
			require.GreaterOrEqual(t, got[i], p[i])
			require.LessOrEqual(t, got[i], 1.0)
			require.LessOrEqual(t, got[i], min(1, p[i]*float64(len(p)))+1e-12) // never worse than Bonferroni
			for j := range p {
				if p[i] < p[j] {
					require.LessOrEqual(t, got[i], got[j])
				}
			}
		}
		require.InDelta(t, min(1, slices.Min(p)*float64(len(p))), slices.Min(got), 1e-12)
	})
}
