//go:build linux

package uring

import (
	"math/bits"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// PrepNop does nothing and completes with 0. (5.1)
func (s *SQE) PrepNop() *SQE {
	return s.prep(iosys.IORING_OP_NOP, -1, 0, 0, 0)
}

// PrepPoll completes once, when fd has one of the poll(2) events; the result is
// the events found. (5.1)
func (s *SQE) PrepPoll(fd int, events uint32) *SQE {
	s.prep(iosys.IORING_OP_POLL_ADD, int32(fd), 0, 0, 0)
	if bigEndian {
		events = bits.RotateLeft32(events, 16) // the kernel's poll32_events
	}
	s.raw.SetOpFlags(events)
	return s
}

// PrepPollMultishot completes each time fd comes to have one of the events, until
// a completion without [CQE.More]. (5.13)
func (s *SQE) PrepPollMultishot(fd int, events uint32) *SQE {
	s.PrepPoll(fd, events)
	s.raw.PrepOperation(iosys.IORING_OP_POLL_ADD, int32(fd), 0, _IORING_POLL_ADD_MULTI, 0)
	return s
}

// PrepCancel cancels the op with that user data, or, with all, every such op. The
// result is 0 (with all: how many), ENOENT if there is none, EALREADY if it is
// running and may yet complete by itself. Each cancelled op still has its own
// completion. (5.5; all 5.19)
func (s *SQE) PrepCancel(userData uint64, all bool) *SQE {
	s.prep(iosys.IORING_OP_ASYNC_CANCEL, -1, userData, 0, 0)
	if all {
		s.raw.SetOpFlags(_IORING_ASYNC_CANCEL_ALL)
	}
	return s
}

// PrepCancelFd cancels every op on fd, a descriptor of the process; the result is
// how many. Do it before fd is closed. (5.19)
func (s *SQE) PrepCancelFd(fd int) *SQE {
	s.prep(iosys.IORING_OP_ASYNC_CANCEL, int32(fd), 0, 0, 0)
	s.raw.SetOpFlags(_IORING_ASYNC_CANCEL_FD | _IORING_ASYNC_CANCEL_ALL)
	return s
}

// PrepCancelSlot is PrepCancelFd for a slot of the ring's file table. (6.0)
func (s *SQE) PrepCancelSlot(slot int) *SQE {
	s.prep(iosys.IORING_OP_ASYNC_CANCEL, int32(slot), 0, 0, 0)
	s.raw.SetOpFlags(_IORING_ASYNC_CANCEL_FD | _IORING_ASYNC_CANCEL_FD_FIXED | _IORING_ASYNC_CANCEL_ALL)
	return s
}

// prepCancelAny cancels all that the ring has. (5.19)
func (s *SQE) prepCancelAny() *SQE {
	s.prep(iosys.IORING_OP_ASYNC_CANCEL, -1, 0, 0, 0)
	s.raw.SetOpFlags(_IORING_ASYNC_CANCEL_ANY | _IORING_ASYNC_CANCEL_ALL)
	return s
}

// PrepMsgRing posts a completion with that user data and result (at most
// MaxInt32) on another ring, given by its descriptor ([Ring.Fd]), and wakes its
// waiter. There it reads as [CQE.Message]. Here it completes with 0 or an error.
// The target must have been enabled. Needs [MsgRingFlags]. (5.18; the mark 6.3)
func (s *SQE) PrepMsgRing(ringFd int, userData uint64, result uint32) *SQE {
	s.prep(iosys.IORING_OP_MSG_RING, int32(ringFd), _IORING_MSG_DATA, result, userData)
	s.raw.SetOpFlags(_IORING_MSG_RING_FLAGS_PASS)
	mark := cqeFlagMessage
	s.raw.SetSpliceFdIn(int32(mark))
	return s
}

// Message is what PrepMsgRing does, at once and from any thread, which needs no ring:
// a system call of its own. Needs [SyncMessage]. (IORING_REGISTER_SEND_MSG_RING, 6.13)
func Message(ringFd int, userData uint64, result uint32) error {
	var s SQE
	s.PrepMsgRing(ringFd, userData, result)
	_, _, errno := unix.RawSyscall6(iosys.SYS_IO_URING_REGISTER, ^uintptr(0), uintptr(_IORING_REGISTER_SEND_MSG), uintptr(unsafe.Pointer(&s)), 1, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// NextTimeout is Next with a timeout of ns nanoseconds from its submission: it
// completes with ETIME, or with ECANCELED if it is cancelled. ETIME does not fail
// a chain. The ring keeps the time; the caller owes nothing. (5.4; ETIME_SUCCESS 5.16)
func (r *Ring) NextTimeout(userData uint64, ns int64) *SQE {
	s, ts := r.nextTimed(userData, ns)
	s.prep(iosys.IORING_OP_TIMEOUT, -1, ts, 1, 0)
	s.raw.SetOpFlags(_IORING_TIMEOUT_ETIME_SUCCESS)
	return s
}

// NextLinkTimeout is Next with a limit of ns nanoseconds on the entry before it,
// which must have been marked Link: when the time is up, that op is cancelled and
// this one completes with ETIME, else with ECANCELED. Reserve both before. (5.5)
func (r *Ring) NextLinkTimeout(userData uint64, ns int64) *SQE {
	s, ts := r.nextTimed(userData, ns)
	return s.prep(iosys.IORING_OP_LINK_TIMEOUT, -1, ts, 1, 0)
}

// nextTimed gives an entry and the address of its own timespec. The kernel copies
// the timespec when it takes the entry, so one per slot is enough.
func (r *Ring) nextTimed(userData uint64, ns int64) (*SQE, uint64) {
	if ns < 0 {
		ns = 0
	}
	s := r.Next(userData)
	ts := &r.times[(r.tail-1)&r.sqMask]
	ts.sec, ts.nsec = ns/1e9, ns%1e9
	return s, uint64(uintptr(unsafe.Pointer(ts)))
}
