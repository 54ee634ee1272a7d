package validity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
)

// sound is the evidence of a trial with nothing wrong, in which every rule has a
// figure: 10,000 requests of 100 us in a second.
func sound() Evidence {
	r := &load.Report{
		Mode: load.Open, RateAsked: 10000, DurationS: 1, Offered: 10000, Throughput: 10000, WarmupSteady: true, MeanInFlight: 1,
		Counts: load.Counts{Intended: 10000, Answered: 10000, AnsweredInWindow: 10000},
		All:    load.KindReport{Latency: load.Summary{Count: 10000, MeanUs: 100, P50Us: 100, P99Us: 300}},
		Kinds:  []load.KindReport{{Name: "echo", Latency: load.Summary{Count: 10000, MeanUs: 100, P50Us: 100, P99Us: 300}}},
		Self:   load.Self{CPUsAsked: []int{1}, CPUs: []int{1}, Busy: 0.3, Pacing: load.Summary{Count: 10000, P99Us: 5}},
	}
	for i := range 20 {
		wave := 1 + 0.01*float64(i%2)
		r.Series = append(r.Series, result.Slice{OffsetS: float64(i) / 20, DurationS: 0.05, Intended: 500, Answered: 500,
			MeanUs: 100 * wave, P50Us: 100 * wave, P99Us: 300 * wave, MaxUs: 400, InFlight: 1})
	}
	none := 0.0
	e := Evidence{Shape: load.Shape{WarmupMost: 1}, Metrics: map[string]result.Metric{}, OthersServer: &none, OthersLoad: &none}
	for _, name := range []string{"steal", "steal_load", "throttled_us", "thermal_throttles", "psi_memory_some", "frequency_min", "frequency_mean"} {
		e.Metrics[name] = result.Of(0, "1", "test")
	}
	e.put("frequency_min", 2000)
	e.put("frequency_mean", 2000)
	e.Load(r)
	return e
}

func (e *Evidence) put(name string, value float64) { e.Metrics[name] = result.Of(value, "1", "test") }

// slide makes the slices' figure go evenly from 1 to 1+by times what it is.
func (e *Evidence) slide(by float64, set func(s *result.Slice, times float64)) {
	n := len(e.Report.Series)
	for i := range e.Report.Series {
		set(&e.Report.Series[i], 1+by*float64(i)/float64(n-1))
	}
}

func p50(s *result.Slice, times float64) { s.P50Us *= times }
func p99(s *result.Slice, times float64) { s.P99Us *= times }

func others(percent float64) *float64 { return &percent }

// cases: for each rule one evidence that it fires on, with the word of the figure in
// its reason, and one just below.
var cases = map[string]struct {
	fires, below func(*Evidence)
	figure       string
}{
	"interrupted": {func(e *Evidence) { e.Interrupted = true }, func(*Evidence) {}, "interrupted"},
	"operations":  {func(e *Evidence) { e.Operations = 99 }, func(e *Evidence) { e.Operations = 100 }, "only 99 operations"},
	"many errors": {func(e *Evidence) { e.Errors, e.LastFailure = 101, "reset" }, func(e *Evidence) { e.Errors = 100 }, "1.01 % of the operations failed, 101 errors, the last failure: \"reset\""},
	"errors":      {func(e *Evidence) { e.Errors, e.LastFailure = 3, "reset" }, func(e *Evidence) {}, "3 requests failed, the last: \"reset\""},
	"timeouts":    {func(e *Evidence) { e.Report.Counts.TimedOut = 1 }, func(*Evidence) {}, "1 requests timed out"},
	"disconnects": {func(e *Evidence) { e.Report.Counts.Disconnects = 2 }, func(*Evidence) {}, "2 connections"},
	"clipped":     {func(e *Evidence) { e.Report.Counts.Clipped = 2 }, func(*Evidence) {}, "2 latencies"},
	"held back":   {func(e *Evidence) { e.Report.Counts.HeldBack = 11 }, func(e *Evidence) { e.Report.Counts.HeldBack = 10 }, "0.11 %"},
	// Four standard deviations of 10,000 arrivals are 4 %.
	"offered rate":  {func(e *Evidence) { e.Report.Offered = 10610 }, func(e *Evidence) { e.Report.Offered = 10590 }, "2.1 % off the one asked for, 10610/s against 10000/s"},
	"achieved rate": {func(e *Evidence) { e.Report.Counts.AnsweredInWindow = 9899 }, func(e *Evidence) { e.Report.Counts.AnsweredInWindow = 9901 }, "1.01 % fewer answers than requests, so latency grows with the length of the run, 9899 of 10000"},

	"load was the limit": {func(e *Evidence) { e.Report.Self.Busy = 0.91 }, func(e *Evidence) { e.Report.Self.Busy = 0.9 }, "91 %"},
	"late sends":         {func(e *Evidence) { e.Report.Self.Late1ms = 0.041 }, func(e *Evidence) { e.Report.Self.Late1ms = 0.04 }, "4.1 %"},
	"pacing":             {func(e *Evidence) { e.Report.Self.Pacing.P90Us = 51 }, func(e *Evidence) { e.Report.Self.Pacing.P90Us = 50 }, "51 % of the median latency, 51 us of 100 us"},
	"pacing of the tail": {func(e *Evidence) { e.Report.Self.Pacing.P99Us = 93 }, func(e *Evidence) { e.Report.Self.Pacing.P99Us = 90 }, "31 % of the p99 latency, 93 us of 300 us"},
	"load off its CPU":   {func(e *Evidence) { e.Report.Self.StallsTotal = 51000 }, func(e *Evidence) { e.Report.Self.StallsTotal = 50000 }, "5.1 %"},
	"load's CPUs":        {func(e *Evidence) { e.Report.Self.CPUs = []int{0, 1} }, func(e *Evidence) { e.Report.Self.CPUsAsked = []int{1, 1} }, "[0 1] instead of [1]"},

	"warm-up not steady":  {func(e *Evidence) { e.Report.WarmupSteady, e.Report.WarmupS = false, 2.5 }, func(*Evidence) {}, "after 2.50 s"},
	"drift of p50":        {func(e *Evidence) { e.slide(1, p50) }, func(e *Evidence) { e.slide(0.8, p50) }, "upwards"},
	"drift of p99":        {func(e *Evidence) { e.slide(-0.9, p99) }, func(e *Evidence) { e.slide(4, p99) }, "downwards"},
	"drift of throughput": {func(e *Evidence) { e.slide(-0.12, answers) }, func(e *Evidence) { e.slide(-0.09, answers) }, "downwards"},
	"autocorrelation":     {func(e *Evidence) { e.stretches(3) }, func(e *Evidence) { e.stretches(1.3) }, "autocorrelation of 0."},
	"standstill":          {func(e *Evidence) { e.Report.Series[3].Answered, e.Report.Series[4].Answered = 0, 0 }, func(e *Evidence) { e.Report.Series[3].Answered = 1 }, "no answer in 2 slices of the window, for 100 ms on end"},
	"Little's law":        {func(e *Evidence) { e.Report.MeanInFlight = 1.21 }, func(e *Evidence) { e.Report.MeanInFlight = 0.81 }, "11 % off throughput times mean latency"},

	"steal":                  {func(e *Evidence) { e.put("steal", 2.1) }, func(e *Evidence) { e.put("steal", 2) }, "2.1 % of the server's CPU"},
	"steal of the load":      {func(e *Evidence) { e.put("steal_load", 2.1) }, func(e *Evidence) { e.put("steal_load", 2) }, "2.1 % of the load's CPU"},
	"neighbours":             {func(e *Evidence) { e.OthersServer = others(16) }, func(e *Evidence) { e.OthersServer = others(15) }, "16 %"},
	"neighbours of the load": {func(e *Evidence) { e.OthersLoad = others(16) }, func(e *Evidence) { e.OthersLoad = others(15) }, "16 %"},
	"throttling":             {func(e *Evidence) { e.put("throttled_us", 1100) }, func(e *Evidence) { e.put("throttled_us", 1000) }, "0.11 %"},
	"heat":                   {func(e *Evidence) { e.put("thermal_throttles", 1) }, func(*Evidence) {}, "1 times"},
	"frequency":              {func(e *Evidence) { e.put("frequency_min", 1780) }, func(e *Evidence) { e.put("frequency_min", 1800) }, "11 %"},
	"memory pressure":        {func(e *Evidence) { e.put("psi_memory_some", 1.1) }, func(e *Evidence) { e.put("psi_memory_some", 1) }, "1.1 %"},
}

func answers(s *result.Slice, times float64) { s.Answered = int64(math.Round(500 * times)) }

// stretches makes the middle of the window slower, with smooth ends, so that there is
// no trend.
func (e *Evidence) stretches(times float64) {
	for i := range e.Report.Series {
		e.Report.Series[i].P50Us *= 1 + (times-1)*(1-math.Cos(2*math.Pi*float64(i)/19))/2
	}
}

// Every rule fires where it should, alone, with the figure, the bound and advice in
// the reason; and not just below its bound.
func TestRules(t *testing.T) {
	verdict, reasons, _ := Judge(sound())
	require.Equal(t, result.Valid, verdict, reasons)
	require.Empty(t, reasons)
	names := map[string]bool{}
	for _, rule := range Rules() {
		c, ok := cases[rule.Name]
		require.True(t, ok, "no case for rule %q", rule.Name)
		require.False(t, names[rule.Name], "two rules %q", rule.Name)
		names[rule.Name] = true
		require.NotEmpty(t, rule.Looks)
		require.NotEmpty(t, rule.Advice)

		e := sound()
		_, known, _ := rule.Fires(&e)
		require.True(t, known, "%s: nothing to look at", rule.Name)
		c.fires(&e)
		verdict, reasons, notes := Judge(e)
		require.Equal(t, rule.Verdict, verdict, "%s: %v", rule.Name, reasons)
		if rule.Verdict == result.Valid {
			require.Empty(t, reasons)
			reasons = notes
		}
		require.Len(t, reasons, 1, "%s: %v", rule.Name, reasons)
		require.Contains(t, reasons[0], c.figure)
		require.Contains(t, reasons[0], fmt.Sprintf("(rule %q: %s); %s", rule.Name, rule.Allowed(), rule.Advice))
		require.NotContains(t, reasons[0], "%!")

		e = sound()
		c.below(&e)
		fires, known, why := rule.Fires(&e)
		require.False(t, fires, "%s just below: %s", rule.Name, why)
		require.True(t, known)
		if rule.Name != "many errors" { // which leaves some errors
			verdict, reasons, _ = Judge(e)
			require.Equal(t, result.Valid, verdict, "%s: %v", rule.Name, reasons)
		}
	}
	require.Len(t, cases, len(names), "cases of rules that are no more")
}

// Of a trial of which nothing is known but that it did something, nothing is held
// against it: no sensor, no series, no load.
func TestNothingKnown(t *testing.T) {
	e := Evidence{Operations: 1000}
	verdict, reasons, _ := Judge(e)
	require.Equal(t, result.Valid, verdict, reasons)
	require.Equal(t, []string{"interrupted", "operations", "many errors", "errors"}, Known(e))
	require.Len(t, Known(sound()), len(Rules()))
	e.Metrics = map[string]result.Metric{"steal": result.Missing("no /proc", "%", "procfs")}
	require.NotContains(t, Known(e), "steal")
	verdict, reasons, _ = Judge(Evidence{Operations: 1000, Flaws: []string{"no counters"}})
	require.Equal(t, result.Suspect, verdict)
	require.Equal(t, []string{"no counters"}, reasons)
}

func TestTheWorstComesFirst(t *testing.T) {
	e := sound()
	e.put("steal", 50)
	e.Operations, e.Flaws = 5, []string{"a flaw"}
	verdict, reasons, _ := Judge(e)
	require.Equal(t, result.Invalid, verdict)
	require.Len(t, reasons, 3)
	require.True(t, strings.HasPrefix(reasons[0], "only 5"))
	require.Equal(t, "a flaw", reasons[2])
}

// What the load changes on purpose is no drift and no wrong rate.
func TestShapesAreNoDrift(t *testing.T) {
	e := sound()
	e.Shape.RampFrom = 5000
	e.Report.Offered = 7500
	e.slide(1, p50)
	verdict, reasons, _ := Judge(e)
	require.Equal(t, result.Valid, verdict, reasons)
	e = sound()
	e.Shape.Arrivals, e.Shape.BurstSize = load.ArrivalsBursts, 100
	e.Report.Offered = 11400 // 100 bursts: 40 % by chance
	verdict, reasons, _ = Judge(e)
	require.Equal(t, result.Valid, verdict, reasons)
	e.Shape = load.Shape{Arrivals: load.ArrivalsConstant}
	verdict, _, _ = Judge(e)
	require.Equal(t, result.Suspect, verdict, "a constant rate has no chance in it")
}

// Where a queue grows, the law does not hold over the window: the rate that was not
// achieved is the reason, and the only one.
func TestLittleLeavesQueuesAlone(t *testing.T) {
	e := sound()
	e.Report.MeanInFlight, e.Report.All.Latency.P99Us = 500, 400_000
	require.NotContains(t, Known(e), "Little's law")
	e = sound()
	e.Report.Series = nil // a load that does not take it
	e.Report.MeanInFlight = 0
	require.NotContains(t, Known(e), "Little's law")
}

// Slices of a steady server, as they come: few trials are in doubt by the rules of
// the series. Noise of the medians 5 %, of the p99 30 %, each slice a little like the one before.
func TestSeriesRulesCryNoWolf(t *testing.T) {
	rng := rand.New(rand.NewPCG(81, 82))
	const trials, like = 2000, 0.3
	alarms, by := 0, map[string]int{}
	for range trials {
		e := sound()
		last := 0.0
		for i := range e.Report.Series {
			last = like*last + math.Sqrt(1-like*like)*rng.NormFloat64()
			s := &e.Report.Series[i]
			s.P50Us, s.P99Us = 100*math.Exp(0.05*last), 300*math.Exp(0.3*rng.NormFloat64())
			s.Answered = int64(500 + math.Sqrt(500)*rng.NormFloat64())
		}
		if verdict, reasons, _ := Judge(e); verdict != result.Valid {
			alarms++
			by[strings.SplitN(reasons[0], "(rule ", 2)[1][:12]]++
		}
	}
	t.Logf("%.2f %% of %d trials at rest are called suspect: %v", 100*float64(alarms)/trials, trials, by)
	require.Less(t, float64(alarms)/trials, 0.01)
}

func TestLoadAddsUp(t *testing.T) {
	e := Evidence{Errors: 1}
	e.Load(&load.Report{Counts: load.Counts{AnsweredInWindow: 500, Lost: 2, Unanswered: 3}, LastFailure: "x"})
	require.EqualValues(t, 500, e.Operations)
	require.EqualValues(t, 6, e.Errors)
	require.Equal(t, "x", e.LastFailure)
	e.Load(&load.Report{Counts: load.Counts{AnsweredInWindow: 1, Delivered: 700}})
	require.EqualValues(t, 700, e.Operations)
}

func TestBoundsInWords(t *testing.T) {
	require.Equal(t, "at most 2 %", (&Rule{Bound: 2, Unit: "%"}).Allowed())
	require.Equal(t, "at least 100", (&Rule{Bound: 100, Unit: "1", Least: true}).Allowed())
	require.Equal(t, "none", (&Rule{Unit: "1"}).Allowed())
}
