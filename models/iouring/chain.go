package iouring

import (
	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/uring"
)

// chainMax bounds the ops that are linked in one submission.
const chainMax = 8

// links say how the kernel goes on from each op of a chain to the next one
// without asking us. It may only where the program would, whatever comes out:
//
//   - A hard link goes on after every result: for ops without a stop, and those
//     whose stop leads to the same next op.
//   - A link goes on after success alone, and for the four ops that can break one
//     success is narrow: no error, and all that was asked for was read or written.
//     It fits where the program goes on after that; what it does after the rest is
//     decided here, because the ops behind a broken link have not run.
//
// The other ops break no link, whatever they give (fsync, fallocate, statx and
// those on paths complete without marking the entry as failed since Linux 6.0),
// so a stop behind one of them ends the chain.
//
// And no op of a chain may use what an earlier one brings: its registers, and
// paths, are read when the chain is submitted.
type links struct {
	hard [chainMax]bool
}

// find gives the length of the chain that begins at the op that runs now, at
// most limit.
func (l *links) find(y *srt.Syslet, limit int) int {
	written, wroteMemory := uint(0), false
	for n, pc := 0, y.PC(); ; n, pc = n+1, pc+1 {
		op := &y.Ops[pc]
		if n > 0 && (!fits(y, op) || reads(op)&written != 0 || wroteMemory && len(op.Path) > 0) {
			return n
		}
		if n+1 == limit || pc+1 == len(y.Ops) || !fits(y, op) {
			return n + 1
		}
		if l.hard[n] = goesOnAfterAll(op, pc); !l.hard[n] && !goesOnAfterSuccess(y, op, pc) {
			return n + 1
		}
		if op.Dst != 0 {
			written |= 1 << (op.Dst - 1)
		}
		wroteMemory = wroteMemory || op.Code == srt.OpPread || op.Code == srt.OpStatx
	}
}

func (l *links) mark(i int, s *uring.SQE) {
	if l.hard[i] {
		s.HardLink()
		return
	}
	s.Link()
}

// fits reports whether op may be part of a chain: file ops, which never need a
// second try.
func fits(y *srt.Syslet, op *srt.Op) bool {
	switch op.Code {
	case srt.OpOpenat, srt.OpClose, srt.OpPread, srt.OpPwrite, srt.OpFsync, srt.OpFdatasync, srt.OpStatx,
		srt.OpRenameat, srt.OpUnlinkat, srt.OpMkdirat, srt.OpFallocate:
		return op.Flags&srt.Sync == 0 && !cannotBlock(y, op)
	}
	return false
}

// reads gives the registers that op's arguments are in, as bits.
func reads(op *srt.Op) (regs uint) {
	for _, a := range op.Args {
		if i, ok := a.IsReg(); ok {
			regs |= 1 << i
		}
	}
	return regs
}

const stopFlags = srt.StopOnNonzero | srt.StopOnZero | srt.StopOnNegative | srt.StopOnNonPositive

// follows reports whether the op at pc goes on at the next one, with a result
// that stops and with one that does not.
func follows(op *srt.Op, pc int) (stopped, unstopped bool) {
	return op.Flags&srt.SkipToNextOnStop != 0, op.Next == 0 || op.Next == srt.Goto(pc+1)
}

func goesOnAfterAll(op *srt.Op, pc int) bool {
	stopped, unstopped := follows(op, pc)
	return unstopped && (stopped || op.Flags&stopFlags == 0)
}

// goesOnAfterSuccess looks at the results that the kernel takes for success.
func goesOnAfterSuccess(y *srt.Syslet, op *srt.Op, pc int) bool {
	switch op.Code {
	case srt.OpOpenat:
		return goesOnAfter(op, pc, 0) && goesOnAfter(op, pc, 1)
	case srt.OpClose:
		return goesOnAfter(op, pc, 0)
	case srt.OpPread, srt.OpPwrite:
		return goesOnAfter(op, pc, int64(len(y.Data(op))))
	}
	return false
}

func goesOnAfter(op *srt.Op, pc int, res int64) bool {
	f := op.Flags
	stops := f&srt.StopOnNonzero != 0 && res != 0 || f&srt.StopOnZero != 0 && res == 0 ||
		f&srt.StopOnNegative != 0 && res < 0 || f&srt.StopOnNonPositive != 0 && res <= 0
	stopped, unstopped := follows(op, pc)
	if stops {
		return stopped
	}
	return unstopped
}
