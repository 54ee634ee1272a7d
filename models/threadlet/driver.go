// Package threadlet is the model in which a request simply runs, in the head's
// own context, with plain blocking calls. If one blocks, it alone goes async:
// its thread keeps it and finishes there, and a standby takes the loop over.
// After Ingo Molnar's syslets and threadlets of 2007, in user space.
package threadlet

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models/internal/poller"
	"github.com/syslet/syslet/models/internal/queue"
	"github.com/syslet/syslet/models/internal/waits"
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
	// backlog are those of them that would have been announced when no standby
	// was free. A thread that comes home runs them, as a helper would.
	backlog *queue.Queue
	// waits are those that wait for a peer or the clock when standbys are few:
	// see waitsInLoop.
	waits *waits.Waits
	// announceAll: the detector notices nothing, so whatever may block is
	// announced, needed or not.
	announceAll bool
	strategy    srt.Strategy
	// wakesAtNs is when the head's wait ends at the latest; negative: never. A visitor
	// reads it (visit.go).
	wakesAtNs int64
	// procsFor is the number of threads with a body for which GOMAXPROCS has been
	// raised. On the head only.
	procsFor int
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
	d := &Driver{Poller: p, shard: s, backlog: queue.New(s), procsFor: procsAtFirst}
	d.waits = waits.New(p, s, d.waited)
	d.pool, err = threadlet.Open(threadlet.Config{
		Name:     fmt.Sprintf("shard%d", s.Index()),
		CPU:      s.CPU(),
		Standbys: s.Options().Standbys,
		Detector: s.Options().Detector,
		Overrun:  max(s.Options().Overrun, 0),
		Loop:     func() { s.Loop() },
		Spare:    d.runBacklog,
		HasSpare: func() bool { return !d.backlog.Empty() },
	})
	if err != nil {
		p.Close()
		return nil, err
	}
	name, _ := d.pool.Detector()
	d.announceAll = name == threadlet.DetectorExplicit
	d.strategy = s.Options().Strategy
	if d.announceAll {
		d.strategy = srt.StrategyTry // there is nothing to detect with
	}
	p.BeforeSleep, p.AfterSleep = d.pool.Park, d.pool.Unpark
	return d, nil
}

var probe = sync.OnceValue(func() error { return Refused(threadlet.DetectorAuto, -1) })

// Probe says why this system cannot run the model, or nil. Where perf events
// are refused it runs all the same, with a slower detector: see Detectors.
func Probe() error { return probe() }

// Detectors says of each detector of unannounced blocks, best first, whether a
// shard on that CPU (-1: not bound) could have it. Unless told otherwise a shard
// takes the first that is not refused.
func Detectors(cpu int) []threadlet.Candidate { return threadlet.Candidates(cpu) }

// Refused says why a shard on that CPU cannot have the detector, or nil.
func Refused(detector string, cpu int) error {
	_, err := threadlet.Open(threadlet.Config{CPU: cpu, Standbys: 1, Detector: detector, Loop: func() {}})
	return err
}

// Run runs the loop on the pool's threads, one after another.
func (d *Driver) Run() error {
	defer d.Poller.Close()
	defer d.waits.Close()
	return d.pool.Run()
}

// Turn handles one batch. What is left of it when the thread loses the shard
// is in the poller and in bodies, and the next head goes on there.
func (d *Driver) Turn(timeoutNs int64) (kept bool) {
	d.wakesAtNs = -1
	if timeoutNs >= 0 {
		d.wakesAtNs = d.shard.NowNs() + timeoutNs
	}
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

// procsAtFirst is the number of busy standbys that get by with what the server has set.
const procsAtFirst = 2

// mayRaiseProcs gives standbys a P each once many have a body: a thread that comes out
// of a blocking call needs one at once. Not before: the garbage collector takes as
// many threads as there are Ps. In a goroutine of its own, since it waits for a
// collection to end.
func (d *Driver) mayRaiseProcs() {
	most := d.shard.Options().Standbys
	if d.procsFor >= most || most-d.pool.Free() < d.procsFor {
		return
	}
	d.procsFor = min(2*d.procsFor, d.shard.Options().Standbys)
	go srt.RaiseProcs(d.shard.Shards()*(1+d.procsFor) + 2)
}

// run runs one syslet here.
func (d *Driver) run(y *srt.Syslet) (kept bool) {
	d.mayRaiseProcs()
	if y.Slot == willBlock || d.waitsInLoop(y.Op()) {
		return d.offer(y)
	}
	if y.Cancelled() {
		y.Abort(unix.ECANCELED)
		d.shard.Finish(y)
		return true
	}
	if y.CallsGo() {
		return d.runCalls(y)
	}
	ticket := d.pool.Enter()
	// From here to Leave the thread may lose the shard: it touches y and the pool only.
	d.runBody(y, ticket)
	return d.leave(y, ticket)
}

// runCalls is run for a program with Go functions in it: they may compute for
// long, and they may end their goroutine (runtime.Goexit), so that only a
// deferred call is sure to be made.
func (d *Driver) runCalls(y *srt.Syslet) (kept bool) {
	ticket := d.pool.EnterLong()
	defer func() { kept = d.leave(y, ticket) }()
	d.runBody(y, ticket)
	return false
}

// leave ends the body of y.
func (d *Driver) leave(y *srt.Syslet, ticket threadlet.Ticket) (kept bool) {
	if !d.pool.Leave(ticket) {
		if y.CallsGo() {
			d.shard.FinishFrom(y)
		} else {
			d.runAlone(d.handIn(y))
		}
		return false
	}
	op, _ := y.Last()
	d.shard.BodyRan(y, op, 0)
	d.goOn(y)
	return true
}

// goOn finishes y, or goes on with it if it has not ended.
func (d *Driver) goOn(y *srt.Syslet) {
	if y.Op() == nil || d.Submit(y) == srt.Completed {
		d.shard.Finish(y)
	}
}

// runBody makes the calls of y one after another: those that the strategy tries
// are tried and, if refused, announced; any other is just made, and the detector
// sees to it. Once the shard is lost nothing needs to be tried. An op that waits
// for others, but the first, goes back to the loop.
func (d *Driver) runBody(y *srt.Syslet, ticket threadlet.Ticket) {
	for first := true; y.Op() != nil && (first || !waits.ForOthers(y.Op())); first = false {
		owned := d.pool.Owns(ticket)
		if owned && !first && d.tries(y.Op()) && (y.RunNonblocking() || waits.ForOthers(y.Op())) { // the first was tried before
			return
		}
		if owned && d.announces(y, y.Op()) {
			d.pool.HandOver(ticket) // at the bound it says no, and the call is made all the same
		}
		op := y.PC()
		res := y.Exec()
		if owned && !d.pool.Owns(ticket) {
			d.shard.BookBlock(y, op, int64(d.pool.SinceLost(ticket)))
		}
		y.Apply(res)
	}
}

// offer gives the shard to a standby and runs y, which will block, alone. At
// the bound y waits for a thread that comes home, and the loop goes on.
func (d *Driver) offer(y *srt.Syslet) (kept bool) {
	for y != nil {
		if y.Cancelled() {
			y.Abort(unix.ECANCELED)
			d.shard.Finish(y)
			return true
		}
		if d.waitsInLoop(y.Op()) {
			if !d.waits.Add(y) { // it did not have to wait, or cannot
				d.goOn(y)
			}
			return true
		}
		if d.pool.Offer() {
			d.runOffered(y)
			return false
		}
		d.backlog.Push(y)
		if d.pool.Free() == 0 || d.pool.Stopping() {
			return true // who comes home looks at the backlog
		}
		y = d.backlog.Pop()
	}
	return true
}

// waited goes on with y when its wait in the loop is over. It need not wait now,
// so it is tried whatever the strategy.
func (d *Driver) waited(y *srt.Syslet) srt.Outcome {
	if y.RunNonblocking() {
		return srt.Completed
	}
	return d.Submit(y)
}

// waitsInLoop: half of the standbys are kept for what ends by itself. An op that
// waits for others may do so for ever.
func (d *Driver) waitsInLoop(op *srt.Op) bool {
	return waits.ForOthers(op) && d.pool.Free() <= (d.shard.Options().Standbys+1)/2
}

// runOffered runs y on a thread that was head and has offered the shard for its
// sake: its first op is a block of a head.
func (d *Driver) runOffered(y *srt.Syslet) {
	if y.CallsGo() {
		defer d.shard.FinishFrom(y)
		d.runFirst(y)
		return
	}
	d.runFirst(y)
	d.runAlone(d.handIn(y))
}

func (d *Driver) runFirst(y *srt.Syslet) {
	if y.Cancelled() {
		y.Abort(unix.ECANCELED)
		return
	}
	op, began := y.PC(), time.Now()
	res := y.Exec()
	d.shard.BookBlock(y, op, int64(time.Since(began)))
	y.Apply(res)
	runRest(y)
}

// runBacklog runs, on a thread that is not head, what waits for one.
func (d *Driver) runBacklog() {
	for y := d.fromBacklog(); y != nil; y = d.fromBacklog() {
		d.runAlone(y)
	}
}

// runAlone runs y, and what visits bring along, on a thread that is not head.
func (d *Driver) runAlone(y *srt.Syslet) {
	for y != nil {
		if y.CallsGo() {
			d.runCallsAlone(y)
			return
		}
		d.runSpare(y)
		y = d.handIn(y)
	}
}

// runCallsAlone: finished by a deferred call, as an op may end its goroutine.
func (d *Driver) runCallsAlone(y *srt.Syslet) {
	defer d.shard.FinishFrom(y)
	d.runSpare(y)
}

func (d *Driver) runSpare(y *srt.Syslet) {
	if y.Cancelled() {
		y.Abort(unix.ECANCELED)
		return
	}
	runRest(y)
}

// runRest stops at an op that waits for others: that is for the loop to decide.
func runRest(y *srt.Syslet) {
	for y.Op() != nil && !waits.ForOthers(y.Op()) {
		y.Apply(y.Exec())
	}
}

// Submit runs y as far as it goes without blocking, now, if the strategy is to
// try; the rest runs in place when the callback has returned.
func (d *Driver) Submit(y *srt.Syslet) srt.Outcome {
	if op := y.Op(); op == nil || d.tries(op) && y.RunNonblocking() {
		return srt.Completed
	}
	y.Slot = mayBlock
	if d.announces(y, y.Op()) {
		y.Slot = willBlock
	}
	d.bodies = append(d.bodies, y)
	return srt.Queued
}

// Cancel ends a wait in the loop; a call that a thread has begun goes on to its
// end.
func (d *Driver) Cancel(y *srt.Syslet) {
	if d.waits.Remove(y) {
		y.Abort(unix.ECANCELED)
		d.shard.FinishFrom(y)
	}
}

// ReadStats adds the driver's counters.
func (d *Driver) ReadStats(st *srt.Stats) {
	d.Poller.ReadStats(st)
	ps := d.pool.Stats()
	st.TakeoversAnnounced += ps.Announced()
	st.TakeoversDetected += ps.Detected()
	st.TakeoversAtBound += ps.AtBound + ps.AtBoundAnnounced
	st.TakeoverFalseAlarms += ps.FalseAlarms
	st.TakeoversByIdle += ps.Takeovers[threadlet.ByIdle]
	st.TakeoversByOverrun += ps.Takeovers[threadlet.ByOverrun]
	st.TakeoversBySwitch += ps.Takeovers[threadlet.BySwitch]
	st.TakeoversByTimer += ps.Takeovers[threadlet.ByTimer]
	st.TakeoversByBackstop += ps.Takeovers[threadlet.ByBackstop]
	st.TakeoversByReturn += ps.Takeovers[threadlet.ByReturn]
	announced, detected := ps.LatencyNs[threadlet.Announced], ps.LatencyNs[threadlet.ByIdle]
	detected.Add(&ps.LatencyNs[threadlet.BySwitch])
	detected.Add(&ps.LatencyNs[threadlet.ByBackstop])
	st.AnnouncedP50Ns, st.AnnouncedP99Ns = quantiles(&announced)
	st.DetectedP50Ns, st.DetectedP99Ns = quantiles(&detected)
}

func quantiles(h *threadlet.Histogram) (p50, p99 uint64) {
	return uint64(h.QuantileNs(0.5)), uint64(h.QuantileNs(0.99))
}
