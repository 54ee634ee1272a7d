package threadlet

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const nameMax = 15 // TASK_COMM_LEN - 1, PR_SET_NAME(2const)

// Scheduling classes, sched(7).
const (
	schedOther = 0
	schedIdle  = 5
)

// dress is what a thread wore before it joined the pool.
type dress struct {
	name [nameMax + 1]byte
	set  unix.CPUSet // empty if the thread was not bound by us
}

// setUp locks the goroutine to its thread, names and binds it, and attaches the detector.
func (t *thread) setUp() error {
	runtime.LockOSThread()
	t.tid = unix.Gettid()
	_ = unix.Prctl(unix.PR_GET_NAME, uintptr(unsafe.Pointer(&t.old.name[0])), 0, 0, 0)
	t.setName()
	if err := t.bind(); err != nil {
		return fmt.Errorf("threadlet: thread %d: bind to processor %d: %w", t.index, t.pool.cfg.CPU, err)
	}
	if err := t.pool.det.attach(t, t.pool.gate); err != nil {
		return fmt.Errorf("threadlet: thread %d: detector %s: %w", t.index, t.pool.det.name(), err)
	}
	setSlice(sliceNs)
	return nil
}

// tearDown gives the thread back to Go as it was. If that fails it stays locked, and dies with its goroutine. (To let each
// one die would be simpler, but Go never ends the process's first thread: it would stay, bound and with our name.)
func (t *thread) tearDown() {
	setSlice(0) // the default
	if unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&t.old.name[0])), 0, 0, 0) != nil {
		return
	}
	if t.old.set.Count() > 0 && unix.SchedSetaffinity(0, &t.old.set) != nil {
		return
	}
	runtime.UnlockOSThread()
}

func (t *thread) setName() {
	var buf [nameMax + 1]byte
	copy(buf[:nameMax], t.pool.threadName(fmt.Sprintf("-tl%d", t.index)))
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&buf[0])), 0, 0, 0)
}

// threadName is the pool's name, cut so that the suffix fits.
func (p *Pool) threadName(suffix string) string {
	return p.cfg.Name[:min(len(p.cfg.Name), nameMax-len(suffix))] + suffix
}

func (t *thread) bind() error {
	cpu := t.pool.cfg.CPU
	if cpu < 0 {
		return nil
	}
	if err := unix.SchedGetaffinity(0, &t.old.set); err != nil {
		return err
	}
	var set unix.CPUSet
	set.Set(cpu)
	return unix.SchedSetaffinity(0, &set)
}

// sliceNs is the time slice of the pool's threads. A thread that wakes up pushes one with a longer slice off the processor, and one
// with the same slice when that has had its 0.1 ms. So a head gets the processor from a body that computes, a standby from whoever
// else is there, and a body that comes home waits for a busy head no longer than that.
const sliceNs = 100_000

// setSlice gives the calling thread that slice: any user may, the class and nice stay (sched_setattr(2); since Linux 6.12, before
// that the kernel takes the call and ignores the slice). Raw: it does not block.
func setSlice(ns uint64) {
	var a unix.SchedAttr
	a.Size = unix.SizeofSchedAttr
	_, _, errno := unix.RawSyscall6(unix.SYS_SCHED_GETATTR, 0, uintptr(unsafe.Pointer(&a)), unix.SizeofSchedAttr, 0, 0, 0)
	if errno != 0 || a.Policy != schedOther {
		return // a class of its own: somebody knows better
	}
	a.Runtime = ns
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_SETATTR, 0, uintptr(unsafe.Pointer(&a)), 0)
}

// setClass sets the scheduling class of thread tid, 0 for the calling one. Raw: it does not block.
func setClass(tid int, class uintptr) error {
	var priority int32
	_, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, uintptr(tid), class, uintptr(unsafe.Pointer(&priority)))
	if errno != 0 {
		return errno
	}
	return nil
}
