package threadlet

// Enter says that from here on a block of this thread may be taken over. Head's thread only, not inside another body.
// Two atomic operations in all with Leave; no allocation, no system call.
func (p *Pool) Enter() Ticket {
	w := word(p.word.Load()).enter()
	t := p.threads[w.thread()]
	if !t.watched {
		t.watched = true
		p.det.watch(t)
	}
	// A store suffices: while running nobody else writes. It must be visible before the thread can block, which the
	// context switch sees to, and it publishes what the head did so far to whoever takes over.
	p.word.Store(uint64(w))
	p.sample.start(p.gate)
	if p.free.Load() <= 0 {
		t.boundTicket, t.boundMark = Ticket(w), p.det.mark(t)
	}
	return Ticket(w)
}

// Leave ends the body that Enter began, on the same thread. True: still head. False: the role was given away or taken meanwhile; the
// caller owns nothing of the shard any more, and must make Loop return without touching it.
func (p *Pool) Leave(t Ticket) bool {
	w := word(t)
	// The compare-and-swap is what a takeover competes with: exactly one of them succeeds.
	if !p.word.CompareAndSwap(uint64(w), uint64(w.withState(running))) {
		return false
	}
	if p.free.Load() <= 0 {
		p.bookAtBound(t)
	}
	return true
}

// bookAtBound counts a body that was at the bound all along and blocked.
func (p *Pool) bookAtBound(t Ticket) {
	me := p.threads[word(t).thread()]
	if me.boundTicket == t && p.det.blockedSince(me, me.boundMark) {
		p.count.atBound.Add(1)
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
	me.watched = false
	p.det.unwatch(me) // or the block that follows would wake a second standby
	me.offeredAtNs = p.clk.nowNs()
	if !p.word.CompareAndSwap(uint64(w), uint64(w.offer())) {
		p.free.Add(1)
		return true
	}
	p.gate.wakeOne()
	return true
}

// Idle says that the loop is about to wait because there is nothing to do: blocking is no block now, until the next Enter.
// Head's thread only, outside a body. Poll once with zero timeout first: if bodies were run since the last Idle, it costs two
// system calls, one of them in the next Enter.
func (p *Pool) Idle() {
	t := p.threads[word(p.word.Load()).thread()]
	if t.watched {
		t.watched = false
		p.det.unwatch(t)
	}
	t.setBatch(false)
}
