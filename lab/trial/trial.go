package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/admin"
	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/lab/validity"
	"github.com/syslet/syslet/runtime"
)

// Run runs the trial. The error is for what makes going on senseless (ctx ended,
// no process can be started); everything else is a trial with the verdict
// invalid and the reason.
func Run(ctx context.Context, spec Spec) (result.Trial, error) {
	r := run{spec: spec, out: result.Trial{
		ID:         spec.ID(),
		Experiment: spec.Experiment, Workload: spec.Workload, Model: spec.Model, Round: spec.Round, Seed: spec.Seed,
		Factors: spec.Factors, Start: time.Now(), Metrics: map[string]result.Metric{}, Distributions: map[string][]result.Point{},
	}}
	err := r.run(ctx)
	if ctx.Err() != nil {
		return r.out, ctx.Err()
	}
	r.judge(err)
	return r.out, nil
}

// judge gives the verdict. A trial that failed is invalid for that, and for what was
// found until then.
func (r *run) judge(failure error) {
	if failure != nil {
		r.out.Verdict, r.out.Reasons = result.Invalid, append(r.out.Reasons, failure.Error())
		if r.evidence.Report == nil {
			r.out.Reasons = append(r.out.Reasons, r.evidence.Flaws...)
			return
		}
	}
	verdict, why, notes := validity.Judge(r.evidence)
	if failure == nil {
		r.out.Verdict = verdict
	}
	r.out.Reasons, r.out.Notes = append(r.out.Reasons, why...), append(r.out.Notes, notes...)
}

// run is a trial while it runs.
type run struct {
	spec     Spec
	out      result.Trial
	server   *server
	sensors  *sensor.Set
	before   admin.Snapshot
	after    admin.Snapshot
	blocks   runtime.BlockReport // when the window began
	readings []sensor.Reading
	count    tailCount
	cache    result.Metric
	levels   map[string]result.Metric // of the cache probe
	evidence validity.Evidence
}

func (r *run) run(ctx context.Context) (err error) {
	if err := os.MkdirAll(r.spec.WorkDir, 0o755); err != nil {
		return fmt.Errorf("cannot make the work folder: %w", err)
	}
	defer os.RemoveAll(r.spec.WorkDir)
	if err := r.spec.writeSite(); err != nil {
		return err
	}
	if r.spec.Program != nil {
		return r.runProgram(ctx)
	}
	r.out.Command = result.Command{Server: r.spec.serverArgs(), Load: r.spec.loadArgs("TARGET")}
	if r.server, err = r.startServer(ctx); err != nil {
		return err
	}
	r.out.Command.Server = r.server.argv
	defer func() { err = r.endServer(err) }()
	if r.spec.Idle != nil {
		held, err := r.holdIdle(ctx)
		if err != nil {
			return err
		}
		defer r.letIdleGo(held)
	}
	r.sensors = sensor.ForProcess(sensor.Target{PID: r.server.ready.PID, ServerCPUs: r.spec.ServerCPUs, LoadCPUs: r.spec.LoadCPUs})
	defer r.sensors.Close()
	defer r.closeCount()
	rep, err := r.drive(ctx, r.spec.loadArgs(r.server.ready.Listen), r.onPhase)
	if err != nil {
		return err
	}
	r.fill(rep)
	r.closeCount() // while it is open, a switch of threads costs more
	if r.spec.Saturate > 0 {
		if err := r.saturate(ctx); err != nil {
			return err
		}
	}
	if r.spec.SLO != nil {
		return r.searchSLO(ctx)
	}
	return nil
}

func (r *run) startServer(ctx context.Context) (*server, error) {
	if r.spec.Foreign != nil {
		return r.spec.startForeign(ctx)
	}
	return startServer(r.spec.serverArgs(), r.spec.ServerCPUs)
}

// drive runs a load process to its end.
func (r *run) drive(ctx context.Context, argv []string, onPhase func(context.Context, load.Phase)) (*load.Report, error) {
	var rep *load.Report
	err := r.eachLine(ctx, argv, func(l *LoadLine) {
		if l.Phase != nil {
			onPhase(ctx, *l.Phase)
		}
		if l.Report != nil {
			rep = l.Report
		}
	})
	if err != nil {
		return nil, err
	}
	if rep == nil {
		return nil, errors.New("the load ended without a report")
	}
	return rep, nil
}

// onPhase reads the sensors directly before the window and after it: asking costs the
// server some milliseconds, in which requests wait. What the sensors count is divided by
// the answers from the first reading on.
func (r *run) onPhase(ctx context.Context, p load.Phase) {
	var err error
	switch p.Name {
	case load.PhaseWarmup:
		if r.spec.ProbeFor == 0 {
			sleep(ctx, r.spec.Warmup/2)
			r.blocksBefore(ctx) // a long answer, made on the loop's CPU: not in the window
		}
	case load.PhaseProbe:
		r.runProbe(ctx)
		r.blocksBefore(ctx)
	case load.PhaseRead:
		r.before, err = r.server.snapshot(ctx)
		r.sensors.Start()
	case load.PhaseMeasure:
		r.out.Start = p.Start
	case load.PhaseTail:
		err = r.windowEnds(ctx)
		r.startCount()
	case load.PhaseDrain:
		if r.spec.CountFor > 0 {
			r.stopCount(p.Start)
			return
		}
		err = r.windowEnds(ctx)
	}
	if err != nil {
		r.evidence.Flaws = append(r.evidence.Flaws, "counters of the server: "+err.Error())
	}
}

// windowEnds reads what the window has cost.
func (r *run) windowEnds(ctx context.Context) (err error) {
	var notes []string
	r.readings, notes = r.sensors.Stop()
	for _, note := range notes {
		switch { // others say only where a count began
		case strings.Contains(note, "not counted"):
			r.evidence.Flaws = append(r.evidence.Flaws, note)
		case strings.Contains(note, "scaled up"):
			r.out.Notes = append(r.out.Notes, note)
		}
	}
	r.after, err = r.server.snapshot(ctx)
	r.blocksAfter(ctx)
	return err
}

// runProbe has the cache probe sample in the load's phase for it.
func (r *run) runProbe(ctx context.Context) {
	if _, err := r.server.probe(ctx, "start"); err != nil {
		r.cache = result.Missing(err.Error(), "1", result.SourceProbe)
		return
	}
	sleep(ctx, r.spec.ProbeFor)
	res, err := r.server.probe(ctx, "stop")
	if err != nil {
		r.cache = result.Missing(err.Error(), "1", result.SourceProbe)
		return
	}
	r.cache, r.levels = res.Metric(), res.Metrics()
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
