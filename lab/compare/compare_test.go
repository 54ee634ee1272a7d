package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/syslet/syslet/lab/result"
)

// of is a run of some cells and four metrics whose rounds scatter by noise, each
// scaled by what change says.
func of(rng *rand.Rand, cells, rounds int, noise float64, change map[string]float64) *result.Run {
	r := &result.Run{Environment: &result.Environment{CPUModel: "x", CPUCount: 2, Kernel: "6", GoVersion: "go1", MemoryBytes: 8 << 30, ServerCPUs: "0", LoadCPUs: "1"}}
	for round := range rounds {
		for cell := range cells {
			m := map[string]result.Metric{}
			for _, name := range []string{result.LatencyP50, result.LatencyP99, result.Throughput, result.CPUPerOp} {
				by, ok := change[name]
				if !ok {
					by = 1
				}
				m[name] = result.Of(100*by*math.Exp(noise*rng.NormFloat64()), result.Describe(name).Unit, "load")
			}
			r.Trials = append(r.Trials, result.Trial{Experiment: "e", Workload: "w", Model: fmt.Sprintf("m%d", cell), Round: round + 1,
				Verdict: result.Valid, DurationS: 1, Metrics: m, Factors: result.Factors{"rate": "5000"},
				Command: result.Command{Load: []string{"load", "--rate", "5000", "--conns", "10", "--target", fmt.Sprint(rng.IntN(1e5))}}})
		}
	}
	return r
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 2)) }

func compared(t *testing.T, base, now *result.Run, o Options) *Report {
	t.Helper()
	r, err := Runs(base, now, o)
	require.NoError(t, err)
	return r
}

// TestNoDifference is A/A by simulation: of many pairs of runs from one
// distribution, quiet and noisy ones, one in twenty at most may give a finding. Of 200
// that is 10 in the mean; 30 or more come with a chance of 9e-8 (binomial), and
// without Holm's correction more than 100.
func TestNoDifference(t *testing.T) {
	for _, noise := range []float64{0.02, 0.3} {
		const seeds = 200
		regressions, findings, uncorrected := 0, 0, 0
		for seed := range uint64(seeds) {
			rng := seeded(seed)
			r := compared(t, of(rng, 5, 10, noise, nil), of(rng, 5, 10, noise, nil), Options{})
			require.Equal(t, 20, r.Family)
			if r.Count(Regression) > 0 {
				regressions++
			}
			if r.Count(Regression)+r.Count(Improvement) > 0 {
				findings++
			}
			r.each(func(_ *Cell, c *Change) {
				if c.P < 0.05 {
					uncorrected++
				}
			})
		}
		t.Logf("noise %v: of %d pairs of runs %d with a regression, %d with a finding; of %d tests %d below 0.05", noise, seeds, regressions, findings, 20*seeds, uncorrected)
		require.Less(t, findings, 30, "noise %v", noise)
		// Without correction there would be findings: the test can fail.
		require.Greater(t, uncorrected, seeds/2, "noise %v", noise)
	}
}

// TestShuffledCopy: a run and itself in another order do not differ, not even
// uncorrected.
func TestShuffledCopy(t *testing.T) {
	for seed := range uint64(50) {
		rng := seeded(seed)
		base := of(rng, 3, 10, 0.1, nil)
		now := *base
		now.Trials = append([]result.Trial(nil), base.Trials...)
		rng.Shuffle(len(now.Trials), func(i, j int) {
			now.Trials[i], now.Trials[j] = now.Trials[j], now.Trials[i]
		})
		r := compared(t, base, &now, Options{})
		require.Equal(t, r.Family, r.Count(NotShown), "seed %d", seed)
		require.Zero(t, len(r.Left))
	}
}

// TestPlanted: ten percent more CPU and ten percent less throughput, at 2 % noise
// and 10 rounds, are found in nearly every run, and nothing else is.
func TestPlanted(t *testing.T) {
	const seeds = 200
	for metric, by := range map[string]float64{result.CPUPerOp: 1.1, result.LatencyP50: 1.1, result.Throughput: 0.9} {
		found, others := 0, 0
		for seed := range uint64(seeds) {
			rng := seeded(seed)
			r := compared(t, of(rng, 4, 10, 0.02, nil), of(rng, 4, 10, 0.02, map[string]float64{metric: by}), Options{})
			all := true
			r.each(func(_ *Cell, c *Change) {
				if c.Metric == metric {
					all = all && c.Verdict == Regression
				} else if c.Verdict == Regression || c.Verdict == Improvement {
					others++
				}
			})
			if all {
				found++
			}
		}
		t.Logf("%s: found in %d of %d", metric, found, seeds)
		require.GreaterOrEqual(t, found, seeds*9/10, metric)
		require.LessOrEqual(t, others, seeds/20, metric)
	}
}

// TestEachConditionIsNeeded: significant and small, large and not significant,
// large the good way.
func TestEachConditionIsNeeded(t *testing.T) {
	one := func(rounds int, by float64, noise string) Verdict {
		n, err := ParseNoise(noise)
		require.NoError(t, err)
		rng := seeded(1)
		base, now := of(rng, 1, rounds, 0.002, nil), of(rng, 1, rounds, 0.002, map[string]float64{result.LatencyP99: by})
		r := compared(t, base, now, Options{Metrics: []string{result.LatencyP99}, Noise: n})
		require.Equal(t, 1, r.Family)
		return r.Cells[0].Changes[0].Verdict
	}
	require.Equal(t, Regression, one(10, 1.2, ""))
	require.Equal(t, WithinNoise, one(10, 1.2, "25%"))
	require.Equal(t, WithinNoise, one(10, 1.08, ""), "p99 has a bound of 10 % by default")
	require.Equal(t, Regression, one(10, 1.08, "5%"))
	require.Equal(t, Regression, one(10, 1.08, "50%,latency_p99=5%"))
	require.Equal(t, Improvement, one(10, 0.5, ""))
	require.Equal(t, NotShown, one(10, 1, ""))
	require.Equal(t, TooFew, one(3, 2, ""))
	require.Equal(t, Regression, one(4, 2, ""), "2 in 70 orders")
}

// TestNoiseOfBase: a base that differs from itself raises the bound.
func TestNoiseOfBase(t *testing.T) {
	require.Zero(t, ownNoise([]float64{1, 2, 3}))
	require.Zero(t, ownNoise([]float64{1, 2, 0, 3}))
	require.InDelta(t, 0.5, ownNoise([]float64{100, 150, 100, 150}), 1e-9, "odd against even")
	require.InDelta(t, 1, ownNoise([]float64{100, 100, 200, 200}), 1e-9, "drift")
	require.InDelta(t, 0, ownNoise([]float64{7, 7, 7, 7, 7}), 1e-9)
	var base, now []float64
	for i := range 10 {
		base, now = append(base, 100+10*float64(i)), append(now, 250+float64(i)) // a drift of two fifths
	}
	c := newChange(series{metric: result.RSS}, base, now, Noise{})
	require.Equal(t, c.Measured, c.Bound)
	require.InDelta(t, 170.0/120-1, c.Bound, 1e-9)
}

// TestFromZero: where there is no ratio the shift decides.
func TestFromZero(t *testing.T) {
	zeros, some := make([]float64, 10), make([]float64, 10)
	for i := range some {
		some[i] = float64(30 + i)
	}
	for _, c := range []struct {
		base, now []float64
		want      Verdict
	}{{zeros, some, Regression}, {some, zeros, Improvement}, {zeros, zeros, NotShown}} {
		change := newChange(series{metric: result.Errors}, c.base, c.now, Noise{})
		change.Corrected, change.family = change.P, 1
		require.Equal(t, c.want, change.judge())
	}
}

// TestTheFamilyIsAllThatIsCompared: what few rounds can show alone they cannot among
// many, and the report says how many it takes.
func TestTheFamilyIsAllThatIsCompared(t *testing.T) {
	rng := seeded(3)
	worse := map[string]float64{result.CPUPerOp: 3}
	base, now := of(rng, 5, 5, 0.01, nil), of(rng, 5, 5, 0.01, worse)
	all := compared(t, base, now, Options{})
	require.Equal(t, 20, all.Count(TooFew))
	require.Contains(t, all.Undecided(), "too few rounds for 20 of 20 comparisons")
	require.Contains(t, all.Undecided(), fmt.Sprintf("%d rounds", RoundsNeeded(20)))
	require.NotEmpty(t, all.Doubts())
	one := compared(t, base, now, Options{Metrics: []string{result.CPUPerOp}})
	require.Equal(t, 5, one.Count(Regression))
	require.Empty(t, one.Doubts())
	require.Equal(t, 6, RoundsNeeded(20))
	require.InDelta(t, 2.0/252, leastP(5, 5), 1e-12)
}

// TestResolution: a change of the size that is said to be shown is shown, and one of
// half the size is not.
func TestResolution(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := seeded(rapid.Uint64().Draw(t, "seed"))
		values := func() []float64 {
			out := make([]float64, 10)
			for i := range out {
				out[i] = 100 * math.Exp(0.2*rng.NormFloat64())
			}
			return out
		}
		base, now := values(), values()
		c := newChange(series{metric: result.CPUPerOp}, base, now, Noise{})
		c.family = rapid.IntRange(1, 50).Draw(t, "family")
		share, ok := c.Resolution()
		require.True(t, ok)
		require.GreaterOrEqual(t, share, c.Bound)
		at := func(ratio float64) Verdict {
			scaled := make([]float64, len(now))
			for i := range scaled {
				scaled[i] = now[i] / c.Ratio.Ratio * ratio
			}
			d := newChange(series{metric: result.CPUPerOp}, base, scaled, Noise{})
			d.family, d.Corrected = c.family, d.P*float64(c.family)
			return d.judge()
		}
		require.Equal(t, Regression, at((1+share)*1.001))
		require.NotEqual(t, Regression, at(1+share/2))
	})
}

func TestNothingIsPassedOver(t *testing.T) {
	rng := seeded(5)
	base, now := of(rng, 6, 10, 0.02, nil), of(rng, 6, 10, 0.02, nil)
	for i := range base.Trials {
		a, b := &base.Trials[i], &now.Trials[i]
		switch a.Model {
		case "m0":
			b.Model = "other"
		case "m1":
			b.Verdict, b.Reasons = result.Invalid, []string{"the load was the limit"}
		case "m2":
			b.Command.Load = []string{"load", "--rate", "6000", "--conns", "10"}
		case "m3":
			b.DurationS = 2
		case "m4":
			b.Metrics[result.CPUPerOp] = result.Missing("not permitted", "us", "procfs")
			a.Metrics[result.LatencyP99] = result.Of(1, "us", "another clock")
			a.Command.Server, b.Command.Server = []string{"s", "--files", "helpers", "--dir", "/a"}, []string{"s", "--files", "inline", "--dir", "/b"}
			if a.Round == 2 {
				b.Verdict, b.Reasons = result.Suspect, []string{"steal"}
			}
		}
	}
	r := compared(t, base, now, Options{})
	require.Len(t, r.Cells, 2)
	why := map[string]string{}
	for _, l := range r.Left {
		why[l.Cell+" "+l.Metric+" "+l.In] = l.Why
	}
	require.Equal(t, "only in BASE", why["e m0 rate=5000  base"])
	require.Equal(t, "only in NEW", why["e other rate=5000  new"])
	require.Equal(t, "all 10 trials of NEW are invalid: the load was the limit", why["e m1 rate=5000  base"])
	require.Equal(t, "another load: --rate 5000 in BASE, 6000 in NEW", why["e m2 rate=5000  both"])
	require.Equal(t, "another load: window 1 s in BASE, 2 s in NEW", why["e m3 rate=5000  both"])
	require.Equal(t, "unavailable in NEW: not permitted", why["e m4 rate=5000 cpu_per_op base"])
	require.Contains(t, why["e m4 rate=5000 latency_p99 base"], "other quantities")
	require.Equal(t, Tally{Valid: 9, Suspect: 1}, r.Cells[0].New)
	require.Equal(t, []string{"the server was started otherwise: --files helpers in BASE, inline in NEW"}, r.Cells[0].Notes)
	require.Equal(t, 10, r.New.Trials.Invalid)

	for name, write := range map[string]func(*bytes.Buffer) error{
		"text": func(b *bytes.Buffer) error { return r.WriteText(b) }, "markdown": func(b *bytes.Buffer) error { return r.WriteMarkdown(b) },
		"json": func(b *bytes.Buffer) error { return r.WriteJSON(b) },
	} {
		var out bytes.Buffer
		require.NoError(t, write(&out))
		for _, want := range []string{"only in BASE", "only in NEW", "the load was the limit", "6000 in NEW", "not permitted", "started otherwise"} {
			require.Contains(t, out.String(), want, name)
		}
		require.NotContains(t, out.String(), "NaN", name)
	}
	var gate bytes.Buffer
	require.NoError(t, r.WriteGate(&gate))
	require.Contains(t, gate.String(), "undecided: not compared: e m0 rate=5000: only in BASE\n")
	require.NotContains(t, gate.String(), "only in NEW")
}

func TestGateIsQuietIfAllIsWell(t *testing.T) {
	rng := seeded(6)
	base := of(rng, 2, 10, 0.02, nil)
	now := of(rng, 2, 10, 0.02, nil)
	now.Environment.Kernel = "7"
	var out bytes.Buffer
	require.NoError(t, compared(t, base, now, Options{}).WriteGate(&out))
	require.Empty(t, out.String())
	worse := compared(t, base, of(rng, 2, 10, 0.02, map[string]float64{result.CPUPerOp: 1.5}), Options{})
	require.NoError(t, worse.WriteGate(&out))
	require.Regexp(t, `^regression: e m0 rate=5000: cpu_per_op .* us, \+\d+.* %, \+.* p[<=].*\n(regression.*)\n$`, out.String())
}

func TestAnotherMachineIsRefused(t *testing.T) {
	for what, spoil := range map[string]func(*result.Environment){
		"CPU model": func(e *result.Environment) { e.CPUModel = "y" }, "CPUs: 2 in BASE, 4 in NEW": func(e *result.Environment) { e.CPUCount = 4 },
		"memory": func(e *result.Environment) { e.MemoryBytes /= 2 }, "virtual machine: none in BASE, kvm in NEW": func(e *result.Environment) { e.Virtual = "kvm" },
		"CPUs of the server: 1 in BASE, 3 in NEW": func(e *result.Environment) { e.ServerCPUs = "0,2-3" },
	} {
		rng := seeded(7)
		base, now := of(rng, 1, 5, 0.02, nil), of(rng, 1, 5, 0.02, nil)
		spoil(now.Environment)
		_, err := Runs(base, now, Options{})
		require.ErrorIs(t, err, ErrMachine)
		require.ErrorContains(t, err, what)
		r := compared(t, base, now, Options{Force: true})
		require.True(t, r.Forced)
		for _, write := range []func(*bytes.Buffer) error{func(b *bytes.Buffer) error { return r.WriteText(b) },
			func(b *bytes.Buffer) error { return r.WriteMarkdown(b) }, func(b *bytes.Buffer) error { return r.WriteJSON(b) },
			func(b *bytes.Buffer) error { return r.WriteGate(b) }} {
			var out bytes.Buffer
			require.NoError(t, write(&out))
			require.Contains(t, out.String(), "FORCED")
		}
	}
	rng := seeded(8)
	base, now := of(rng, 1, 5, 0.02, nil), of(rng, 1, 5, 0.02, nil)
	now.Environment = nil
	_, err := Runs(base, now, Options{})
	require.ErrorContains(t, err, "NEW has no environment.json")
}

// TestWhatIsNoOtherMachine: told, and compared.
func TestWhatIsNoOtherMachine(t *testing.T) {
	rng := seeded(9)
	base, now := of(rng, 1, 5, 0.02, nil), of(rng, 1, 5, 0.02, nil)
	e := now.Environment
	e.Kernel, e.GoVersion, e.MemoryBytes, e.ServerCPUs, e.Governor = "7", "go2", e.MemoryBytes-1<<20, "1", "performance"
	base.Environment.LoadCapacity = []result.LoadCapacity{{Workload: "echo", PerS: 1000}, {Workload: "game", PerS: 1000}}
	e.LoadCapacity = []result.LoadCapacity{{Workload: "echo", PerS: 800}, {Workload: "game", PerS: 950}}
	r := compared(t, base, now, Options{})
	require.False(t, r.Forced)
	require.Equal(t, []string{"kernel: 6 in BASE, 7 in NEW", "Go: go1 in BASE, go2 in NEW", "CPUs of the server: 0 in BASE, 1 in NEW",
		"capacity of the load by itself (echo): 1000/s in BASE, 800/s in NEW"}, r.Warnings)
}

func TestWhatNobodyHasIsAFault(t *testing.T) {
	rng := seeded(10)
	base, now := of(rng, 1, 5, 0.02, nil), of(rng, 1, 5, 0.02, nil)
	for _, o := range []Options{{Metrics: []string{"latency_p98"}}, {Only: []string{"f"}}} {
		_, err := Runs(base, now, o)
		require.ErrorIs(t, err, ErrOptions)
	}
	now.Trials[0].Experiment = "f"
	r := compared(t, base, now, Options{Only: []string{"f"}})
	require.Zero(t, r.Family)
	require.Contains(t, r.Doubts()[0], "Nothing to compare")
}

func TestJSON(t *testing.T) {
	rng := seeded(11)
	var out bytes.Buffer
	r := compared(t, of(rng, 2, 10, 0.02, nil), of(rng, 2, 10, 0.02, map[string]float64{result.LatencyP50: 2}), Options{})
	require.NoError(t, r.WriteJSON(&out))
	var back struct {
		Schema, Family int
		Verdicts       map[string]int
		Cells          []struct {
			Model   string
			Changes []struct {
				Metric, Verdict string
				Ratio           float64
				Corrected       float64 `json:"p_corrected"`
			}
		}
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &back))
	require.Equal(t, 8, back.Family)
	require.Equal(t, 2, back.Verdicts["regression"])
	require.Len(t, back.Cells, 2)
	require.Equal(t, "latency_p50", back.Cells[0].Changes[0].Metric)
	require.InDelta(t, 2, back.Cells[0].Changes[0].Ratio, 0.1)
	require.Less(t, back.Cells[0].Changes[0].Corrected, 0.05)
}

func TestParseNoise(t *testing.T) {
	n, err := ParseNoise("3%, latency_p99 =x")
	require.Error(t, err, "%v", n)
	for _, bad := range []string{"5", "-1%", "0%", "nan%", "inf%", "%", "=5%", "a=5", ",", "5%,", "2000%"} {
		_, err := ParseNoise(bad)
		require.Error(t, err, bad)
	}
	n, err = ParseNoise("3%,rss=7.5 %")
	require.NoError(t, err)
	require.InDelta(t, 0.03, n.Of(result.LatencyP999), 1e-12)
	require.InDelta(t, 0.075, n.Of(result.RSS), 1e-12)
	require.InDelta(t, 0.2, Noise{}.Of(result.LatencyP999), 1e-12)
}

// FuzzParseNoise: whatever is accepted is a bound that can be used.
func FuzzParseNoise(f *testing.F) {
	for _, s := range []string{"", "5%", "latency_p99=15%,5%", "a=b=1%", "1e-300%", "0x1p-2%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseNoise(text)
		if err != nil {
			return
		}
		for _, name := range append(Metrics, text) {
			b := n.Of(name)
			require.True(t, b > 0 && b <= 10, "%q: %v", text, b)
		}
	})
}

// TestTheIntervalDecidesToo: a corrected p alone is no finding.
func TestTheIntervalDecidesToo(t *testing.T) {
	c := Change{Metric: result.RSS, Better: result.Lower, Corrected: 0.01, Bound: 0.05, family: 1}
	c.Base.N, c.New.N = 10, 10
	c.Ratio.Ratio, c.Ratio.Lo, c.Ratio.Hi = 1.2, 1.01, 1.3
	require.Equal(t, Regression, c.judge())
	c.Ratio.Lo = 0.99
	require.Equal(t, NotShown, c.judge())
}

func TestFlags(t *testing.T) {
	a := []string{"load", "--rate", "50", "--closed", "--size=16", "--storm-conns", "0", "--arrivals", "poisson", "--seed", "1"}
	b := []string{"load", "--rate", "50", "--size", "32", "--seed", "2"}
	require.Equal(t, []string{"--closed true in BASE, none in NEW", "--size 16 in BASE, 32 in NEW"}, flagDiff(a, b, aboutLoad))
	require.Empty(t, flagDiff(a, a, aboutLoad))
}
