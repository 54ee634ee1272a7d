package runtime

import (
	"runtime/metrics"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// BlockSensor reads the kernel's records of when one thread left its CPU and
// came back: number and length of its blocks, exactly. models/internal/switchlog
// is one.
type BlockSensor interface {
	// Counter is the address of a number that grows with each switch of the
	// thread, out or in. The head loads it around every callback, so that a
	// callback that does not block costs two loads. It stays valid until the
	// sensor is closed, or Loop has returned false.
	Counter() *uint64
	// Switches stores in out the switches, oldest first, that happened between two
	// values of the counter, as many as there is room for. They end at next; if
	// that is not to, there are more. lost is the part of the counter's way of
	// which the records are gone. The thread itself calls it, running.
	Switches(from, to uint64, out []Switch) (n int, next, lost uint64)
	// Blocked says whether the thread is off its CPU of its own accord now, and
	// since when (CLOCK_MONOTONIC ns). Any thread.
	Blocked() (sinceNs int64, yes bool)
}

// Switch is one absence of a thread from its CPU.
type Switch struct {
	OutNs, InNs int64 // CLOCK_MONOTONIC
	// Preempted: another thread was given the CPU; this one did not wait.
	Preempted bool
}

// OpenBlockSensor opens a sensor of a thread of this process; the error says what the
// system refuses. Any thread calls it, as it may take long: the first perf event of a
// system that counts switches waits for an RCU grace period, 5 ms here.
type OpenBlockSensor func(tid int) (sensor BlockSensor, closeIt func(), err error)

// SetBlockSensor gives the shard a sensor of the calling thread that is there in
// any case (a threadlet pool's switch detector). It may be nil; why says what the
// system refused then, for BlockCounting.Why. A driver calls it on the head's
// thread before each Loop on that thread.
func (s *Shard) SetBlockSensor(sensor BlockSensor, why string) {
	b := &s.block
	if b.on {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.sense.open = nil
		b.setSensor(sensor, why)
	}
}

// SetBlockSensing lets the shard open a sensor of the calling thread, its head, when it
// wants one: the records make each switch of a thread dearer by 2 us (measured,
// where a switch costs 7), which a loop that sleeps for every message would
// notice. A driver whose head is always the same thread calls it on that thread
// before Loop, and with nil behind it. One that calls neither this nor
// SetBlockSensor has blocks counted by sampling alone.
func (s *Shard) SetBlockSensing(open OpenBlockSensor) {
	b := &s.block
	if !b.on {
		return
	}
	b.closeSensor(s.clock())
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sense.open, b.sense.tid = open, unix.Gettid()
	if o := b.sense.opened.Swap(nil); o != nil && o.err == nil {
		o.close()
	}
	if open == nil {
		return
	}
	b.method = BlocksAdaptive
	if b.sense.always {
		b.install(s.clock(), b.sense.openIt())
	}
}

// setSensor is called with mu held.
func (b *headBlocks) setSensor(sensor BlockSensor, why string) {
	b.sensor, b.switches = sensor, &noSwitches
	switch {
	case sensor == nil:
		b.method, b.why = BlocksSampled, why
	case b.sense.open == nil, b.sense.always:
		b.method = BlocksBySwitch
	}
	if sensor != nil {
		b.switches = sensor.Counter()
	}
	b.skipSwitches()
}

// noSwitches is the counter of a thread without a sensor.
var noSwitches uint64

func (b *headBlocks) skipSwitches() { b.seen = atomic.LoadUint64(b.switches) }

const (
	spotEveryNs = int64(1e9)
	spotNs      = int64(50e6)
)

// sensing decides when a sensor that costs something is open: while callbacks
// are timed, for there was a long block lately; and for a spot check of 50 ms in
// each second, so that short blocks are found, too. If there were any that Go's
// own stops do not explain it stays open, and they all are counted.
//
// The watcher opens it, which may take long, and the head takes it over at the end of
// a turn.
type sensing struct {
	open   OpenBlockSensor // nil: there is none, or one that is always open. Written by the head, with mu held
	tid    int             // the thread that it is for. As open
	always bool            // Options.CountEveryBlock

	close   func() // of the one that is open, or nil. The head's alone, as all up to stops
	fromNs  int64  // of the window
	untilNs int64
	blocks  uint64 // in callbacks, in this window
	stops   uint64 // of the program by Go, before it

	// Written by the head, read by any thread.
	totalNs  atomic.Int64 // of earlier windows
	openedNs atomic.Int64 // when the one that is open was opened, or 0
	// wanted: the head wants one, and has none.
	wanted atomic.Bool
	// opened is what the watcher has opened. Stored with mu held, while open is not nil.
	opened atomic.Pointer[openSensor]
}

// openSensor is a sensor on its way from the watcher to the head, or why there is none.
type openSensor struct {
	sensor BlockSensor
	close  func()
	err    error
	stops  uint64
}

func (x *sensing) openIt() *openSensor {
	o := &openSensor{stops: stopsByGo()}
	o.sensor, o.close, o.err = x.open(x.tid)
	return o
}

// senseFor keeps the sensor open for ns, at least. On the head.
func (b *headBlocks) senseFor(nowNs, ns int64) {
	x := &b.sense
	x.untilNs = max(x.untilNs, nowNs+ns)
	if x.close == nil && x.open != nil {
		x.wanted.Store(true)
	}
}

// provide opens a sensor for the head. The watcher calls it.
func (b *headBlocks) provide() {
	x := &b.sense
	x.wanted.Store(false)
	b.mu.Lock()
	ask := sensing{open: x.open, tid: x.tid}
	has := b.sensor != nil || x.opened.Load() != nil
	b.mu.Unlock()
	if ask.open == nil || has {
		return
	}
	o := ask.openIt()
	b.mu.Lock()
	defer b.mu.Unlock()
	if x.open != nil && x.tid == ask.tid {
		x.opened.Store(o)
	} else if o.err == nil {
		o.close() // the head has gone
	}
}

// install takes over what was opened. On the head, with mu held.
func (b *headBlocks) install(nowNs int64, o *openSensor) {
	x := &b.sense
	if o.err != nil {
		x.open = nil
		b.setSensor(nil, o.err.Error())
		return
	}
	x.close, x.fromNs, x.blocks, x.stops = o.close, nowNs, 0, o.stops
	x.untilNs = max(x.untilNs, nowNs+spotNs)
	x.openedNs.Store(nowNs)
	b.setSensor(o.sensor, "")
}

func (b *headBlocks) closeSensor(nowNs int64) {
	x := &b.sense
	if x.close == nil {
		return
	}
	b.mu.Lock() // the watcher reads what is about to go
	b.sensor, b.switches, b.seen = nil, &noSwitches, 0
	b.mu.Unlock()
	x.close()
	x.close = nil
	x.totalNs.Add(nowNs - x.openedNs.Load())
	x.openedNs.Store(0)
}

// senseOn is asked at a stretch's end whether to go on sensing.
func (b *headBlocks) senseOn(nowNs int64) {
	x := &b.sense
	if o := x.opened.Load(); o != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		x.opened.Store(nil)
		b.install(nowNs, o)
		return
	}
	if x.close == nil || x.always || nowNs < x.untilNs {
		return
	}
	if stops := stopsByGo(); x.blocks > stops-x.stops {
		x.fromNs, x.untilNs, x.blocks, x.stops = nowNs, nowNs+evidenceNs, 0, stops
		return
	}
	b.closeSensor(nowNs)
}

// sensedNs is for how long a sensor has been open. Any thread.
func (x *sensing) sensedNs(nowNs int64) int64 {
	total := x.totalNs.Load()
	if opened := x.openedNs.Load(); opened != 0 {
		total += nowNs - opened
	}
	return total
}

// stopsByGo is how often Go has stopped the program: each time, a head may have
// been switched out.
func stopsByGo() (n uint64) {
	samples := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}, {Name: "/sched/pauses/total/other:seconds"}}
	metrics.Read(samples)
	for _, x := range samples {
		if x.Value.Kind() == metrics.KindFloat64Histogram {
			for _, count := range x.Value.Float64Histogram().Counts {
				n += count
			}
		}
	}
	return n
}
