package load

import (
	"errors"
	"fmt"
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

// loop is one thread of the generator, with its own connections.
type loop struct {
	cfg     Config
	share   share
	shared  *schedule
	poll    *poller
	address unix.Sockaddr
	family  int

	// conns are the load's own and behind them those of the storm.
	conns []conn
	own   int     // conns[:own] are the load's own
	alive []int32 // numbers of the own connections in stageReady that may be asked, in no order
	begun int     // connections begun; conns[begun:own] are stageNew

	arrivals   arrivals
	backlog    backlog
	rec        *recorder
	count      counters
	usage      *usageReader
	requests   *requestLog // nil if not asked for
	storm      storm
	reconnects reconnects
	slow       slowReaders

	phase string
	times
	endNs      int64 // when the run ended: what has no answer waited until then
	refill     bool  // closed loop, before the end of window and tail
	inFlight   int64 // used slots of living connections
	open       int64 // requests of the window without answer, on living connections
	waitingNow int64 // requests without answer from their intended time on; lost ones stay
	lastTurnNs int64 // begin of the last turn
	lastDidNs  int64 // when something last happened
	idleNs     int64 // time in the window in which there was nothing to do
	atFrom     usage
	atUntil    usage
	stalls     stalls
	failure    error // the last failure of a connection
	cut        bool  // the run ended before its time

	// warm and window are the series of the two phases, current the one that goes on, if any.
	warm, window, current *series

	scratch []byte
	tags    []uint32

	phases  chan Phase // of the leader alone, otherwise nil
	shown   shown
	reached []Phase
	self    Self
}

func (l *loop) leads() bool { return l.share.thread == 0 }

// counters count the whole run unless they say "window".
type counters struct {
	connected, ready, gone   int64
	sent, answered           int64
	intended                 int64 // of the window: arrivals, or closed-loop sends
	answeredOfWindow         int64 // of the window's requests
	answeredInWindow         int64 // received in the window, whenever asked
	answeredInRead           int64 // received in the phase read, whenever asked
	answeredInTail           int64 // received in the tail, whenever asked
	heldBack                 int64 // window
	goneAfterReady           int64 // disconnects once the warm-up had begun
	faults                   [faultKinds]int64
	bytesIn, bytesOut        int64
	bytesUnsolicited         int64
	windowIn, windowOut      int64 // bytes at the window's begin, then of the window
	windowUnsolicited        int64
	unanswered, lost, unsent int64 // window; set at the end
	// Of slow readers, which are in no other count but those of bytes and connections: window.
	slowIntended, slowAnswered int64
}

// add sums up the counts of another thread.
func (c *counters) add(o *counters) {
	for _, p := range [][2]*int64{
		{&c.connected, &o.connected}, {&c.ready, &o.ready}, {&c.gone, &o.gone}, {&c.sent, &o.sent}, {&c.answered, &o.answered},
		{&c.intended, &o.intended}, {&c.answeredOfWindow, &o.answeredOfWindow}, {&c.answeredInWindow, &o.answeredInWindow},
		{&c.answeredInRead, &o.answeredInRead}, {&c.answeredInTail, &o.answeredInTail}, {&c.heldBack, &o.heldBack}, {&c.goneAfterReady, &o.goneAfterReady},
		{&c.bytesIn, &o.bytesIn}, {&c.bytesOut, &o.bytesOut}, {&c.bytesUnsolicited, &o.bytesUnsolicited},
		{&c.windowIn, &o.windowIn}, {&c.windowOut, &o.windowOut}, {&c.windowUnsolicited, &o.windowUnsolicited},
		{&c.unanswered, &o.unanswered}, {&c.lost, &o.lost}, {&c.unsent, &o.unsent},
		{&c.slowIntended, &o.slowIntended}, {&c.slowAnswered, &o.slowAnswered},
	} {
		*p[0] += *p[1]
	}
	for i := range c.faults {
		c.faults[i] += o.faults[i]
	}
}

// stalls are times in which the loop should have run and did not.
type stalls struct{ count, totalNs, maxNs int64 }

func (s *stalls) add(ns int64) {
	s.count++
	s.totalNs += ns
	s.maxNs = max(s.maxNs, ns)
}

func (l *loop) now() int64 { return int64(time.Since(l.shared.base)) }

func (l *loop) inWindow(atNs int64) bool { return atNs >= l.fromNs && atNs < l.untilNs }

var errAllGone = errors.New("all connections are gone")

// traffic runs warm-up, window and drain.
func (l *loop) traffic() error {
	if err := l.inStep(); err != nil {
		return err
	}
	now := l.now()
	began := l.shared.warmNs.Load()
	l.times = undecided()
	l.lastTurnNs, l.lastDidNs = now, now
	l.warm.begin(began, int64(l.cfg.warmSlice()))
	l.current = l.warm
	l.enter(PhaseWarmup, now)
	l.warmUp(now)
	l.reconnects.begin(began)
	if l.cfg.Mode == Closed {
		l.refill = true
		for _, number := range l.alive {
			l.topUp(&l.conns[number], l.now())
		}
	} else {
		l.arrivals.begin(began)
	}
	for {
		if done, err := l.turn(); done || err != nil {
			return err
		}
	}
}

// inStep waits until all threads are connected, and the warm-up begins.
func (l *loop) inStep() error {
	l.shared.threadReady(l.now())
	for {
		began := l.shared.warmNs.Load()
		if began > 0 && l.now() >= began {
			return nil
		}
		if l.shared.stopped.Load() {
			return errors.New("load: stopped while others were connecting")
		}
		n, err := l.poll.wait(100 * time.Microsecond)
		if err != nil {
			return err
		}
		for i := range n {
			l.event(&l.poll.events[i])
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
	l.shaped(now)
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
		next = min(l.steadyNs, l.warm.endNs)
	case PhaseProbe:
		next = l.readNs
	case PhaseRead:
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
	return min(next, l.reconnects.dueNs, l.storm.dueNs, l.slow.dueNs)
}

// sending reports whether the open loop's arrivals go on.
func (l *loop) sending() bool { return l.cfg.Mode == Open && l.flowing() }

// flowing reports whether requests go on.
func (l *loop) flowing() bool {
	return l.phase == PhaseMeasure || l.phase == PhaseWarmup || l.phase == PhaseProbe || l.phase == PhaseRead || l.phase == PhaseTail
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
	measured := l.intended(c, due, now)
	if measured {
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

// measured reports whether a request enters the figures: it is of the window, and of
// no slow reader, whose waits are its own fault and are counted apart.
func (l *loop) measured(c *conn, intendedNs int64) bool { return l.inWindow(intendedNs) && !c.slow }

// intended books a request that is meant for due.
func (l *loop) intended(c *conn, due, now int64) (measured bool) {
	if c.slow {
		if l.inWindow(due) {
			l.count.slowIntended++
		}
		return false
	}
	if s := l.book(now); s != nil {
		s.intended(due, min(now, s.lastNs))
	}
	l.waitingNow++
	if l.inWindow(due) {
		l.count.intended++
		l.open++
		return true
	}
	return false
}

// book brings the series that goes on up to now, and returns it. The window's begins
// at its time, even if the phase is entered a little later.
func (l *loop) book(now int64) *series {
	if now >= l.fromNs && l.window.sliceNs == 0 {
		l.window.begin(l.windowNs, (int64(l.cfg.Duration)+int64(l.cfg.Slices)-1)/int64(l.cfg.Slices))
		l.current = l.window
	}
	if s := l.current; s != nil {
		s.move(min(now, l.untilNs), l.waitingNow)
		return s
	}
	return nil
}

// answered books one answer.
func (l *loop) answered(c *conn, s *slot, now int64) {
	l.count.answered++
	if l.requests != nil && l.inWindow(s.intendedNs) {
		l.requests.add(c, s, now)
	}
	if c.slow {
		if l.inWindow(s.intendedNs) {
			l.count.slowAnswered++
			l.rec.into(&l.rec.slow, s, now)
		}
		return
	}
	series := l.book(now)
	l.waitingNow--
	if l.inWindow(now) {
		l.count.answeredInWindow++
		if series != nil {
			series.answered(now - s.intendedNs)
		}
	} else if l.phase == PhaseRead {
		l.count.answeredInRead++
	} else if l.phase == PhaseTail {
		l.count.answeredInTail++
	} else if l.phase == PhaseWarmup {
		series.answered(now - s.intendedNs)
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
	if uint32(ev.Pad) != c.generation {
		return // of a descriptor that was closed in this batch
	}
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
	l.leave(c)
	l.lostWhole(c)
	l.inFlight -= int64(c.inFlight)
	l.open -= l.waiting(c)
	c.stage = stageGone
	unix.Close(c.fd)
}

// lostWhole counts a connection that ended, by what it was.
func (l *loop) lostWhole(c *conn) {
	if int(c.number) >= l.own {
		l.storm.failed++
		return
	}
	if c.timing != nil && c.stage < stageReady {
		c.timing.failed++
	}
	if l.phase != PhaseConnect {
		l.count.goneAfterReady++
	}
	l.count.gone++
}

// leave takes a connection from among those that arrivals pick from.
func (l *loop) leave(c *conn) {
	if c.place == none {
		return
	}
	last := l.alive[len(l.alive)-1]
	l.alive[c.place] = last
	l.conns[last].place = c.place
	l.alive = l.alive[:len(l.alive)-1]
	c.place = none
}

// waiting counts the requests of the window that c has open or holds back.
func (l *loop) waiting(c *conn) (n int64) {
	for i := range c.slots {
		if c.slots[i].used && l.measured(c, c.slots[i].intendedNs) {
			n++
		}
	}
	for at := c.held.first; at != none; at = l.backlog.nodes[at].next {
		if l.measured(c, l.backlog.nodes[at].intendedNs) {
			n++
		}
	}
	return n
}
