// Package threadlet is the model in which a request simply runs, in the head's
// own context, with plain blocking calls. If one blocks, it alone goes async:
// its thread keeps it and finishes there, and a standby takes the loop over.
// After Ingo Molnar's syslets and threadlets of 2007, in user space.
package threadlet

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models/internal/poller"
	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/threadlet"
)

// Driver implements runtime.Driver. The embedded poller is the socket half: a
// ring cannot change threads, so the head waits with epoll.
type Driver struct {
	*poller.Poller
	shard *srt.Shard
	pool  *threadlet.Pool
	// bodies[first:] are syslets that a callback has submitted and that run
	// when it has returned: a takeover inside a callback would leave two
	// threads in the application.
	bodies []*srt.Syslet
	first  int
	// announceAll: the detector notices nothing, so whatever may block is
	// announced, needed or not.
	announceAll bool
}

// Values of Syslet.Slot while it waits to run.
const (
	mayBlock  = iota // run it and see
	willBlock        // it has been tried: announce
)

// New makes the driver of s; it is a runtime.DriverFactory.
func New(s *srt.Shard) (srt.Driver, error) {
	p, err := poller.Open(s)
	if err != nil {
		return nil, err
	}
	d := &Driver{Poller: p, shard: s}
	d.pool, err = threadlet.Open(threadlet.Config{
		Name:     fmt.Sprintf("shard%d", s.Index()),
		CPU:      s.CPU(),
		Standbys: s.Options().Standbys,
		Detector: s.Options().Detector,
		Loop:     func() { s.Loop() },
	})
	if err != nil {
		p.Close()
		return nil, err
	}
	// Each thread of the pools has a P: one that comes out of a system call needs
	// it at once, and one that is blocked in a call keeps its own until the
	// scheduler's monitor takes it, up to 10 ms later.
	srt.RaiseProcs(s.Shards()*(1+s.Options().Standbys) + 2)
	name, _ := d.pool.Detector()
	d.announceAll = name == threadlet.DetectorExplicit
	p.BeforeSleep = d.pool.Idle
	return d, nil
}

var probe = sync.OnceValue(func() error {
	_, err := threadlet.Open(threadlet.Config{CPU: -1, Standbys: 1, Loop: func() {}})
	return err
})

// Probe says why this system cannot run the model, or nil. Where perf events
// are refused it runs all the same, with a slower detector: see Detector.
func Probe() error { return probe() }

// Detector names the detector that this system permits, and why that one.
func Detector() (name, why string, err error) {
	p, err := threadlet.Open(threadlet.Config{CPU: -1, Standbys: 1, Loop: func() {}})
	if err != nil {
		return "", "", err
	}
	name, why = p.Detector()
	return name, why, nil
}

// Run runs the loop on the pool's threads, one after another.
func (d *Driver) Run() error {
	defer d.Poller.Close()
	return d.pool.Run()
}

// Turn handles one batch. What is left of it when the thread loses the shard
// is in the poller and in bodies, and the next head goes on there.
func (d *Driver) Turn(timeoutNs int64) (kept bool) {
	if !d.runBodies() {
		return false
	}
	d.Wait(timeoutNs)
	for d.Step() {
		if !d.runBodies() {
			return false
		}
	}
	return d.runBodies()
}

// runBodies runs what the last callback has submitted.
func (d *Driver) runBodies() (kept bool) {
	for d.first < len(d.bodies) {
		y := d.bodies[d.first]
		d.bodies[d.first] = nil
		if d.first++; d.first == len(d.bodies) {
			d.bodies, d.first = d.bodies[:0], 0
		}
		if !d.run(y) {
			return false
		}
	}
	return true
}

// run runs one syslet here. Between Enter and Leave the thread may lose the
// shard, so it touches nothing but y and the pool.
func (d *Driver) run(y *srt.Syslet) (kept bool) {
	announce := y.Slot == willBlock
	ticket := d.pool.Enter()
	switch {
	case y.Cancelled():
		y.Abort(unix.ECANCELED)
	case announce:
		d.pool.HandOver(ticket) // at the bound it says no, and the call is made all the same
		y.RunBlocking()
	default:
		y.RunBlocking()
	}
	if d.pool.Leave(ticket) {
		d.shard.Finish(y)
		return true
	}
	d.shard.FinishFrom(y)
	return false
}

// Submit runs y as far as it goes without blocking, now; the rest runs in
// place when the callback has returned.
func (d *Driver) Submit(y *srt.Syslet) srt.Outcome {
	if y.RunNonblocking() {
		return srt.Completed
	}
	y.Slot = mayBlock
	if d.announceAll || surelyBlocks(y.Op()) {
		y.Slot = willBlock
	}
	d.bodies = append(d.bodies, y)
	return srt.Queued
}

// surelyBlocks are ops of which we know at this point: their nonblocking form
// was just refused, or they wait for a device or the clock by definition. An
// announced takeover costs less than a detected one.
func surelyBlocks(op *srt.Op) bool {
	if op.Flags&(srt.Async|srt.Direct) != 0 {
		return true
	}
	switch op.Code {
	case srt.OpSleep, srt.OpRecv, srt.OpSend, srt.OpAccept, srt.OpPoll:
		return true
	}
	return false
}

// Cancel: a call that a thread has begun goes on to its end.
func (d *Driver) Cancel(*srt.Syslet) {}

// ReadStats adds the driver's counters.
func (d *Driver) ReadStats(st *srt.Stats) {
	d.Poller.ReadStats(st)
	ps := d.pool.Stats()
	st.TakeoversAnnounced += ps.Announced()
	st.TakeoversDetected += ps.Detected()
	st.TakeoversAtBound += ps.AtBound + ps.AtBoundAnnounced
	st.TakeoverFalseAlarms += ps.FalseAlarms
	st.TakeoversBySwitch += ps.Takeovers[threadlet.BySwitch]
	st.TakeoversByTimer += ps.Takeovers[threadlet.ByTimer]
	st.TakeoversByBackstop += ps.Takeovers[threadlet.ByBackstop]
	st.TakeoversByReturn += ps.Takeovers[threadlet.ByReturn]
	announced, detected := ps.LatencyNs[threadlet.Announced], ps.LatencyNs[threadlet.BySwitch]
	st.AnnouncedP50Ns, st.AnnouncedP99Ns = quantiles(&announced)
	st.DetectedP50Ns, st.DetectedP99Ns = quantiles(&detected)
}

func quantiles(h *threadlet.Histogram) (p50, p99 uint64) {
	return uint64(h.QuantileNs(0.5)), uint64(h.QuantileNs(0.99))
}
