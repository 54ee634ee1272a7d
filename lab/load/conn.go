package load

import (
	"github.com/syslet/syslet/workloads/script"
	"golang.org/x/sys/unix"
)

// stage is the life of a connection; it only grows.
type stage uint8

const (
	stageNew        stage = iota
	stageConnecting       // connect() begun
	stageHello            // open, the script is not ready yet
	stageReady            // requests may be sent: in loop.alive
	stageGone             // closed or broken
)

// conn is one scripted connection. Its number never changes. Its generation counts
// its descriptors: an event of one that was closed in the same batch finds another.
type conn struct {
	client     script.Client
	fd         int
	number     int32
	index      int32 // among the connections of all threads
	generation uint32
	stage      stage
	// slow readers read at most Shape.SlowBytesPerS; asleep ones do not read now.
	slow, asleep bool
	// leaving: no more requests; it is made anew when what is open is answered.
	leaving bool
	// timing, if set, is where its connect is timed, begun at beganNs.
	timing  *connectTimes
	beganNs int64
	wakeNs  int64 // of an asleep one
	// writing is whether EPOLLOUT is asked for: out[outAt:] waits for room.
	writing bool
	// place is the index in loop.alive, or none. Invariant: alive[place] == number.
	place int32
	// inFlight counts used slots.
	inFlight int32
	// nextTag is where the script's tags go on, known once seenTag.
	nextTag uint32
	seenTag bool
	slots   []slot
	held    queue
	in      []byte // received and not consumed yet
	out     []byte
	outAt   int
}

// slot is one request without an answer, at the index of its tag. The slots of a
// broken connection stay as they are until the end, when they are counted.
type slot struct {
	intendedNs, sentNs int64
	kind               int32
	used               bool
}

// canSend reports whether the script may be asked for a request: it is ready and
// the next tag is free. Answers may overtake each other, so a free slot alone is
// not enough.
func (c *conn) canSend() bool {
	if c.stage != stageReady || int(c.inFlight) >= len(c.slots) {
		return false
	}
	if c.seenTag && c.slots[c.nextTag].used {
		return false
	}
	return c.client.Ready()
}

// request appends the script's next request to out and notes it. False means that
// the script broke its contract: a tag in use or out of range, an unknown kind.
func (l *loop) request(c *conn, intendedNs, nowNs int64) bool {
	out, tag, kind := c.client.Request(c.out)
	c.out = out
	if int(tag) >= len(c.slots) || c.slots[tag].used || uint(kind) >= uint(len(l.rec.kinds)) {
		l.fault(c, faultScript, nil)
		return false
	}
	c.slots[tag] = slot{intendedNs: intendedNs, sentNs: nowNs, kind: int32(kind), used: true}
	c.inFlight++
	c.nextTag, c.seenTag = (tag+1)&uint32(len(c.slots)-1), true
	l.inFlight++
	l.count.sent++
	return true
}

// flush sends what it can and asks for EPOLLOUT if something is left.
func (l *loop) flush(c *conn) {
	for c.outAt < len(c.out) {
		n, e := send(c.fd, c.out[c.outAt:])
		switch e {
		case 0:
			c.outAt += n
			l.count.bytesOut += int64(n)
		case unix.EINTR:
		case unix.EAGAIN:
			if !c.writing {
				c.writing = true
				l.interest(c)
			}
			return
		default:
			l.gone(c, e)
			return
		}
	}
	c.out, c.outAt = c.out[:0], 0
	if c.writing {
		c.writing = false
		l.interest(c)
	}
}

// interest tells epoll what to report; a failure is as good as a broken connection.
func (l *loop) interest(c *conn) {
	events := uint32(0)
	if !c.asleep {
		events |= readable
	}
	if c.writing {
		events |= writable
	}
	if err := l.poll.change(c.fd, events, c.number, c.generation); err != nil {
		l.gone(c, unix.EIO)
	}
}

// read takes one scratch buffer full of bytes to the script: with level-triggered
// epoll the rest shows up again, and no connection keeps the others waiting.
func (l *loop) read(c *conn) {
	room := l.scratch
	if c.slow {
		room = room[:l.slow.chunk]
	}
	n, e := receive(c.fd, room)
	switch {
	case e == unix.EAGAIN || e == unix.EINTR:
		return
	case e != 0:
		l.gone(c, e)
		return
	case n == 0:
		l.gone(c, 0)
		return
	}
	now := l.now()
	l.count.bytesIn += int64(n)
	if c.slow {
		l.sleepFor(c, n, now)
	}
	fresh := l.scratch[:n]
	if len(c.in) > 0 {
		c.in = append(c.in, fresh...)
		fresh = c.in
	}
	consumed, tags, err := c.client.Received(fresh, l.tags[:0])
	l.tags = tags
	if err != nil {
		l.fault(c, faultProtocol, err)
		return
	}
	if consumed < 0 || consumed > len(fresh) {
		l.fault(c, faultScript, nil)
		return
	}
	// fresh may be c.in itself: append onto its front moves the rest down.
	c.in = append(c.in[:0], fresh[consumed:]...)
	if len(tags) == 0 {
		l.count.bytesUnsolicited += int64(n)
	}
	l.answers(c, tags, now)
}

// answers books the answers and lets the connection go on: the hello, what was
// held back, or in the closed loop the next requests.
func (l *loop) answers(c *conn, tags []uint32, now int64) {
	for _, tag := range tags {
		if int(tag) >= len(c.slots) || !c.slots[tag].used {
			l.fault(c, faultAnswer, nil)
			return
		}
		s := &c.slots[tag]
		s.used = false
		c.inFlight--
		l.inFlight--
		l.answered(c, s, now)
	}
	if c.stage == stageHello && c.client.Ready() {
		l.ready(c, now)
	}
	if !c.held.empty() {
		l.release(c, now)
	}
	if c.leaving {
		l.reopen(c, now)
		return
	}
	if l.refill {
		l.topUp(c, now)
	}
}

// release sends what was held back, as far as tags are free.
func (l *loop) release(c *conn, now int64) {
	any := false
	for !c.held.empty() && c.canSend() {
		intended := l.backlog.pop(&c.held)
		if !l.request(c, intended, now) {
			l.putBack(c, intended)
			return
		}
		any = true
	}
	if any {
		l.flush(c)
	}
}

// putBack keeps a request that a broken script could not make: it ends as unsent.
// Its connection is gone already, and with it what it had open.
func (l *loop) putBack(c *conn, intendedNs int64) {
	l.backlog.push(&c.held, intendedNs)
	if l.measured(c, intendedNs) {
		l.open--
	}
}

// topUp brings a connection of the closed loop to Outstanding requests, if it is
// one that speaks.
func (l *loop) topUp(c *conn, now int64) {
	if l.cfg.Speakers > 0 && int(c.index) >= l.cfg.Speakers {
		return
	}
	any := false
	for int(c.inFlight) < l.cfg.Outstanding && c.canSend() {
		if !l.request(c, now, now) {
			return
		}
		any = true
		l.intended(c, now, now)
	}
	if any {
		l.flush(c)
	}
}
