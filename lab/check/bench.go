package check

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/syslet/syslet/lab"
	"github.com/syslet/syslet/lab/plan"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/lab/trial"
)

// bench runs experiments one after another, where package lab would mix their rounds:
// the tries of ab are to be apart from each other, and are told as they end.
type bench struct {
	binary, work string
	server, load []int
	writer       *result.Writer // nil: nothing is kept
	done, of     int
	left         time.Duration // about, of what keep was told
	on           func(lab.Event)
}

// newBench takes CPUs as package lab does: the first for the server, the last for the
// load. Close it.
func newBench(binary, work string) *bench {
	b := &bench{binary: binary, work: work, on: func(lab.Event) {}}
	b.server, b.load = labCPUs()
	return b
}

// keep has every trial written to a run's folder.
func (b *bench) keep(o *Options, es []plan.Experiment) (err error) {
	if b.writer, err = result.Create(o.Out); err != nil {
		return err
	}
	e := sensor.Environment(o.Out, o.Out)
	e.Start, e.Seed, e.CommandLine = time.Now(), o.Seed, o.CommandLine
	e.ServerCPUs, e.LoadCPUs = trial.CPUList(b.server), trial.CPUList(b.load)
	for i := range es {
		x := &es[i]
		e.Plan = append(e.Plan, result.Planned{Experiment: x.Name, Workload: x.Workload, Question: x.Question,
			Models: x.Models, Rounds: x.Rounds, Trials: x.Count(), TrialS: x.Total().Seconds() / float64(max(1, x.Count()))})
		b.of += x.Count()
		b.left += x.Total()
	}
	return b.writer.WriteEnvironment(e)
}

// run runs one experiment to its end.
func (b *bench) run(ctx context.Context, e plan.Experiment, seed uint64) (trials []result.Trial, err error) {
	specs := plan.Trials([]plan.Experiment{e}, seed)
	for i := range specs {
		s := &specs[i]
		s.ServerCPUs, s.LoadCPUs, s.Binary = b.server, b.load, b.binary
		s.WorkDir = filepath.Join(b.work, strconv.Itoa(b.done))
		at := lab.Event{Trial: b.done + 1, Of: b.of, Rounds: e.Rounds, Spec: s, Left: b.left}
		b.on(at)
		t, err := trial.Run(ctx, *s)
		if err != nil {
			return trials, err
		}
		if b.writer != nil {
			if err := b.writer.Append(t); err != nil {
				return trials, err
			}
		}
		b.done++
		b.left -= e.Total() / time.Duration(len(specs))
		at.Done, at.Left = &t, b.left
		b.on(at)
		trials = append(trials, t)
	}
	return trials, counted(trials)
}

// counted is an error that names the first reason if no trial counts.
func counted(trials []result.Trial) error {
	for i := range trials {
		if trials[i].Counted() {
			return nil
		}
	}
	if len(trials) == 0 {
		return fmt.Errorf("check: the plan has no trial")
	}
	return fmt.Errorf("check: every trial is invalid; the first: %s", trials[0].Reasons[0])
}

func (b *bench) close() error {
	err := os.RemoveAll(b.work)
	if b.writer != nil {
		if e := b.writer.Close(); err == nil {
			err = e
		}
	}
	return err
}
