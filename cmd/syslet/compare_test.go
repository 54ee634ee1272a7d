package main

import (
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"

	"github.com/syslet/syslet/lab/result"
)

// writeRun makes a run's folder of one cell, its CPU scaled.
func writeRun(t *testing.T, seed uint64, rounds int, cpu float64, spoil func(*result.Environment)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	w, err := result.Create(dir)
	require.NoError(t, err)
	e := result.Environment{CPUModel: "x", CPUCount: 2}
	if spoil != nil {
		spoil(&e)
	}
	require.NoError(t, w.WriteEnvironment(e))
	rng := rand.New(rand.NewPCG(seed, 1))
	for round := range rounds {
		noise := func() float64 { return math.Exp(0.02 * rng.NormFloat64()) }
		require.NoError(t, w.Append(result.Trial{Experiment: "e-1", Workload: "w", Model: "m", Round: round + 1, Verdict: result.Valid, DurationS: 1,
			Factors: result.Factors{"rate": "5000"}, Metrics: map[string]result.Metric{
				result.LatencyP99: result.Of(900*noise(), "us", "load"), result.CPUPerOp: result.Of(20*cpu*noise(), "us", "rusage"),
				result.RSS: result.Of(3e7*noise(), "bytes", "procfs")}}))
	}
	require.NoError(t, w.Close())
	return dir
}

func TestCompareExitCodes(t *testing.T) {
	base, same, worse := writeRun(t, 1, 10, 1, nil), writeRun(t, 2, 10, 1, nil), writeRun(t, 3, 10, 1.3, nil)
	few := writeRun(t, 4, 2, 1.3, nil)
	other := writeRun(t, 5, 10, 1, func(e *result.Environment) { e.CPUModel = "y" })
	for _, c := range []struct {
		args string
		want int
		out  string
	}{
		{base + " " + same, 0, "no difference shown"},
		{base + " " + same + " --gate", 0, ""},
		{base + " " + same + " --gate --strict", 0, ""},
		{base + " " + worse, exitRegression, "REGRESSION"},
		{base + " " + worse + " --gate", exitRegression, "regression: e-1 m rate=5000: cpu_per_op"},
		{base + " " + worse + " --gate --metrics latency_p99", 0, ""},
		{base + " " + worse + " --noise 60%", 0, "within noise"},
		{worse + " " + base + " --gate", 0, ""}, // better
		{base + " " + few + " --gate", 0, "undecided: too few rounds for 3 of 3 comparisons"},
		{base + " " + few + " --gate --strict", exitInvalid, "undecided (--strict)"},
		{base + " " + other, exitError, "CPU model: x in BASE, y in NEW"},
		{base + " " + other + " --force", 0, "FORCED"},
		{base + " " + other + " --force --gate", 0, "FORCED"},
		{base + " " + same + " --format yaml", exitUsage, "--format"},
		{base + " " + same + " --noise 5", exitUsage, "--noise"},
		{base + " " + same + " --metrics latncy_p99", exitUsage, "latncy_p99"},
		{base + " " + same + " --only nonsense", exitUsage, "nonsense"},
		{base + " " + same + " --gate --format json", exitUsage, "--gate"},
		{base + " /no/such/folder", exitError, "/no/such/folder"},
	} {
		out, err := command(patience(t), append([]string{"lab", "compare"}, strings.Fields(c.args)...)...).CombinedOutput()
		require.Equal(t, c.want, exitCode(err), "%s: %s", c.args, out)
		require.Contains(t, string(out), c.out, c.args)
		if c.out == "" {
			require.Empty(t, string(out), c.args)
		}
	}
}

// TestCompareBench: benchstat's own reader takes both forms of the bench format, and
// benchstat itself where it is installed.
func TestCompareBench(t *testing.T) {
	base, worse := writeRun(t, 1, 10, 1, nil), writeRun(t, 3, 10, 1.3, func(e *result.Environment) { e.Kernel, e.Commit = "7", "c" })
	out, err := command(patience(t), "lab", "compare", base, worse, "--format", "bench").Output()
	require.Equal(t, exitRegression, exitCode(err))
	count := map[string]int{}
	for r := benchfmt.NewReader(strings.NewReader(string(out)), "out"); r.Scan(); {
		switch rec := r.Result().(type) {
		case *benchfmt.Result:
			require.Equal(t, "E1/model=m/rate=5000", string(rec.Name))
			count[rec.GetConfig("run")]++
		case *benchfmt.SyntaxError:
			t.Fatal(rec)
		}
	}
	require.Equal(t, map[string]int{"base": 10, "new": 10}, count)

	dir := filepath.Join(t.TempDir(), "bench")
	require.Equal(t, exitRegression, exitCode(command(patience(t), "lab", "compare", base, worse, "--format", "bench", "--metrics", "cpu_per_op", "--out", dir).Run()))
	one, err := os.ReadFile(filepath.Join(dir, "base.txt"))
	require.NoError(t, err)
	require.Contains(t, string(one), "cpu-us/op")
	require.NotContains(t, string(one), "p99")
	both := filepath.Join(dir, "both.txt")
	require.NoError(t, os.WriteFile(both, out, 0o600))
	benchstat, err := exec.LookPath("benchstat")
	if err != nil {
		t.Skip("no benchstat in PATH: go install golang.org/x/perf/cmd/benchstat@latest")
	}
	for _, args := range [][]string{{filepath.Join(dir, "base.txt"), filepath.Join(dir, "new.txt")}, {"-col", "run", "-filter", ".unit:cpu-us/op", both}} {
		out, err = exec.Command(benchstat, args...).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Regexp(t, `\+(2[5-9]|3[0-5])\.\d+% \(p=0\.000`, string(out), "%v", args)
	}
}

func TestCompareWritesFiles(t *testing.T) {
	base, same := writeRun(t, 1, 10, 1, nil), writeRun(t, 2, 10, 1, nil)
	for format, file := range map[string]string{"text": "compare.txt", "markdown": "compare.md", "json": "compare.json"} {
		dir := t.TempDir()
		out, err := command(patience(t), "lab", "compare", base, same, "--format", format, "--out", dir).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Empty(t, out)
		text, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		require.Contains(t, string(text), "cpu_per_op")
	}
}
