package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/admin"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/lab/sim"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/lab/yardstick"
)

// What a run measures of its own tools before its first trial.

// calibrationTakes is about how long the calibration of one kind of load takes.
const calibrationTakes = 4 * time.Second

// measureTools measures, once in a run, what sensors cost and what each kind of load
// can do by itself, and tells the trials.
func (s *sitting) measureTools(ctx context.Context, work string) error {
	e := &s.p.env
	if e.Sensors == nil {
		e.Sensors = append(sensor.Costs(s.p.forServer), admin.GoRuntimeInfo(), sim.Info(ctx), sensor.ProbeInfo(ctx))
	}
	known := map[string]float64{}
	for _, c := range e.LoadCapacity {
		known[c.Load] = most(c)
	}
	for _, spec := range calibrations(s.toCome()) {
		kind := kindOfLoad(spec)
		if _, ok := known[kind]; ok {
			continue
		}
		spec.WorkDir = filepath.Join(work, "calibrate")
		s.note("what the load can do by itself: " + kind)
		c, err := trial.Calibrate(ctx, *spec)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.Unavailable = err.Error()
		}
		c.Load = kind
		e.LoadCapacity, known[kind] = append(e.LoadCapacity, c), most(c)
	}
	for i := range s.specs {
		s.specs[i].Capacity = known[kindOfLoad(&s.specs[i])]
	}
	return s.w.WriteEnvironment(*e)
}

// most is the load's capacity in requests/s as trials are told it; 0, unknown, where
// the load may be able to do more than was seen.
func most(c result.LoadCapacity) float64 {
	if c.AtLeast {
		return 0
	}
	return c.PerS
}

// calibrations are copies of trials to come, one for each kind of load; of ours where
// there is one, because they say which port they got.
func calibrations(specs []*trial.Spec) []*trial.Spec {
	var kinds []*trial.Spec
	at := map[string]int{}
	for _, spec := range specs {
		if spec.Program != nil {
			continue
		}
		kind := kindOfLoad(spec)
		i, seen := at[kind]
		switch {
		case !seen:
			at[kind] = len(kinds)
			copied := *spec
			kinds = append(kinds, &copied)
		case foreign(kinds[i]) && !foreign(spec):
			*kinds[i] = *spec
		}
	}
	return kinds
}

func foreign(s *trial.Spec) bool { return s.Foreign != nil || yardstick.Known(s.Model) }

// kindOfLoad says what the load of a trial does for a request: what it can do by itself
// is the same for all trials of one kind.
func kindOfLoad(s *trial.Spec) string {
	parts := []string{s.Workload}
	if s.Mix != (trial.Mix{}) {
		parts = append(parts, fmt.Sprintf("mix %+v", s.Mix))
	}
	parts = append(parts, s.LoadFlags...)
	if s.SiteBytes > 0 {
		parts = append(parts, fmt.Sprintf("of %d bytes", s.SiteBytes))
	}
	if s.Shape.Threads > 1 {
		parts = append(parts, fmt.Sprintf("%d threads", s.Shape.Threads))
	}
	return strings.Join(parts, " ")
}
