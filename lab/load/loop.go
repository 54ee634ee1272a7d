package load

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// spinNs is how long before the next deadline the loop stops sleeping: a sleep
	// may end this much late, above all in a virtual machine.
	spinNs = 100_000
	// eagerNs is how long after the last event the loop still polls while answers
	// are due, so that its own wake-up does not count as latency of the server.
	eagerNs = 2_000_000
	// burst bounds the sends between two looks at the sockets when the loop is late.
	burst = 64
	// stallNs: a turn that did nothing and took longer was taken off the CPU.
	stallNs = 200_000
	// longestWaitNs bounds a sleep: see poller.wait.
	longestWaitNs = 1_000_000
	scratchBytes  = 256 << 10
)

// loop is the generator's one thread.
type loop struct {
	cfg     Config
	base    time.Time // zero of the loop's clock
	poll    *poller
	address unix.Sockaddr
	family  int

	conns []conn
	alive []int32 // numbers of the connections in stageReady, in no order
	begun int     // connections begun; conns[begun:] are stageNew

	arrivals arrivals
	backlog  backlog
	rec      *recorder
	count    counters
	usage    *usageReader

	phase      string
	fromNs     int64 // begin of the window, valid from the phase warmup on
	untilNs    int64 // end of the window
	tailNs     int64 // end of the tail; untilNs if there is none
	giveUpNs   int64 // end of the drain
	endNs      int64 // when the run ended: what has no answer waited until then
	refill     bool  // closed loop, before the end of window and tail
	inFlight   int64 // used slots of living connections
	open       int64 // requests of the window without answer, on living connections
	lastTurnNs int64 // begin of the last turn
	lastDidNs  int64 // when something last happened
	idleNs     int64 // time in the window in which there was nothing to do
	atFrom     usage
	atUntil    usage
	stalls     stalls
	failure    error // the last failure of a connection
	cut        bool  // the run ended before its time

	scratch []byte
	tags    []uint32

	// stopped is set by the context on another goroutine; nothing else hangs on it,
	// so its order against other memory does not matter.
	stopped atomic.Bool
	phases  chan Phase
	shown   shown
	reached []Phase
}

// counters count the whole run unless they say "window".
type counters struct {
	connected, ready, gone   int64
	sent, answered           int64
	intended                 int64 // of the window: arrivals, or closed-loop sends
	answeredOfWindow         int64 // of the window's requests
	answeredInWindow         int64 // received in the window, whenever asked
	answeredInTail           int64 // received in the tail, whenever asked
	heldBack                 int64 // window
	goneAfterReady           int64 // disconnects once the warm-up had begun
	faults                   [faultKinds]int64
	bytesIn, bytesOut        int64
	bytesUnsolicited         int64
	windowIn, windowOut      int64 // bytes at the window's begin, then of the window
	windowUnsolicited        int64
	unanswered, lost, unsent int64 // window; set at the end
}

// stalls are times in which the loop should have run and did not.
type stalls struct{ count, totalNs, maxNs int64 }

func (s *stalls) add(ns int64) {
	s.count++
	s.totalNs += ns
	s.maxNs = max(s.maxNs, ns)
}

func (l *loop) now() int64 { return int64(time.Since(l.base)) }

func (l *loop) inWindow(atNs int64) bool { return atNs >= l.fromNs && atNs < l.untilNs }

var errAllGone = errors.New("all connections are gone")

// traffic runs warm-up, window and drain.
func (l *loop) traffic() error {
	now := l.now()
	l.fromNs = now + int64(l.cfg.Warmup)
	l.untilNs = l.fromNs + int64(l.cfg.Duration)
	l.tailNs = l.untilNs + int64(l.cfg.Tail)
	l.giveUpNs = l.tailNs + int64(l.cfg.Drain)
	l.lastTurnNs, l.lastDidNs = now, now
	l.enter(PhaseWarmup, now)
	if l.cfg.Mode == Closed {
		l.refill = true
		for _, number := range l.alive {
			l.topUp(&l.conns[number], l.now())
		}
	} else {
		l.arrivals.begin(now)
	}
	for {
		if done, err := l.turn(); done || err != nil {
			return err
		}
	}
}

// turn is one round: phases, due sends, sockets.
func (l *loop) turn() (done bool, err error) {
	now := l.now()
	sent := l.count.sent
	if done, err = l.advance(now); done || err != nil {
		return done, err
	}
	l.sendDue(now)
	n, slept, err := l.look()
	if err != nil {
		return true, err
	}
	for i := range n {
		l.event(&l.poll.events[i])
		if l.dueNow() {
			l.sendDue(l.now())
		}
	}
	end := l.now()
	if quiet := n == 0 && sent == l.count.sent; quiet {
		l.quiet(end-now, slept)
	} else {
		l.lastDidNs = end
	}
	l.publish(end)
	return false, nil
}

// quiet books a turn that found nothing to do.
func (l *loop) quiet(tookNs, sleptNs int64) {
	if l.phase != PhaseMeasure {
		return
	}
	l.idleNs += tookNs
	if over := tookNs - sleptNs; over > stallNs {
		l.stalls.add(over)
	}
}

// look polls, or sleeps if there is time, and returns how long it meant to sleep.
func (l *loop) look() (n int, sleptNs int64, err error) {
	now := l.now()
	idle := l.deadline() - now - spinNs
	if l.inFlight > 0 && now-l.lastDidNs < eagerNs {
		idle = 0
	}
	if idle <= 0 {
		n, err = l.poll.poll()
		return n, 0, err
	}
	idle = min(idle, longestWaitNs)
	n, err = l.poll.wait(time.Duration(idle))
	if n > 0 && l.phase == PhaseMeasure {
		l.idleNs += min(l.now()-now, idle)
	}
	return n, idle, err
}

// deadline is when the loop has something to do by itself.
func (l *loop) deadline() int64 {
	var next int64
	switch l.phase {
	case PhaseWarmup:
		next = l.fromNs
	case PhaseMeasure:
		next = l.untilNs
	case PhaseTail:
		next = l.tailNs
	default:
		next = l.giveUpNs
	}
	if l.sending() {
		next = min(next, l.arrivals.due())
	}
	return next
}

// sending reports whether the open loop's arrivals go on.
func (l *loop) sending() bool {
	return l.cfg.Mode == Open && (l.phase == PhaseWarmup || l.phase == PhaseMeasure || l.phase == PhaseTail)
}

func (l *loop) dueNow() bool { return l.sending() && l.arrivals.due() <= l.now() }

// sendDue sends what is due, at most a burst.
func (l *loop) sendDue(now int64) {
	for i := 0; i < burst && l.sending(); i++ {
		due := l.arrivals.due()
		if due > now || due >= l.tailNs || len(l.alive) == 0 {
			return
		}
		l.arrivals.advance()
		l.arrive(&l.conns[l.alive[l.arrivals.pick(len(l.alive))]], due, now)
		now = l.now()
	}
}

// arrive is one arrival of the open loop.
func (l *loop) arrive(c *conn, due, now int64) {
	measured := l.inWindow(due)
	if measured {
		l.count.intended++
		l.open++
		l.rec.paced(now - due)
	}
	if !c.held.empty() || !c.canSend() {
		l.backlog.push(&c.held, due)
		if measured {
			l.count.heldBack++
		}
		return
	}
	if !l.request(c, due, now) {
		l.putBack(c, due)
		return
	}
	l.flush(c)
}

// answered books one answer.
func (l *loop) answered(s *slot, now int64) {
	l.count.answered++
	if l.inWindow(now) {
		l.count.answeredInWindow++
	} else if l.phase == PhaseTail {
		l.count.answeredInTail++
	}
	if l.inWindow(s.intendedNs) {
		l.count.answeredOfWindow++
		l.open--
		l.rec.answered(s, now)
	}
}

// event handles one event of epoll.
func (l *loop) event(ev *unix.EpollEvent) {
	c := &l.conns[ev.Fd]
	if c.stage == stageConnecting {
		l.connected(c)
		return
	}
	if ev.Events&unix.EPOLLOUT != 0 && c.stage != stageGone {
		l.flush(c)
	}
	if ev.Events&^unix.EPOLLOUT != 0 && c.stage != stageGone {
		l.read(c)
	}
}

// Kinds of faults: a connection that shows one is closed.
const (
	faultProtocol = iota // the script says that the server broke the protocol or refused
	faultAnswer          // an answer to a request that was not asked or answered before
	faultScript          // the script broke its own contract
	faultKinds
)

var faultNames = [faultKinds]string{"protocol violation or refusal", "answer to no open request", "script broke its contract"}

// fault closes a connection for one of these; why may be nil.
func (l *loop) fault(c *conn, kind int, why error) {
	l.count.faults[kind]++
	l.failure = fmt.Errorf("connection %d: %s", c.number, faultNames[kind])
	if why != nil {
		l.failure = fmt.Errorf("%w: %w", l.failure, why)
	}
	l.drop(c)
}

// gone books a connection that the server closed (0) or that broke.
func (l *loop) gone(c *conn, e unix.Errno) {
	if c.stage == stageGone {
		return
	}
	if e == 0 {
		l.failure = fmt.Errorf("connection %d: closed by the server", c.number)
	} else {
		l.failure = fmt.Errorf("connection %d: %w", c.number, e)
	}
	l.drop(c)
}

// drop closes a connection and keeps its open requests for the end.
func (l *loop) drop(c *conn) {
	if c.stage == stageReady {
		last := l.alive[len(l.alive)-1]
		l.alive[c.place] = last
		l.conns[last].place = c.place
		l.alive = l.alive[:len(l.alive)-1]
	}
	if l.phase != PhaseConnect {
		l.count.goneAfterReady++
	}
	l.count.gone++
	l.inFlight -= int64(c.inFlight)
	l.open -= l.waiting(c)
	c.stage = stageGone
	unix.Close(c.fd)
}

// waiting counts the requests of the window that c has open or holds back.
func (l *loop) waiting(c *conn) (n int64) {
	for i := range c.slots {
		if c.slots[i].used && l.inWindow(c.slots[i].intendedNs) {
			n++
		}
	}
	for at := c.held.first; at != none; at = l.backlog.nodes[at].next {
		if l.inWindow(l.backlog.nodes[at].intendedNs) {
			n++
		}
	}
	return n
}
