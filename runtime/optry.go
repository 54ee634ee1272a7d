package runtime

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// How an op is tried without blocking: preadv2 and pwritev2 with RWF_NOWAIT
// (4.14), openat2 with RESOLVE_CACHED (5.12), MSG_DONTWAIT, a poll with no
// timeout, also before accept. close and statx of an open descriptor are taken
// not to block: on local file systems they do not.

// noForm stands for the number of a system call in an op that cannot be tried.
const noForm = ^uintptr(1)

// triable are the ops of which some can be done without blocking, as bits.
const triable = 1<<OpNop | 1<<OpAdd | 1<<OpOpenat | 1<<OpClose | 1<<OpPread | 1<<OpPwrite | 1<<OpStatx |
	1<<OpRecv | 1<<OpSend | 1<<OpAccept | 1<<OpPoll | 1<<OpSleep

// resolveCached is RESOLVE_CACHED (5.12), which x/sys does not name.
const resolveCached = 0x20

// openNotCached are the flags with which RESOLVE_CACHED is refused.
const openNotCached = unix.O_CREAT | unix.O_TRUNC | unix.O_TMPFILE&^unix.O_DIRECTORY

// noTime is a timeout that is over. The kernel only reads it.
var noTime unix.Timespec

// nonblocking is the op as a system call that does not block: its number, or
// noForm, and arguments.
func (y *Syslet) nonblocking(op *Op) (nr, a, b, c, d, e, f uintptr) {
	nr, a, b, c, d, e, f = y.plain(op)
	switch op.Code {
	case OpClose:
		return nr, a, b, c, d, e, f
	case OpSleep:
		if y.Value(op.Args[0]) <= 0 {
			return nr, a, b, c, d, e, f
		}
	case OpRecv, OpSend:
		return nr, a, b, c, d | unix.MSG_DONTWAIT, e, f
	case OpStatx:
		if op.Path[0] == 0 && c&unix.AT_EMPTY_PATH != 0 {
			return nr, a, b, c, d, e, f
		}
	case OpOpenat:
		if flags := y.Value(op.Args[1]); flags&openNotCached == 0 {
			how := &y.scratch.how
			*how = unix.OpenHow{Flags: uint64(flags) | unix.O_LARGEFILE, Resolve: uint64(y.Value(op.Args[3])) | resolveCached}
			return unix.SYS_OPENAT2, a, b, uintptr(unsafe.Pointer(how)), unsafe.Sizeof(*how), 0, 0
		}
	case OpPread, OpPwrite:
		if c == 0 { // the vector forms do not look at what the descriptor is; nor does this one block
			y.scratch.iov.len = 0
			return nr, a, b, c, d, e, f
		}
		// An offset of -1 would mean the file's own position.
		if op.Flags&Direct == 0 && int64(d) >= 0 {
			y.scratch.iov = iovec{base: b, len: c}
			return vectorForm(op), a, uintptr(unsafe.Pointer(&y.scratch.iov)), 1, d, 0, unix.RWF_NOWAIT
		}
	case OpPoll:
		return nr, a, b, uintptr(unsafe.Pointer(&noTime)), 0, 0, 0
	case OpAccept:
		y.scratch.poll = unix.PollFd{Fd: int32(a), Events: unix.POLLIN}
		return unix.SYS_PPOLL, uintptr(unsafe.Pointer(&y.scratch.poll)), 1, uintptr(unsafe.Pointer(&noTime)), 0, 0, 0
	}
	return noForm, 0, 0, 0, 0, 0, 0
}

// HasNonblockingForm says whether op can be tried with a call that is refused
// rather than wait.
func (o *Op) HasNonblockingForm() bool {
	switch o.Code {
	case OpRecv, OpSend, OpPoll, OpAccept:
		return true
	case OpPread, OpPwrite:
		return o.Flags&Direct == 0
	case OpOpenat:
		return o.Args[1].val&openNotCached == 0
	}
	return false
}

func vectorForm(op *Op) uintptr {
	if op.Code == OpPread {
		return unix.SYS_PREADV2
	}
	return unix.SYS_PWRITEV2
}

// RunNonblocking runs the syslet as far as it goes without blocking and
// reports whether that was to its end. If not, the nonblocking form of the op
// that it stands at was refused, or the op has none.
func (y *Syslet) RunNonblocking() bool {
	for y.pc >= 0 {
		switch op := &y.Ops[y.pc]; {
		case op.Flags&Sync != 0:
			y.syncs++
			y.Apply(y.shard.ExecHere(y))
			continue
		case op.Flags&Async != 0:
			return false
		}
		res, ok := y.Try()
		if !ok {
			return false
		}
		y.Apply(res)
	}
	return true
}

// Try makes the current op's call if that can be done without blocking. ok is
// false if it cannot: nothing has happened then, or a part of a send or recv
// that goes on (Rest), and Exec is to be used.
func (y *Syslet) Try() (res int64, ok bool) {
	op := &y.Ops[y.pc]
	switch {
	case triable>>op.Code&1 == 0 || y.Formless() && y.skipsTry():
		return 0, false
	case op.Code <= OpAdd:
		return y.compute(op), true
	}
	var r uintptr
	var errno unix.Errno
	nr, a, b, c, d, e, f := y.nonblocking(op)
	switch {
	case nr == noForm:
		return 0, false
	case nr == noCall:
		return y.compute(op), true
	case hooked(op.Code):
		r, _, errno = unix.Syscall6(nr, a, b, c, d, e, f)
	default:
		r, _, errno = unix.RawSyscall6(nr, a, b, c, d, e, f)
	}
	y.calls++
	return y.tried(op, r, errno)
}

// hooked are nonblocking forms that can be held up all the same, a close by the
// last user of a file, an open by the other end of a FIFO: they go through the
// scheduler's hooks, so that at least garbage collection is not held up with
// them.
func hooked(o OpCode) bool { return o == OpClose || o == OpOpenat }

// tried makes the op's result of what its nonblocking call returned, as Try.
func (y *Syslet) tried(op *Op, r uintptr, errno unix.Errno) (res int64, ok bool) {
	if errno != 0 {
		return y.refused(op, errno)
	}
	res = int64(r)
	switch op.Code {
	case OpRecv, OpSend:
		return y.Moved(op, res)
	case OpPoll:
		return y.scratch.events(), res != 0
	case OpAccept:
		if res == 0 {
			return 0, false
		}
		return y.acceptReady(op)
	case OpPread, OpPwrite:
		// A short one whose rest is not cached: the plain call does it all again.
		return res, r == y.scratch.iov.len || op.Code == OpPread && (r == 0 || y.atEnd(op, r))
	}
	return res, true
}

// refused is tried for a call that failed.
func (y *Syslet) refused(op *Op, errno unix.Errno) (res int64, ok bool) {
	// These three are tried by calls that are younger than the plain ones and not
	// of every file system. What may speak of the form only, the plain call does
	// again, and knows the true error.
	young := op.Code == OpPread || op.Code == OpPwrite || op.Code == OpOpenat
	switch errno {
	case unix.EINTR:
		return 0, op.Code == OpClose // its descriptor is gone
	case unix.EAGAIN:
		ok = (op.Code == OpRecv || op.Code == OpSend) && !y.waits(op)
	case unix.ENOSYS, unix.EOPNOTSUPP:
		if ok = !young; young {
			y.formless |= 1 << uint(y.pc)
		}
	case unix.EINVAL, unix.EPERM, unix.E2BIG:
		ok = !young
	default:
		ok = true
	}
	if !ok {
		return 0, false
	}
	return y.Moved(op, -int64(errno))
}

// Formless reports whether the current op was found to have no nonblocking form,
// because its file system (pwrite: ext4; pread, too: tmpfs) or the kernel does not
// know it. That it was not done by Try says nothing then of whether it will block.
func (y *Syslet) Formless() bool { return y.formless>>uint(y.pc)&1 != 0 }

// skipsTry saves the try of an op that is Formless, but asks again now and then:
// the program may be used for another file by now.
func (y *Syslet) skipsTry() bool {
	if y.skips++; y.skips != 0 {
		return true
	}
	y.formless = 0
	return false
}

// acceptReady takes a connection from a socket that has one, unless somebody
// else was faster: hooked, for then it waits if the socket is a blocking one.
func (y *Syslet) acceptReady(op *Op) (res int64, ok bool) {
	y.calls++
	nr, a, b, c, d, e, f := y.plain(op)
	r, _, errno := unix.Syscall6(nr, a, b, c, d, e, f)
	switch errno {
	case 0:
		return int64(r), true
	case unix.EAGAIN, unix.EINTR:
		return 0, false
	}
	return -int64(errno), true
}

// atEnd tells a read that was short because the file ends from one that was
// short because the rest would block.
func (y *Syslet) atEnd(op *Op, n uintptr) bool {
	y.calls++
	fd, offset, iov := uintptr(y.Value(op.Args[0])), uintptr(y.Value(op.Args[1]))+n, &y.scratch.iov
	iov.base, iov.len = iov.base+n, iov.len-n
	r, _, errno := unix.RawSyscall6(unix.SYS_PREADV2, fd, uintptr(unsafe.Pointer(iov)), 1, offset, 0, unix.RWF_NOWAIT)
	return r == 0 && errno == 0
}
