package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEnough(t *testing.T) {
	close := []float64{100, 101, 99, 100, 101, 99, 100}
	require.True(t, Enough(close, 0.02))
	require.False(t, Enough(close[:6], 0.02), "one narrow interval is luck")
	require.False(t, Enough(close, 0.005))
	require.False(t, Enough(append([]float64{50}, close...), 0.02), "all of eight rounds are within the interval")
	require.False(t, Enough([]float64{0, 0, 0, 0, 0, 0, 0}, 0.02), "no share of 0")
	require.InDelta(t, 0.01, HalfWidth(close), 1e-12)
	require.True(t, math.IsInf(HalfWidth(close[:5]), 1))
	require.False(t, Enough(nil, 1))
}

// What stopping when the interval is narrow does to the interval: how often it still
// holds the median, by noise and precision, for runs of at most 60 rounds.
func TestEnoughKeepsCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	const runs, most = 800, 60
	shapes := map[string]func(spread float64) float64{
		"log-normal": func(s float64) float64 { return noisy(rng, s) },
		"skewed":     func(s float64) float64 { return 1 + s*(rng.ExpFloat64()-math.Ln2) },
		"two humps":  func(s float64) float64 { return 1 + s*(2*float64(rng.IntN(2))-1) + s/4*rng.NormFloat64() },
		// One round in ten was disturbed.
		"disturbed": func(s float64) float64 {
			if rng.IntN(10) == 0 {
				return 1 + 10*s*rng.Float64()
			}
			return noisy(rng, s)
		},
	}
	truth := map[string]func(s float64) float64{
		"log-normal": func(float64) float64 { return 1 }, "skewed": func(float64) float64 { return 1 }, "two humps": func(float64) float64 { return 1 },
		// 0.9 of the noise and 0.1 above: the median is the noise's 5/9 quantile, nearly.
		"disturbed": func(s float64) float64 { return math.Exp(s * normalQuantile(5.0/9)) },
	}
	for _, name := range []string{"log-normal", "skewed", "two humps", "disturbed"} {
		for _, relative := range []float64{0.5, 1, 2, 4} { // precision by spread
			const spread = 0.03
			held, length := 0, 0
			for range runs {
				var v []float64
				for len(v) < most && !Enough(v, relative*spread) {
					v = append(v, shapes[name](spread))
				}
				length += len(v)
				if s := Summarize(v); s.Lo <= truth[name](spread) && truth[name](spread) <= s.Hi {
					held++
				}
			}
			coverage := float64(held) / runs
			t.Logf("%s, precision %g of the spread: %.1f rounds, %.1f %% of the intervals hold the median", name, relative, float64(length)/runs, 100*coverage)
			least := 0.92
			if name == "two humps" && relative < 1 {
				least = 0.85 // narrower than the gap between the humps: nearly no interval that stops the run can hold it
			}
			assert.GreaterOrEqual(t, coverage, least, "%s %g", name, relative)
		}
	}
}
