package load

import (
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// What a shape adds to the stream of requests: reconnects, a storm of connects, slow
// readers. Each says when it is due next; due arrivals go before all of them.

// shaped does what is due by now.
func (l *loop) shaped(now int64) {
	if now >= l.reconnects.dueNs {
		l.reconnect(now)
	}
	if now >= l.storm.dueNs {
		l.stormOn(now)
	}
	if now >= l.slow.dueNs {
		l.wakeSlow(now)
	}
}

// connectTimes are how connects went: from the connect until the socket was open, and
// until the hello was answered.
type connectTimes struct {
	begun, failed int64
	opened, hello *hdrhistogram.Histogram
}

func newConnectTimes() *connectTimes {
	return &connectTimes{opened: newHistogram(), hello: newHistogram()}
}

func (t *connectTimes) connected(ns int64) { _ = t.opened.RecordValue(min(max(ns, 0), longestNs)) }
func (t *connectTimes) ready(ns int64)     { _ = t.hello.RecordValue(min(max(ns, 0), longestNs)) }

func (t *connectTimes) add(o *connectTimes) {
	t.begun += o.begun
	t.failed += o.failed
	t.opened.Merge(o.opened)
	t.hello.Merge(o.hello)
}

// report is nil if nothing was begun.
func (t *connectTimes) report() *ConnectReport {
	if t.begun == 0 {
		return nil
	}
	return &ConnectReport{Begun: t.begun, Connected: t.opened.TotalCount(), Ready: t.hello.TotalCount(), Failed: t.failed,
		Connect: summarize(t.opened), Hello: summarize(t.hello)}
}

// reconnects are when connections are closed and made anew, at even distances.
type reconnects struct {
	times  *connectTimes
	meanNs float64
	dueNs  int64
	nextNs float64
}

func newReconnects(ratePerS float64) reconnects {
	r := reconnects{times: newConnectTimes(), dueNs: never}
	if ratePerS > 0 {
		r.meanNs = 1e9 / ratePerS
	}
	return r
}

func (r *reconnects) begin(now int64) {
	if r.meanNs > 0 {
		r.nextNs = float64(now) + r.meanNs
		r.dueNs = int64(r.nextNs)
	}
}

// reconnect has the connections that are due leave, one a turn. At least one stays.
func (l *loop) reconnect(now int64) {
	r := &l.reconnects
	if !l.flowing() {
		r.dueNs = never
		return
	}
	r.nextNs += r.meanNs
	r.dueNs = int64(r.nextNs)
	if len(l.alive) < 2 {
		return
	}
	c := &l.conns[l.alive[l.arrivals.pick(len(l.alive))]]
	l.leave(c)
	c.leaving = true
	l.reopen(c, now)
}

// reopen makes a leaving connection anew once nothing is open on it.
func (l *loop) reopen(c *conn, now int64) {
	if c.inFlight > 0 || !c.held.empty() || c.outAt < len(c.out) || c.stage != stageReady {
		return
	}
	unix.Close(c.fd)
	c.generation++
	c.leaving, c.asleep, c.writing, c.seenTag, c.nextTag = false, false, false, false, 0
	c.in, c.out, c.outAt = c.in[:0], c.out[:0], 0
	c.client = l.cfg.Load.Client(int(c.index), l.cfg.Seed+uint64(c.generation))
	c.timing = l.reconnects.times
	l.beginTimed(c, now)
}

// beginTimed connects in mid-run: a failure is the connection's alone.
func (l *loop) beginTimed(c *conn, now int64) {
	c.beganNs = now
	c.timing.begun++
	if err := l.begin(c); err != nil {
		l.failure = err
		if c.stage != stageConnecting { // no socket
			c.fd, c.stage = -1, stageGone
			l.lostWhole(c)
			return
		}
		l.drop(c)
	}
}

// storm is many connects at once. As many are begun in a turn as the time until the
// next arrival allows, so that it is the server that the storm disturbs.
type storm struct {
	times  *connectTimes
	atNs   int64 // after the begin of the window
	begun  int
	of     int
	dueNs  int64
	failed int64 // once they were open
	// beganNs is the storm's moment, readyNs when the last was ready.
	beganNs, readyNs int64
}

// stormTurn bounds the connects of one turn: each takes some 20 us.
const stormTurn = 4

func newStorm(conns int, atNs int64) storm {
	return storm{times: newConnectTimes(), of: conns, atNs: atNs, dueNs: never}
}

func (s *storm) plan(fromNs int64) {
	if s.of > 0 {
		s.dueNs = fromNs + s.atNs
		s.beganNs = s.dueNs
	}
}

func (s *storm) add(o *storm) {
	s.times.add(o.times)
	s.failed += o.failed
	s.readyNs = max(s.readyNs, o.readyNs)
}

func (s *storm) readyOne(now int64) { s.readyNs = max(s.readyNs, now) }

func (l *loop) stormOn(now int64) {
	s := &l.storm
	for i := 0; i < stormTurn && s.begun < s.of && !(i > 0 && l.dueNow()); i++ {
		c := &l.conns[l.own+s.begun]
		s.begun++
		l.beginTimed(c, l.now())
	}
	if s.begun == s.of || l.phase != PhaseMeasure {
		s.dueNs = never
	}
}

// slowReaders are connections that take their time: after each read they sleep for as
// long as what they got should last.
type slowReaders struct {
	chunk    int // most bytes of a read
	bytesNs  float64
	asleep   []int32
	dueNs    int64
	nextScan int64 // on the run's clock
}

const (
	// slowBufferBytes is their SO_RCVBUF: of more the kernel would take bytes in their place.
	slowBufferBytes = 4096
	slowChunkMost   = 16 << 10
	// slowGrainNs bounds how often the sleepers are looked through.
	slowGrainNs = 1_000_000
)

func newSlowReaders(bytesPerS, conns int) slowReaders {
	s := slowReaders{dueNs: never}
	if bytesPerS > 0 {
		s.chunk = min(max(1, bytesPerS/20), slowChunkMost)
		s.bytesNs = 1e9 / float64(bytesPerS)
		s.asleep = make([]int32, 0, conns)
	}
	return s
}

// sleepFor has a slow reader read nothing for as long as n bytes last.
func (l *loop) sleepFor(c *conn, n int, now int64) {
	c.asleep = true
	c.wakeNs = now + int64(math.Ceil(float64(n)*l.slow.bytesNs))
	l.slow.asleep = append(l.slow.asleep, c.number)
	l.slow.dueNs = min(l.slow.dueNs, max(c.wakeNs, l.slow.nextScan))
	l.interest(c)
}

// wakeSlow lets those read again whose time has come.
func (l *loop) wakeSlow(now int64) {
	s := &l.slow
	kept := s.asleep[:0]
	next := int64(never)
	for _, number := range s.asleep {
		c := &l.conns[number]
		switch {
		case c.stage == stageGone || !c.asleep: // or made anew
		case c.wakeNs <= now:
			c.asleep = false
			l.interest(c)
		default:
			kept = append(kept, number)
			next = min(next, c.wakeNs)
		}
	}
	s.asleep, s.nextScan = kept, now+slowGrainNs
	s.dueNs = max(next, s.nextScan)
	if len(kept) == 0 {
		s.dueNs = never
	}
}
