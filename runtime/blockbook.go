package runtime

import (
	"runtime/pprof"
	"sync/atomic"
)

// How the head books what it was held up by.

// bookCalled books the blocks since the last look: those of the callback cb that
// has just returned, or of the loop's code before one. fn is the callback's code
// if it is a function, else 0.
func (s *Shard) bookCalled(cb callback, fn uintptr) {
	b := &s.block
	k := siteKey{callback: cb, callee: fn}
	nowNs := s.clock()
	b.mu.Lock()
	longNs := b.bookSwitches(s, k, atomic.LoadUint64(b.switches))
	if b.timing && cb != cbLoop {
		switch busyNs := nowNs - b.sinceNs.Load(); {
		case b.sensor == nil && busyNs > b.thresholdNs:
			b.bookHeld(k, busyNs)
			longNs = busyNs
		case b.sensor != nil && busyNs-b.offNs > b.thresholdNs:
			b.bookStall(k, busyNs-b.offNs)
			longNs = busyNs
		}
	}
	if b.timing {
		b.samples = b.samples[:0]
		b.began(nowNs)
	}
	b.mu.Unlock()
	if longNs > b.thresholdNs && cb != cbLoop {
		s.watchClosely(nowNs, evidenceNs)
	}
}

// bookSwitches reads the sensor's records up to a value of its counter, books
// what was a block, and gives the longest.
func (b *headBlocks) bookSwitches(s *Shard, k siteKey, to uint64) (longNs int64) {
	for b.sensor != nil && b.seen != to {
		n, next, lost := b.sensor.Switches(b.seen, to, b.buf[:])
		b.lost += lost
		for _, sw := range b.buf[:n] {
			b.offNs += sw.InNs - sw.OutNs
			b.stretch.offNs += sw.InNs - sw.OutNs
			longNs = max(longNs, b.bookSwitch(s, k, sw))
		}
		if next == b.seen {
			b.lost += to - next // what is left is no whole switch
			next = to
		}
		b.seen = next
	}
	return longNs
}

// bookSwitch books one switch, if it was a block, and gives its length then.
func (b *headBlocks) bookSwitch(s *Shard, k siteKey, sw Switch) (blockNs int64) {
	fromNs, toNs := sw.OutNs-monotonicEpochNs, sw.InNs-monotonicEpochNs
	switch {
	case sw.Preempted:
		return 0
	case s.server.watcher.stopped(fromNs, toNs):
		b.own++
		return 0
	}
	if k.line.function == "" {
		k.line = b.sampleAt(fromNs, toNs).line
	}
	if k.callback == cbLoop {
		k.kind = BlockLoop
	} else {
		b.sense.blocks++
	}
	b.table.book(k, toNs-fromNs)
	b.stretch.booked = true
	return toNs - fromNs
}

// sampleAt is the sample of a block, or the zero value.
func (b *headBlocks) sampleAt(fromNs, toNs int64) blockSample {
	for _, x := range b.samples {
		if x.waits && !x.body && x.fromNs >= fromNs && x.fromNs < toNs {
			return x
		}
	}
	return blockSample{}
}

// bookStall books a callback that computed for too long, at the last line that
// it was seen at, if it was.
func (b *headBlocks) bookStall(k siteKey, ns int64) {
	k.kind = BlockStall
	for _, x := range b.samples {
		if !x.waits {
			k.line = x.line
		}
	}
	b.table.book(k, ns)
	b.stretch.booked = true
	b.stretch.offNs += ns
}

// bookHeld books, without a sensor, what held the head up for ns: one block for
// each line at which it was seen, with the time from there to the next one.
func (b *headBlocks) bookHeld(k siteKey, ns int64) {
	b.stretch.booked = true
	b.stretch.offNs += ns
	if len(b.samples) == 0 {
		k.kind = BlockStall
		if b.tid != 0 && b.use.waited(threadUseNow(), ns) {
			k.kind = BlockCallback
		}
		b.table.book(k, ns)
		return
	}
	endNs := b.sinceNs.Load() + ns
	fromNs := endNs - ns
	for i := 0; i < len(b.samples); {
		x, j := b.samples[i], i+1
		for j < len(b.samples) && b.samples[j].line == x.line && b.samples[j].waits == x.waits {
			j++
		}
		toNs := endNs
		if j < len(b.samples) {
			toNs = b.samples[j].fromNs
		}
		k.kind, k.line = BlockStall, x.line
		if x.waits {
			k.kind = BlockCallback
		}
		b.table.book(k, toNs-fromNs)
		i, fromNs = j, toNs
	}
}

// bookStretch looks at a stretch that was long, or in which callbacks were timed.
func (s *Shard) bookStretch(busyNs, nowNs int64) {
	b := &s.block
	b.mu.Lock()
	restNs := busyNs - b.stretch.offNs
	evidence := false
	if restNs > b.thresholdNs && !b.stretch.timed {
		evidence = b.bookUntimed(restNs)
	}
	if busyNs > int64(s.opts.StallBudget) {
		s.countStall(busyNs)
		if !b.stretch.booked {
			b.table.book(siteKey{kind: BlockStall, callback: cbTurn}, restNs)
		}
	}
	b.samples = b.samples[:0]
	b.mu.Unlock()
	switch {
	case evidence:
		s.watchClosely(nowNs, evidenceNs)
	case b.timing && nowNs >= b.timingNs:
		b.timing = false
	case restNs > b.thresholdNs && !b.timing && nowNs >= b.suspectAgain:
		b.suspectAgain = nowNs + suspicionRest
		s.watchClosely(nowNs, suspicionNs)
	}
	if b.timing && b.tid != 0 {
		pprof.SetGoroutineLabels(b.labels[b.tid]) // the App may have set its own
	}
}

// bookUntimed books a long stretch of which only the sum is known, if that is
// enough to tell that one callback was long: it was seen, or even the mean is. Evidence
// is only what was seen waiting, or computing as the stretch's only callback. Where the
// host steals a millisecond now and then the mean is long without any fault, and 500
// connections that open in one turn are; to be on the watch for that costs 10 % of a
// server that sleeps between messages.
func (b *headBlocks) bookUntimed(restNs int64) (evidence bool) {
	k := siteKey{callback: cbTurn}
	if b.stretch.calls == 1 {
		k.callback = b.stretch.now
		evidence = true
	}
	switch {
	case b.bodyWaited(): // that may be all of it
		return false
	case len(b.samples) > 0 && !b.stretch.sensed:
		b.bookHeld(k, restNs)
		return evidence || b.samples[len(b.samples)-1].waits
	case len(b.samples) > 0 && !b.samples[len(b.samples)-1].waits:
		b.bookStall(k, restNs)
		return evidence
	case b.stretch.calls > 0 && b.stretch.bodies == 0 && restNs/int64(b.stretch.calls) > b.thresholdNs:
		b.bookStall(k, restNs)
	}
	return false
}

// watchClosely has callbacks timed, and the watcher look often, for ns.
func (s *Shard) watchClosely(nowNs, ns int64) {
	b := &s.block
	b.timing = true
	b.timingNs = max(b.timingNs, nowNs+ns)
	b.senseFor(nowNs, ns)
	s.server.watcher.alert(b.timingNs)
}
