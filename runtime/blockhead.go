package runtime

import (
	"context"
	"runtime/pprof"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// callback is what the head runs for the App; the last four are not callbacks.
type callback uint8

const (
	cbStart callback = iota
	cbAccept
	cbOpened
	cbData
	cbClosed
	cbMessage
	cbTick
	cbTimer
	cbDone
	cbDo
	cbOnTurn
	cbStop
	cbSubmit // an op that the head made inside a callback, by name
	cbLoop   // the runtime's own code
	cbTurn   // a turn of which it is not known which callback
	cbBody   // an op or a threadlet's function
)

var callbackNames = [...]string{"Start", "Accept", "Opened", "Data", "Closed", "Message", "Tick", "timer", "Done", "Do", "OnTurn", "Stop",
	"Submit", "loop", "turn", ""}

func (c callback) String() string { return callbackNames[c] }

const (
	evidenceNs    = int64(5e9)  // how long callbacks are timed after one was too long
	suspicionNs   = int64(50e6) // ... after a turn was, for whatever reason
	suspicionRest = int64(5e9)  // and how long no turn is suspected after that
	samplesMax    = 64
	switchesMax   = 64 // read at once
)

// headBlocks is a shard's part of the block profile.
//
// While nothing is wrong the head only loads a counter around each callback and
// stores the time once a turn. Callbacks are timed one by one (timing) only for
// a while after a block, or after a turn that was long: a turn may be long
// because there was much to do, and a clock read for each message would be dear.
type headBlocks struct {
	on          bool
	thresholdNs int64
	suspectNs   int64 // a stretch longer than that is looked at
	table       blockTable

	// The head's alone.
	switches     *uint64 // the sensor's counter, or noSwitches
	seen         uint64  // *switches as far as its records have been read
	timing       bool
	timingNs     int64 // until when
	suspectAgain int64 // no suspicion before
	stretch      stretch
	offNs        int64     // off the CPU since sinceNs
	use          threadUse // without a sensor: as of when the head woke
	sense        sensing
	labels       map[int]context.Context
	visited      int // the head's thread, during a visit; else 0
	buf          [switchesMax]Switch

	// sinceNs is when the head began what it does now: this stretch, or this
	// callback if they are timed; negated while it waits. It grows strictly, so
	// the watcher knows by it whether anything has gone on. Written by the head.
	sinceNs atomic.Int64

	// mu guards what follows between the head and the watcher.
	mu      sync.Mutex
	sensor  BlockSensor
	method  string // BlockCounting.Method
	why     string
	tid     int // the head's thread; 0: not a thread of its own
	samples []blockSample
	lost    uint64
	own     uint64
}

// stretch is what is known of the work since the last wait or turn's end.
type stretch struct {
	timed  bool     // callbacks were, from its beginning
	sensed bool     // a sensor was open, from its beginning
	now    callback // the one that runs, or ran last
	calls  int      // callbacks
	bodies int
	offNs  int64 // booked as blocks, or spent preempted
	booked bool  // anything
}

// blockSample is a stack that the watcher took of a head that was held up.
type blockSample struct {
	fromNs, toNs int64 // when it was taken
	waits        bool  // the head was off its CPU of its own accord
	body         bool  // in a body: if it waits, the driver books it
	line         appLine
}

func (b *headBlocks) init(o *Options, hosted bool) {
	b.switches = &noSwitches
	b.on = o.BlockThreshold > 0 && !hosted
	b.thresholdNs, b.suspectNs = int64(o.BlockThreshold), int64(o.StallBudget)
	if b.on {
		b.suspectNs = min(b.suspectNs, b.thresholdNs)
		b.labels = map[int]context.Context{}
	}
	b.sense.always = o.CountEveryBlock
	b.method, b.why = BlocksSampled, "the model's heads are no threads of their own, or its driver has no sensor"
}

// calling and called bracket each callback; if called says so, bookCalled
// follows. Between them the head's thread is the application's.
func (s *Shard) calling(cb callback) {
	b := &s.block
	if atomic.LoadUint64(b.switches) != b.seen || b.timing {
		s.bookCalled(cbLoop, 0)
	}
	b.stretch.now = cb
}

func (s *Shard) called() (look bool) {
	b := &s.block
	b.stretch.calls++
	return atomic.LoadUint64(b.switches) != b.seen || b.timing
}

// headBegins is told by Loop that the calling thread is head now.
func (s *Shard) headBegins() {
	b := &s.block
	if !b.on {
		return
	}
	s.standOn(unix.Gettid())
	b.stretch = stretch{bodies: 1} // in which the last head was, if there was one
	b.skipSwitches()
	b.began(s.clock())
}

// standOn says that the calling goroutine, on that thread, is what the watcher is to
// look at.
func (s *Shard) standOn(tid int) {
	b := &s.block
	b.mu.Lock()
	b.tid = tid
	b.samples = b.samples[:0] // of the last one
	b.mu.Unlock()
	label := b.labels[tid]
	if label == nil {
		label = pprof.WithLabels(context.Background(), pprof.Labels(headLabel, headLabelValue(s.index, tid)))
		b.labels[tid] = label
	}
	pprof.SetGoroutineLabels(label)
}

// VisitBegins is Woke on a thread that does a sleeping head's work in its place, and
// VisitEnds its end: for the block profile, which else would look for a callback on
// the head's thread. Where it goes by a sensor, which is the head's thread's, what
// blocks during a visit is not seen.
func (s *Shard) VisitBegins() {
	if b := &s.block; b.on && b.sensor == nil {
		b.visited = b.tid
		s.standOn(unix.Gettid())
	}
	s.Woke()
}

func (s *Shard) VisitEnds() {
	b := &s.block
	if b.visited == 0 {
		return
	}
	b.mu.Lock()
	b.tid, b.visited = b.visited, 0
	b.samples = b.samples[:0]
	b.mu.Unlock()
}

// headEnds: the loop is over, and the sensor may go.
func (s *Shard) headEnds() {
	b := &s.block
	b.closeSensor(s.clock())
	b.mu.Lock()
	defer b.mu.Unlock()
	b.switches, b.seen = &noSwitches, 0
	b.sensor, b.tid = nil, 0
	b.sinceNs.Store(-s.clock())
}

// LabelHead makes the block profile know the calling goroutine, and those that
// it starts from now on, as possible heads of s: for a driver that does not
// call Loop.
func (s *Shard) LabelHead() {
	if s.block.on {
		pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(headLabel, headLabelValue(s.index, 0))))
	}
}

// blocksWoke begins a stretch after a wait.
func (s *Shard) blocksWoke() {
	b := &s.block
	if !b.on {
		return
	}
	b.skipSwitches()
	b.beginStretch()
	b.began(s.wokeNs)
	if b.timing && b.sensor == nil {
		b.use = threadUseNow()
	}
	if w := &s.server.watcher; w.idle.Load() {
		w.rouse()
	}
}

// blocksTurn ends a stretch, at untilNs, and begins the next, which is a wait if
// waits.
func (s *Shard) blocksTurn(untilNs int64, waits bool) {
	b := &s.block
	if !b.on {
		if busy := untilNs - s.wokeNs; busy > b.suspectNs {
			s.countStall(busy)
		}
		return
	}
	if atomic.LoadUint64(b.switches) != b.seen {
		s.bookCalled(cbLoop, 0)
	}
	if busy := untilNs - s.wokeNs; busy > b.suspectNs || b.timing {
		s.bookStretch(busy, untilNs)
	}
	if b.sense.close != nil || b.sense.opened.Load() != nil {
		b.senseOn(untilNs)
	}
	b.beginStretch()
	b.offNs = 0
	if waits {
		untilNs = -untilNs
	}
	b.sinceNs.Store(untilNs)
}

// began says that what the head does now began at nowNs.
func (b *headBlocks) began(nowNs int64) {
	b.offNs = 0
	b.sinceNs.Store(nowNs)
}

func (b *headBlocks) beginStretch() {
	b.stretch = stretch{timed: b.timing, sensed: b.sensor != nil}
}

func (s *Shard) countStall(busyNs int64) {
	s.Stats.Stalls++
	s.Stats.StallMaxNs = max(s.Stats.StallMaxNs, uint64(busyNs))
}
