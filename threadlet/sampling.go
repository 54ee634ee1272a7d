package threadlet

import "sync/atomic"

// sampling keeps the gate's timer going while bodies are run and lets it run out when they are not: a head that runs
// bodies sets it once, one that only runs its loop pays nothing, and an idle pool uses no CPU.
//
// Invariant: on is true while the timer is set or its tick has not been handled yet, so there is one handler at a time.
// The head stores the ownership word (Enter) and then loads on; the handler stores on and then loads the word. With Go's
// sequentially consistent atomics at least one of them sees the other's store, so the timer is never left off beside a body.
type sampling struct {
	on       atomic.Bool
	seen     atomic.Uint32 // the body that the last tick found; atomic because each tick may have another handler
	periodNs int64         // 0: this detector does not sample
}

// start sets the timer unless it is set. The head's thread, after it has entered a body, or the handler of a tick.
func (s *sampling) start(g *gate) {
	if s.periodNs != 0 && !s.on.Load() && s.on.CompareAndSwap(false, true) {
		g.tickAfterNs(s.periodNs)
	}
}

// tick is called by the standby that got the tick, when it has looked at the head.
func (p *Pool) tick() {
	s := &p.sample
	w := word(p.word.Load())
	if s.seen.Swap(w.body()) != w.body() || w.state() == inBody {
		p.gate.tickAfterNs(s.periodNs)
		return
	}
	s.on.Store(false)
	if word(p.word.Load()).body() != w.body() {
		s.start(p.gate)
	}
}
