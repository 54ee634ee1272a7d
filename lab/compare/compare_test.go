package compare

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/result"
)

// runOf is a run of one cell whose p99 lies around the given value.
func runOf(rng *rand.Rand, p99, throughput float64, rounds int) *result.Run {
	r := &result.Run{Environment: &result.Environment{CPUModel: "x", CPUCount: 2, Kernel: "6"}}
	for i := range rounds {
		noise := 1 + 0.01*rng.NormFloat64()
		r.Trials = append(r.Trials, result.Trial{Experiment: "e", Model: "m", Round: i + 1, Verdict: result.Valid, Metrics: map[string]result.Metric{
			result.LatencyP99: result.Of(p99*noise, "us", "load"), result.Throughput: result.Of(throughput*noise, "1/s", "load")}})
	}
	return r
}

func TestRegression(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	base := runOf(rng, 100, 5000, 10)
	for _, c := range []struct {
		p99, throughput float64
		regression      bool
	}{
		{100, 5000, false}, {103, 5000, false}, {130, 5000, true}, {70, 5000, false}, {100, 4000, true}, {100, 6000, false},
	} {
		changes, err := Runs(base, runOf(rng, c.p99, c.throughput, 10))
		require.NoError(t, err)
		require.Len(t, changes, 2)
		var out bytes.Buffer
		require.Equal(t, c.regression, Print(&out, changes), "%+v\n%s", c, out.String())
	}
}

// TestTooFew: a difference that so few rounds cannot show is no regression.
func TestTooFew(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	changes, err := Runs(runOf(rng, 100, 5000, 2), runOf(rng, 200, 5000, 2))
	require.NoError(t, err)
	var out bytes.Buffer
	require.False(t, Print(&out, changes))
	require.Contains(t, out.String(), "too few rounds")
}

func TestOtherMachine(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	a, b := runOf(rng, 1, 1, 3), runOf(rng, 1, 1, 3)
	b.Environment.CPUCount = 4
	_, err := Runs(a, b)
	require.ErrorContains(t, err, "different machines")
	b.Environment = nil
	_, err = Runs(a, b)
	require.ErrorContains(t, err, "environment.json")
}
