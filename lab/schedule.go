package lab

import (
	"fmt"
	"time"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
	"github.com/syslet/syslet/lab/trial"
)

// schedule says which trial of a plan comes next. It does no I/O and reads no clock.
//
// Invariant: it depends on the plan, the finished trials and what was stopped alone, so
// that a run that was resumed goes on as it would have.
type schedule struct {
	specs []trial.Spec
	ids   []string // of specs
	// plan is the environment's: what is stopped early is noted in it.
	plan  []result.Planned
	rules result.Stopping
	done  map[string]*result.Trial // by ID
	took  *durations
	// judged is the last round of each experiment after which precision was looked at.
	judged map[string]int
}

func newSchedule(specs []trial.Spec, plan []result.Planned, rules result.Stopping) *schedule {
	s := &schedule{specs: specs, plan: plan, rules: rules, done: map[string]*result.Trial{}, took: newDurations(plan), judged: map[string]int{}}
	for i := range specs {
		s.ids = append(s.ids, specs[i].ID())
	}
	return s
}

// finish notes a trial that ended, now or in an earlier sitting.
func (s *schedule) finish(t *result.Trial) {
	s.done[t.ID] = t
	s.took.add(t)
}

func (s *schedule) planned(experiment string) *result.Planned {
	for i := range s.plan {
		if s.plan[i].Experiment == experiment {
			return &s.plan[i]
		}
	}
	return nil
}

// leftOut reports whether the trial's experiment was stopped before its round.
func (s *schedule) leftOut(spec *trial.Spec) bool {
	p := s.planned(spec.Experiment)
	return p != nil && p.Stopped != "" && spec.Round > p.LastRound
}

func (s *schedule) isDone(i int) bool { return s.done[s.ids[i]] != nil }

func (s *schedule) pending(i int) bool { return !s.isDone(i) && !s.leftOut(&s.specs[i]) }

// next is the place in the plan of the next trial, -1 if there is none.
func (s *schedule) next() int {
	for i := range s.specs {
		if s.pending(i) {
			return i
		}
	}
	return -1
}

// toCome are the trials that are still to run, as far as is known now.
func (s *schedule) toCome() (specs []*trial.Spec) {
	for i := range s.specs {
		if s.pending(i) {
			specs = append(specs, &s.specs[i])
		}
	}
	return specs
}

// counts are the trials that are done and all that will have been done at the end.
func (s *schedule) counts() (done, of int) {
	for i := range s.specs {
		switch {
		case s.isDone(i):
			done, of = done+1, of+1
		case !s.leftOut(&s.specs[i]):
			of++
		}
	}
	return done, of
}

// left is about how long the trials to come take. spent is what the run took so far.
func (s *schedule) left(spent time.Duration) time.Duration {
	d := s.took.expectAll(s.toCome())
	if s.rules.BudgetS > 0 {
		d = min(d, max(0, seconds(s.rules.BudgetS)-spent))
	}
	return d
}

// wholeRounds is the last round of an experiment before which, and in which, all
// trials are done; last is its last round in the plan.
func (s *schedule) wholeRounds(experiment string) (whole, last int) {
	open := 0
	for i := range s.specs {
		spec := &s.specs[i]
		if spec.Experiment != experiment {
			continue
		}
		last = max(last, spec.Round)
		if !s.isDone(i) && (open == 0 || spec.Round < open) {
			open = spec.Round
		}
	}
	if open == 0 {
		return last, last
	}
	return open - 1, last
}

// stop leaves out the rounds of an experiment after the given one.
func (s *schedule) stop(p *result.Planned, after int, why string) {
	left := 0
	for i := range s.specs {
		spec := &s.specs[i]
		if spec.Experiment == p.Experiment && spec.Round > after && !s.isDone(i) {
			left++
		}
	}
	p.Stopped, p.LastRound = why, after
	p.LeftOut, p.Trials = p.LeftOut+left, p.Trials-left
}

// stopForPrecision stops the experiments whose cells are all known well enough, and
// says so. To be called after each trial: it looks when a round has become whole.
func (s *schedule) stopForPrecision() (notes []string) {
	if s.rules.Precision <= 0 {
		return nil
	}
	for i := range s.plan {
		p := &s.plan[i]
		whole, last := s.wholeRounds(p.Experiment)
		if p.Stopped != "" || whole >= last || whole < stats.EnoughLeast || s.judged[p.Experiment] == whole {
			continue
		}
		s.judged[p.Experiment] = whole
		if why, ok := knownWell(s.cells(p.Experiment, whole), s.rules); ok {
			s.stop(p, whole, why)
			notes = append(notes, fmt.Sprintf("%s stopped early after round %d of %d: %s", p.Experiment, whole, last, why))
		}
	}
	return notes
}

// cells are the counted trials of an experiment up to a round, by model and factors.
func (s *schedule) cells(experiment string, upTo int) map[string][]*result.Trial {
	m := map[string][]*result.Trial{}
	for i := range s.specs {
		spec := &s.specs[i]
		t := s.done[s.ids[i]]
		if spec.Experiment != experiment || spec.Round > upTo || t == nil {
			continue
		}
		cell := spec.Model + " " + spec.Factors.String()
		trials := m[cell]
		if t.Counted() {
			trials = append(trials, t)
		}
		m[cell] = trials // a cell without a counted trial is there, too
	}
	return m
}

// stopForBudget stops all experiments if trial i begins a round that would not end
// within the budget, and says so. A round is the trials of one number that follow each
// other, of all experiments. The first one is run in any case: a run is not nothing.
func (s *schedule) stopForBudget(i int, spent time.Duration) (notes []string) {
	if s.rules.BudgetS <= 0 {
		return nil
	}
	begin, end := i, i
	for begin > 0 && s.specs[begin-1].Round == s.specs[i].Round {
		begin--
	}
	for end < len(s.specs) && s.specs[end].Round == s.specs[i].Round {
		end++
	}
	var round []*trial.Spec
	for k := begin; k < end; k++ {
		switch {
		case s.isDone(k):
			return nil // begun: it is finished
		case s.pending(k):
			round = append(round, &s.specs[k])
		}
	}
	need, budget := s.took.expectAll(round), seconds(s.rules.BudgetS)
	if begin == 0 || spent+need <= budget {
		return nil
	}
	why := fmt.Sprintf("%v of the budget of %v were used, and another round takes about %v",
		spent.Round(100*time.Millisecond), budget, need.Round(100*time.Millisecond))
	for k := range s.plan {
		p := &s.plan[k]
		whole, last := s.wholeRounds(p.Experiment)
		if p.Stopped != "" || whole == last {
			continue
		}
		s.stop(p, whole, why)
		notes = append(notes, fmt.Sprintf("%s stopped early after round %d of %d: %s", p.Experiment, whole, last, why))
	}
	return notes
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
