package check

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/plan"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// rounds makes trials of two arms whose metrics are around 100 with the spread, in a
// machine that drifts with the round; the second arm's are larger by the factor.
func rounds(rng *rand.Rand, n int, spread, factor float64, metrics []string) (trials []result.Trial) {
	for round := 1; round <= n; round++ {
		drift := 1 + 0.02*rng.NormFloat64()
		for _, arm := range []string{"a", "b"} {
			t := result.Trial{Model: arm, Round: round, Verdict: result.Valid, Metrics: map[string]result.Metric{}}
			for _, m := range metrics {
				v := 100 * drift * math.Exp(spread*rng.NormFloat64())
				if arm == "b" {
					v *= factor
				}
				t.Metrics[m] = result.Of(v, "us", "test")
			}
			trials = append(trials, t)
		}
	}
	return trials
}

func all(*result.Trial) bool { return true }

// TestAAJudge: of 40 synthetic checks of things that do not differ nearly all hold,
// with the noise of this kind of machine and more; of things of which one in eight
// differs by a fifth none does.
func TestAAJudge(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	held := func(cells, differ int) (n int) {
		for range 40 {
			var family []Claim
			for cell := range cells {
				factor := 1.0
				if cell < differ {
					factor = 1.2
				}
				family = append(family, relate(fmt.Sprint(cell), rounds(rng, 10, 0.05, factor, aaMetrics), "a", "b", all, aaMetrics)...)
			}
			correct(family)
			if judgeAA(family).Held {
				n++
			}
		}
		return n
	}
	require.GreaterOrEqual(t, held(20, 0), 34)
	require.LessOrEqual(t, held(16, 2), 2)
}

// TestABFound: ten per cent of CPU, and a delay that adds a third to what decides, are
// found under the noise of a server's starts in nearly all of 30 tries, nothing is
// found where there is nothing, and what became better is not found to be worse.
func TestABFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range handicaps {
		h := &handicaps[i]
		worse := map[string]float64{"cpu": 1.1, "delay": 1.33}[h.name]
		found := func(factor float64) (n int) {
			for range 30 {
				if h.found(byPairs(relate("", rounds(rng, h.roundsOf(0, false), 0.08, factor, abMetrics), "a", "b", all, abMetrics))) {
					n++
				}
			}
			return n
		}
		require.GreaterOrEqual(t, found(worse), 27, h.name)
		require.LessOrEqual(t, found(1), 3, h.name)
		require.Zero(t, found(1/worse), h.name)
	}
}

// TestRelate: invalid trials do not count, missing rounds leave no pair, and the ratio
// is that of the second arm to the first.
func TestRelate(t *testing.T) {
	trials := rounds(rand.New(rand.NewPCG(5, 6)), 8, 0.01, 2, []string{"m"})
	trials[0].Verdict, trials[0].Reasons = result.Invalid, []string{"x"}
	delete(trials[3].Metrics, "m")
	c := relate("cell", trials, "a", "b", all, []string{"m"})[0]
	require.Equal(t, 7, c.Test.NA)
	require.Equal(t, 7, c.Test.NB)
	require.Equal(t, 6, c.Paired.N)
	require.InDelta(t, 2, c.Test.Ratio, 0.2)
	require.True(t, c.Claimed())
	family := []Claim{c}
	correct(family)
	require.True(t, family[0].Above())
	var b bytes.Buffer
	printFamily(&b, family)
	require.Contains(t, b.String(), "differs")
}

// TestPlans: the checks are as large as they say, every comparison has an arm under two
// names and one model, and a handicap's flags are a tenth of the cost.
func TestPlans(t *testing.T) {
	es := aaExperiments([]string{"nonblock", "iouring", "threadlet", "goroutine"}, 0, false)
	comparisons := 0
	for _, e := range es {
		comparisons += len(e.Factors[0].Levels) * len(aaMetrics)
		for _, s := range plan.Trials([]plan.Experiment{e}, 1) {
			require.Equal(t, strings.TrimPrefix(e.Name, "aa-"), s.Under())
			require.Equal(t, s.Factors["rate"], fmt.Sprintf("%.0f", s.Rate))
		}
	}
	require.Equal(t, 40, comparisons)
	require.LessOrEqual(t, aa.Takes(false).Minutes(), 8.0)
	require.LessOrEqual(t, ab.Takes(false).Minutes(), 12.0)

	h := &handicaps[0]
	es = h.tries([]string{"nonblock", "iouring"}, 3, 4, false)
	require.Equal(t, []string{"nonblock", "nonblock-cpu"}, es[2].Models)
	h.arm(&es[0], 12.34)
	require.Equal(t, []string{"--handicap-cpu-ns", "1234"}, es[0].Variants["nonblock-cpu"].Flags)
	seen := map[string]bool{}
	for _, s := range plan.Trials(es[:1], 1) {
		require.Equal(t, "nonblock", s.Under())
		require.False(t, seen[s.ID()], s.ID())
		seen[s.ID()] = true
	}
	require.Len(t, seen, 8)
}

func TestSelect(t *testing.T) {
	_, err := Select([]string{"nonsense"})
	require.ErrorContains(t, err, "there are aa, ab, load, stall, pacing, probe, sensors, sim, and all")
	chosen, err := Select([]string{"all"})
	require.NoError(t, err)
	require.Len(t, chosen, len(All()))
	chosen, err = Select([]string{"ab"})
	require.NoError(t, err)
	require.Equal(t, "ab", chosen[0].Name)
	for _, c := range All() {
		require.NotEmpty(t, c.Shows)
		require.Positive(t, c.Takes(true))
	}
}

// TestNoise: the spread that was put in is the spread that is found, and differences
// beyond the floor are those that the interval of two samples tells apart.
func TestNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	var values []float64
	for range 2000 {
		values = append(values, 50*math.Exp(0.08*rng.NormFloat64()))
	}
	require.InEpsilon(t, 0.08, stats.Spread(values), 0.1)
	f := Floor{Spread: 0.08}
	require.InDelta(t, 0.11, f.Below(10), 0.02)
	require.Less(t, f.Below(30), f.Below(10))

	n := Noise{}
	trials := rounds(rng, 5, 0.05, 1, noiseMetrics)
	trials[0].Verdict, trials[0].Reasons = result.Suspect, []string{"x"}
	require.NoError(t, n.fill(trials))
	require.Len(t, n.Floors, len(noiseMetrics))
	require.Equal(t, 1, n.Suspect)
	require.ErrorContains(t, (&Noise{}).fill(trials[:1]), "needs two")
}
