package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/syslet/syslet/lab/result"
)

// Calibrate measures what the load can do by itself on LoadCPUs with the spec's
// workload: it starts the spec's server, of which answers are recorded, and a load
// process that asks a peer on ServerCPUs, which gives them again. About five seconds.
// The error is for what could not be started; a workload that cannot be calibrated
// gives a LoadCapacity that says why.
func Calibrate(ctx context.Context, spec Spec) (c result.LoadCapacity, err error) {
	c.Workload = spec.Workload
	if spec.Program != nil {
		c.Unavailable = "its trials are programs that measure themselves"
		return c, nil
	}
	r := run{spec: spec}
	if err := os.MkdirAll(spec.WorkDir, 0o755); err != nil {
		return c, fmt.Errorf("cannot make the work folder: %w", err)
	}
	defer os.RemoveAll(spec.WorkDir)
	if err := spec.writeSite(); err != nil {
		return c, err
	}
	if r.server, err = r.startServer(ctx); err != nil {
		return c, err
	}
	defer r.server.end()
	argv := append(spec.loadBase(r.server.ready.Listen), "--calibrate", "--threads", strconv.Itoa(max(1, spec.Shape.Threads)))
	if len(spec.ServerCPUs) > 0 {
		argv = append(argv, "--peer-cpus", CPUList(spec.ServerCPUs))
	}
	found := false
	err = r.eachLine(ctx, argv, func(l *LoadLine) {
		if l.Capacity != nil {
			c, found = *l.Capacity, true
		}
	})
	if err == nil && !found {
		err = errors.New("the load ended without its capacity")
	}
	return c, err
}
