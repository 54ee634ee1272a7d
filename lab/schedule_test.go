package lab

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
)

// trialsOf is a plan: each round has every experiment's models once, one after another.
func trialsOf(plan []result.Planned) (specs []trial.Spec) {
	for round := 1; ; round++ {
		n := len(specs)
		for _, p := range plan {
			for _, m := range p.Models {
				if round <= p.Rounds {
					specs = append(specs, trial.Spec{Experiment: p.Experiment, Workload: "echo", Model: m, Round: round, Factors: result.Factors{"conns": "4"}})
				}
			}
		}
		if len(specs) == n {
			return specs
		}
	}
}

func twoExperiments() []result.Planned {
	return []result.Planned{
		{Experiment: "a", Models: []string{"m", "n"}, Rounds: 10, Trials: 20, TrialS: 2},
		{Experiment: "b", Models: []string{"m"}, Rounds: 8, Trials: 8, TrialS: 4},
	}
}

// ran is a trial that took so long and found this.
func ran(s *trial.Spec, elapsedS, p50 float64) *result.Trial {
	return &result.Trial{ID: s.ID(), Experiment: s.Experiment, Model: s.Model, Round: s.Round, Factors: s.Factors, ElapsedS: elapsedS,
		Verdict: result.Valid, Metrics: map[string]result.Metric{result.LatencyP50: result.Of(p50, "us", result.SourceLoad)}}
}

// runAll runs what the schedule asks for; value says what a trial finds. die ends it
// after so many trials, as a kill would.
func runAll(s *schedule, die int, value func(*trial.Spec) float64) (order []string, spent time.Duration) {
	for i := range s.specs {
		if t := s.done[s.ids[i]]; t != nil {
			spent += seconds(t.ElapsedS)
		}
	}
	for n := 0; ; {
		s.stopForPrecision()
		i := s.next()
		if i < 0 {
			return order, spent
		}
		if len(s.stopForBudget(i, spent)) > 0 {
			continue
		}
		if n == die {
			return order, spent
		}
		t := ran(&s.specs[i], tookS(&s.specs[i]), value(&s.specs[i]))
		spent += seconds(t.ElapsedS)
		s.finish(t)
		order = append(order, t.ID)
		n++
	}
}

// tookS grows from the fourth round on, so that what is expected of a round is too little.
func tookS(s *trial.Spec) float64 { return 2 + float64(max(0, s.Round-3)) }

func steady(*trial.Spec) float64 { return 100 }

func TestScheduleRunsThePlanInOrder(t *testing.T) {
	plan := twoExperiments()
	s := newSchedule(trialsOf(plan), plan, result.Stopping{})
	order, _ := runAll(s, -1, steady)
	require.Equal(t, s.ids, order)
	done, of := s.counts()
	require.Equal(t, []int{28, 28}, []int{done, of})
}

func TestPrecisionStopsWhatIsKnown(t *testing.T) {
	plan := twoExperiments()
	rules := result.Stopping{Precision: 0.02, Of: []string{result.LatencyP50, result.CPUPerOp}}
	s := newSchedule(trialsOf(plan), plan, rules)
	// Experiment a's model n swings until its tenth round: all of a goes on with it.
	order, _ := runAll(s, -1, func(spec *trial.Spec) float64 {
		if spec.Model == "n" {
			return 100 + 20*float64(spec.Round%2)
		}
		return 100 + float64(spec.Round%2)
	})
	require.Len(t, order, 20+7)
	require.Empty(t, plan[0].Stopped)
	require.Equal(t, 20, plan[0].Trials)
	require.Equal(t, []int{7, 1, 7}, []int{plan[1].LastRound, plan[1].LeftOut, plan[1].Trials})
	require.Contains(t, plan[1].Stopped, "within 2 %")
	require.Contains(t, plan[1].Stopped, "the widest is 0.4 %, latency_p50 of m conns=4")
}

func TestPrecisionNeedsFiguresOfEachCell(t *testing.T) {
	trialWith := func(verdict result.Verdict, values ...float64) (ts []*result.Trial) {
		for _, v := range values {
			one := ran(&trial.Spec{}, 1, v)
			one.Verdict = verdict
			ts = append(ts, one)
		}
		return ts
	}
	same := []float64{5, 5, 5, 5, 5, 5, 5}
	for name, c := range map[string]struct {
		cells map[string][]*result.Trial
		known bool
	}{
		"all the same":                      {map[string][]*result.Trial{"a": trialWith(result.Valid, same...)}, true},
		"all 0":                             {map[string][]*result.Trial{"a": trialWith(result.Valid, 0, 0, 0, 0, 0, 0, 0)}, true},
		"close":                             {map[string][]*result.Trial{"a": trialWith(result.Suspect, 100, 101, 100, 101, 100, 101, 100)}, true},
		"five rounds have no such interval": {map[string][]*result.Trial{"a": trialWith(result.Valid, same[:5]...)}, false},
		"a cell without counted trials":     {map[string][]*result.Trial{"a": trialWith(result.Valid, same...), "b": nil}, false},
		"a median of 0 that varies":         {map[string][]*result.Trial{"a": trialWith(result.Valid, -1, 0, 0, 0, 0, 0, 1)}, false},
		"too wide":                          {map[string][]*result.Trial{"a": trialWith(result.Valid, 5, 5, 5, 5, 5, 5, 6)}, false},
		"no cell":                           {nil, false},
	} {
		_, known := knownWell(c.cells, result.Stopping{Precision: 0.02, Of: []string{result.LatencyP50}})
		require.Equal(t, c.known, known, name)
	}
	_, known := knownWell(map[string][]*result.Trial{"a": trialWith(result.Valid, same...)}, result.Stopping{Precision: 0.02, Of: []string{result.Throughput}})
	require.False(t, known, "no metric that decides")
}

func TestBudgetEndsAfterAWholeRound(t *testing.T) {
	plan := twoExperiments()
	s := newSchedule(trialsOf(plan), plan, result.Stopping{BudgetS: 3*6 + 5.9}) // three rounds of three trials of 2 s, and not four
	order, spent := runAll(s, -1, steady)
	require.Len(t, order, 9)
	require.Equal(t, 18*time.Second, spent)
	require.Equal(t, []int{3, 14, 6}, []int{plan[0].LastRound, plan[0].LeftOut, plan[0].Trials})
	require.Equal(t, []int{3, 5, 3}, []int{plan[1].LastRound, plan[1].LeftOut, plan[1].Trials})
	require.Contains(t, plan[0].Stopped, "18s of the budget of 23.9s were used, and another round takes about 6s")

	plan = twoExperiments()
	s = newSchedule(trialsOf(plan), plan, result.Stopping{BudgetS: 0.1})
	order, _ = runAll(s, -1, steady)
	require.Len(t, order, 3, "the first round is run in any case")

	plan = twoExperiments()
	s = newSchedule(trialsOf(plan), plan, result.Stopping{BudgetS: 10})
	for i := range 4 { // a round and the first trial of the next
		s.finish(ran(&s.specs[i], 2, 100))
	}
	require.Empty(t, s.stopForBudget(4, time.Hour), "a round that was begun is finished")
}

// TestResumedScheduleGoesOnAsItWouldHave: however often a run dies, all sittings
// together run the trials that one would have run, in the same order.
func TestResumedScheduleGoesOnAsItWouldHave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var plan []result.Planned
		for i := range rapid.IntRange(1, 3).Draw(t, "experiments") {
			p := result.Planned{Experiment: "e" + strconv.Itoa(i), Models: []string{"m", "n", "o"}[:rapid.IntRange(1, 3).Draw(t, "models")],
				Rounds: rapid.IntRange(1, 12).Draw(t, "rounds")}
			p.Trials = p.Rounds * len(p.Models)
			plan = append(plan, p)
		}
		var rules result.Stopping
		if rapid.Bool().Draw(t, "precision") {
			rules.Precision, rules.Of = 0.05, []string{result.LatencyP50}
		}
		if rapid.Bool().Draw(t, "budget") {
			rules.BudgetS = rapid.Float64Range(1, 100).Draw(t, "s")
		}
		swing := rapid.Float64Range(0, 20).Draw(t, "swing")
		value := func(s *trial.Spec) float64 { // one round of one model is an outlier: from nine rounds on it no longer counts
			if s.Round == 1 && s.Model == "m" {
				return 100 + swing
			}
			return 100
		}
		specs := trialsOf(plan)
		planned := len(specs)

		whole := append([]result.Planned(nil), plan...)
		want, _ := runAll(newSchedule(specs, whole, rules), -1, value)

		var got []string
		done := map[string]*result.Trial{}
		for {
			s := newSchedule(specs, plan, rules)
			for i := range specs {
				if one := done[s.ids[i]]; one != nil {
					s.finish(one)
				}
			}
			order, _ := runAll(s, rapid.IntRange(0, 6).Draw(t, "dies after"), value)
			got = append(got, order...)
			done = s.done
			if s.next() < 0 {
				break
			}
		}
		require.Equal(t, want, got)
		require.Equal(t, whole, plan)
		left, trials := 0, 0
		for _, p := range plan {
			left, trials = left+p.LeftOut, trials+p.Trials
		}
		require.Equal(t, planned, left+trials, fmt.Sprint(plan))
		require.Equal(t, trials, len(got))
	})
}

func TestDurationsComeFromTheirOwnKind(t *testing.T) {
	spec := func(experiment, model string) *trial.Spec {
		return &trial.Spec{Experiment: experiment, Model: model, Round: 1}
	}
	d := newDurations(twoExperiments())
	require.Equal(t, 2*time.Second, d.expect(spec("a", "m")))
	require.Equal(t, 2*time.Second, d.expect(spec("unknown", "m")))
	d.add(ran(spec("a", "m"), 3, 0))
	d.add(ran(spec("a", "m"), 5, 0))
	d.add(ran(spec("a", "n"), 1, 0))
	d.add(ran(spec("a", "n"), 0, 0)) // of an older version: it does not say
	require.Equal(t, 4*time.Second, d.expect(spec("a", "m")))
	require.Equal(t, time.Second, d.expect(spec("a", "n")))
	require.Equal(t, 3*time.Second, d.expect(spec("a", "o")), "as other trials of the experiment")
	require.Equal(t, 6*time.Second, d.expect(spec("b", "m")), "as planned, stretched by one half like the others")
	require.Equal(t, 5*time.Second, d.expectAll([]*trial.Spec{spec("a", "m"), spec("a", "n")}))
}
