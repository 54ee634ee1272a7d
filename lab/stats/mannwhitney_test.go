package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchmath"
	"pgregory.net/rapid"
)

// pairsAbove is U by its definition.
func pairsAbove(a, b []float64) (u float64) {
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				u++
			case x == y:
				u += 0.5
			}
		}
	}
	return u
}

// dealt is the share of all deals of the rounds to two sides whose U is as far out.
func dealt(a, b []float64) float64 {
	all := append(append([]float64(nil), a...), b...)
	middle := float64(len(a)*len(b)) / 2
	far, deals, extreme := math.Abs(pairsAbove(a, b)-middle), 0, 0
	for set := range 1 << len(all) {
		var x, y []float64
		for i, v := range all {
			if set>>i&1 == 1 {
				x = append(x, v)
			} else {
				y = append(y, v)
			}
		}
		if len(x) != len(a) {
			continue
		}
		deals++
		if math.Abs(pairsAbove(x, y)-middle) >= far {
			extreme++
		}
	}
	return float64(extreme) / float64(deals)
}

// Against the definition, with many ties.
func TestMannWhitneyCountsAllDeals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rounds := rapid.SliceOfN(rapid.Map(rapid.IntRange(1, 5), func(i int) float64 { return float64(i) }), 1, 5)
		a, b := rounds.Draw(t, "a"), rounds.Draw(t, "b")
		u, p := mannWhitney(a, b)
		require.Equal(t, pairsAbove(a, b), u)
		require.InDelta(t, dealt(a, b), p, 1e-12)
		back, q := mannWhitney(b, a)
		require.InDelta(t, float64(len(a)*len(b)), u+back, 1e-12)
		require.InDelta(t, p, q, 1e-12)
	})
}

// Without ties it is what benchstat says.
func TestMannWhitneyAgreesWithBenchmath(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	for range 200 {
		a, b := make([]float64, 3+rng.IntN(12)), make([]float64, 3+rng.IntN(12))
		for i := range a {
			a[i] = rng.NormFloat64() + 0.5
		}
		for i := range b {
			b[i] = rng.NormFloat64()
		}
		_, p := mannWhitney(a, b)
		require.GreaterOrEqual(t, p, leastP(len(a), len(b))*(1-1e-9))
		thresholds := benchmath.DefaultThresholds
		sample := func(v []float64) *benchmath.Sample {
			return benchmath.NewSample(append([]float64(nil), v...), &thresholds)
		}
		require.InDelta(t, benchmath.AssumeNothing.Compare(sample(a), sample(b)).P, p, 1e-9)
	}
}

// Where counting ends the approximation takes over without a jump, ties included.
func TestMannWhitneyOfManyRounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(33, 34))
	for _, levels := range []float64{8, 1e9} {
		for _, by := range []float64{0, 0.3, 0.8} {
			a, b := make([]float64, exactMost/2), make([]float64, exactMost/2)
			for i := range a {
				a[i], b[i] = math.Round(levels*(rng.NormFloat64()+by))/levels, math.Round(levels*rng.NormFloat64())/levels
			}
			groups, sum := doubledRanks(a, b)
			n := len(a)
			far := abs(sum - n*(n+1) - n*n)
			exact := exactU(groups, n, n, far)
			require.InDelta(t, exact, approximateU(groups, n, n, far), 0.005+exact/20, "levels %g by %g", levels, by)
		}
	}
	long := make([]float64, exactMost)
	for i := range long {
		long[i] = float64(i)
	}
	require.Less(t, Compare(long, long[:10]).P, 0.01)
}

// Rounds of one distribution are told apart as often as promised, ties or not.
func TestMannWhitneyAlarms(t *testing.T) {
	rng := rand.New(rand.NewPCG(35, 36))
	const draws = 4000
	for _, levels := range []float64{2, 10, 1e9} {
		alarms := 0
		for range draws {
			a, b := make([]float64, 10), make([]float64, 7)
			for i := range a {
				a[i] = math.Ceil(levels * rng.Float64())
			}
			for i := range b {
				b[i] = math.Ceil(levels * rng.Float64())
			}
			if _, p := mannWhitney(a, b); p <= 0.05 {
				alarms++
			}
		}
		require.Less(t, float64(alarms)/draws, 0.06, "levels %g", levels)
		t.Logf("%g levels: %.1f %% alarms at 5 %%", levels, 100*float64(alarms)/draws)
	}
}
