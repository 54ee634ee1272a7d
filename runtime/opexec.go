package runtime

import (
	"fmt"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime/blocking"
)

// How an op becomes a system call. plain gives the call's number and arguments;
// Exec makes it and may block: it goes through the Go scheduler's hooks, so that
// a block does not hold up garbage collection. The nonblocking forms are in
// optry.go.
//
// Exec and Try make the call themselves, with what plain returned, and are flat:
// the kernel leaves the processor with a stack of return addresses that is not
// ours, so that each function which a system call lies beneath costs 5 to 8 ns to
// return from, where 1.4 is usual. With closures and helpers around each call a
// cached pread cost 30 ns more.
//
// Arguments are addresses as numbers. They stay good because what they point to
// hangs on the syslet and that is on the heap: Call passes it to anybody.

// iovec is the kernel's struct iovec.
type iovec struct{ base, len uintptr }

// scratch is what the call that runs now points to beside the op's own buffers.
type scratch struct {
	iov     iovec
	how     unix.OpenHow
	poll    unix.PollFd
	until   unix.Timespec
	offsets [2]int64
}

// noCall stands for the number of a system call in an op that needs none.
const noCall = ^uintptr(0)

// Data gives the part of the op's buffer that its Len names.
func (y *Syslet) Data(op *Op) []byte {
	n := y.Value(op.Args[2])
	switch {
	case n > int64(len(op.Buf)):
		return op.Buf
	case n >= 0:
		return op.Buf[:n]
	case op.Args[2].reg == 0: // the constant -1: no Len was given
		return op.Buf
	}
	return op.Buf[:0] // an earlier op's errno
}

func addr(p []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(p))) }

// plain is the op as a system call that may block: its number and arguments.
func (y *Syslet) plain(op *Op) (nr, a, b, c, d, e, f uintptr) {
	a, b, c, d = uintptr(y.Value(op.Args[0])), uintptr(y.Value(op.Args[1])), uintptr(y.Value(op.Args[2])), uintptr(y.Value(op.Args[3]))
	switch op.Code {
	case OpOpenat:
		if d != 0 {
			how := y.OpenHow(op)
			return unix.SYS_OPENAT2, a, addr(op.Path), uintptr(unsafe.Pointer(how)), unsafe.Sizeof(*how), 0, 0
		}
		return unix.SYS_OPENAT, a, addr(op.Path), b, c, 0, 0
	case OpClose:
		return unix.SYS_CLOSE, a, 0, 0, 0, 0, 0
	case OpPread:
		p := y.Data(op)
		return unix.SYS_PREAD64, a, addr(p), uintptr(len(p)), b, 0, 0
	case OpPwrite:
		p := y.Data(op)
		return unix.SYS_PWRITE64, a, addr(p), uintptr(len(p)), b, 0, 0
	case OpFsync:
		return unix.SYS_FSYNC, a, 0, 0, 0, 0, 0
	case OpFdatasync:
		return unix.SYS_FDATASYNC, a, 0, 0, 0, 0, 0
	case OpStatx:
		return unix.SYS_STATX, a, addr(op.Path), b, c, uintptr(unsafe.Pointer(op.Stat)), 0
	case OpRenameat:
		return unix.SYS_RENAMEAT2, a, addr(op.Path), b, addr(op.Path2), c, 0
	case OpUnlinkat:
		return unix.SYS_UNLINKAT, a, addr(op.Path), b, 0, 0, 0
	case OpMkdirat:
		return unix.SYS_MKDIRAT, a, addr(op.Path), b, 0, 0, 0
	case OpFallocate:
		return unix.SYS_FALLOCATE, a, b, c, d, 0, 0
	case OpRecv:
		p := y.Rest(op)
		return unix.SYS_RECVFROM, a, addr(p), uintptr(len(p)), b, 0, 0
	case OpSend:
		p := y.Rest(op)
		return unix.SYS_SENDTO, a, addr(p), uintptr(len(p)), b, 0, 0
	case OpConnect:
		return unix.SYS_CONNECT, a, addr(op.Buf), uintptr(len(op.Buf)), 0, 0, 0
	case OpAccept:
		return unix.SYS_ACCEPT4, a, 0, 0, b, 0, 0
	case OpPoll:
		if int32(a) < 0 {
			break // poll(2) ignores it, and would wait for ever: compute refuses it
		}
		y.scratch.poll = unix.PollFd{Fd: int32(a), Events: int16(b)}
		return unix.SYS_PPOLL, uintptr(unsafe.Pointer(&y.scratch.poll)), 1, 0, 0, 0, 0
	case OpSplice:
		return unix.SYS_SPLICE, a, y.offset(0, b), c, y.offset(1, d), uintptr(y.Value(op.Args[4])), uintptr(y.Value(op.Args[5]))
	}
	return noCall, 0, 0, 0, 0, 0, 0
}

// OpenHow is the argument of openat2(2) for an Openat that Resolve was added to, or
// nil. It is the syslet's, and good while op is the current one; for drivers.
func (y *Syslet) OpenHow(op *Op) *unix.OpenHow {
	resolve := y.Value(op.Args[3])
	if resolve == 0 {
		return nil
	}
	how := &y.scratch.how
	*how = unix.OpenHow{Flags: uint64(y.Value(op.Args[1])) | unix.O_LARGEFILE, Mode: uint64(y.Value(op.Args[2])), Resolve: uint64(resolve)}
	return how
}

// offset is splice's argument for an offset: its address, or 0 for the
// descriptor's own position.
func (y *Syslet) offset(i int, off uintptr) uintptr {
	if int64(off) < 0 {
		return 0
	}
	y.scratch.offsets[i] = int64(off)
	return uintptr(unsafe.Pointer(&y.scratch.offsets[i]))
}

// Exec makes the current op's call, blocking, and gives its result. A panic in a
// Go function is its caller's error. A function that ends its goroutine ends the
// program, and the driver's deferred function finishes it.
func (y *Syslet) Exec() (res int64) {
	op := &y.Ops[y.pc]
	if op.Code == OpCall {
		returned := false
		defer y.afterCall(&res, &returned)
		if t := y.threadlet; t != nil {
			t.err = t.fn()
		} else {
			res = op.Call(y)
		}
		returned = true
		return res
	}
	for done := false; !done; {
		nr, a, b, c, d, e, f := y.plain(op)
		if nr == noCall {
			return y.compute(op)
		}
		y.calls++
		if op.surelyBlocks() {
			r, errno := blocking.Syscall6(nr, a, b, c, d, e, f)
			res, done = y.settle(op, r, errno)
			continue
		}
		r, _, errno := unix.Syscall6(nr, a, b, c, d, e, f)
		res, done = y.settle(op, r, errno)
	}
	return res
}

// surelyBlocks says that the op waits for a device, or that its maker says it blocks.
func (o *Op) surelyBlocks() bool {
	return o.Flags&(Direct|Async) != 0 || o.Code == OpFsync || o.Code == OpFdatasync
}

// afterCall is deferred: a call may have panicked or ended its goroutine.
func (y *Syslet) afterCall(res *int64, returned *bool) {
	switch r := recover(); {
	case r != nil:
		y.err = &PanicError{Value: r, Stack: debug.Stack()}
		*res = PanicResult
	case !*returned:
		y.err = ErrGoexit
		y.Abort(unix.ENOTRECOVERABLE)
	}
}

// settle makes the op's result of what its plain call returned. done is false if
// the call is to be repeated: a signal has interrupted it (the Go scheduler
// preempts by signal, so EINTR says nothing to the caller), it has moved a part of
// its data, or its descriptor is nonblocking and was waited for here, so that both
// kinds behave alike.
func (y *Syslet) settle(op *Op, r uintptr, errno unix.Errno) (res int64, done bool) {
	switch {
	case errno == 0 && op.Code == OpPoll:
		return y.scratch.events(), true
	case errno == 0 && (op.Code == OpRecv || op.Code == OpSend):
		return y.Moved(op, int64(r))
	case errno == 0:
		return int64(r), true
	case errno == unix.EINTR && op.Code == OpClose:
		return 0, true // on Linux the descriptor is gone all the same
	case (errno == unix.EINTR || errno == unix.EINPROGRESS) && op.Code == OpConnect:
		return y.connected(op), true
	case errno == unix.EINTR:
		return 0, false
	case errno == unix.EAGAIN && y.waits(op):
		if res = y.pollFor(op); res >= 0 {
			return 0, false
		}
		return y.Moved(op, res)
	}
	return y.Moved(op, -int64(errno))
}

// waits reports whether the op waits for its descriptor, even a nonblocking one.
func (y *Syslet) waits(op *Op) bool {
	switch op.Code {
	case OpRecv, OpSend:
		return y.Value(op.Args[1])&unix.MSG_DONTWAIT == 0
	}
	return op.Code == OpAccept
}

// pollFor waits for the descriptor of a socket op. Result: its events.
func (y *Syslet) pollFor(op *Op) int64 {
	p := &y.scratch.poll
	*p = unix.PollFd{Fd: int32(y.Value(op.Args[0])), Events: unix.POLLIN}
	if op.Code == OpSend || op.Code == OpConnect {
		p.Events = unix.POLLOUT
	}
	for {
		y.calls++
		switch _, _, errno := unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(p)), 1, 0, 0, 0, 0); errno {
		case 0:
			return y.scratch.events()
		case unix.EINTR:
		default:
			return -int64(errno)
		}
	}
}

// events is poll's result.
func (s *scratch) events() int64 {
	if s.poll.Revents&unix.POLLNVAL != 0 {
		return -int64(unix.EBADF)
	}
	return int64(s.poll.Revents)
}

// connected waits until a connect that has begun is over.
func (y *Syslet) connected(op *Op) int64 {
	if res := y.pollFor(op); res < 0 {
		return res
	}
	y.calls++
	soerr, err := unix.GetsockoptInt(int(y.Value(op.Args[0])), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return -int64(unix.EBADF)
	}
	return -int64(soerr)
}

// compute runs an op that needs no system call, or more than one.
func (y *Syslet) compute(op *Op) int64 {
	a := y.Value(op.Args[0])
	switch op.Code {
	case OpNop:
		return a
	case OpAdd:
		return a + y.Value(op.Args[1])
	case OpSleep:
		return y.sleepFor(a)
	case OpPoll:
		return -int64(unix.EBADF)
	}
	return -int64(unix.ENOSYS)
}

func (y *Syslet) sleepFor(ns int64) int64 {
	if ns <= 0 {
		return 0
	}
	until := &y.scratch.until
	y.calls++
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, until); err != nil {
		return -int64(unix.EINVAL)
	}
	*until = unix.NsecToTimespec(addNs(until.Nano(), ns))
	for {
		y.calls++
		_, _, errno := unix.Syscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(until)), 0, 0, 0)
		if errno != unix.EINTR {
			return -int64(errno)
		}
	}
}

// PanicError is what a Call op or a threadlet's function panicked with.
type PanicError struct {
	Value any
	Stack []byte
}

// Error gives the value; the stack is in the field.
func (e *PanicError) Error() string { return fmt.Sprintf("runtime: call panicked: %v", e.Value) }
