package runtime

import (
	goruntime "runtime"
	"sync/atomic"
	"unsafe"
)

// BookBlock books a block of a body that a driver ran in the head's context and
// whose thread has lost the shard: op, an index into y.Ops, was off its CPU for
// lengthNs. Any thread, while y is its driver's: before FinishFrom.
func (s *Shard) BookBlock(y *Syslet, op int, lengthNs int64) {
	if s.block.on {
		s.block.table.book(y.siteKey(BlockBody, op), lengthNs)
	}
}

// BodyRan says that the head has run a body of y and is head still: what the
// thread's counter of switches says since is neither a callback's nor the
// loop's. blockedNs is how long op of it blocked (0: it did not) and is booked; a
// body that computed for longer than Options.BlockThreshold is booked as a
// stall. On the head only, before Finish.
func (s *Shard) BodyRan(y *Syslet, op int, blockedNs int64) {
	b := &s.block
	b.stretch.bodies++
	if !b.on {
		return
	}
	if blockedNs > 0 {
		b.table.book(y.siteKey(BlockBody, op), blockedNs)
		b.stretch.booked = true
		b.stretch.offNs += blockedNs
	}
	if b.timing {
		s.timeBody(y, op, blockedNs)
	}
	b.skipSwitches()
}

func (s *Shard) timeBody(y *Syslet, op int, blockedNs int64) {
	b := &s.block
	nowNs := s.clock()
	b.mu.Lock()
	defer b.mu.Unlock()
	ranNs := nowNs - b.sinceNs.Load() - blockedNs
	if ranNs > b.thresholdNs && !b.bodyWaited() {
		b.bookStall(y.siteKey(BlockStall, op), ranNs)
	}
	b.samples = b.samples[:0]
	b.began(nowNs)
}

// bodyWaited: the watcher saw a body wait, which its driver did not notice or
// books itself.
func (b *headBlocks) bodyWaited() bool {
	for _, x := range b.samples {
		if x.waits && x.body {
			return true
		}
	}
	return false
}

// siteKey is where y was submitted, and which of its ops it is about.
func (y *Syslet) siteKey(kind BlockKind, op int) siteKey {
	k := siteKey{kind: kind, callback: cbBody, from: y.from, op: op, callee: y.callee}
	if op >= 0 && op < len(y.Ops) {
		k.code = y.Ops[op].Code
		if k.callee == 0 && k.code == OpCall {
			k.callee = codeOf(y.Ops[op].Call)
		}
	}
	return k
}

// codeOf is the address of a function's code: what a func value points to
// begins with it.
func codeOf[F any](fn F) uintptr {
	p := *(**uintptr)(unsafe.Pointer(&fn))
	if p == nil {
		return 0
	}
	return *p
}

// ExecHere makes y's current op on the head, where it stands, as Exec does; if
// that blocks it is booked as a block of the callback, at the line that
// submitted y. For ops with Sync, and for drivers that make calls in the loop.
// On the head only.
func (s *Shard) ExecHere(y *Syslet) int64 {
	op, mark := y.PC(), s.SwitchMark()
	res := y.Exec()
	s.BookHere(y, op, mark)
	return res
}

// SwitchMark and BookHere are ExecHere for a driver that has the op made in
// another way, while the head waits. On the head only.
func (s *Shard) SwitchMark() uint64 { return atomic.LoadUint64(s.block.switches) }

// BookHere books the blocks since mark, if any.
func (s *Shard) BookHere(y *Syslet, op int, mark uint64) {
	if to := atomic.LoadUint64(s.block.switches); to != mark {
		s.bookHere(y, op, mark, to)
	}
}

func (s *Shard) bookHere(y *Syslet, op int, before, to uint64) {
	b := &s.block
	k := y.siteKey(BlockCallback, op)
	k.callback = cbSubmit
	var pcs [32]uintptr
	if f, ok := submitter(pcs[:goruntime.Callers(1, pcs[:])]); ok {
		// Inside a callback; else y.from is where it was submitted.
		k.line = appLine{function: f.Function, file: f.File, line: f.Line, call: k.call()}
		k.from, k.callee = callSite{}, 0
	}
	b.mu.Lock()
	b.bookSwitches(s, siteKey{callback: b.stretch.now}, before) // the callback's own until then
	longNs := b.bookSwitches(s, k, to)
	b.mu.Unlock()
	if longNs > b.thresholdNs {
		nowNs := s.clock()
		b.began(nowNs) // what follows in this callback is timed from here
		s.watchClosely(nowNs, evidenceNs)
	}
}
