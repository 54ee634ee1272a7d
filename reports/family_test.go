package reports

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// equals is a run of models whose figures scatter by 20 %, each scaled by its factor.
func equals(seed uint64, rounds int, factors ...float64) *result.Run {
	rng := rand.New(rand.NewPCG(seed, 3))
	r := &result.Run{}
	for round := range rounds {
		for i, f := range factors {
			m := map[string]result.Metric{}
			for _, name := range []string{result.LatencyP50, result.LatencyP99, result.CPUPerOp} {
				m[name] = result.Of(100*f*math.Exp(0.2*rng.NormFloat64()), "us", "load")
			}
			r.Trials = append(r.Trials, result.Trial{Experiment: "e", Workload: "w", Model: known[i], Round: round + 1, Verdict: result.Valid, Metrics: m})
		}
	}
	return r
}

// TestEqualModelsLeadNowhere: of pages on models that are the same, at most one in
// twenty says of any that it leads; without the correction far more would.
func TestEqualModelsLeadNowhere(t *testing.T) {
	const pages = 100
	leads, alone := 0, 0
	for seed := range uint64(pages) {
		run := equals(seed, 10, 1, 1, 1, 1)
		vs := views(run)
		said, uncorrected := false, false
		for _, f := range judge(run, vs).Answers {
			for i := range f.Rows[1:] {
				said = said || !strings.Contains(f.Rows[i+1].Detail, "not told apart")
			}
		}
		for _, q := range vs[0].questions() {
			for _, row := range vs[0].order(vs[0].keysOf(q.name)[0], q.level).rows[1:] {
				uncorrected = uncorrected || row.against.P <= stats.Alpha
			}
		}
		if said {
			leads++
		}
		if uncorrected {
			alone++
		}
	}
	t.Logf("%d pages with a find, %d without correction", leads, alone)
	require.LessOrEqual(t, leads, pages*9/100) // 5 % and two standard errors
	require.Greater(t, alone, pages/5)
}

// TestFamilies: the verdict's comparisons are one family, each other metric has one
// of its own, and what really differs stands in it.
func TestFamilies(t *testing.T) {
	vs := views(equals(1, 10, 1, 2, 2.1, 4))
	v := vs[0]
	require.Equal(t, 12, v.verdict.size(), "six pairs, two metrics")
	p50 := v.keysOf(result.LatencyP50)[0]
	require.Equal(t, 6, v.familyOf(p50).size())
	p99 := v.keysOf(result.LatencyP99)[0]
	require.Zero(t, v.familyOf(p99).size(), "the verdict's already")
	r := v.rank(p99, "")
	require.Equal(t, "lead", r.kind())
	_, behind := r.tied()
	require.Len(t, behind, 3)
	for _, row := range behind {
		require.Equal(t, 12, row.tested.family)
		require.GreaterOrEqual(t, row.tested.corrected, row.against.P)
	}
	require.Contains(t, r.evidence()[3].Detail, "higher in 100 % of pairs")

	few := views(equals(1, 5, 1, 2, 2.1, 4))[0].rank(p99, "")
	require.Equal(t, "hint", few.kind())
	require.Equal(t, "A hint only: 5 against 5 rounds are too few for any difference to stand among the 12 comparisons of its family.", few.hedge())
}
