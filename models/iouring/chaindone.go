package iouring

import (
	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
)

// What becomes of a chain when its entries have completed.

// settle notes what a batch of ops has done to the file table, which is done even
// if the program will not hear of it.
func (q *syslets) settle(r *record) {
	for i := range r.ops {
		p := &r.places[i]
		if p.slot == noSlot {
			continue
		}
		op := &r.y.Ops[p.op]
		ran := unix.Errno(-p.result) != unix.ECANCELED
		switch {
		case op.Code == srt.OpOpenat && p.result >= 0:
			r.files.opened(op, p.slot)
		case op.Code == srt.OpOpenat:
			q.table.put(p.slot)
		case op.Code == srt.OpClose && ran:
			r.files.used(op)
			q.table.put(p.slot)
		case slotUse(op.Code) == useSync && ran, p.result >= 0:
			r.files.used(op)
		}
	}
}

// applyChain applies the results of a chain in the program's order. An op that
// the kernel cancelled because an earlier one broke the chain has not run, and
// the program goes on with it, or where that op's flags led it.
func (q *syslets) applyChain(r *record) {
	y := r.y
	for i := range r.ops {
		p := &r.places[i]
		q.computeTo(y, int(p.op))
		if y.PC() != int(p.op) {
			r.keep(i)
			return
		}
		switch errno := unix.Errno(max(-p.result, 0)); {
		case y.Cancelled():
		case errno == unix.ECANCELED:
			// The first of a chain only if the kernel refused a later one's form.
			r.stepwise = r.stepwise || i == 0
			return
		case errno == unix.EINTR && !p.hard && y.Op().Code != srt.OpClose:
			return // once more
		}
		y.Apply(p.value(y.Op()))
	}
}

// computeTo does what needs no system call before op.
func (q *syslets) computeTo(y *srt.Syslet, op int) {
	for y.PC() >= 0 && y.PC() != op && planOf(y).steps[y.PC()].traits&computed != 0 {
		y.Apply(y.Exec())
	}
}

// keep puts the results of ops from place i on into their registers, though the
// program has ended, cancelled. They ran, and a descriptor must not get lost.
func (r *record) keep(i int) {
	y := r.y
	for ; y.PC() < 0 && i < r.ops; i++ {
		p := &r.places[i]
		if op := &y.Ops[p.op]; op.Dst != 0 && unix.Errno(-p.result) != unix.ECANCELED {
			y.Regs[op.Dst-1] = p.value(op)
		}
	}
}

// value is the result of op as the program sees it.
func (p *place) value(op *srt.Op) int64 {
	if op.Code == srt.OpOpenat && p.slot != noSlot && p.result >= 0 {
		return standIn(p.slot)
	}
	return resultOf(op, p.result)
}

// plainErrno makes res one that a process knows. A worker's op that was interrupted
// says ERESTARTSYS or the like (512 to 516), which the kernel keeps to itself
// otherwise; if it was for a cancellation we call it one.
func (r *record) plainErrno(p *place, res int32) int32 {
	const errnoMax = 511
	if res < -errnoMax {
		res = -int32(unix.EINTR)
	}
	if unix.Errno(-res) == unix.EINTR && !r.naming && r.y.Cancelled() && r.y.Ops[p.op].Code != srt.OpClose {
		res = -int32(unix.ECANCELED)
	}
	return res
}

// broke notes that the quiet op at place i has failed: nothing is heard any more of
// those behind it, which are cancelled.
func (q *syslets) broke(r *record, i int) {
	r.left = 0
	q.driver.ring.Forgo(r.loud(i + 1))
	for i++; i < r.ops; i++ {
		r.places[i].result = -int32(unix.ECANCELED)
	}
}
