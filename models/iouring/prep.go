package iouring

import (
	"math"
	"unsafe"

	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/uring"
)

// How an op becomes an entry, and how the entry's result becomes what the plain
// call would have given. What differences are left is in doc.go.

// cannotBlock are ops that need no system call, or whose call is over sooner than
// the ring could be asked: statx of an open descriptor, which the ring would give
// to a worker thread, and calls that are sure to fail with an error which the ring
// does not give (pread(2) refuses an offset below 0; to the ring -1 means the
// file's own position). Reading or writing nothing is one of them: the ring does
// not ask the file, which may be of a kind that refuses.
func cannotBlock(y *srt.Syslet, op *srt.Op) bool {
	switch op.Code {
	case srt.OpNop, srt.OpAdd:
		return true
	case srt.OpSleep:
		return y.Value(op.Args[0]) <= 0
	case srt.OpPread, srt.OpPwrite:
		return y.Value(op.Args[1]) < 0 || len(y.Data(op)) == 0
	case srt.OpStatx:
		return op.Path[0] == 0 && y.Value(op.Args[1])&unix.AT_EMPTY_PATH != 0 && op.Flags&srt.Async == 0
	case srt.OpSplice:
		return y.Value(op.Args[4]) == 0 || y.Value(op.Args[5])&^spliceFlags != 0
	}
	return false
}

// spliceFlags are those of splice(2); the ring has one more.
const spliceFlags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MORE | unix.SPLICE_F_GIFT

// beyondRing are ops whose arguments an entry has no room for.
func beyondRing(y *srt.Syslet, op *srt.Op) bool {
	if op.Code != srt.OpSplice {
		return false
	}
	n := y.Value(op.Args[4])
	return n < 0 || n > math.MaxUint32
}

// prep queues op, whose arguments have their values. slot is the one of the file
// table that an open fills, or that is the op's descriptor; or noSlot.
func (d *Driver) prep(y *srt.Syslet, op *srt.Op, k key, slot int32) *uring.SQE {
	a := y.Value(op.Args[0])
	if op.Code == srt.OpSleep {
		return d.ring.NextTimeout(uint64(k), a)
	}
	s := d.ring.Next(uint64(k))
	fd, b, c := int(int32(a)), y.Value(op.Args[1]), y.Value(op.Args[2])
	if slot != noSlot && op.Code != srt.OpOpenat {
		fd = int(slot)
	}
	switch op.Code {
	case srt.OpOpenat:
		if how := y.OpenHow(op); how != nil {
			s.PrepOpenat2(fd, &op.Path[0], how) // never into a slot: see judge
		} else if slot != noSlot {
			s.PrepOpenatDirect(fd, &op.Path[0], int(b)&^unix.O_CLOEXEC, uint32(c), int(slot))
		} else {
			s.PrepOpenat(fd, &op.Path[0], int(b), uint32(c))
		}
	case srt.OpClose:
		if slot != noSlot {
			s.PrepCloseDirect(fd)
		} else {
			s.PrepClose(fd)
		}
	case srt.OpPread:
		s.PrepRead(fd, y.Data(op), b)
	case srt.OpPwrite:
		s.PrepWrite(fd, y.Data(op), b)
	case srt.OpFsync:
		s.PrepFsync(fd)
	case srt.OpFdatasync:
		s.PrepFdatasync(fd)
	case srt.OpStatx:
		s.PrepStatx(fd, &op.Path[0], int(b), uint32(c), op.Stat)
	case srt.OpRenameat:
		s.PrepRenameat(fd, &op.Path[0], int(int32(b)), &op.Path2[0], uint32(c))
	case srt.OpUnlinkat:
		s.PrepUnlinkat(fd, &op.Path[0], int(b))
	case srt.OpMkdirat:
		s.PrepMkdirat(fd, &op.Path[0], uint32(b))
	case srt.OpFallocate:
		s.PrepFallocate(fd, uint32(b), c, y.Value(op.Args[3]))
	default:
		d.prepNet(y, op, s, fd, b)
	}
	if slot != noSlot && op.Code != srt.OpOpenat && op.Code != srt.OpClose {
		s.FixedFile()
	}
	if op.Flags&srt.Async != 0 && op.Code != srt.OpPoll {
		s.Async()
	}
	return s
}

func (d *Driver) prepNet(y *srt.Syslet, op *srt.Op, s *uring.SQE, fd int, b int64) {
	switch op.Code {
	case srt.OpRecv:
		s.PrepRecv(fd, y.Rest(op), int(b))
	case srt.OpSend:
		flags := int(b)
		if flags&unix.MSG_DONTWAIT == 0 {
			flags |= unix.MSG_WAITALL // as a blocking send, which waits until all is taken
		}
		s.PrepSend(fd, y.Rest(op), flags)
	case srt.OpConnect:
		s.PrepConnect(fd, unsafe.Pointer(unsafe.SliceData(op.Buf)), uint32(len(op.Buf)))
	case srt.OpAccept:
		s.PrepAccept(fd, nil, nil, int(b))
	case srt.OpPoll:
		s.PrepPoll(fd, uint32(uint16(b)))
	case srt.OpSplice:
		s.PrepSplice(fd, position(b), int(int32(y.Value(op.Args[2]))), position(y.Value(op.Args[3])),
			uint32(y.Value(op.Args[4])), uint32(y.Value(op.Args[5])))
	}
}

// position is an offset of splice, of which all below 0 mean the same.
func position(off int64) int64 { return max(off, uring.CurrentOffset) }

// resultOf is what the plain call gives where the ring gives res.
func resultOf(op *srt.Op, res int32) int64 {
	switch {
	case op.Code == srt.OpSleep && unix.Errno(-res) == unix.ETIME:
		return 0
	case op.Code == srt.OpClose && unix.Errno(-res) == unix.EINTR:
		return 0 // the descriptor is gone all the same
	}
	return int64(res)
}

// waitsAgain reports whether op, which gave errno, has to wait first: the ring
// does not wait for a descriptor that is nonblocking.
func waitsAgain(y *srt.Syslet, op *srt.Op, errno unix.Errno) bool {
	switch op.Code {
	case srt.OpRecv, srt.OpSend:
		return errno == unix.EAGAIN && y.Value(op.Args[1])&unix.MSG_DONTWAIT == 0
	case srt.OpAccept:
		return errno == unix.EAGAIN
	case srt.OpConnect:
		return errno == unix.EINPROGRESS
	}
	return false
}

// pollResult are the events that poll(2) would report; 0: it would wait on.
func pollResult(y *srt.Syslet, op *srt.Op, res int32) int64 {
	if res < 0 {
		return int64(res)
	}
	asked := int32(uint16(y.Value(op.Args[1]))) | unix.POLLERR | unix.POLLHUP
	return int64(res & asked)
}
