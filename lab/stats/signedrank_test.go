package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Values by hand: of n differences all on one side, p is 2/2^n; for the smallest against the
// others 4/2^n.
func TestSignedRank(t *testing.T) {
	require.Equal(t, 1.0, SignedRank(nil))
	require.Equal(t, 1.0, SignedRank([]float64{0, 0}))
	require.InDelta(t, 2.0/1024, SignedRank([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}), 1e-12)
	require.InDelta(t, 4.0/1024, SignedRank([]float64{-1, 2, 3, 4, 5, 6, 7, 8, 9, 10}), 1e-12)
	require.InDelta(t, 1, SignedRank([]float64{1, -1, 2, -2}), 1e-12)
	// Ties: of 1 1 1 each has rank 2; sums 0 2 2 2 4 4 4 6 in eighths.
	require.InDelta(t, 0.25, SignedRank([]float64{1, 1, 1}), 1e-12)
	require.InDelta(t, 1, SignedRank([]float64{1, 1, -1}), 1e-12)
}

func TestSignedRankProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.SliceOfN(rapid.Float64Range(-5, 5), 0, 40).Draw(t, "d")
		p := SignedRank(d)
		require.True(t, p > 0 && p <= 1, p)
		for i := range d {
			d[i] = -d[i]
		}
		require.InDelta(t, p, SignedRank(d), 1e-9)
	})
}

// TestSignedRankLevel: where there is nothing, one in twenty claims something at most,
// and nearly so many do.
func TestSignedRankLevel(t *testing.T) {
	rng, claims := rand.New(rand.NewPCG(1, 9)), 0
	for range 4000 {
		d := make([]float64, 20)
		for i := range d {
			d[i] = math.Exp(rng.NormFloat64()) * float64(1-2*rng.IntN(2))
		}
		if SignedRank(d) < 0.05 {
			claims++
		}
	}
	require.InDelta(t, 4000*0.048, claims, 50)
}
