package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
)

// Run runs the trials that are to come, in the order of the plan. When ctx ends,
// what is finished stays, and ctx's error is returned: Resume goes on with the rest.
func (p *Prepared) Run(ctx context.Context) error {
	if !p.made {
		if err := p.Make(ctx); err != nil {
			return err
		}
	}
	s, err := p.open()
	if err != nil {
		p.Close()
		return err
	}
	return s.close(s.run(ctx))
}

// sitting is a run while it goes on.
type sitting struct {
	p *Prepared
	*schedule
	w     *result.Writer
	began time.Time
	// before is what earlier sittings took.
	before time.Duration
}

// open makes the folder ready: for a new run the plan is in it before anything else
// of the run.
func (p *Prepared) open() (*sitting, error) {
	s := &sitting{p: p, began: time.Now(), schedule: newSchedule(p.specs, p.env.Plan, p.opts.Stopping)}
	if p.resumed {
		return s, s.reopen()
	}
	if err := os.MkdirAll(p.opts.Out, 0o755); err != nil {
		return nil, fmt.Errorf("create run folder (--out): %w", err)
	}
	var err error
	if p.lock, err = takeLock(p.opts.Out); err != nil {
		return nil, err
	}
	if s.w, err = result.Create(p.opts.Out); err != nil {
		return nil, err
	}
	if err := identify(&p.env, p.opts.Binary); err != nil {
		return nil, errors.Join(err, s.w.Close())
	}
	p.env.Start = s.began
	// The environment first: a folder with a plan can be resumed.
	if err := errors.Join(s.begin(), writePlan(p.opts.Out, p.opts.Seed, p.specs)); err != nil {
		return nil, errors.Join(err, s.w.Close())
	}
	return s, nil
}

// reopen takes up what earlier sittings left.
func (s *sitting) reopen() error {
	w, trials, warnings, err := result.Reopen(s.p.opts.Out)
	if err != nil {
		return err
	}
	s.w = w
	for i := range trials {
		s.finish(&trials[i])
	}
	for _, earlier := range s.p.env.Sittings {
		s.before += earlier.End.Sub(earlier.Start)
	}
	for _, warning := range warnings {
		s.note(warning)
	}
	if err := s.begin(); err != nil {
		return errors.Join(err, w.Close())
	}
	return nil
}

func (s *sitting) begin() error {
	s.p.env.Sittings = append(s.p.env.Sittings, result.Sitting{Start: s.began})
	return s.w.WriteEnvironment(s.p.env)
}

// close says how the sitting ended, and returns err with what went wrong in saying so.
func (s *sitting) close(err error) error {
	now := &s.p.env.Sittings[len(s.p.env.Sittings)-1]
	now.End, now.Ended = time.Now(), result.SittingFinished
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		now.Ended = result.SittingInterrupted
	case err != nil:
		now.Ended = err.Error()
	}
	err = errors.Join(err, s.w.WriteEnvironment(s.p.env), s.w.Close())
	s.p.Close()
	return err
}

func (s *sitting) run(ctx context.Context) error {
	work := filepath.Join(s.p.opts.Out, workDir)
	if err := os.RemoveAll(work); err != nil { // a sitting that was killed left it
		return fmt.Errorf("lab: remove the work folder of an earlier sitting: %w", err)
	}
	defer os.RemoveAll(work)
	if err := s.prepareTrials(ctx, work); err != nil {
		return err
	}
	if err := s.measureTools(ctx, work); err != nil {
		return err
	}
	for {
		if err := s.stopEarly(s.stopForPrecision()); err != nil {
			return err
		}
		i := s.next()
		if i < 0 {
			return nil
		}
		if notes := s.stopForBudget(i, s.spent()); len(notes) > 0 {
			if err := s.stopEarly(notes); err != nil {
				return err
			}
			continue
		}
		if err := s.runTrial(ctx, &s.specs[i]); err != nil {
			return err
		}
	}
}

// prepareTrials makes what the trials to come need.
func (s *sitting) prepareTrials(ctx context.Context, work string) error {
	specs := s.toCome()
	if len(specs) == 0 {
		return nil
	}
	if s.p.resumed {
		if err := s.p.makeAgain(ctx); err != nil {
			return err
		}
	}
	if err := makeDiskFile(specs, work, s.p.opts.Seed); err != nil {
		return err
	}
	if err := makeLedger(specs, work); err != nil {
		return err
	}
	return s.p.bringIn(ctx)
}

func (s *sitting) runTrial(ctx context.Context, spec *trial.Spec) error {
	s.tell(spec, nil)
	start := time.Now()
	t, err := trial.Run(ctx, *spec)
	if err != nil {
		return err
	}
	t.ElapsedS = time.Since(start).Seconds()
	if err := s.w.Append(t); err != nil {
		return err
	}
	s.p.env.Sittings[len(s.p.env.Sittings)-1].Trials++
	s.finish(&t)
	s.tell(spec, &t)
	return nil
}

// stopEarly writes down which experiments were stopped, before the next trial: a
// run that is resumed must not begin them again.
func (s *sitting) stopEarly(notes []string) error {
	if len(notes) == 0 {
		return nil
	}
	for _, n := range notes {
		s.note(n)
	}
	return s.w.WriteEnvironment(s.p.env)
}

func (s *sitting) spent() time.Duration { return s.before + time.Since(s.began) }

func (s *sitting) tell(spec *trial.Spec, done *result.Trial) {
	if s.p.opts.On == nil {
		return
	}
	n, of := s.counts()
	if done == nil {
		n++
	}
	_, rounds := s.wholeRounds(spec.Experiment)
	s.p.opts.On(Event{Trial: n, Of: of, Rounds: rounds, Spec: spec, Done: done, Left: s.left(s.spent())})
}

func (s *sitting) note(text string) {
	if s.p.opts.On != nil {
		s.p.opts.On(Event{Note: text})
	}
}
