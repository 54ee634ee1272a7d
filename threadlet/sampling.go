package threadlet

import "sync/atomic"

// sampling keeps the gate's timer going while the head is busy and lets it run out while the head is idle: a busy head sets it
// once, and an idle pool uses no CPU.
//
// Invariant: on is true while the timer is set or its tick has not been handled yet, so there is one handler at a time.
// The head stores idle and then loads on; the handler stores on and then loads idle. With Go's sequentially consistent
// atomics at least one of them sees the other's store, so the timer is never left off under a busy head.
type sampling struct {
	idle     atomic.Bool // written by the head alone
	on       atomic.Bool
	periodNs int64 // 0: this detector does not sample
}

// idleBegin, idleEnd: the head's thread.
func (s *sampling) idleBegin() { s.idle.Store(true) }

func (s *sampling) idleEnd(g *gate) {
	s.idle.Store(false)
	s.start(g)
}

// start sets the timer unless it is set. The head's thread, or the handler of a tick.
func (s *sampling) start(g *gate) {
	if s.periodNs != 0 && !s.on.Load() && s.on.CompareAndSwap(false, true) {
		g.tickAfterNs(s.periodNs)
	}
}

// tick is called by the standby that got the tick.
func (s *sampling) tick(g *gate) {
	if !s.idle.Load() {
		g.tickAfterNs(s.periodNs)
		return
	}
	s.on.Store(false)
	if !s.idle.Load() {
		s.start(g)
	}
}
