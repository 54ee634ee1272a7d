// Package lab runs experiments: a plan's trials one after another, each line
// written as it is finished, so that an interrupted run keeps what it has.
package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
}

// Prepare probes models and machine and makes the plan; it writes nothing.
func Prepare(o Options) (*Prepared, error) {
	p := &Prepared{opts: o}
	if err := p.chooseModels(); err != nil {
		return nil, err
	}
	out := existing(o.Out)
	p.env = sensor.Environment(out, out)
	serverCPUs, loadCPUs, warning := splitCPUs()
	if warning != "" {
		p.env.Warnings = append(p.env.Warnings, warning)
	}
	p.specs = plan.Trials(p.opts.Experiments, o.Seed)
	for i := range p.specs {
		s := &p.specs[i]
		s.ServerCPUs, s.LoadCPUs, s.Binary = serverCPUs, loadCPUs, o.Binary
		s.WorkDir = filepath.Join(o.Out, "work", strconv.Itoa(i))
	}
	p.describe(serverCPUs, loadCPUs)
	return p, nil
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

// chooseModels leaves out what was not asked for and what this system refuses.
func (p *Prepared) chooseModels() error {
	for _, m := range p.opts.Models {
		if !slices.Contains(models.AllNames(), m) {
			return fmt.Errorf("lab: no model %q (--models); there are %s", m, strings.Join(models.AllNames(), ", "))
		}
	}
	refused := map[string]bool{}
	for _, m := range models.AllNames() {
		if err := models.Refused(m); err != nil {
			refused[m] = true
			p.Refused = append(p.Refused, result.Refusal{Model: m, Reason: err.Error()})
		}
	}
	for i := range p.opts.Experiments {
		e := &p.opts.Experiments[i]
		e.Models = slices.DeleteFunc(slices.Clone(e.Models), func(m string) bool {
			return refused[m] || len(p.opts.Models) > 0 && !slices.Contains(p.opts.Models, m)
		})
		if p.opts.Rounds > 0 {
			e.Rounds = p.opts.Rounds
		}
	}
	return nil
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

func (p *Prepared) describe(forServer, forLoad []int) {
	e := &p.env
	e.Start, e.Seed, e.CommandLine, e.Refused = time.Now(), p.opts.Seed, p.opts.CommandLine, p.Refused
	e.ServerCPUs, e.LoadCPUs = trial.CPUList(forServer), trial.CPUList(forLoad)
	if err := models.Refused("iouring"); err != nil {
		e.IOUring = result.Capability{Detail: err.Error()}
	}
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

// makeDiskFile writes the file that blocking requests read from, if any do.
func (p *Prepared) makeDiskFile(dir string) error {
	path := ""
	for i := range p.specs {
		s := &p.specs[i]
		if !s.NeedsDiskFile {
			continue
		}
		if path == "" {
			var err error
			if path, err = trial.MakeDiskFile(dir, diskFileBytes, p.opts.Seed); err != nil {
				return err
			}
		}
		s.DiskFile = path
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
