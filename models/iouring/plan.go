package iouring

import (
	srt "github.com/syslet/syslet/runtime"
)

// plan is what a program's ops, flags, targets and registers say before it runs.
// It is made once, when a program is submitted first, and kept in Syslet.Plan.
// Values (offsets, lengths, flags of an open) are not in it, but for guesses.
type plan struct{ steps []step }

// step is what is known of the op with the same index.
type step struct {
	next   [3]int32 // by the sign of the result: where the program goes on, or ended
	reads  regs     // that arguments are in
	writes regs     // at most one
	traits traits
}

const ended = -1

// The signs of a result, as indexes.
const (
	below = iota
	zero
	above
)

func signOf(v int64) int {
	switch {
	case v < 0:
		return below
	case v == 0:
		return zero
	}
	return above
}

// regs is a set of registers.
type regs uint8

const allRegs = ^regs(0)

type traits uint8

const (
	// linkable: a file op, which never needs a second try, so that it may be part
	// of a chain.
	linkable traits = 1 << iota
	// computed: nop and add need no system call.
	computed
	// asked: the next op wants the result of this read or write. So it is
	// linked in the hope that all of it is read or written: then it is known.
	asked
	// slotted: an open whose descriptor may be a slot of the file table, see scan.
	slotted
	// unsynced: of slotted, what was written may be unsynced when it is closed, if
	// nothing fails.
	unsynced
	// shown: of slotted, the program may end with it open, or close it unsynced.
	shown
)

// planOf gives y's plan; nil if there is nothing to plan.
func planOf(y *srt.Syslet) *plan {
	if len(y.Ops) < 2 {
		return nil
	}
	p, _ := y.Plan.(*plan)
	if p == nil {
		p = newPlan(y)
		y.Plan = p
	}
	return p
}

func newPlan(y *srt.Syslet) *plan {
	ops := y.Ops
	p := &plan{steps: make([]step, len(ops))}
	for i := range ops {
		p.steps[i] = stepOf(&ops[i], i, len(ops))
	}
	for i := range ops {
		switch ops[i].Code {
		case srt.OpPread, srt.OpPwrite:
			if p.wanted(i) {
				p.steps[i].traits |= asked
			}
		case srt.OpOpenat:
			p.steps[i].traits |= p.judge(y, i)
		}
	}
	return p
}

func stepOf(op *srt.Op, i, n int) step {
	st := step{reads: readsOf(op.Args[:])}
	if op.Dst != 0 {
		st.writes = 1 << (op.Dst - 1)
	}
	for sign := range st.next {
		st.next[sign] = goesOn(op, i, n, int64(sign-zero))
	}
	if op.Flags&srt.Sync != 0 || op.Code == srt.OpOpenat && op.Args[3] != (srt.Arg{}) {
		return st // an open with Resolve has one argument in memory that the next would overwrite
	}
	switch op.Code {
	case srt.OpNop, srt.OpAdd:
		st.traits = computed
	case srt.OpOpenat, srt.OpClose, srt.OpPread, srt.OpPwrite, srt.OpFsync, srt.OpFdatasync, srt.OpStatx,
		srt.OpRenameat, srt.OpUnlinkat, srt.OpMkdirat, srt.OpFallocate:
		st.traits = linkable
	}
	return st
}

func readsOf(args []srt.Arg) (set regs) {
	for _, a := range args {
		if i, ok := a.IsReg(); ok {
			set |= 1 << i
		}
	}
	return set
}

// goesOn is where a program of n ops goes on after op i has given res.
func goesOn(op *srt.Op, i, n int, res int64) int32 {
	f, to := op.Flags, i+1
	stops := f&srt.StopOnNonzero != 0 && res != 0 || f&srt.StopOnZero != 0 && res == 0 ||
		f&srt.StopOnNegative != 0 && res < 0 || f&srt.StopOnNonPositive != 0 && res <= 0
	switch {
	case stops && f&srt.SkipToNextOnStop == 0:
		return ended
	case !stops && op.Next != 0:
		to = int(op.Next) - 1
	}
	if to < 0 || to >= n {
		return ended
	}
	return int32(to)
}

// certain reports whether the program goes on at one place, whatever the result.
func (st *step) certain() bool {
	return st.next[below] == st.next[zero] && st.next[zero] == st.next[above]
}

// wanted reports whether the op that follows op i, or what is computed on the way
// to it, reads i's result.
func (p *plan) wanted(i int) bool {
	result := p.steps[i].writes
	at := p.steps[i].next[above]
	for range p.steps {
		if at == ended || p.steps[at].reads&result != 0 {
			return at != ended
		}
		st := &p.steps[at]
		if st.traits&computed == 0 || !st.certain() {
			return false
		}
		at = st.next[above]
	}
	return false
}
