package threadlet

import "time"

// EnterLong is Enter for a body that may also compute for long, as any Go function may: after Config.Overrun it is taken over though
// it does not block. It costs a store more, and a system call when there was no such body for a while.
func (p *Pool) EnterLong() Ticket {
	t := p.Enter()
	p.over.start(p.gate, word(t))
	return t
}

// Enter says that from here on a block of this thread may be taken over. Head's thread only, not inside another body.
// Two atomic operations in all with Leave; no allocation, no system call.
func (p *Pool) Enter() Ticket {
	w := word(p.word.Load()).enter()
	// A store suffices: while running nobody else writes. It must be visible before the thread can block, which the
	// context switch sees to, and it publishes what the head did so far to whoever takes over.
	p.word.Store(uint64(w))
	t := p.threads[w.thread()]
	// After the word: a watcher that goes to sleep says so and then looks at the word.
	if !t.watched || p.command.Load() == commandSleep {
		t.watched = true
		p.det.watch(t)
	}
	p.sample.start(p.gate)
	if p.free.Load() <= 0 {
		t.boundTicket, t.boundMark = Ticket(w), p.det.mark(t)
	}
	return Ticket(w)
}

// Owns says whether the thread of the body that t is for is head still. It may cease to be at any time until Leave; once it
// is not, it stays so. The body's thread; a load.
func (p *Pool) Owns(t Ticket) bool { return p.word.Load() == uint64(t) }

// SinceLost is how long ago the role was taken, or offered, from the body of t; 0 if that is not known yet. The body's thread, when Owns
// has said no.
func (p *Pool) SinceLost(t Ticket) time.Duration {
	me := p.threads[word(t).thread()]
	if me.lostBody.Load() != word(t).body() {
		return 0
	}
	return time.Duration(p.clk.nowNs() - me.lostAtNs.Load())
}

// Leave ends the body that Enter began, on the same thread. True: still head. False: the role was given away or taken meanwhile; the
// caller owns nothing of the shard any more, and must make Loop return without touching it. Call it in a deferred function if the body may
// end its goroutine.
func (p *Pool) Leave(t Ticket) bool {
	w := word(t)
	// The compare-and-swap is what a takeover competes with: exactly one of them succeeds.
	if !p.word.CompareAndSwap(uint64(w), uint64(w.withState(running))) {
		return false
	}
	if p.free.Load() <= 0 {
		p.leftAtBound(t)
	}
	return true
}

// leftAtBound counts a body that was at the bound all along and blocked.
func (p *Pool) leftAtBound(t Ticket) {
	me := p.threads[word(t).thread()]
	if me.boundTicket == t && p.det.blockedSince(me, me.boundMark) {
		p.count.atBound.Add(1)
	}
}

// Offer announces, outside a body, that the caller is about to run one that will block: a standby becomes head now. True: the caller is
// not head any more, owns nothing of the shard, and may block as long as it likes; there is no Leave. False: no standby
// is free, which is counted, or the pool is stopping; the caller is head still. Head's thread only; one wake-up, no wait.
func (p *Pool) Offer() bool {
	if p.stopping.Load() {
		return false
	}
	if !p.reserve() {
		p.count.atBoundAnnounced.Add(1)
		return false
	}
	w := word(p.word.Load())
	me := p.threads[w.thread()]
	p.blind(me) // the block that follows is nobody's business
	me.offeredAtNs = p.clk.nowNs()
	// A store suffices, as in Enter; it publishes what this head did to the next one.
	p.word.Store(uint64(w.offer()))
	p.gate.wakeOne()
	return true
}

// blind ends the observation of t, unless it is another's turn by now. t's own thread.
func (p *Pool) blind(t *thread) {
	if t.watched {
		t.watched = false
		p.det.unwatch(t)
	}
}

// HandOver announces, inside a body, that the caller is about to block: a standby becomes head now. True: the caller is not head any
// more (Leave will say so too) and may block as long as it likes. False: no standby is free, which is counted, or the
// pool is stopping; the caller is still head and makes its call all the same. The thread of the body only; one wake-up, no wait.
func (p *Pool) HandOver(t Ticket) bool {
	w := word(t)
	if word(p.word.Load()) != w {
		return true // taken over before, by detection
	}
	if p.stopping.Load() {
		return false
	}
	if !p.reserve() {
		p.count.atBoundAnnounced.Add(1)
		return false
	}
	me := p.threads[w.thread()]
	p.blind(me)
	me.offeredAtNs = p.clk.nowNs()
	if !p.word.CompareAndSwap(uint64(w), uint64(w.offer())) {
		p.unreserve()
		return true
	}
	me.lose(w, me.offeredAtNs)
	p.gate.wakeOne()
	return true
}

// Idle says that the loop is about to wait because there is nothing to do: blocking is no block now, until the next Enter.
// Head's thread only, outside a body. Poll once with zero timeout first: if bodies were run since the last Idle, it costs one or
// two system calls, of which one is in the next Enter.
func (p *Pool) Idle() { p.blind(p.threads[word(p.word.Load()).thread()]) }
