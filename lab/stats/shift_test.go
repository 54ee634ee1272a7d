package stats

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestShift(t *testing.T) {
	s := ShiftOf([]float64{110, 130, 120}, []float64{100, 101, 99})
	require.Equal(t, 20.0, s.By)
	require.Equal(t, [2]float64{9, 31}, [2]float64{s.Lo, s.Hi}) // three against three: all pairs
	require.InDelta(t, 0.9, s.Reached, 1e-9)
	require.Equal(t, Below, s.Against(32))
	require.Equal(t, Above, s.Against(9))
	require.Equal(t, Unknown, s.Against(20))
	none := ShiftOf(nil, []float64{1})
	require.True(t, math.IsNaN(none.By))
	require.Equal(t, Unknown, none.Against(1))
	// One against one has no interval worth the name.
	require.Equal(t, Unknown, ShiftOf([]float64{1}, []float64{0}).Against(100))
}

// Both ways round say the same, moving a moves the shift, and more rounds do
// not lose what is far apart.
func TestShiftProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rounds := rapid.SliceOfN(rapid.Float64Range(1, 1000), 1, 8)
		a, b := rounds.Draw(t, "a"), rounds.Draw(t, "b")
		there, back := ShiftOf(a, b), ShiftOf(b, a)
		require.InDelta(t, there.By, -back.By, 1e-9)
		require.InDelta(t, there.Lo, -back.Hi, 1e-9)
		require.Equal(t, there.Reached, back.Reached)
		require.True(t, there.Lo <= there.By && there.By <= there.Hi)
		by := rapid.Float64Range(-500, 500).Draw(t, "by")
		moved := make([]float64, len(a))
		for i := range a {
			moved[i] = a[i] + by
		}
		require.InDelta(t, there.By+by, ShiftOf(moved, b).By, 1e-6)
		require.InDelta(t, there.Lo+by, ShiftOf(moved, b).Lo, 1e-6)
	})
}
