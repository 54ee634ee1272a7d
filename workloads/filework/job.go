package filework

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/syslet/syslet/runtime"
)

// Job is the server program of a Config, and what it has measured. Its methods may
// be called on any thread but a shard's.
type Job struct{ cfg Config }

// New checks the configuration. The error names the field.
func New(cfg Config) (*Job, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Job{cfg: cfg}, nil
}

// NewApp makes the App of one shard, which begins as soon as the shard runs.
func (j *Job) NewApp(s *runtime.Shard) (runtime.App, error) { return newApp(j.cfg, s.Index()) }

// Report is what was done while recording.
type Report struct {
	Ops uint64
	// Latency of each op in ns, from just before Submit to its completion.
	Latency *hdrhistogram.Histogram
	// Duration of the recording.
	Duration time.Duration
	// Errors is the number of ops that failed, from the start on; the first ends
	// the work of its shard.
	Errors uint64
}

// Record begins or ends to count and to time, on all shards, soon.
func (j *Job) Record(ctx context.Context, v *runtime.Server, on bool) error {
	return j.each(ctx, v, func(_ *runtime.Shard, a *app) { a.record(on) })
}

// Stop submits nothing any more, waits for what is in flight as long as ctx allows,
// ends the server in good order, and tells what was done. The error is the first
// of an op, too.
func (j *Job) Stop(ctx context.Context, v *runtime.Server) (Report, error) {
	rep := Report{Latency: hdrhistogram.New(1, longestNs, figures)}
	var first error
	err := j.each(ctx, v, func(_ *runtime.Shard, a *app) {
		a.stopped = true
		rep.Ops += a.ops
		rep.Errors += a.errs
		rep.Latency.Merge(a.latency)
		rep.Duration = max(rep.Duration, a.recorded)
		if first == nil {
			first = a.firstErr
		}
	})
	if e := v.Stop(ctx); err == nil {
		err = e
	}
	if first != nil {
		err = first
	}
	return rep, err
}

// each runs fn on one shard after another, on the shard.
func (j *Job) each(ctx context.Context, v *runtime.Server, fn func(s *runtime.Shard, a *app)) error {
	done := make(chan struct{}, 1)
	for _, s := range v.Shards() {
		s.Do(func(s *runtime.Shard) {
			fn(s, s.App().(*app))
			done <- struct{}{}
		})
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("filework: shard %d did not answer: %w", s.Index(), ctx.Err())
		}
	}
	return nil
}
