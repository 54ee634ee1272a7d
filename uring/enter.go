//go:build linux

package uring

import (
	"sync/atomic"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime/blocking"
)

const enterGetevents = iosys.IORING_ENTER_FLAGS_GETEVENTS

// publish shows the kernel the queued entries and says how many they are. The store
// is atomic because the kernel reads it.
func (r *Ring) publish() uint32 {
	if r.tail == r.head {
		return 0
	}
	atomic.StoreUint32(r.kSQTail, r.tail)
	return r.tail - r.head
}

// enter calls io_uring_enter(2) so that it cannot wait, hence past the Go scheduler.
func (r *Ring) enter(toSubmit, flags uint32) unix.Errno {
	r.Stats.Enters++
	_, _, errno := unix.RawSyscall6(iosys.SYS_IO_URING_ENTER, uintptr(r.enterFd), uintptr(toSubmit),
		0, uintptr(flags|r.enterFlags), 0, 0)
	r.taken()
	return errno
}

// enterWait calls io_uring_enter(2) so that it may sleep, and tells the Go scheduler
// unless hold. timeoutNs below 0 is no limit: then, and without gathering, there is
// no argument for the kernel to read, and no timer for it to set. (EXT_ARG, 5.11)
func (r *Ring) enterWait(toSubmit, minComplete uint32, gatherNs, timeoutNs int64, hold bool) unix.Errno {
	r.Stats.Enters++
	r.Stats.Waits++
	flags := uintptr(enterGetevents | r.enterFlags)
	var arg, size uintptr
	if w := r.wait; timeoutNs > 0 || gatherNs > 0 && r.gathers {
		w.arg.ts, w.arg.minWaitUsec = 0, 0
		if timeoutNs > 0 {
			w.ts.sec, w.ts.nsec = timeoutNs/1e9, timeoutNs%1e9
			w.arg.ts = uint64(uintptr(unsafe.Pointer(&w.ts)))
		}
		if gatherNs > 0 && r.gathers {
			w.arg.minWaitUsec = uint32(min((gatherNs+999)/1000, 1<<31))
		}
		flags |= uintptr(_IORING_ENTER_EXT_ARG)
		arg, size = uintptr(unsafe.Pointer(&w.arg)), unsafe.Sizeof(w.arg) // mapped memory: it does not move
	}
	var errno unix.Errno
	if hold {
		_, errno = blocking.Wait6(iosys.SYS_IO_URING_ENTER, uintptr(r.enterFd), uintptr(toSubmit), uintptr(minComplete), flags, arg, size)
	} else {
		_, _, errno = unix.Syscall6(iosys.SYS_IO_URING_ENTER, uintptr(r.enterFd), uintptr(toSubmit), uintptr(minComplete), flags, arg, size)
	}
	r.taken()
	return errno
}

// taken learns from the kernel's head, not from the call's result, what it took: the
// two agree, but only the head is there when the call failed.
func (r *Ring) taken() {
	head := atomic.LoadUint32(r.kSQHead)
	r.Stats.Submitted += uint64(head - r.head)
	r.head = head
}

// deferred says that the kernel has work to do at the next GETEVENTS: completions
// to post (TASKRUN_FLAG) or to flush.
func (r *Ring) deferred() bool {
	return atomic.LoadUint32(r.kSQFlags)&(_IORING_SQ_TASKRUN|iosys.IORING_SQ_CQ_OVERFLOW) != 0
}

// pause gives the kernel a moment to find memory.
func pause() {
	ts := unix.Timespec{Nsec: 100_000}
	_ = unix.Nanosleep(&ts, nil) // an early return is as good
}
