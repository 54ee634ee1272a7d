package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
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
	report, _, err := run(ctx, cfg)
	return report, err
}

// run also gives the histogram of all latencies, where there is a report.
func run(ctx context.Context, cfg Config) (*Report, *hdrhistogram.Histogram, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, nil, err
	}
	loops, err := newLoops(cfg)
	if err != nil {
		return nil, nil, err
	}
	defer closePollers(loops)
	defer raiseProcs(len(loops))()
	lead, shared := loops[0], loops[0].shared
	stop := context.AfterFunc(ctx, func() { shared.stopped.Store(true) })
	defer stop()

	var watchers sync.WaitGroup
	watchers.Go(func() {
		for p := range lead.phases {
			if cfg.OnPhase != nil {
				cfg.OnPhase(p)
			}
		}
	})
	finished := make(chan struct{})
	if cfg.OnProgress != nil {
		watchers.Go(func() { showProgress(loops, cfg.OnProgress, finished) })
	}

	var threads sync.WaitGroup
	failures := make([]error, len(loops))
	for i, l := range loops {
		threads.Go(func() {
			if failures[i] = l.run(); failures[i] != nil {
				shared.stopped.Store(true)
			}
		})
	}
	threads.Wait()
	close(lead.phases)
	close(finished)
	watchers.Wait()
	err = errors.Join(failures...)
	var report *Report
	var latencies *hdrhistogram.Histogram
	if shared.warmNs.Load() > 0 {
		report, latencies = newReport(loops)
	}
	if ctx.Err() != nil && (report == nil || report.Interrupted) {
		err = fmt.Errorf("load: %w", ctx.Err())
	}
	return report, latencies, err
}

func showProgress(loops []*loop, show func(Progress), finished <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			show(progress(loops))
		case <-finished:
			return
		}
	}
}

func closePollers(loops []*loop) {
	for _, l := range loops {
		l.poll.close()
	}
}

// newLoops makes the load's threads.
func newLoops(cfg Config) ([]*loop, error) {
	shared := &schedule{}
	loops := make([]*loop, cfg.Shape.Threads)
	for i := range loops {
		address, family, err := resolve(cfg.Target) // each its own: x/sys writes into it
		if err != nil {
			closePollers(loops[:i])
			return nil, err
		}
		poll, err := newPoller()
		if err != nil {
			closePollers(loops[:i])
			return nil, err
		}
		loops[i] = newLoop(cfg, share{i, len(loops)}, shared, poll)
		loops[i].address, loops[i].family = address, family
		shared.warm = append(shared.warm, loops[i].warm)
	}
	loops[0].phases = make(chan Phase, 8) // room for all seven
	shared.base = time.Now()
	return loops, nil
}

// newLoop makes everything that the run needs, so that it need not allocate.
func newLoop(cfg Config, s share, shared *schedule, poll *poller) *loop {
	window, own, storms := cfg.Load.Window(), s.of(cfg.Conns), s.of(cfg.Shape.StormConns)
	l := &loop{
		cfg: cfg, share: s, shared: shared, poll: poll,
		conns: make([]conn, own+storms), own: own, alive: make([]int32, 0, own),
		arrivals:   shapedArrivals(&cfg, s),
		backlog:    newBacklog(1 << 14),
		rec:        newRecorder(len(cfg.Load.Kinds())),
		usage:      newUsageReader(),
		requests:   newRequestLog(s.of(cfg.Requests)),
		reconnects: newReconnects(cfg.Shape.ReconnectPerS / float64(s.threads)),
		storm:      newStorm(storms, int64(cfg.Shape.StormAt)),
		times:      undecided(),
		warm:       newSeries(warmKept),
		window:     newSeries(cfg.Slices + 1),
		scratch:    make([]byte, scratchBytes),
		tags:       make([]uint32, 0, window),
	}
	l.rec.timeoutNs = int64(cfg.Shape.Timeout)
	slots, slow := make([]slot, window*own), 0
	for i := range l.conns {
		c := &l.conns[i]
		*c = conn{fd: -1, number: int32(i), index: int32(i*s.threads + s.thread), held: emptyQueue(), place: none}
		if i < own {
			c.slots, slots = slots[:window:window], slots[window:]
			c.slow = cfg.Shape.slow(int(c.index))
		} else {
			c.index = int32(cfg.Conns + (i-own)*s.threads + s.thread)
			c.timing = l.storm.times
		}
		if c.slow {
			slow++
		}
		c.client = cfg.Load.Client(int(c.index), cfg.Seed)
	}
	l.slow = newSlowReaders(cfg.Shape.SlowBytesPerS, slow)
	return l
}

// cpus are those of this thread: one of its own if there are enough for several.
func (l *loop) cpus() []int {
	if all := l.cfg.CPUs; l.share.threads > 1 && len(all) >= l.share.threads {
		return all[l.share.thread : l.share.thread+1]
	}
	return l.cfg.CPUs
}

// run is a thread from begin to end. The thread is never unlocked: it ends with the
// goroutine, and with it its pinning and timer slack.
func (l *loop) run() error {
	runtime.LockOSThread()
	defer l.closeAll()
	if err := prepareThread(l.cpus()); err != nil {
		return err
	}
	l.enter(PhaseConnect, l.now())
	if err := l.connectAll(); err != nil {
		return err
	}
	err := l.traffic()
	l.enter(PhaseDone, l.now())
	l.settle()
	l.self = l.ownFigures()
	return err
}

func (l *loop) closeAll() {
	for i := range l.conns {
		if c := &l.conns[i]; c.stage != stageNew && c.stage != stageGone {
			unix.Close(c.fd)
			c.stage = stageGone
		}
	}
}
