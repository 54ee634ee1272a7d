// Package lab runs experiments: a plan's trials one after another, each line
// written as it is finished, so that an interrupted run keeps what it has.
package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
	// OnTrial is told each trial before (done nil) and after it ran.
	OnTrial func(i, of int, spec *trial.Spec, done *result.Trial)
}

// Prepared is a run that is about to begin.
type Prepared struct {
	opts    Options
	env     result.Environment
	specs   []trial.Spec
	Refused []result.Refusal
	// Estimate is how long all of it will take, about.
	Estimate time.Duration

	forServer, forLoad []int
	made               bool // Make was called
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
	return p, nil
}

// plan makes the list of trials, and says in the environment what it is.
func (p *Prepared) plan() {
	p.specs = plan.Trials(p.opts.Experiments, p.opts.Seed)
	p.env.Warnings = append(p.env.Warnings, plan.Limits(p.specs)...)
	for i := range p.specs {
		s := &p.specs[i]
		s.ServerCPUs, s.LoadCPUs, s.Binary = p.forServer, p.forLoad, p.opts.Binary
		s.WorkDir = filepath.Join(p.opts.Out, "work", strconv.Itoa(i))
	}
	p.describe()
}

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
	e.Plan, p.Estimate = nil, 0
	for i := range p.opts.Experiments {
		x := &p.opts.Experiments[i]
		e.Plan = append(e.Plan, result.Planned{Experiment: x.Name, Workload: x.Workload, Question: x.Question,
			Models: x.Models, Rounds: x.Rounds, Trials: x.Count()})
		p.Estimate += time.Duration(x.Count()) * x.Duration()
	}
}

// Trials are the trials to come, in order.
func (p *Prepared) Trials() []trial.Spec { return p.specs }

// Run runs the trials. When ctx ends, what is finished stays and ctx's error is
// returned.
func (p *Prepared) Run(ctx context.Context) error {
	if !p.made {
		if err := p.Make(ctx); err != nil {
			return err
		}
	}
	w, err := result.Create(p.opts.Out)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.WriteEnvironment(p.env); err != nil {
		return err
	}
	work := filepath.Join(p.opts.Out, "work")
	defer os.RemoveAll(work)
	if err := p.makeDiskFile(work); err != nil {
		return err
	}
	if err := p.makeLedger(work); err != nil {
		return err
	}
	if err := p.bringIn(ctx); err != nil {
		return err
	}
	for i := range p.specs {
		s := &p.specs[i]
		p.tell(i, s, nil)
		t, err := trial.Run(ctx, *s)
		if err != nil {
			return err
		}
		if err := w.Append(t); err != nil {
			return err
		}
		p.tell(i, s, &t)
	}
	return nil
}

func (p *Prepared) tell(i int, s *trial.Spec, done *result.Trial) {
	if p.opts.OnTrial != nil {
		p.opts.OnTrial(i, len(p.specs), s, done)
	}
}

// diskFileBytes is far above what a device's own cache serves in a row, and
// small enough to be written in a moment.
const diskFileBytes = 64 << 20

// makeDiskFile writes the files that trials read from, one of each size.
func (p *Prepared) makeDiskFile(dir string) error {
	paths := map[int64]string{}
	for i := range p.specs {
		s := &p.specs[i]
		if !s.NeedsDiskFile {
			continue
		}
		size := s.DiskBytes
		if size == 0 {
			size = diskFileBytes
		}
		if paths[size] == "" {
			path, err := trial.MakeDiskFile(filepath.Join(dir, "disk"+strconv.FormatInt(size, 10)), int(size), p.opts.Seed)
			if err != nil {
				return err
			}
			paths[size] = path
		}
		s.DiskFile = paths[size]
	}
	return nil
}

// makeLedger makes the ledger that the trials' servers keep, if any do: one for
// all, so that a query does the same work in each.
func (p *Prepared) makeLedger(dir string) error {
	path := filepath.Join(dir, "ledger")
	made := false
	for i := range p.specs {
		s := &p.specs[i]
		if s.LedgerQuery == 0 {
			continue
		}
		if !made {
			if err := trial.MakeLedger(path, s.LedgerQuery); err != nil {
				return err
			}
			made = true
		}
		s.Ledger = path
	}
	return nil
}
