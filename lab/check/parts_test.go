package check

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/load/agree"
	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/lab/sim"
)

// TestVerdictIsNoSilentPass: what could not be checked is no pass, and is said.
func TestVerdictIsNoSilentPass(t *testing.T) {
	v := Verdict{Held: true, Why: "1 of 1"}
	require.True(t, v.Passed())
	require.Equal(t, "held: 1 of 1", v.String())
	v.NotChecked = []string{"no wrk"}
	require.False(t, v.Passed())
	require.Equal(t, "NOT CHECKED in part: 1 of 1; not checked: no wrk", v.String())
	v.Held = false
	require.Equal(t, "NOT held", v.Word())
}

func TestJudgeLoad(t *testing.T) {
	good := agree.Result{Server: "echo", Client: "C", Ours: []float64{100}, Theirs: []float64{101}, Busy: []float64{0.99}, Ratio: 0.99}
	apart, idle, none := good, good, agree.Result{Server: "fileserver", Client: "wrk", Unavailable: "no wrk"}
	apart.Ratio, idle.Busy = 0.94, []float64{0.8}
	v := judgeLoad([]agree.Result{good, good})
	require.True(t, v.Passed())
	require.False(t, judgeLoadOf(good, apart).Held)
	v = judgeLoadOf(good, idle)
	require.False(t, v.Held)
	require.Contains(t, v.Why, "was not the limit")
	v = judgeLoadOf(good, none)
	require.True(t, v.Held)
	require.False(t, v.Passed())
	require.Equal(t, []string{"fileserver against wrk: no wrk"}, v.NotChecked)
}

func judgeLoadOf(results ...agree.Result) Verdict { return judgeLoad(results) }

func TestJudgeStall(t *testing.T) {
	report := func(p999, most float64) *load.Report {
		return &load.Report{All: load.KindReport{Latency: load.Summary{P999Us: p999, MaxUs: most}}}
	}
	closed := report(100, 201_000)
	require.True(t, judgeStall(report(190_000, 200_000), closed, time.Second).Held)
	require.False(t, judgeStall(report(189_000, 200_100), closed, time.Second).Held)
	require.False(t, judgeStall(report(195_000, 199_000), closed, time.Second).Held)
}

func TestJudgePacing(t *testing.T) {
	require.True(t, judgePacing([]float64{20, 900, 30}).Held)
	require.False(t, judgePacing([]float64{20, 50, 60}).Held)
	require.False(t, judgePacing(nil).Held)
}

func TestJudgeProbe(t *testing.T) {
	require.True(t, new(judgeProbe(9, 10, 4, 10, "noise")).Passed())
	require.False(t, judgeProbe(8, 10, 0, 10, "").Held)
	v := judgeProbe(0, 0, 30, 10, "noise")
	require.False(t, v.Passed())
	require.Contains(t, v.String(), "30 calibrations were refused, the last: noise")
}

func TestJudgeSensors(t *testing.T) {
	pair := func(ours float64, why string) sensor.Pair {
		return sensor.Pair{Quantity: "q", Ours: "a", Theirs: "b", OurValue: ours, TheirValue: 100, Unavailable: why}
	}
	require.True(t, new(judgeSensors([]sensor.Pair{pair(100, ""), pair(98.5, "")})).Passed())
	require.False(t, judgeSensors([]sensor.Pair{pair(100, ""), pair(103, "")}).Held)
	v := judgeSensors([]sensor.Pair{pair(100, ""), pair(0, "no perf")})
	require.True(t, v.Held)
	require.False(t, v.Passed())
}

func TestSimRepeats(t *testing.T) {
	with := func(instructions, d1 float64) sim.Counts { return sim.Counts{Instructions: instructions, D1Misses: d1} }
	for _, c := range []struct {
		repeats []sim.Counts
		held    bool
	}{
		{[]sim.Counts{with(1000, 2), with(1004, 2)}, true},
		{[]sim.Counts{with(1000, 2), with(1006, 2)}, false},
		{[]sim.Counts{with(1000, 2), with(1000, 2.02)}, false},
		{[]sim.Counts{with(1000, 0), with(1000, 0.009)}, true},
		{[]sim.Counts{with(1000, 0), with(1000, 0.011)}, false},
		{[]sim.Counts{with(1000, 2)}, false},
	} {
		held, why := simRepeats(c.repeats)
		require.Equal(t, c.held, held, why)
	}
}
