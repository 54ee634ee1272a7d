package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSummaryOfFewRoundsSaysWhatItReached(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Summary
		level  string
	}{
		{nil, Summary{}, "no round"},
		{[]float64{7}, Summary{1, 7, 7, 7, 0}, "one round: no interval"},
		{[]float64{9, 7}, Summary{2, 8, 7, 9, 0.5}, "50 % interval of 2 rounds"},
		{[]float64{9, 7, 8}, Summary{3, 8, 7, 9, 0.75}, "75 % interval of 3 rounds"},
		{[]float64{5, 1, 2, 4, 3}, Summary{5, 3, 1, 5, 0.9375}, "93.7 % interval of 5 rounds"},
		{[]float64{6, 5, 1, 2, 4, 3}, Summary{6, 3.5, 1, 6, 0.96875}, "96.8 % interval of 6 rounds"},
		// From nine rounds on the outermost values fall out of the interval.
		{[]float64{9, 8, 7, 6, 5, 1, 2, 4, 3}, Summary{9, 5, 2, 8, 0.9609375}, "96 % interval of 9 rounds"},
	} {
		got := Summarize(c.values)
		require.InDelta(t, c.want.Reached, got.Reached, 1e-9, "%v", c.values)
		got.Reached = c.want.Reached
		require.Equal(t, c.want, got, "%v", c.values)
		require.Equal(t, c.level, got.Level())
	}
}

func TestArgumentsAreLeftAlone(t *testing.T) {
	a, b := []float64{3, 1, 2}, []float64{9, 7, 8}
	Summarize(a)
	Compare(a, b)
	require.Equal(t, []float64{3, 1, 2}, a)
	require.Equal(t, []float64{9, 7, 8}, b)
}

func TestCompareFiveRounds(t *testing.T) {
	a, b := []float64{10, 11, 12, 13, 14}, []float64{20, 21, 22, 23, 24}
	c := Compare(a, b)
	require.InDelta(t, 12.0/22, c.Ratio, 1e-12)
	// Two of 252 orders are this extreme; U's table gives k = 3 at 5 and 5.
	require.InDelta(t, 2.0/252, c.P, 1e-9)
	require.InDelta(t, 1-2*4.0/252, c.Reached, 1e-9)
	require.True(t, c.Differs())
	require.Less(t, c.Hi, 1.0)

	// The other way round is the reciprocal.
	r := Compare(b, a)
	require.InDelta(t, 1/c.Ratio, r.Ratio, 1e-12)
	require.InDelta(t, 1/c.Hi, r.Lo, 1e-12)

	overlapping := Compare(a, []float64{9, 12, 11, 15, 13})
	require.False(t, overlapping.Differs())
	require.True(t, overlapping.Lo < 1 && overlapping.Hi > 1)
}

func TestThreeRoundsCannotTell(t *testing.T) {
	c := Compare([]float64{1, 2, 3}, []float64{10, 20, 30})
	require.False(t, c.Enough())
	require.False(t, c.Differs())
	require.InDelta(t, 0.9, c.Reached, 1e-9)
	require.NotEmpty(t, c.Warnings)
}

func TestRatioToZeroIsNoRatio(t *testing.T) {
	c := Compare([]float64{0, 0, 0, 0, 0}, []float64{1, 2, 3, 4, 5})
	require.True(t, math.IsNaN(c.Ratio))
	require.False(t, c.Differs())
	require.Less(t, c.P, 0.05)
	require.NotEmpty(t, Compare(nil, []float64{1}).Warnings)
}

func TestUCountsAreBinomial(t *testing.T) {
	require.Equal(t, []float64{1, 1, 2, 1, 1}, uCounts(2, 2))
	for n := 1; n <= 8; n++ {
		for m := 1; m <= 8; m++ {
			ways, total := uCounts(n, m), 0.0
			for u, w := range ways {
				require.Equal(t, w, ways[n*m-u], "symmetric")
				total += w
			}
			require.InDelta(t, math.Round(binomial(n+m, n)), total, 1e-6)
		}
	}
}

func binomial(n, k int) float64 {
	v := 1.0
	for i := 1; i <= k; i++ {
		v = v * float64(n-k+i) / float64(i)
	}
	return v
}

// TestIntervalsHoldWhatTheyPromise draws seeded log-normal rounds with a known
// median and ratio and counts how often the intervals hold them.
func TestIntervalsHoldWhatTheyPromise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const draws, trueRatio = 4000, 1.5
	for _, n := range []int{3, 5, 7, 12} {
		var medianIn, ratioIn int
		var wantMedian, wantRatio float64
		for range draws {
			a, b := make([]float64, n), make([]float64, n)
			for i := range n {
				a[i], b[i] = trueRatio*math.Exp(rng.NormFloat64()/4), math.Exp(rng.NormFloat64()/4)
			}
			s, c := Summarize(b), Compare(a, b)
			wantMedian, wantRatio = s.Reached, c.Reached
			require.True(t, s.Lo <= s.Median && s.Median <= s.Hi && c.Lo <= c.Ratio && c.Ratio <= c.Hi)
			if s.Lo <= 1 && 1 <= s.Hi {
				medianIn++
			}
			if c.Lo <= trueRatio && trueRatio <= c.Hi {
				ratioIn++
			}
		}
		// Four standard errors of a proportion around 0.75..0.97 are below 0.03.
		require.InDelta(t, wantMedian, float64(medianIn)/draws, 0.03, "median, n=%d", n)
		require.InDelta(t, wantRatio, float64(ratioIn)/draws, 0.03, "ratio, n=%d", n)
	}
}

func TestIntervalAgreesWithTheTest(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		a, b := make([]float64, 6), make([]float64, 5)
		for i := range a {
			a[i] = math.Exp(rng.NormFloat64()/3 + 0.4)
		}
		for i := range b {
			b[i] = math.Exp(rng.NormFloat64() / 3)
		}
		c := Compare(a, b)
		require.Equal(t, c.P < 1-c.Reached+1e-9, c.Lo > 1 || c.Hi < 1, "%v %v", slices.Sorted(slices.Values(a)), b)
	}
}
