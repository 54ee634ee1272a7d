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
	schedBatch = 3
	schedIdle  = 5
)

// dress is what a thread wore before it joined the pool.
type dress struct {
	name  [nameMax + 1]byte
	set   unix.CPUSet // empty if the thread was not bound by us
	class uintptr
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
	t.old.class, _, _ = unix.RawSyscall(unix.SYS_SCHED_GETSCHEDULER, 0, 0, 0)
	t.setBatch(true)
	return nil
}

// tearDown gives the thread back to Go as it was. If that fails it stays locked, and dies with its goroutine. (To let each
// one die would be simpler, but Go never ends the process's first thread: it would stay, bound and with our name.)
func (t *thread) tearDown() {
	t.setBatch(false)
	if unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&t.old.name[0])), 0, 0, 0) != nil {
		return
	}
	if t.old.set.Count() > 0 && unix.SchedSetaffinity(0, &t.old.set) != nil {
		return
	}
	if !t.batch {
		runtime.UnlockOSThread()
	}
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

// setBatch puts the calling thread into SCHED_BATCH or back into SCHED_OTHER, unless it had a class of its own. A waking batch
// thread does not push the running thread off the processor: so neither a standby that is told of a preemption or a
// tick, nor a body on its way home, disturbs the head; and when the head blocks the processor is theirs at once. A
// new head stays batch until its first idle wait: only a thread that sleeps and wakes profits from the other class, and
// the change costs 1.5 us. Any user may change between the two, and nice is kept (sched_setscheduler(2)).
func (t *thread) setBatch(on bool) {
	if t.batch == on || t.old.class != schedOther {
		return
	}
	class := uintptr(schedOther)
	if on {
		class = schedBatch
	}
	// If it is forbidden the pool works all the same, with more false alarms.
	if setClass(0, class) == nil {
		t.batch = on
	}
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
