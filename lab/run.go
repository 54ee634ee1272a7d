// Package lab runs experiments: a plan's trials one after another.
//
// A run survives its death. Its folder holds the whole plan before the first trial
// begins (plan.json) and a line for each trial that was finished (trials.jsonl), and
// nothing else decides what is still to do: a trial without a line is to come, also one
// that was running when the lab died. So a run is one or more sittings, of which the
// first is made by Prepare and the others by Resume; both end in Prepared.Run. Servers
// and loads die with the lab, however it dies (package trial).
package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/plan"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/models"
)

// Options say what to run.
type Options struct {
	Experiments []plan.Experiment
	// Models, if not empty, are the only ones to run.
	Models []string
	// Levels, if not empty, are the only levels of the experiments' factors to run.
	Levels []string
	// Rounds, if not 0, replaces each experiment's own number.
	Rounds int
	Seed   uint64
	// Out is the run's folder; it must not hold a run.
	Out string
	// Binary is the syslet executable.
	Binary string
	// CommandLine runs the same again.
	CommandLine []string
	// Stopping is what may end experiments before their last round.
	Stopping result.Stopping
	// On is told how the run goes on, from the goroutine of Run.
	On func(Event)
}

// Event is a trial that begins or has ended, or a note on the run.
type Event struct {
	// Trial counts from 1 among the Of trials of the whole run, those of earlier
	// sittings included and those left out not.
	Trial, Of int
	// Rounds is the number of rounds of the trial's experiment.
	Rounds int
	// Spec is nil for a note.
	Spec *trial.Spec
	// Done is nil while the trial runs.
	Done *result.Trial
	// Left is about how long the trials to come take, with this one if it is not done.
	Left time.Duration
	Note string
}

// Prepared is a run that is about to begin or to go on.
type Prepared struct {
	opts    Options
	env     result.Environment
	specs   []trial.Spec
	Refused []result.Refusal
	// Estimate is how long all of it will take, about.
	Estimate time.Duration

	forServer, forLoad []int
	made               bool // Make was called
	resumed            bool // Resume made it
	lock               *lock
	read               *result.Run // of a resumed run: what earlier sittings left
}

// Prepare probes models and machine and makes the plan; it writes nothing.
func Prepare(o Options) (*Prepared, error) {
	p := &Prepared{opts: o}
	if err := p.chooseLevels(); err != nil {
		return nil, err
	}
	if err := p.chooseModels(); err != nil {
		return nil, err
	}
	out := existing(o.Out)
	p.env = sensor.Environment(out, out)
	var warning string
	if p.forServer, p.forLoad, warning = splitCPUs(); warning != "" {
		p.env.Warnings = append(p.env.Warnings, warning)
	}
	p.plan()
	if err := p.checkStopping(); err != nil {
		return nil, err
	}
	return p, uniqueIDs(p.specs)
}

// uniqueIDs is the error of two trials that a folder could not tell apart.
func uniqueIDs(specs []trial.Spec) error {
	seen := map[string]bool{}
	for i := range specs {
		id := specs[i].ID()
		if seen[id] {
			return fmt.Errorf("lab: two trials of the plan are %q: an experiment is there twice, or a factor is missing", id)
		}
		seen[id] = true
	}
	return nil
}

// plan makes the list of trials, and says in the environment what it is.
func (p *Prepared) plan() {
	p.specs = plan.Trials(p.opts.Experiments, p.opts.Seed)
	for _, w := range plan.Limits(p.specs) {
		if !slices.Contains(p.env.Warnings, w) { // the plan may be made twice
			p.env.Warnings = append(p.env.Warnings, w)
		}
	}
	for i := range p.specs {
		p.specs[i].ServerCPUs, p.specs[i].LoadCPUs = p.forServer, p.forLoad
	}
	p.place()
	p.describe()
}

// place says where the trials run.
func (p *Prepared) place() {
	for i := range p.specs {
		p.specs[i].Binary = p.opts.Binary
		p.specs[i].WorkDir = filepath.Join(p.opts.Out, workDir, strconv.Itoa(i))
	}
}

// workDir is the folder of a run in which trials keep files while they run.
const workDir = "work"

// existing is the nearest folder above dir that is there.
func existing(dir string) string {
	for dir != "" {
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
		if up := filepath.Dir(dir); up != dir {
			dir = up
			continue
		}
		break
	}
	return "."
}

// splitCPUs gives the server the first CPU that we may use and the load the
// last one.
func splitCPUs() (forServer, forLoad []int, warning string) {
	cpus := load.AllowedCPUs()
	switch len(cpus) {
	case 0:
		return nil, nil, "the CPUs of this process are not known: server and load are not bound"
	case 1:
		return cpus, cpus, fmt.Sprintf("there is one CPU (%d) for both server and load: they disturb each other, figures are of little use", cpus[0])
	}
	return cpus[:1], cpus[len(cpus)-1:], ""
}

func (p *Prepared) describe() {
	e := &p.env
	e.Start, e.Seed, e.CommandLine, e.Refused = time.Now(), p.opts.Seed, p.opts.CommandLine, p.Refused
	e.ServerCPUs, e.LoadCPUs = trial.CPUList(p.forServer), trial.CPUList(p.forLoad)
	if err := models.Refused("iouring"); err != nil {
		e.IOUring = result.Capability{Detail: err.Error()}
	}
	if st := p.opts.Stopping; st.Precision > 0 || st.BudgetS > 0 {
		e.Stopping = &st
	}
	e.Plan, p.Estimate = nil, 0
	for i := range p.opts.Experiments {
		x := &p.opts.Experiments[i]
		e.Plan = append(e.Plan, result.Planned{Experiment: x.Name, Workload: x.Workload, Question: x.Question,
			Models: x.Models, Rounds: x.Rounds, Trials: x.Count(), TrialS: x.Duration().Seconds(), Thresholds: plan.Thresholds(x.Thresholds)})
		p.Estimate += x.Total()
	}
	specs := make([]*trial.Spec, len(p.specs))
	for i := range p.specs {
		specs[i] = &p.specs[i]
	}
	p.Estimate += calibrationTakes * time.Duration(len(calibrations(specs)))
}

// Trials are the trials of the plan, in order.
func (p *Prepared) Trials() []trial.Spec { return p.specs }

// Experiments are those that will run, with the models, levels and rounds that were
// asked for and that this system has.
func (p *Prepared) Experiments() []plan.Experiment { return p.opts.Experiments }

// firstRound is the part of the plan that is run whatever the budget.
func (p *Prepared) firstRound() (specs []*trial.Spec) {
	for i := range p.specs {
		if p.specs[i].Round != p.specs[0].Round {
			break
		}
		specs = append(specs, &p.specs[i])
	}
	return specs
}

// Progress is how far a run is before its next sitting: trials that are done, all that
// will have been done at its end, and about how long those to come take.
func (p *Prepared) Progress() (done, of int, left time.Duration) {
	s := newSchedule(p.specs, p.env.Plan, p.opts.Stopping)
	var spent time.Duration
	for _, sitting := range p.env.Sittings {
		spent += sitting.End.Sub(sitting.Start)
	}
	if p.read != nil {
		for i := range p.read.Trials {
			s.finish(&p.read.Trials[i])
		}
	}
	done, of = s.counts()
	return done, of, s.left(spent)
}
