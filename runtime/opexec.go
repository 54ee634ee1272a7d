package runtime

import (
	"fmt"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How an op becomes a system call. Exec makes the plain call and may block: it
// goes through the Go scheduler's hooks, so that a block does not hold up
// garbage collection. Try makes the nonblocking form, raw.

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

// ptr is the address of a slice's first byte, or of a valid dummy: a zero
// length with any address is fine for the kernel.
func ptr(p []byte) unsafe.Pointer {
	if len(p) == 0 {
		return unsafe.Pointer(&dummy)
	}
	return unsafe.Pointer(&p[0])
}

var dummy byte

func result(r uintptr, e unix.Errno) int64 {
	if e != 0 {
		return -int64(e)
	}
	return int64(r)
}

// sys is a blocking system call, repeated while a signal interrupts it (the Go
// scheduler preempts by signal, so EINTR says nothing to the caller). nosplit,
// as raw: arguments are addresses of locals too, and a stack that grew here
// would move from under them.
//
//go:nosplit
func sys(nr, a, b, c, d, e, f uintptr) int64 {
	for {
		r, _, en := unix.Syscall6(nr, a, b, c, d, e, f)
		if en != unix.EINTR {
			return result(r, en)
		}
	}
}

// raw is a system call that cannot block.
//
//go:nosplit
func raw(nr, a, b, c, d, e, f uintptr) int64 {
	for {
		r, _, en := unix.RawSyscall6(nr, a, b, c, d, e, f)
		if en != unix.EINTR {
			return result(r, en)
		}
	}
}

// Exec makes the current op's call, blocking, and gives its result.
func (y *Syslet) Exec() int64 {
	op := &y.Ops[y.pc]
	y.calls++
	a, b, c, d := uintptr(y.Value(op.Args[0])), uintptr(y.Value(op.Args[1])), uintptr(y.Value(op.Args[2])), uintptr(y.Value(op.Args[3]))
	switch op.Code {
	case OpNop:
		y.calls--
		return int64(a)
	case OpAdd:
		y.calls--
		return int64(a) + int64(b)
	case OpOpenat:
		return sys(unix.SYS_OPENAT, a, uintptr(ptr(op.Path)), b, c, 0, 0)
	case OpClose:
		return closeFd(a)
	case OpPread:
		p := y.Data(op)
		return sys(unix.SYS_PREAD64, a, uintptr(ptr(p)), uintptr(len(p)), b, 0, 0)
	case OpPwrite:
		p := y.Data(op)
		return sys(unix.SYS_PWRITE64, a, uintptr(ptr(p)), uintptr(len(p)), b, 0, 0)
	case OpFsync:
		return sys(unix.SYS_FSYNC, a, 0, 0, 0, 0, 0)
	case OpFdatasync:
		return sys(unix.SYS_FDATASYNC, a, 0, 0, 0, 0, 0)
	case OpStatx:
		return sys(unix.SYS_STATX, a, uintptr(ptr(op.Path)), b, c, uintptr(unsafe.Pointer(op.Stat)), 0)
	case OpRenameat:
		return sys(unix.SYS_RENAMEAT2, a, uintptr(ptr(op.Path)), b, uintptr(ptr(op.Path2)), c, 0)
	case OpUnlinkat:
		return sys(unix.SYS_UNLINKAT, a, uintptr(ptr(op.Path)), b, 0, 0, 0)
	case OpMkdirat:
		return sys(unix.SYS_MKDIRAT, a, uintptr(ptr(op.Path)), b, 0, 0, 0)
	case OpFallocate:
		return sys(unix.SYS_FALLOCATE, a, b, c, d, 0, 0)
	case OpSleep:
		return sleepFor(int64(a))
	case OpCall:
		return y.call(op)
	}
	return y.execNet(op, a, b)
}

// execNet is Exec for what waits on sockets and pipes. A nonblocking
// descriptor is waited for with poll, so that both kinds behave alike.
func (y *Syslet) execNet(op *Op, a, b uintptr) int64 {
	switch op.Code {
	case OpRecv:
		p := y.Data(op)
		return waitFor(a, unix.POLLIN, int(b)&unix.MSG_DONTWAIT != 0, func() int64 {
			return sys(unix.SYS_RECVFROM, a, uintptr(ptr(p)), uintptr(len(p)), b, 0, 0)
		})
	case OpSend:
		p := y.Data(op)
		return waitFor(a, unix.POLLOUT, int(b)&unix.MSG_DONTWAIT != 0, func() int64 {
			return sys(unix.SYS_SENDTO, a, uintptr(ptr(p)), uintptr(len(p)), b, 0, 0)
		})
	case OpAccept:
		return waitFor(a, unix.POLLIN, false, func() int64 { return sys(unix.SYS_ACCEPT4, a, 0, 0, b, 0, 0) })
	case OpConnect:
		return connectFd(a, op.Buf)
	case OpPoll:
		return pollFd(a, int16(b), -1)
	case OpSplice:
		return y.splice(op)
	}
	return -int64(unix.ENOSYS)
}

func waitFor(fd uintptr, events int16, dontwait bool, call func() int64) int64 {
	for {
		res := call()
		if res != -int64(unix.EAGAIN) || dontwait {
			return res
		}
		if r := pollFd(fd, events, -1); r < 0 {
			return r
		}
	}
}

// pollFd waits for events on one descriptor; timeoutMs -1 waits for ever.
func pollFd(fd uintptr, events int16, timeoutMs int) int64 {
	p := unix.PollFd{Fd: int32(fd), Events: events}
	var res int64
	if timeoutMs == 0 {
		var zero unix.Timespec
		res = raw(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&zero)), 0, 0, 0)
	} else {
		res = sys(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, 0, 0, 0, 0)
	}
	switch {
	case res < 0:
		return res
	case p.Revents&unix.POLLNVAL != 0:
		return -int64(unix.EBADF)
	}
	return int64(p.Revents)
}

func connectFd(fd uintptr, addr []byte) int64 {
	r, _, e := unix.Syscall(unix.SYS_CONNECT, fd, uintptr(ptr(addr)), uintptr(len(addr)))
	if e != unix.EINPROGRESS && e != unix.EINTR {
		return result(r, e)
	}
	if res := pollFd(fd, unix.POLLOUT, -1); res < 0 {
		return res
	}
	soerr, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return -int64(unix.EBADF)
	}
	return -int64(soerr)
}

// closeFd never repeats the call: after EINTR the descriptor is gone on Linux.
func closeFd(fd uintptr) int64 {
	r, _, e := unix.Syscall(unix.SYS_CLOSE, fd, 0, 0)
	if e == unix.EINTR {
		return 0
	}
	return result(r, e)
}

func sleepFor(ns int64) int64 {
	if ns <= 0 {
		return 0
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return -int64(unix.EINVAL)
	}
	until := unix.NsecToTimespec(addNs(ts.Nano(), ns))
	return sys(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&until)), 0, 0, 0)
}

func (y *Syslet) splice(op *Op) int64 {
	inOff, outOff := y.Value(op.Args[1]), y.Value(op.Args[3])
	var pin, pout unsafe.Pointer
	if inOff >= 0 {
		pin = unsafe.Pointer(&inOff)
	}
	if outOff >= 0 {
		pout = unsafe.Pointer(&outOff)
	}
	return sys(unix.SYS_SPLICE, uintptr(y.Value(op.Args[0])), uintptr(pin), uintptr(y.Value(op.Args[2])), uintptr(pout),
		uintptr(y.Value(op.Args[4])), uintptr(y.Value(op.Args[5])))
}

// call runs a Go function; a panic in it is its caller's error.
func (y *Syslet) call(op *Op) (res int64) {
	defer func() {
		if r := recover(); r != nil {
			y.err = &PanicError{Value: r, Stack: debug.Stack()}
			res = PanicResult
		}
	}()
	return op.Call(y)
}

// PanicError is what a Call op or a threadlet's function panicked with.
type PanicError struct {
	Value any
	Stack []byte
}

// Error gives the value; the stack is in the field.
func (e *PanicError) Error() string { return fmt.Sprintf("runtime: call panicked: %v", e.Value) }

// Try makes the current op's call if that can be done without blocking. ok is
// false if it cannot: nothing has happened then, and Exec is to be used.
//
// Nonblocking forms: preadv2 and pwritev2 with RWF_NOWAIT (4.14), openat2 with
// RESOLVE_CACHED (5.12), MSG_DONTWAIT, a zero-timeout poll before accept. close
// and statx of an open descriptor are taken not to block: on local file systems
// they do not.
func (y *Syslet) Try() (res int64, ok bool) {
	op := &y.Ops[y.pc]
	y.calls++
	a, b, c := uintptr(y.Value(op.Args[0])), uintptr(y.Value(op.Args[1])), uintptr(y.Value(op.Args[2]))
	switch op.Code {
	case OpNop:
		y.calls--
		return int64(a), true
	case OpAdd:
		y.calls--
		return int64(a) + int64(b), true
	case OpSleep:
		y.calls--
		return 0, int64(a) <= 0
	case OpClose:
		return closeFd(a), true
	case OpOpenat:
		return tryOpen(a, op.Path, b, c)
	case OpPread:
		return y.tryRW(op, unix.SYS_PREADV2, a, b)
	case OpPwrite:
		return y.tryRW(op, unix.SYS_PWRITEV2, a, b)
	case OpStatx:
		if op.Path[0] != 0 || b&unix.AT_EMPTY_PATH == 0 {
			return 0, false
		}
		return raw(unix.SYS_STATX, a, uintptr(ptr(op.Path)), b, c, uintptr(unsafe.Pointer(op.Stat)), 0), true
	case OpRecv:
		p := y.Data(op)
		return unlessAgain(raw(unix.SYS_RECVFROM, a, uintptr(ptr(p)), uintptr(len(p)), b|unix.MSG_DONTWAIT, 0, 0), b)
	case OpSend:
		p := y.Data(op)
		return unlessAgain(raw(unix.SYS_SENDTO, a, uintptr(ptr(p)), uintptr(len(p)), b|unix.MSG_DONTWAIT, 0, 0), b)
	case OpPoll:
		res = pollFd(a, int16(b), 0)
		return res, res != 0
	case OpAccept:
		if res = pollFd(a, unix.POLLIN, 0); res == 0 {
			return 0, false
		}
		return raw(unix.SYS_ACCEPT4, a, 0, 0, b, 0, 0), true
	}
	y.calls-- // no nonblocking form: nothing was called
	return 0, false
}

func unlessAgain(res int64, flags uintptr) (int64, bool) {
	return res, res != -int64(unix.EAGAIN) || flags&unix.MSG_DONTWAIT != 0
}

// The kernel's struct open_how.
type openHow struct{ flags, mode, resolve uint64 }

// resolveCached is RESOLVE_CACHED (5.12), which x/sys does not name.
const resolveCached = 0x20

// openNotCached are the flags with which RESOLVE_CACHED is refused.
const openNotCached = unix.O_CREAT | unix.O_TRUNC | unix.O_TMPFILE&^unix.O_DIRECTORY

func tryOpen(dir uintptr, path []byte, flags, mode uintptr) (int64, bool) {
	if flags&openNotCached != 0 {
		return 0, false
	}
	how := openHow{flags: uint64(flags) | unix.O_LARGEFILE, resolve: resolveCached}
	res := raw(unix.SYS_OPENAT2, dir, uintptr(ptr(path)), uintptr(unsafe.Pointer(&how)), unsafe.Sizeof(how), 0, 0)
	switch unix.Errno(-res) {
	case unix.EAGAIN, unix.EINVAL, unix.ENOSYS, unix.EPERM, unix.E2BIG:
		// EINVAL and ENOSYS: older kernels; the plain call gives the true error.
		return 0, false
	}
	return res, true
}

func (y *Syslet) tryRW(op *Op, nr, fd, off uintptr) (int64, bool) {
	if op.Flags&Direct != 0 || int64(off) < 0 { // -1 would mean the file's own position
		return 0, false
	}
	p := y.Data(op)
	iov := unix.Iovec{Base: (*byte)(ptr(p))}
	iov.SetLen(len(p))
	res := raw(nr, fd, uintptr(unsafe.Pointer(&iov)), 1, off, 0, unix.RWF_NOWAIT)
	switch unix.Errno(-res) {
	case unix.EAGAIN, unix.EOPNOTSUPP, unix.EINVAL, unix.ENOSYS:
		return 0, false
	}
	if res >= 0 && res < int64(len(p)) && !y.atEnd(op.Code, nr, fd, off+uintptr(res), p[res:]) {
		return 0, false // the rest is not cached: the plain call does it all again
	}
	return res, true
}

// atEnd tells a read that was short because the file ends from one that was
// short because the rest would block.
func (y *Syslet) atEnd(code OpCode, nr, fd, off uintptr, rest []byte) bool {
	if code != OpPread {
		return false
	}
	y.calls++
	iov := unix.Iovec{Base: (*byte)(ptr(rest))}
	iov.SetLen(len(rest))
	return raw(nr, fd, uintptr(unsafe.Pointer(&iov)), 1, off, 0, unix.RWF_NOWAIT) == 0
}
