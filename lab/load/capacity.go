package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/workloads/script"
)

// CalibrateConfig is what Calibrate is told.
type CalibrateConfig struct {
	Workload string
	Load     script.Load
	// Target is a server of the workload, "host:port": of its answers a peer is made,
	// which gives the same with next to no work. It is asked for two seconds at most.
	Target string
	// CPUs are the load's, PeerCPUs those of the peer: the server's of a trial. Empty
	// leaves the threads alone.
	CPUs, PeerCPUs []int
	// Threads of the load; default 1.
	Threads int
	// Conns is the number of connections; default 100.
	Conns int
	// For is how long each of the two measurements takes; default 1 s.
	For time.Duration
	// PacingRate is the rate at which pacing is looked at, in requests/s; default
	// 20,000, and half of the capacity where that is less.
	PacingRate float64
}

const (
	defaultCalibrateConns = 100
	defaultPacingRate     = 20_000
	// peerIdleLeast: a peer with less time to spare may itself have been the limit.
	peerIdleLeast = 0.02
)

// Calibrate measures how many requests of this script the load can make by itself:
// one request open on each connection (so that none is sent or received along with
// others), against a peer that does next to nothing. Where that peer had no time to
// spare the figure is what both could do together: LoadCapacity.AtLeast.
//
// A script that cannot be calibrated gives a LoadCapacity that says why; the error is
// for what else went wrong.
func Calibrate(ctx context.Context, cfg CalibrateConfig) (result.LoadCapacity, error) {
	cfg = cfg.withDefaults()
	c := result.LoadCapacity{Workload: cfg.Workload, Threads: cfg.Threads}
	if cfg.Load == nil {
		return c, errors.New("load: CalibrateConfig.Load is nil: there is nothing to ask")
	}
	if _, ok := cfg.Load.(script.Deliverer); ok {
		c.Unavailable = "the load of a fan-out is bounded by what it receives, not by what it asks"
		return c, nil
	}
	recorded, err := record(ctx, cfg.Load, cfg.Target)
	if err != nil {
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		c.Unavailable = err.Error()
		return c, nil
	}
	defer raiseProcs(cfg.Threads + max(1, len(cfg.PeerCPUs)))()
	p, err := newPeer(recorded, cfg.PeerCPUs)
	if err != nil {
		return c, err
	}
	err = cfg.against(ctx, p, recorded, &c)
	return c, errors.Join(err, p.stop())
}

func (c CalibrateConfig) withDefaults() CalibrateConfig {
	c.Threads = max(c.Threads, 1)
	if c.Conns == 0 {
		c.Conns = max(defaultCalibrateConns, c.Threads)
	}
	if c.For == 0 {
		c.For = time.Second
	}
	if c.PacingRate == 0 {
		c.PacingRate = defaultPacingRate
	}
	return c
}

// against measures throughput, and then pacing.
func (c *CalibrateConfig) against(ctx context.Context, p *peer, of *recording, out *result.LoadCapacity) error {
	cfg := Config{Target: p.target, Conns: c.Conns, Mode: Closed, Warmup: c.For / 5, Duration: c.For, Drain: time.Second,
		Load: repeated{c.Load, of}, CPUs: c.CPUs, Shape: Shape{Threads: c.Threads}}
	idle := 0.0
	cfg.OnPhase = func(ph Phase) {
		if ph.Name == PhaseMeasure || ph.Name == PhaseDrain {
			idle = p.idle()
		}
	}
	r, err := Run(ctx, cfg)
	if err != nil {
		return err
	}
	if n := r.Counts.Errors(); n > 0 {
		out.Unavailable = fmt.Sprintf("of %d answers that were recorded and given again %d were errors: %s", r.Counts.Intended, n, r.LastFailure)
		return nil
	}
	out.PerS, out.PeerIdle, out.AtLeast = r.Throughput, idle, idle < peerIdleLeast
	busy := 0.0
	for _, t := range append(r.Threads, r.Self)[:max(1, len(r.Threads))] {
		if t.Busy > 0 {
			busy += t.RatePerS / t.Busy
		}
	}
	out.ByBusyTimePerS = busy
	cfg.Mode, cfg.OnPhase, cfg.Rate = Open, nil, min(c.PacingRate, r.Throughput/2)
	if r, err = Run(ctx, cfg); err != nil {
		return err
	}
	out.PacingRate, out.PacingP99Us = cfg.Rate, r.Self.Pacing.P99Us
	return nil
}
