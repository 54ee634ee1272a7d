package threadlet

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime/perfring"
)

// thread is one OS thread of a pool. But for ring and statFd, which standbys read, its fields belong to the thread itself.
type thread struct {
	pool  *Pool
	index int
	tid   int
	err   error

	old dress

	left    bool // has ended for good
	inSpare bool // inside Config.Spare

	// ring, of the switch detector, shows standbys whether the thread is blocked; set before it is ever head. alarm wakes a
	// standby when it blocks: the same ring, or one that the idle detector opens for a while, on this thread.
	ring, alarm *perfring.Ring
	// watched: the detector observes this thread. Set by the first Enter after Idle, so that a loop without bodies pays nothing.
	watched bool
	alarmed bool // the alarm's output is on
	// alarmFd is the alarm's descriptor, or -1. Atomic because standbys rearm it; that it was closed meanwhile does not matter, as
	// only alarms are in the gate with that cause.
	alarmFd atomic.Int32
	// armed says that the alarm's next switch-out wakes a standby. The standby that was woken clears it and then reads who
	// is head; a new head becomes head and then reads armed: one of the two sees that it has to be set again.
	armed  atomic.Bool
	statFd int // of the timer and idle detectors

	// offeredAtNs is written before the role is offered and read by the standby that accepts: ordered by the word.
	offeredAtNs int64

	// When the role was taken from t, and in which body. Written by who took it, read by t when it learns of it; atomic, and the time
	// first, because t may learn of it before they are written.
	lostAtNs atomic.Int64
	lostBody atomic.Uint32

	// A body that began while no standby was free: its ticket, and the detector's mark. Written by the head alone.
	boundTicket Ticket
	boundMark   uint64

	events    [gateEventsMax]unix.EpollEvent
	numEvents int
}

// live is the life of a thread after setUp: the first one begins as head, the others as standbys.
func (t *thread) live(head bool) {
	p := t.pool
	defer func() {
		if !t.left { // a body has ended its goroutine (runtime.Goexit): the rest of its life is lived here
			t.live(t.afterGoexit())
		}
	}()
	for head || t.standBy() {
		p.cfg.Loop()
		if p.endIfHead(t) {
			p.Stop()
			break
		}
		t.comeHome()
		head = false
	}
	t.left = true
}

// comeHome counts t, which is head no more, as a free standby.
func (t *thread) comeHome() {
	t.pool.blind(t)
	t.pool.det.home(t)
	t.pool.free.Add(1)
	t.pool.det.freed()
}

// afterGoexit says whether t is head still.
func (t *thread) afterGoexit() bool {
	if t.inSpare {
		t.inSpare = false
		return false
	}
	w := word(t.pool.word.Load())
	if w.thread() == t.index && w.state() == inBody { // a Loop that does not defer its Leave
		t.pool.Leave(Ticket(w))
		w = word(t.pool.word.Load())
	}
	if w.thread() == t.index && w.state() == running {
		return true
	}
	t.comeHome()
	return false
}

// runSpare runs, on a standby, work that waits for a thread, and says whether there was any.
//
// Work is added when no standby was free; who adds it looks at free afterwards. A standby looks for work after it has been counted
// free, and whenever it has been woken; and who gives a reservation back wakes one (unreserve). So work never waits beside a
// free standby.
func (t *thread) runSpare() bool {
	p := t.pool
	if p.cfg.HasSpare == nil || !p.cfg.HasSpare() || !p.reserve() {
		return false
	}
	defer func() {
		p.free.Add(1)
		p.det.freed()
	}()
	t.inSpare = true
	p.cfg.Spare()
	t.inSpare = false
	return true
}

// endIfHead is called when Loop has returned: if t is head still, the loop has ended for good.
func (p *Pool) endIfHead(t *thread) bool {
	for {
		w := word(p.word.Load())
		if w.thread() != t.index || w.vacant() || w.state() == ended {
			return false
		}
		// Fails only if Loop returned inside a body and a standby took over just now.
		if p.word.CompareAndSwap(uint64(w), uint64(w.withState(ended))) {
			return true
		}
	}
}

// standBy, which the caller has counted in free, waits until t is head (true) or the pool has stopped and t is to leave (false).
func (t *thread) standBy() bool {
	p := t.pool
	why := causeReturn
	for {
		taken := t.tryTake(why)
		if why&causeTick != 0 {
			p.tick()
		}
		if why&causeOverrun != 0 {
			p.overrunTick(taken)
		}
		if taken {
			return true
		}
		if why&causeAlarm != 0 && t.rearmHead() {
			why = causeAlarm // what it did before it was rearmed wakes nobody
			continue
		}
		if t.runSpare() {
			why = causeReturn
			continue
		}
		if p.stopping.Load() {
			if p.reserve() {
				return false
			}
			// Promised to a head that is about to offer: that offer must be accepted first.
			_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
			why = 0
			continue
		}
		why = p.gate.wait(t)
		if why&causeAlarm != 0 {
			t.markAlarms()
		}
	}
}

// markAlarms notes which alarms have fired and are silent now.
func (t *thread) markAlarms() {
	for _, ev := range t.events[:t.numEvents] {
		if causes(ev.Fd) == causeAlarm {
			t.pool.threads[ev.Pad].armed.Store(false)
		}
	}
}

// rearmHead lets the head's alarm wake again after a false one. Others stay silent until their threads are head.
// True: it was not armed.
func (t *thread) rearmHead() bool {
	h := t.pool.threads[word(t.pool.word.Load()).thread()]
	return !h.armed.Load() && t.pool.gate.rearm(h)
}

// tryTake makes t head if the role is offered or the head is blocked in a body.
func (t *thread) tryTake(why causes) bool {
	p := t.pool
	// Read before the detector is asked: if the compare-and-swap below still finds this very word, the block that the
	// detector saw lies inside this very body.
	w := word(p.word.Load())
	switch w.state() {
	case offered, claimed:
		if !p.word.CompareAndSwap(uint64(w), uint64(w.accept(t.index))) {
			return false
		}
		if w.state() == claimed {
			sinceNs := p.det.claimedAtNs()
			p.threads[w.thread()].lose(w, sinceNs)
			t.book(ByIdle, sinceNs)
		} else {
			t.book(Announced, p.threads[w.thread()].offeredAtNs)
		}
		return true
	case inBody:
		sinceNs, blocked := p.det.blocked(p.threads[w.thread()], w, why)
		overruns := !blocked && why&causeOverrun != 0 && p.over.has(w)
		if (blocked || overruns) && p.reserve() {
			if p.word.CompareAndSwap(uint64(w), uint64(w.take(t.index))) {
				t.bookTaken(w, why, overruns, sinceNs)
				return true
			}
			p.unreserve()
		}
	}
	if why&causeAlarm != 0 {
		p.count.falseAlarms.Add(1)
		if w.state() == inBody {
			p.count.falsePreempted.Add(1)
		}
	}
	return false
}

// lose notes that the role has been taken from t in the body of w.
func (t *thread) lose(w word, atNs int64) {
	t.lostAtNs.Store(atNs)
	t.lostBody.Store(w.body())
}

// bookTaken books a takeover that t has made of a head whose word was w.
func (t *thread) bookTaken(w word, why causes, overrun bool, sinceNs int64) {
	p := t.pool
	lostNs := sinceNs
	if lostNs == 0 {
		lostNs = p.clk.nowNs()
	}
	p.threads[w.thread()].lose(w, lostNs)
	if overrun {
		t.book(ByOverrun, 0)
		return
	}
	t.book(p.det.reason(p.threads[w.thread()], why), sinceNs)
}

func (t *thread) book(r Reason, sinceNs int64) {
	p := t.pool
	p.count.takeovers[r].Add(1)
	if sinceNs != 0 {
		p.count.latency[r].recordNs(p.clk.nowNs() - sinceNs)
	}
}

// unreserve gives back what reserve took. Work may have been set aside meanwhile for want of a standby, and the watcher have
// gone to sleep.
func (p *Pool) unreserve() {
	p.free.Add(1)
	p.det.freed()
	if p.cfg.HasSpare != nil && p.cfg.HasSpare() {
		p.gate.wakeOne()
	}
}

// reserve takes one standby out of the free ones: for an offer, for a claim, or to leave.
func (p *Pool) reserve() bool {
	for {
		n := p.free.Load()
		if n <= 0 {
			return false
		}
		if p.free.CompareAndSwap(n, n-1) {
			return true
		}
	}
}
