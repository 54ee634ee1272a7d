package load

import (
	"fmt"
	"sync/atomic"
	"time"
)

// shown is what the loop lets other goroutines see. Each is written by the loop
// alone and read for display: no order between them is promised.
type shown struct {
	phase                            atomic.Pointer[string]
	connected, ready, sent, answered atomic.Int64
	// lastNs is the loop's own: when it last published.
	lastNs int64
}

const publishEveryNs = 20_000_000

func (l *loop) publish(now int64) {
	if now-l.shown.lastNs < publishEveryNs {
		return
	}
	l.shown.lastNs = now
	l.shown.connected.Store(l.count.connected)
	l.shown.ready.Store(l.count.ready)
	l.shown.sent.Store(l.count.sent)
	l.shown.answered.Store(l.count.answered)
}

// progress sums up the threads; the phase is the leader's.
func progress(loops []*loop) (p Progress) {
	for _, l := range loops {
		s := &l.shown
		p.Connected += s.connected.Load()
		p.Ready += s.ready.Load()
		p.Sent += s.sent.Load()
		p.Answered += s.answered.Load()
	}
	if phase := loops[0].shown.phase.Load(); phase != nil {
		p.Phase = *phase
	}
	return p
}

// enter begins a phase. The channel has room for all phases, so the loop never
// waits for who listens. The leader speaks for all threads.
func (l *loop) enter(phase string, now int64) {
	l.phase = phase
	if !l.leads() {
		return
	}
	p := Phase{Name: phase, Start: l.shared.base.Add(time.Duration(now)), OffsetNs: now}
	l.reached = append(l.reached, p)
	l.shown.phase.Store(&phase)
	l.phases <- p
}

// advance moves through the phases and reports when the run is over.
func (l *loop) advance(now int64) (done bool, err error) {
	if l.shared.stopped.Load() {
		l.cutShort(now)
		return true, nil
	}
	if l.phase == PhaseWarmup {
		l.warmUp(now)
	}
	if l.phase == PhaseWarmup && now >= l.steadyNs {
		if l.cfg.ProbeFor > 0 {
			l.current = nil
			l.enter(PhaseProbe, now)
		} else {
			l.beforeWindow(now)
		}
	}
	if l.phase == PhaseProbe && now >= l.readNs {
		l.beforeWindow(now)
	}
	if l.phase == PhaseRead && now >= l.fromNs {
		l.openWindow(now)
	}
	if l.phase == PhaseMeasure && now >= l.untilNs && !l.behind() {
		l.closeWindow(now)
	}
	if l.phase == PhaseTail && now >= l.tailNs {
		l.tailNs = now // as long as it was
		l.refill = false
		l.enter(PhaseDrain, now)
	}
	if l.phase == PhaseDrain && (l.drained() || now >= l.giveUpNs) {
		l.endNs = now
		return true, nil
	}
	if int(l.count.gone) == l.own {
		l.cutShort(now)
		return true, fmt.Errorf("load: %w; the last: %w", errAllGone, l.failure)
	}
	return false, nil
}

// drained reports whether nothing is left to wait for: the window's requests, and
// those of the tail, so that no server is left with bytes for a closed connection.
func (l *loop) drained() bool {
	return l.open == 0 && (l.cfg.Tail == 0 || l.inFlight == 0)
}

// behind reports whether arrivals of the window are still to be sent: a loop that
// is late sends them first, so that none is left out of the figures.
func (l *loop) behind() bool {
	return l.cfg.Mode == Open && l.arrivals.due() < l.untilNs && l.now() < l.giveUpNs
}

// beforeWindow leaves time to read sensors, or opens the window.
func (l *loop) beforeWindow(now int64) {
	if l.cfg.ReadFor > 0 {
		l.current = nil
		l.enter(PhaseRead, now)
		return
	}
	l.openWindow(now)
}

func (l *loop) openWindow(now int64) {
	l.atFrom = l.usage.read()
	c := &l.count
	c.windowIn, c.windowOut, c.windowUnsolicited = c.bytesIn, c.bytesOut, c.bytesUnsolicited
	l.book(now)
	l.storm.plan(l.windowNs)
	l.enter(PhaseMeasure, now)
}

func (l *loop) closeWindow(now int64) {
	l.book(now)
	l.current = nil
	l.atUntil = l.usage.read()
	c := &l.count
	c.windowIn, c.windowOut, c.windowUnsolicited = c.bytesIn-c.windowIn, c.bytesOut-c.windowOut, c.bytesUnsolicited-c.windowUnsolicited
	if l.cfg.Tail > 0 && !l.cut {
		l.enter(PhaseTail, now)
		return
	}
	l.refill = false
	l.enter(PhaseDrain, now)
}

// cutShort ends the run before its time; the window ends here if it has begun.
func (l *loop) cutShort(now int64) {
	l.cut = true
	switch l.phase {
	case PhaseWarmup, PhaseProbe, PhaseRead:
		l.steadyNs = min(l.steadyNs, now)
		l.fromNs, l.untilNs = now, now
	case PhaseMeasure:
		l.untilNs = min(l.untilNs, now+1) // what is intended now still counts
		l.closeWindow(now)
	}
	l.endNs = now
}

// settle enters what has no answer into the histograms, with the time that it
// waited at least.
func (l *loop) settle() {
	for i := range l.conns {
		c := &l.conns[i]
		for j := range c.slots {
			if s := &c.slots[j]; s.used && l.inWindow(s.intendedNs) {
				l.settleSlot(c, s)
			}
		}
		for at := c.held.first; at != none; at = l.backlog.nodes[at].next {
			if due := l.backlog.nodes[at].intendedNs; l.measured(c, due) {
				l.count.unsent++
				l.rec.put(l.rec.unsent, l.endNs-due)
				l.rec.timed(l.endNs - due)
			}
		}
	}
}

// settleSlot books a request of the window that got no answer.
func (l *loop) settleSlot(c *conn, s *slot) {
	if l.requests != nil {
		l.requests.add(c, s, 0)
	}
	if c.slow {
		l.rec.into(&l.rec.slow, s, l.endNs)
		return
	}
	if c.stage == stageGone {
		l.count.lost++
	} else {
		l.count.unanswered++
	}
	l.rec.answered(s, l.endNs)
}
