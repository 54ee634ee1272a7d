package claims

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/plan"
	"github.com/syslet/syslet/lab/result"
)

// curveOf makes a run with three rounds of each cell, 1 % apart.
func curveOf(cells map[[2]string]float64) *result.Run {
	r := &result.Run{}
	for c, v := range cells {
		for round := 1; round <= 3; round++ {
			r.Trials = append(r.Trials, result.Trial{Experiment: plan.BlockingCurve, Model: c[0], Round: round, Verdict: result.Valid,
				Factors: result.Factors{plan.BlockingShare: c[1]},
				Metrics: map[string]result.Metric{result.SaturationThroughput: result.Of(v*(1+0.01*float64(round)), "1/s", "load")}})
		}
	}
	return r
}

func verdictOf(t *testing.T, id string, r *result.Run) Verdict {
	t.Helper()
	for _, c := range All() {
		if c.ID == id {
			v, why := c.Judge(r)
			require.NotEmpty(t, why)
			require.Equal(t, v != NotTested, strings.Contains(why, "not corrected"), "a reader must know: %s", why)
			return v
		}
	}
	t.Fatal("no claim " + id)
	return ""
}

func TestRules(t *testing.T) {
	for _, c := range []struct {
		id    string
		cells map[[2]string]float64
		want  Verdict
	}{
		{"S1", map[[2]string]float64{{modelNB, "0"}: 100, {modelTL, "5"}: 99, {modelTL, "20"}: 98}, Reproduced},
		{"S1", map[[2]string]float64{{modelNB, "0"}: 100, {modelTL, "5"}: 60, {modelTL, "20"}: 30}, Refuted},
		{"S1", map[[2]string]float64{{modelNB, "0"}: 100, {modelTL, "5"}: 99, {modelTL, "20"}: 50}, Partly},
		{"S1", map[[2]string]float64{{modelNB, "0"}: 100, {modelTL, "5"}: 90, {modelTL, "20"}: 90}, Inconclusive},
		{"S1", map[[2]string]float64{{modelNB, "0"}: 100}, NotTested},
		{"S2", map[[2]string]float64{{modelRaw, "0"}: 100, {modelRaw, "5"}: 30}, Reproduced},
		{"S2", map[[2]string]float64{{modelRaw, "0"}: 100, {modelRaw, "5"}: 90}, Refuted},
		{"S3", map[[2]string]float64{{modelNB, "100"}: 100, {modelTL, "100"}: 95}, Reproduced},
		{"S3", map[[2]string]float64{{modelNB, "100"}: 100, {modelTL, "100"}: 40}, Refuted},
		{"S4", nil, NotTested},
	} {
		require.Equal(t, c.want, verdictOf(t, c.id, curveOf(c.cells)), "%s %v", c.id, c.cells)
	}
}

// TestAll: the list names every claim once.
func TestAll(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All() {
		require.False(t, seen[c.ID], c.ID)
		seen[c.ID] = true
		require.Equal(t, c.Experiment != "", c.judge != nil, c.ID)
	}
	require.Len(t, seen, 19)
}

// TestBodies: the promise about bodies, by its rule.
func TestBodies(t *testing.T) {
	run := func(added float64) *result.Run {
		r := &result.Run{}
		for round := range 5 {
			for level, us := range map[string]float64{"0": 80, "20": 80 + added} {
				r.Trials = append(r.Trials, result.Trial{Experiment: plan.Bodies, Model: modelTL, Round: round, Verdict: result.Valid,
					Factors: result.Factors{plan.Rankings: level},
					Metrics: map[string]result.Metric{result.LatencyP99: result.Of(us+float64(round), "us", "load")}})
			}
		}
		return r
	}
	require.Equal(t, Reproduced, verdictOf(t, "B1", run(100)))
	require.Equal(t, Refuted, verdictOf(t, "B1", run(5000)))
	require.Equal(t, Inconclusive, verdictOf(t, "B1", run(result.BodyDelayMaxUs)))
	require.Equal(t, NotTested, verdictOf(t, "B1", &result.Run{}))
}
