package runtime

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Outcome says what became of a request to do something.
type Outcome uint8

const (
	// Completed: done now; nothing will be delivered later.
	Completed Outcome = iota
	// Queued: exactly one completion follows, on the shard.
	Queued
	// Busy: a limit was hit; nothing happened and nothing will.
	Busy
)

// String gives the outcome's name.
func (o Outcome) String() string { return [...]string{"completed", "queued", "busy"}[o] }

// MaxSteps bounds the ops that one run of a syslet may execute, so that a loop
// without an exit cannot hold a thread for ever. Such a syslet ends with -ELOOP.
const MaxSteps = 1 << 16

// Syslet is a program of ops that runs to its end without going back to its
// caller. It belongs to its maker until Submit, to the runtime until its
// completion, and may then be submitted again: a program that is kept and
// reused costs no allocation. Between runs the constants and buffers of its ops
// may be changed; other ops, flags, targets and registers belong into another
// Ops slice, since a program that was found good is not looked at again.
//
// A syslet starts at Ops[0] with the registers as its maker left them. After
// each op the stop flags look at the result: the syslet ends there, or branches
// (SkipToNextOnStop), or goes on at the op's Next. It ends, too, after the last
// op. The idea and the flags: Ingo Molnar, "Syslets, Threadlets, generic AIO
// support, v3", linux-kernel, 23 February 2007.
type Syslet struct {
	Ops []Op
	// Done is called on the shard when a syslet that was Queued has ended,
	// unless it ended at an op with NoComplete. May be nil.
	Done func(s *Shard, y *Syslet)

	// What every run touches lies together, up to err in 128 bytes: a system call
	// drives much of what user code had in its caches out.

	pc    int32 // the op that runs now; -1: ended
	last  int32 // the op that ran last
	steps int32
	calls int32 // system calls made for it, tries that failed included
	syncs int32 // ops made where they stood because their maker said Sync
	// Slot is the driver's: the index under which it keeps its own record of
	// this syslet while it is in flight.
	Slot   int32
	state  sysletState
	silent bool // ended at an op with NoComplete
	// cancelled is set on the shard and read by whichever thread runs the
	// program: the one field that two threads may touch at once.
	cancelled  atomic.Bool
	callsGo    bool       // of the checked program: it has a Call
	skips      uint8      // tries not made of formless ops
	res        int64      // the last op's result
	moved      int        // bytes of a send or recv that goes on; else 0
	shard      *Shard     // to which it was submitted
	checked    *Op        // the program that check found good,
	checkedLen int32      // of so many ops
	formless   uint32     // of them, as bits, those found to be Formless; the first 32
	threadlet  *threadlet // whose function its one op calls, if it is one
	err        error      // what a call panicked with

	Regs [RegCount]int64
	// User is the maker's.
	User any
	// Plan is the driver's: what it found out about Ops. nil: they are new to it.
	Plan any

	from callSite // where it was Queued; the completed path does not store it
	// Code of a threadlet's functions, for the block profile; else 0.
	callee, doneCode uintptr
	next             *Syslet // link of the shard's completion stack
	scratch          scratch
}

type sysletState uint8

const (
	sysletIdle     sysletState = iota // its maker's
	sysletInFlight                    // the runtime's
)

// NewSyslet makes a syslet of ops. The Done callback and the registers may be
// set before it is submitted.
func NewSyslet(ops ...Op) *Syslet { return &Syslet{Ops: ops} }

// Last gives the index of the op that ran last and its result.
func (y *Syslet) Last() (op int, result int64) { return int(y.last), y.res }

// Result is the last op's result: not negative, or a negated errno.
func (y *Syslet) Result() int64 { return y.res }

// Errno is the errno of the last op, or 0.
func (y *Syslet) Errno() unix.Errno {
	if y.res < 0 {
		return unix.Errno(-y.res)
	}
	return 0
}

// Err is nil unless a Call op panicked; then it says with what.
func (y *Syslet) Err() error { return y.err }

// InFlight reports whether the runtime owns the syslet now. On the shard only.
func (y *Syslet) InFlight() bool { return y.state == sysletInFlight }

// Shard is the shard that the syslet was submitted to.
func (y *Syslet) Shard() *Shard { return y.shard }

// The methods below are the interpreter. A driver calls them, on the one
// thread that runs the syslet at the time.

func (y *Syslet) begin(s *Shard) {
	y.shard, y.steps, y.calls, y.syncs, y.err, y.silent, y.pc = s, 0, 0, 0, nil, false, 0
	y.last, y.res, y.moved = 0, 0, 0
	if y.cancelled.Load() {
		y.cancelled.Store(false) // a store costs as much as the rest of this
	}
	if len(y.Ops) == 0 {
		y.pc = -1
	}
}

// Op is the op to run now, or nil when the syslet has ended.
func (y *Syslet) Op() *Op {
	if y.pc < 0 {
		return nil
	}
	return &y.Ops[y.pc]
}

// PC is the index of the op to run now, or -1 when the syslet has ended.
func (y *Syslet) PC() int { return int(y.pc) }

// StepsLeft is how many ops this run may still execute: see MaxSteps.
func (y *Syslet) StepsLeft() int { return MaxSteps - int(y.steps) }

// Value is the argument's value now.
func (y *Syslet) Value(a Arg) int64 {
	if a.reg != 0 {
		return y.Regs[a.reg-1]
	}
	return a.val
}

// Apply takes the result of the op that was run and moves to the next one.
func (y *Syslet) Apply(res int64) {
	op := &y.Ops[y.pc]
	if op.Dst != 0 {
		y.Regs[op.Dst-1] = res
	}
	y.last, y.res = y.pc, res
	y.steps++
	y.pc = y.follow(op, res)
	switch {
	case y.pc < 0 || int(y.pc) >= len(y.Ops):
		y.silent = op.Flags&NoComplete != 0
		y.pc = -1
	case y.steps >= MaxSteps:
		y.res, y.pc = -int64(unix.ELOOP), -1
	case y.cancelled.Load():
		y.res, y.pc = -int64(unix.ECANCELED), -1
	}
}

// follow gives the index of the op after op; below 0: none.
func (y *Syslet) follow(op *Op, res int64) int32 {
	stops := op.Flags.stops(res)
	switch {
	case stops && op.Flags&SkipToNextOnStop == 0:
		return -1
	case stops || op.Next == 0:
		return y.pc + 1
	}
	return int32(op.Next) - 1 // End is below 0, too
}

func (f Flags) stops(res int64) bool {
	return f&StopOnNonzero != 0 && res != 0 ||
		f&StopOnZero != 0 && res == 0 ||
		f&StopOnNegative != 0 && res < 0 ||
		f&StopOnNonPositive != 0 && res <= 0
}

// Abort ends the syslet where it stands with the negated errno as its result.
func (y *Syslet) Abort(errno unix.Errno) {
	if y.pc >= 0 {
		y.last = y.pc
	}
	y.res, y.pc = -int64(errno), -1
}

// RunBlocking runs what is left of the syslet with plain, blocking calls on
// the calling thread.
func (y *Syslet) RunBlocking() {
	for y.pc >= 0 {
		y.Apply(y.Exec())
	}
}

// CallsGo reports whether the program has a Call op, which may compute for long
// and may end its goroutine: see ErrGoexit.
func (y *Syslet) CallsGo() bool { return y.callsGo }

// Cancelled reports whether the syslet's maker has asked for its end.
func (y *Syslet) Cancelled() bool { return y.cancelled.Load() }

// check says what is wrong with the program, before any of it runs. A program
// that was found good is not looked at again.
func (y *Syslet) check() error {
	if len(y.Ops) == 0 || y.checked == &y.Ops[0] && int(y.checkedLen) == len(y.Ops) {
		return nil
	}
	y.callsGo = false
	for i := range y.Ops {
		if err := y.Ops[i].check(i, len(y.Ops)); err != nil {
			return err
		}
		y.callsGo = y.callsGo || y.Ops[i].Code == OpCall
	}
	y.checked, y.checkedLen, y.formless, y.Plan = &y.Ops[0], int32(len(y.Ops)), 0, nil
	return nil
}

func (op *Op) check(i, ops int) error {
	if op.Code >= opCount {
		return fmt.Errorf("%w: op %d has code %d, which is no op", ErrBadSyslet, i, op.Code)
	}
	if int(op.Next) > ops {
		return fmt.Errorf("%w: op %d goes on at op %d of %d", ErrBadSyslet, i, int(op.Next)-1, ops)
	}
	if op.Dst > RegCount {
		return fmt.Errorf("%w: op %d writes register %d of %d", ErrBadSyslet, i, op.Dst-1, RegCount)
	}
	for _, a := range op.Args {
		if a.reg > RegCount {
			return fmt.Errorf("%w: op %d reads register %d of %d", ErrBadSyslet, i, a.reg-1, RegCount)
		}
	}
	if op.Code == OpCall && op.Call == nil {
		return fmt.Errorf("%w: op %d calls a nil function", ErrBadSyslet, i)
	}
	if op.needsPath() && !terminated(op.Path) || op.Code == OpRenameat && !terminated(op.Path2) {
		return fmt.Errorf("%w: op %d (%s) has a path without its NUL; use CPath", ErrBadSyslet, i, op.Code)
	}
	if op.Code == OpStatx && op.Stat == nil {
		return fmt.Errorf("%w: op %d (statx) has no Stat to fill", ErrBadSyslet, i)
	}
	return nil
}

func (o *Op) needsPath() bool {
	switch o.Code {
	case OpOpenat, OpStatx, OpRenameat, OpUnlinkat, OpMkdirat:
		return true
	}
	return false
}

func terminated(p []byte) bool { return len(p) > 0 && p[len(p)-1] == 0 }
