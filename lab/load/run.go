package load

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Run connects, drives the server through warm-up, window and drain, closes every
// connection and reports. It may be called from any goroutine and returns when all
// that it started has ended.
//
// Errors: a Config that makes no sense; a target that cannot be reached, or
// connections that are not ready in time (no report then); the context's error
// or the loss of every connection in mid-run (with the report of what was
// measured until then). Single lost connections are counted and no error.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	l, err := newLoop(cfg)
	if err != nil {
		return nil, err
	}
	defer l.poll.close()
	defer raiseProcs()()
	stop := context.AfterFunc(ctx, func() { l.stopped.Store(true) })
	defer stop()

	var watchers sync.WaitGroup
	watchers.Go(func() {
		for p := range l.phases {
			if cfg.OnPhase != nil {
				cfg.OnPhase(p)
			}
		}
	})
	finished := make(chan struct{})
	if cfg.OnProgress != nil {
		watchers.Go(func() { l.showProgress(cfg.OnProgress, finished) })
	}

	var report *Report
	over := make(chan struct{})
	go func() {
		defer close(over)
		report, err = l.run()
	}()
	<-over
	close(l.phases)
	close(finished)
	watchers.Wait()
	if ctx.Err() != nil && (report == nil || l.cut) {
		err = fmt.Errorf("load: %w", ctx.Err())
	}
	return report, err
}

func (l *loop) showProgress(show func(Progress), finished <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			show(l.shown.progress())
		case <-finished:
			return
		}
	}
}

// newLoop makes everything that the run needs, so that it need not allocate.
func newLoop(cfg Config) (*loop, error) {
	address, family, err := resolve(cfg.Target)
	if err != nil {
		return nil, err
	}
	poll, err := newPoller()
	if err != nil {
		return nil, err
	}
	window := cfg.Load.Window()
	l := &loop{
		cfg: cfg, base: time.Now(), poll: poll, address: address, family: family,
		conns: make([]conn, cfg.Conns), alive: make([]int32, 0, cfg.Conns),
		arrivals: newArrivals(cfg.Seed, max(cfg.Rate, 1)),
		backlog:  newBacklog(1 << 14),
		rec:      newRecorder(len(cfg.Load.Kinds())),
		usage:    newUsageReader(),
		scratch:  make([]byte, scratchBytes),
		tags:     make([]uint32, 0, window),
		phases:   make(chan Phase, 8), // room for all six
	}
	slots := make([]slot, window*cfg.Conns)
	for i := range l.conns {
		c := &l.conns[i]
		*c = conn{client: cfg.Load.Client(i, cfg.Seed), fd: -1, number: int32(i), held: emptyQueue()}
		c.slots, slots = slots[:window:window], slots[window:]
	}
	return l, nil
}

// run is the loop's thread from begin to end. The thread is never unlocked: it
// ends with the goroutine, and with it its pinning and timer slack.
func (l *loop) run() (*Report, error) {
	runtime.LockOSThread()
	defer l.closeAll()
	if err := prepareThread(l.cfg.CPUs); err != nil {
		return nil, err
	}
	l.enter(PhaseConnect, l.now())
	if err := l.connectAll(); err != nil {
		return nil, err
	}
	err := l.traffic()
	l.enter(PhaseDone, l.now())
	l.settle()
	return l.report(), err
}

func (l *loop) closeAll() {
	for i := range l.conns {
		if c := &l.conns[i]; c.stage != stageNew && c.stage != stageGone {
			unix.Close(c.fd)
			c.stage = stageGone
		}
	}
}
