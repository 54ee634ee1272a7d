package stats

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPairedRatio: what slows a whole round down does not widen the interval.
func TestPairedRatio(t *testing.T) {
	var a, b []float64
	for i := range 10 {
		slow := math.Pow(3, float64(i%3)) // the machine, not the servers
		a, b = append(a, slow*(0.9+0.001*float64(i))), append(b, slow)
	}
	p := PairedRatio(a, b)
	require.Equal(t, 10, p.N)
	require.InDelta(t, 0.9045, p.Ratio, 1e-9)
	require.True(t, p.Enough())
	require.Greater(t, p.Lo, 0.9)
	require.Less(t, p.Hi, 0.909)
	require.Equal(t, Below, p.Against(0.95))
	require.Equal(t, Below, p.Against(p.Hi))
	require.Equal(t, Above, p.Against(0.85))
	require.Equal(t, Unknown, p.Against(0.9045))
	require.False(t, Compare(a, b).Differs(), "unpaired, the machine hides it")

	few := PairedRatio(a[:5], b[:5])
	require.False(t, few.Enough())
	require.Equal(t, Unknown, few.Against(2))
	for _, bad := range [][2][]float64{{nil, nil}, {{1, 0}, {1, 1}}, {{1, 1}, {1, 0}}, {{1e300}, {1e-300}}} {
		p := PairedRatio(bad[0], bad[1])
		require.True(t, math.IsNaN(p.Ratio))
		require.Equal(t, Unknown, p.Against(1))
	}
}
