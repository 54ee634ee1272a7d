package iouring

import (
	srt "github.com/syslet/syslet/runtime"
)

// Entries are submitted by the turn's one enter, all at once. For a device that is
// too late when many completions came at once: while the last of them is handled,
// it has nothing to do. (An interrupt of a virtual disk tells of some 25 reads of
// 32 in flight; handled in one piece, it was idle for a fifth of the time: 57,000
// reads a second, and 67,000 with what is here.)
//
// So file ops that are queued in the midst of a batch are submitted as soon as they
// are as many as the kernel still has: first one, then two, four, and so on. What is
// queued last always waits for the turn's enter, so that a lone op costs no enter
// more. Reads that the page cache answers are done in their submission, and gain
// nothing by this; when that is seen it is left off for a while.
type early struct {
	// flying are the file ops, or chains of them, that have not been handled; fresh
	// those of them that are not submitted. Invariant: 0 <= fresh <= flying.
	flying, fresh int
	// enters is the ring's count of them when fresh was right: every enter submits.
	enters uint64
	// off is how many file ops are still to be queued before it is tried again.
	off int
}

// earlyOff is how long to leave it off, in ops.
const earlyOff = 1024

// deviceOps are the ops that a device may have to answer, as bits.
const deviceOps = 1<<srt.OpOpenat | 1<<srt.OpClose | 1<<srt.OpPread | 1<<srt.OpPwrite | 1<<srt.OpFsync | 1<<srt.OpFdatasync |
	1<<srt.OpStatx | 1<<srt.OpRenameat | 1<<srt.OpUnlinkat | 1<<srt.OpMkdirat | 1<<srt.OpFallocate

// queueing is told of an op before it is queued as the first of r's entries.
func (q *syslets) queueing(r *record, op *srt.Op) {
	e, d := &q.early, q.driver
	if r.file = deviceOps>>op.Code&1 != 0; !r.file {
		return
	}
	if n := d.ring.Stats.Enters; n != e.enters {
		e.fresh, e.enters = 0, n
	}
	switch inKernel := e.flying - e.fresh - (d.n - d.next); {
	case e.off > 0:
		e.off--
	case e.fresh > 0 && e.fresh >= inKernel:
		q.submitEarly()
	}
	e.fresh++
	e.flying++
}

func (q *syslets) submitEarly() {
	ring := q.driver.ring
	ready := ring.Ready()
	_ = ring.Submit() // fails only with the ring, which Turn will see
	q.early.fresh, q.early.enters = 0, ring.Stats.Enters
	if ring.Ready() > ready {
		q.early.off = earlyOff
	}
}

// landed is told when all entries of r have completed.
func (q *syslets) landed(r *record) {
	if r.file {
		r.file = false
		q.early.flying--
	}
}
