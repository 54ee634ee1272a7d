package reports

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/syslet/syslet/lab/result"
	"gonum.org/v1/plot"
)

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.012345: "0.01235", 0.5: "0.5", 12.345: "12.35", 999.96: "1,000", 1234.5: "1,234",
		1234567: "1,234,567", -1234.9: "-1,235", 100: "100", 1e-9: "1e-09", 2e20: "2e+20"} {
		require.Equal(t, want, number(v), "%v", v)
	}
	require.Equal(t, "31.5 MiB", quantity(31.5*(1<<20), "bytes"))
	require.Equal(t, "12 µs", quantity(12, "us"))
	for ratio, want := range map[float64]string{1: "equal", 0.82: "18 % lower", 1.271: "27 % higher", 1.031: "3.1 % higher", 2.587: "2.59 times as high", 0.1: "90 % lower"} {
		require.Equal(t, want, times(ratio))
	}
}

func TestVerdictSaysWhatTheRoundsCarry(t *testing.T) {
	run := func(a, b []float64) finding {
		r := &result.Run{}
		for model, values := range map[string][]float64{"nonblock": a, "threadlet": b} {
			for i, v := range values {
				r.Trials = append(r.Trials, result.Trial{Experiment: "e", Workload: "w", Model: model, Round: i + 1, Verdict: result.Valid,
					Metrics: map[string]result.Metric{result.LatencyP99: result.Of(v, "us", result.SourceLoad)}})
			}
		}
		answers := judge(r, views(r)).Answers
		require.Len(t, answers, 1)
		return answers[0]
	}
	clear := run([]float64{10, 11, 12, 13, 14}, []float64{20, 21, 22, 23, 24})
	require.Equal(t, "lead", clear.Kind)
	require.Equal(t, "nonblock has the lowest p99 latency: 12 µs; next is threadlet, 83 % higher", clear.Head)
	require.Empty(t, clear.Body)

	tie := run([]float64{10, 11, 12, 13, 14}, []float64{11, 12, 10.5, 14, 13})
	require.Equal(t, "tie", tie.Kind)
	require.Contains(t, tie.Head, "No single model")
	require.Contains(t, tie.Rows[1].Detail, "not told apart")

	few := run([]float64{10, 11, 12}, []float64{20, 21, 22})
	require.Contains(t, few.Body, "A hint only: 3 against 3 rounds reach 90 % at most")

	require.Equal(t, "hint", few.Kind)
	require.Equal(t, "nonblock", few.Model)

	for _, n := range []int{1, 2} {
		hopeless := run([]float64{10, 11}[:n], []float64{20, 21}[:n])
		require.Equal(t, "hint", hopeless.Kind)
		require.Empty(t, hopeless.Model)
		require.Equal(t, "Too few rounds to rank the models by p99 latency; the lowest median is that of nonblock: "+quantity([]float64{10, 10.5}[n-1], "us"), hopeless.Head)
		require.NotEmpty(t, hopeless.Body)
		require.NotContains(t, hopeless.Rows[1].Detail, " 0 %")
	}

	alone := run([]float64{10}, nil)
	require.Equal(t, "Only nonblock has a figure for p99 latency: 10 µs", alone.Head)
}

func TestAModelThatDoesNotKeepUpIsNamed(t *testing.T) {
	r := &result.Run{}
	for _, m := range []string{"nonblock", "threadlet"} {
		got := map[string]float64{"nonblock": 4000, "threadlet": 4999}[m]
		r.Trials = append(r.Trials, result.Trial{Experiment: "e", Workload: "w", Model: m, Round: 1, Verdict: result.Valid,
			Metrics: map[string]result.Metric{result.Throughput: result.Of(got, "1/s", "load"), result.Offered: result.Of(5000, "1/s", "load")}})
	}
	answers := judge(r, views(r)).Answers
	require.Len(t, answers, 1)
	require.Equal(t, "nonblock did not keep up with what was offered", answers[0].Head)
	require.Contains(t, answers[0].Body, "(4,000 /s of 5,000 /s)")
}

func TestRefusedModelsAreNamedWithReason(t *testing.T) {
	r := &result.Run{Environment: &result.Environment{
		Plan:    []result.Planned{{Experiment: "e", Models: []string{"iouring", "nonblock"}, Trials: 2}},
		Refused: []result.Refusal{{Model: "iouring", Reason: "kernel.io_uring_disabled is 2"}}}}
	limits := judge(r, nil).Limits
	require.Equal(t, "iouring was refused by this machine", limits[0].Head)
	require.Equal(t, "kernel.io_uring_disabled is 2", limits[0].Body)
	require.Equal(t, "e has no usable trial of nonblock", limits[2].Head)
}

func TestLooksAreStable(t *testing.T) {
	all := looks([]string{"zeta", "threadlet", "nonblock", "alpha", "iouring", "goroutine", "nonblock-inline"})
	for i, m := range known[:ourModels] {
		require.Equal(t, i, all[m].slot)
	}
	require.NotEqual(t, all["zeta"].slot, all["alpha"].slot)
	require.Equal(t, looks([]string{"zeta"})["zeta"].slot, looks([]string{"nonblock", "zeta"})["zeta"].slot)
	many := make([]string, 20)
	for i := range many {
		many[i] = string(rune('a' + i))
	}
	require.Len(t, looks(many), 20)
	require.Len(t, shapes, len(paints))
}

// TestPaintsAreLegible: at least 3:1 against the page in both schemes (WCAG 2.1,
// 1.4.11).
func TestPaintsAreLegible(t *testing.T) {
	luminance := func(s string) float64 {
		c := hex(s)
		lin := func(v uint8) float64 {
			x := float64(v) / 255
			if x <= 0.04045 {
				return x / 12.92
			}
			return math.Pow((x+0.055)/1.055, 2.4)
		}
		return 0.2126*lin(c.R) + 0.7152*lin(c.G) + 0.0722*lin(c.B)
	}
	for _, p := range paints {
		require.Greater(t, 1.05/(luminance(p.light)+0.05), 3.0, p.light)
		require.Greater(t, (luminance(p.dark)+0.05)/(luminance("#141416")+0.05), 3.0, p.dark)
	}
}

func TestAxesHaveTicksThatCanBeRead(t *testing.T) {
	for _, r := range [][2]float64{{1, 2}, {0.001, 0.0012}, {90, 110}, {100, 1e6}, {3, 40}, {1e-9, 1e9}} {
		p := newPlot()
		require.True(t, scaleValues(&p.Y, r[0], r[1], true))
		require.GreaterOrEqual(t, labels(p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max)), 2, "%v", r)
	}
	for _, hi := range []float64{0, 1e-6, 0.7, 1, 9.99, 10, 99, 12345, 1e12} {
		p := newPlot()
		require.False(t, scaleValues(&p.X, 0, hi, false))
		n := labels(p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max))
		require.True(t, n >= 2 && n <= 7, "%v: %d labels", hi, n)
	}
	p := newPlot()
	levels := []level{{"0", 0}, {"1", 1}, {"2", 2}, {"5", 5}, {"10", 10}, {"100", 100}}
	scaleLevels(&p.X, levels)
	require.Less(t, labels(p.X.Tick.Marker.Ticks(0, 0)), len(levels), "labels that would touch are left out")
}

func labels(ticks []plot.Tick) int {
	n := 0
	for _, t := range ticks {
		if !t.IsMinor() {
			n++
		}
	}
	return n
}

func TestShellQuoting(t *testing.T) {
	require.Equal(t, `go run ./cmd/syslet --out 'it'\''s here' '' 'a;b'`, shellQuote([]string{"go", "run", "./cmd/syslet", "--out", "it's here", "", "a;b"}))
}

func TestBenchNames(t *testing.T) {
	require.Equal(t, "BlockingCurve", camel("blocking-curve"))
	require.Equal(t, "a_8", benchName("a-8"))
	require.Equal(t, "nonblock-inline", benchName("nonblock-inline"))
	require.Equal(t, "cache_misses-pmu/op", benchUnit(result.CacheMissesPerOp, result.Of(1, "1", "pmu")))
	require.Equal(t, "cpu-us/op", benchUnit(result.CPUPerOp, result.Of(1, "us", "rusage")))
}
