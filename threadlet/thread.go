package threadlet

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// thread is one OS thread of a pool. But for the ring, which standbys read, its fields belong to the thread itself.
type thread struct {
	pool  *Pool
	index int
	tid   int
	err   error

	old   dress
	batch bool // the thread's scheduling class is SCHED_BATCH now

	ring *perfRing // of the switch detector; set before the thread is ever head
	// watched: the detector observes this thread. Set by the first Enter after Idle, so that a loop without bodies pays nothing.
	watched bool
	// armed says that the ring's next switch-out wakes a standby. The standby that was woken clears it and then reads who
	// is head; a new head becomes head and then reads armed: one of the two sees that it has to be set again.
	armed  atomic.Bool
	statFd int // of the timer detector

	// offeredAtNs is written before the role is offered and read by the standby that accepts: ordered by the word.
	offeredAtNs int64

	// A body that began while no standby was free: its ticket, and the detector's mark. Written by the head alone.
	boundTicket Ticket
	boundMark   uint64

	events    [gateEventsMax]unix.EpollEvent
	numEvents int
}

// run is the life of a thread after setUp: the first one begins as head, the others as standbys.
func (t *thread) run() {
	p := t.pool
	head := t.index == 0
	for {
		if !head && !t.standBy() {
			return
		}
		p.cfg.Loop()
		if p.endIfHead(t) {
			p.Stop()
			return
		}
		if t.watched {
			t.watched = false
			p.det.unwatch(t)
		}
		t.setBatch(true)
		p.free.Add(1)
		head = false
	}
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
		if t.tryTake(why) {
			return true
		}
		if why&causeAlarm != 0 {
			t.rearmHead()
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
		if why&causeTick != 0 {
			p.tick()
		}
		if why&causeAlarm != 0 {
			t.markAlarms()
		}
	}
}

// markAlarms notes which rings have fired and are silent now.
func (t *thread) markAlarms() {
	for _, ev := range t.events[:t.numEvents] {
		if causes(ev.Fd) == causeAlarm {
			t.pool.threads[ev.Pad].armed.Store(false)
		}
	}
}

// rearmHead lets the head's ring wake again after a false alarm. Other rings stay silent until their threads are head.
func (t *thread) rearmHead() {
	if h := t.pool.threads[word(t.pool.word.Load()).thread()]; !h.armed.Load() {
		t.pool.gate.rearm(h)
	}
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
			t.book(ByIdle, p.det.claimedAtNs())
		} else {
			t.book(Announced, p.threads[w.thread()].offeredAtNs)
		}
		return true
	case inBody:
		sinceNs, blocked := p.det.blocked(p.threads[w.thread()], w, why)
		if blocked && p.reserve() {
			if p.word.CompareAndSwap(uint64(w), uint64(w.take(t.index))) {
				t.book(p.det.reason(p.threads[w.thread()], why), sinceNs)
				return true
			}
			p.free.Add(1)
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

func (t *thread) book(r Reason, sinceNs int64) {
	p := t.pool
	p.count.takeovers[r].Add(1)
	if sinceNs != 0 {
		p.count.latency[r].recordNs(p.clk.nowNs() - sinceNs)
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
