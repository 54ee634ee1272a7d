package runtime

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Shard is one loop and everything that it alone owns: connections, timers, an
// App with its part of the world. Only the head, the thread that runs the loop
// now, touches it; the exceptions say so.
type Shard struct {
	// Stats may be read by the shard's App; others ask Server.Stats.
	Stats Stats

	server   *Server
	opts     *Options
	index    int
	drv      Driver
	app      App
	receiver Receiver // app, if it is one
	ticker   Ticker
	filter   AcceptFilter
	half     HalfCloser

	nowNs    int64 // the turn's clock, read once
	wokeNs   int64 // when the wait before this turn's work ended
	nextTick int64
	begun    bool // Begin was called
	stopping bool // no connection is accepted any more
	quit     bool // Loop is to return
	listenFd int  // the shard's listening socket, or -1

	conns     connSlots
	open      int      // connections not yet detached
	closers   []ConnID // of them, those that drain or linger; and some that have ended since
	perAddr   map[netip.Addr]int
	dirty     []*Conn  // have output to flush
	flushing  []*Conn  // scratch of flush
	ending    []ended  // have left open; Closed is due
	reread    []ConnID // want Data again
	rereading []ConnID
	buffers   bufferPool
	trimmer   *Timer
	blockPool blockPool
	fetching  fetching
	timers    timerHeap
	sweeper   *Timer
	swept     int // conns[:swept] have been looked at in this round of sweep
	// giveUpTimer is armed while there are closers.
	giveUpTimer *Timer

	block headBlocks

	inFlight       int // syslets between Submit's Queued and their completion
	freeThreadlets *threadlet

	mail   matrix
	mailTo []bool  // receivers of this turn's messages
	letter Message // the one being delivered

	// finished is a stack of syslets that ended on other threads, pushed by
	// compare-and-swap and taken whole: release by the pusher, acquire here.
	finished atomic.Pointer[Syslet]
	// sleeping is 1 from before the head checks its queues for the last time
	// until it is awake. Who adds to a queue looks at it afterwards; both
	// orders are sequentially consistent, so one of the two sees the other.
	sleeping atomic.Uint32

	inboxMu sync.Mutex
	inbox   []func(*Shard)
	over    bool // the loop has ended: inboxMu alone guards the shard
	// inboxLen lets the loop see that the inbox is empty without its lock.
	inboxLen atomic.Int32
}

// Index is the shard's number, from 0.
func (s *Shard) Index() int { return s.index }

// Shards is the number of shards of the server.
func (s *Shard) Shards() int { return s.opts.Shards }

// Options are the server's, with defaults filled in.
func (s *Shard) Options() *Options { return s.opts }

// App is the shard's server program. On the shard only.
func (s *Shard) App() App { return s.app }

// CPU is the processor that the shard is bound to, or -1.
func (s *Shard) CPU() int {
	if len(s.opts.CPUs) == 0 {
		return -1
	}
	return s.opts.CPUs[s.index%len(s.opts.CPUs)]
}

// epoch is the zero of all clocks here.
var epoch = time.Now()

func nanotime() int64 { return int64(time.Since(epoch)) }

// Nanotime is the clock of NowNs, read now; for drivers.
func Nanotime() int64 { return nanotime() }

func (s *Shard) clock() int64 {
	if s.server.host != nil {
		return s.server.host.NowNs()
	}
	return nanotime()
}

func durationNs(ns int64) time.Duration { return time.Duration(ns) }

// NowNs is the turn's clock: monotonic nanoseconds from an arbitrary zero, the
// same for all shards. On the shard only.
func (s *Shard) NowNs() int64 { return s.nowNs }

// Conn is the connection of that name, or nil if it is gone. On the shard only.
func (s *Shard) Conn(id ConnID) *Conn {
	if slot := id.Slot(); id.Shard() == s.index && slot < s.conns.n {
		if c := s.conns.at(slot); c.id == id && c.state == connOpen {
			return c
		}
	}
	return nil
}

// Do has fn run on the shard, soon; after the shard's end, at once. Any thread
// may call it; it is not meant for hot paths: shards talk by Post.
func (s *Shard) Do(fn func(s *Shard)) {
	s.inboxMu.Lock()
	if s.over {
		defer s.inboxMu.Unlock()
		fn(s)
		return
	}
	s.inbox = append(s.inbox, fn)
	s.inboxLen.Store(int32(len(s.inbox)))
	s.inboxMu.Unlock()
	s.notify()
}

// finishInbox serves the requests that came too late for the loop, which has
// ended: who waits for one must not wait for ever.
func (s *Shard) finishInbox() {
	s.inboxMu.Lock()
	defer s.inboxMu.Unlock()
	s.over = true
	for _, fn := range s.inbox {
		fn(s)
	}
	s.inbox = nil
	s.inboxLen.Store(0)
}

func (s *Shard) takeInbox() {
	if s.inboxLen.Load() == 0 {
		return
	}
	s.inboxMu.Lock()
	fns := s.inbox
	s.inbox = nil
	s.inboxLen.Store(0)
	s.inboxMu.Unlock()
	for _, fn := range fns {
		s.calling(cbDo)
		fn(s)
		if s.called() {
			s.bookCalled(cbDo, codeOf(fn))
		}
	}
}

// notify wakes the head if it sleeps. Any thread.
func (s *Shard) notify() {
	if s.sleeping.Load() != 0 && s.sleeping.CompareAndSwap(1, 0) {
		s.drv.Wake()
	}
}

// Begin starts the App; the driver's Run calls it once on the head, before or
// by Loop.
func (s *Shard) Begin() {
	if s.begun {
		return
	}
	s.begun = true
	s.Woke()
	s.nextTick = s.nowNs + int64(s.opts.TickInterval)
	if st, ok := s.app.(Starter); ok {
		s.calling(cbStart)
		st.Start(s)
		if s.called() {
			s.bookCalled(cbStart, 0)
		}
	}
	s.EndTurn()
}

// Loop runs the shard on the calling thread, until the shard ends (lost is
// false) or the thread has lost the shard to another, which goes on with the
// next event of the same batch.
func (s *Shard) Loop() (lost bool) {
	if !s.quit {
		s.headBegins()
		s.Begin()
	}
	for !s.quit {
		if !s.drv.Turn(s.WaitNs()) {
			return true
		}
		s.EndTurn()
	}
	s.headEnds()
	return false
}

// Quit reports whether the shard has ended. On the head only.
func (s *Shard) Quit() bool { return s.quit }

// WaitNs is how long the shard may wait now: 0 if there is work, negative if
// there is nothing to wait for but events.
func (s *Shard) WaitNs() int64 {
	if len(s.dirty) > 0 || len(s.reread) > 0 || len(s.ending) > 0 || s.quit || s.hasQueued() {
		return 0
	}
	due, ok := s.timers.next()
	if s.ticker != nil && (!ok || s.nextTick < due) {
		due, ok = s.nextTick, true
	}
	if s.owesMail() {
		due, ok = min64(due, ok, s.nowNs+int64(time.Millisecond)), true
	}
	if !ok {
		return -1
	}
	return max(due-s.nowNs, 0)
}

func min64(a int64, aOK bool, b int64) int64 {
	if aOK && a < b {
		return a
	}
	return b
}

func (s *Shard) hasQueued() bool {
	return s.finished.Load() != nil || s.inboxLen.Load() != 0 || s.hasMail()
}

// MayWait announces that the head is about to sleep, and reads the clock. If it
// says false there is work, and the head must not.
func (s *Shard) MayWait() bool {
	s.sleeping.Store(1)
	if s.hasQueued() {
		s.sleeping.Store(0)
		return false
	}
	s.Stats.Waits++
	s.nowNs = s.clock()
	s.endStretch(true)
	return true
}

// Woke says that the head is awake, and reads the turn's clock.
func (s *Shard) Woke() {
	if s.sleeping.Load() != 0 {
		s.sleeping.Store(0)
	}
	s.nowNs = s.clock()
	s.wokeNs = s.nowNs
	s.blocksWoke()
}

// EndTurn does what is due after a batch of events: completions, mail, timers,
// tick, output, endings.
func (s *Shard) EndTurn() {
	s.Stats.Turns++
	s.nowNs = s.clock()
	s.endStretch(false)
	s.takeFinished()
	s.takeMail()
	s.takeInbox()
	s.runTimers()
	s.tick()
	s.rereadAll()
	s.sayClosed()
	s.flush()
	if s.buffers.ample && !s.trimmer.Armed() {
		s.Arm(s.trimmer, trimEvery)
	}
	s.sendMail()
	if s.opts.OnTurn != nil {
		s.calling(cbOnTurn)
		s.opts.OnTurn(s, s.Stats.DataCallbacks)
		if s.called() {
			s.bookCalled(cbOnTurn, 0)
		}
	}
}

// endStretch ends, at the turn's clock, a stretch of work without a wait, which
// is looked at if it was long. What follows belongs to the next stretch.
func (s *Shard) endStretch(waits bool) {
	s.blocksTurn(s.nowNs, waits)
	s.wokeNs = s.nowNs
}

func (s *Shard) tick() {
	if s.ticker == nil || s.nowNs < s.nextTick {
		return
	}
	s.nextTick = s.nowNs + int64(s.opts.TickInterval)
	s.Stats.Ticks++
	s.calling(cbTick)
	s.ticker.Tick(s)
	if s.called() {
		s.bookCalled(cbTick, 0)
	}
}

func (s *Shard) rereadAll() {
	if len(s.reread) == 0 {
		return
	}
	s.reread, s.rereading = s.rereading[:0], s.reread
	for _, id := range s.rereading {
		if c := s.Conn(id); c != nil && c.in.len() > 0 {
			s.showUnread(c)
		}
	}
}

// flush hands the turn's output to the driver, all connections at once.
func (s *Shard) flush() {
	if len(s.dirty) == 0 {
		return
	}
	s.dirty, s.flushing = s.flushing[:0], s.dirty
	keep := s.flushing[:0]
	for _, c := range s.flushing {
		c.dirty = false
		switch {
		case c.state == connDetached:
			s.recycleIfDone(c)
		case c.out.bytes > 0:
			keep = append(keep, c)
		default:
			s.finishOutput(c)
		}
	}
	switch n := len(keep); {
	case n >= OutputMany:
		s.OutputBegins()
		s.drv.Flush(keep)
		s.OutputEnds()
	case n > 0:
		s.drv.Flush(keep)
	}
	clear(s.flushing)
}

// OutputMany is the number of connections from which on handing their output to the
// kernel is bracketed by OutputBegins and OutputEnds.
const OutputMany = 32

// OutputBegins and OutputEnds bracket the calls that hand the output of many
// connections to the kernel. That may take milliseconds and is nobody's fault: the
// block profile, which would watch the loop closely for it, leaves it out. (A block to
// 500 connections cost 1.6 times as much under that watch.) For the shard itself and
// for drivers that make those calls elsewhere than in Flush; on the head.
func (s *Shard) OutputBegins() {
	s.nowNs = s.clock()
	s.endStretch(true)
}

func (s *Shard) OutputEnds() {
	s.nowNs = s.clock()
	s.wokeNs = s.nowNs
	s.blocksWoke()
}
