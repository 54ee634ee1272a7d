package runtime

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	calmPeriodNs = int64(20e6)
	// calmLooks without any turn of any shard send the watcher to sleep.
	calmLooks = 50
	// alertPeriodNsMin bounds how often the watcher looks, however low
	// Options.BlockThreshold is.
	alertPeriodNsMin = int64(250e3)
	// sampleShare: after a stack was taken the next one waits for so many times
	// what it cost, so that taking them uses a tenth of one CPU at most, and that
	// only while heads are held up.
	sampleShare = 10
	stopsKept   = 16
)

// watcher is the goroutine that takes stacks of heads that are held up. It looks
// every 20 ms, which no measurement here could tell from nothing; twice per
// Options.BlockThreshold while there were blocks lately; and not at all while
// all shards sleep: then the first to wake rouses it.
type watcher struct {
	server *Server
	wake   chan struct{} // one token
	done   chan struct{}
	// idle: it waits for wake alone. Set by the watcher, which looks at the shards
	// once more after that; a head stores that it is awake and then loads this:
	// one of the two sees the other.
	idle atomic.Bool
	// over is set once, by the server's end.
	over    atomic.Bool
	alertNs atomic.Int64 // until when to look closely; any head raises it

	samples, sampleNs atomic.Uint64

	stopsMu sync.Mutex
	stops   [stopsKept]struct{ fromNs, toNs int64 } // when stacks were taken
	stopsN  int

	seen   []watched // by shard; the watcher's alone
	quiet  int       // looks in a row at which nothing had gone on
	nextNs int64     // no stack before
	buf    bytes.Buffer
	due    []*Shard // scratch
}

// watched is what the watcher remembers of a shard.
type watched struct {
	sinceNs   int64  // headBlocks.sinceNs at the last look
	counter   uint64 // of the sensor, when it was last found due
	waits     bool   // the sensor said so then
	spotNs    int64  // when a spot check was last begun
	sampledNs int64  // when its stack was taken last; 0: not since sinceNs
	sampled   uint64 // the sensor's counter then
}

func (v *Server) startWatcher() {
	w := &v.watcher
	w.server = v
	if v.opts.BlockThreshold <= 0 || v.host != nil {
		return
	}
	w.wake, w.done = make(chan struct{}, 1), make(chan struct{})
	w.seen = make([]watched, len(v.shards))
	go w.watch()
}

func (v *Server) stopWatcher() {
	if w := &v.watcher; w.done != nil {
		w.over.Store(true)
		w.signal()
		<-w.done
	}
}

func (w *watcher) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// rouse ends the watcher's sleep. Any head.
func (w *watcher) rouse() {
	if w.idle.CompareAndSwap(true, false) {
		w.signal()
	}
}

// alert makes it look closely until untilNs. Any head.
func (w *watcher) alert(untilNs int64) {
	for {
		old := w.alertNs.Load()
		if untilNs <= old {
			return
		}
		if w.alertNs.CompareAndSwap(old, untilNs) {
			w.signal()
			return
		}
	}
}

func (w *watcher) watch() {
	defer close(w.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for !w.over.Load() {
		timer.Reset(time.Duration(w.look(nanotime())))
		if w.quiet >= calmLooks {
			w.sleep()
			continue
		}
		select {
		case <-timer.C:
		case <-w.wake:
		}
	}
}

// sleep waits until a head is awake.
func (w *watcher) sleep() {
	w.quiet = 0
	w.idle.Store(true)
	for i, s := range w.server.shards {
		if s.block.sinceNs.Load() != w.seen[i].sinceNs {
			w.idle.Store(false)
			return
		}
	}
	<-w.wake
	w.idle.Store(false)
}

// look looks at all heads, and takes their stacks if one is held up. It gives
// the time until the next look.
func (w *watcher) look(nowNs int64) (periodNs int64) {
	alert := nowNs < w.alertNs.Load()
	w.due = w.due[:0]
	w.quiet++
	for i, s := range w.server.shards {
		sinceNs := s.block.sinceNs.Load()
		if sinceNs != w.seen[i].sinceNs {
			w.seen[i] = watched{sinceNs: sinceNs, spotNs: w.seen[i].spotNs}
			w.quiet = 0
			if nowNs-w.seen[i].spotNs >= spotEveryNs {
				w.seen[i].spotNs = nowNs
				s.block.provide()
			}
		}
		if s.block.sense.wanted.Load() {
			s.block.provide()
		}
		if sinceNs > 0 {
			w.quiet = 0
			if nowNs-sinceNs >= s.block.thresholdNs && w.isDue(s, nowNs, alert) {
				w.due = append(w.due, s)
			}
		}
	}
	if len(w.due) > 0 && nowNs >= w.nextNs {
		w.take()
	}
	if !alert {
		return calmPeriodNs
	}
	return max(int64(w.server.opts.BlockThreshold)/2, alertPeriodNsMin)
}

// isDue says whether to take a stack of a head that has been busy for longer than
// the threshold. One stack per block is enough; of one that computes, at
// intervals that double. Without alert a long turn is no reason to suspect a
// callback: it may be one of many.
func (w *watcher) isDue(s *Shard, nowNs int64, alert bool) bool {
	b, seen := &s.block, &w.seen[s.index]
	b.mu.Lock()
	sensor, tid := b.sensor, b.tid
	var counter uint64
	var waits bool
	waitsNs := nowNs - seen.sinceNs
	if sensor != nil {
		// The sensor is there for as long as the lock is held.
		counter = atomic.LoadUint64(sensor.Counter())
		var outNs int64
		if outNs, waits = sensor.Blocked(); waits {
			waitsNs = nowNs - (outNs - monotonicEpochNs)
		}
	}
	b.mu.Unlock()
	seen.counter, seen.waits = counter, waits
	if sensor == nil && tid != 0 {
		waits, _ = threadWaits(tid)
	}
	again := seen.sampledNs == 0 || nowNs-seen.sampledNs > seen.sampledNs-seen.sinceNs
	switch {
	case sensor != nil && waits:
		return waitsNs >= b.thresholdNs && (seen.sampledNs == 0 || counter != seen.sampled)
	case waits, tid == 0: // without a thread of its own a head's turn is one event
		return again
	}
	return again && (alert || waitsNs >= int64(s.opts.StallBudget)/2)
}

// take takes the stacks, and gives each head that is due its own.
func (w *watcher) take() {
	at := w.stopBegins()
	fromNs := nanotime()
	w.buf.Reset()
	err := takeStacks(&w.buf)
	toNs := nanotime()
	w.stopEnds(at, toNs)
	for _, s := range w.due {
		if err == nil {
			w.give(s, fromNs, toNs)
		}
	}
	costNs := nanotime() - fromNs
	w.nextNs = fromNs + sampleShare*costNs
	w.samples.Add(1)
	w.sampleNs.Add(uint64(costNs))
}

// give keeps the stack of a head for the one that books, if the head still is
// where it was.
func (w *watcher) give(s *Shard, fromNs, toNs int64) {
	b, seen := &s.block, &w.seen[s.index]
	b.mu.Lock()
	tid := b.tid
	b.mu.Unlock()
	st, found := readStack(w.buf.Bytes(), s.index, tid)
	waits := st.parked || st.inCall
	if waits && tid != 0 {
		waits, _ = threadWaits(tid) // a system call may compute, too
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sensor != nil {
		waits = seen.waits
		if counter := atomic.LoadUint64(b.sensor.Counter()); waits && counter != seen.counter {
			return // that block is over, and this may be the stack of the next
		}
	}
	seen.sampledNs, seen.sampled = fromNs, seen.counter
	if found && b.sinceNs.Load() == seen.sinceNs && b.tid == tid && len(b.samples) < samplesMax {
		b.samples = append(b.samples, blockSample{fromNs: fromNs, toNs: toNs, waits: waits, body: st.inBody, line: st.line})
	}
}

// stopBegins and stopEnds say when a stack was taken: that stops the program for
// some microseconds, which must not be booked as the application's.
func (w *watcher) stopBegins() int {
	w.stopsMu.Lock()
	defer w.stopsMu.Unlock()
	at := w.stopsN % stopsKept
	w.stopsN++
	w.stops[at] = struct{ fromNs, toNs int64 }{nanotime(), 1 << 62}
	return at
}

func (w *watcher) stopEnds(at int, toNs int64) {
	w.stopsMu.Lock()
	defer w.stopsMu.Unlock()
	w.stops[at].toNs = toNs
}

// stopNsMax is the longest block that is taken for one that taking a stack has
// caused: its stops are much shorter.
const stopNsMax = int64(500e3)

// stopped says whether a block, in times of nanotime, is a short one that began
// while a stack was taken. Any head.
func (w *watcher) stopped(fromNs, toNs int64) bool {
	if toNs-fromNs > stopNsMax {
		return false
	}
	w.stopsMu.Lock()
	defer w.stopsMu.Unlock()
	for _, x := range w.stops {
		if x.fromNs <= fromNs && fromNs < x.toNs {
			return true
		}
	}
	return false
}

// monotonicEpochNs is CLOCK_MONOTONIC, which the kernel's records tell, at the
// zero of nanotime.
var monotonicEpochNs = func() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return ts.Nano() - nanotime()
}()
