//go:build amd64 || arm64

package threadlet

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The watcher of the idle detector is a thread of class SCHED_IDLE, bound to the head's processor and runnable while the head
// runs bodies. The kernel gives it the processor when nobody else wants it: so a head that is inside a body then, and does
// not run when the watcher yields, is blocked. (Of the processor of a busy head the watcher gets 3 parts in 1,000; it
// yields, the head runs on, and the body is another one when the watcher looks again. Should it be the same, it is a body that has
// computed for a second.) The watcher reserves a standby, claims by compare-and-swap, wakes a standby, and yields. When there is
// no body, or no standby to wake, it sleeps; a head that enters a body, or a thread that comes home, wakes it.
//
// So it needs nothing from the kernel but the class and the processor: no perf event, which would make each switch of every thread
// of the pool dearer by 2 us, and no permission. It is a thread of our own and not Go's: as a goroutine it would hold a P while it
// waits for a processor that it may not get for long, and garbage collection would wait for it. So it runs a few
// instructions of assembly, has all signals blocked, uses no stack, knows neither g nor TLS, and leaves by exit. What it touches is
// in watch, which lives until it has left.

// watch is what the watcher and the heads share. The assembly knows its layout by go_asm.h.
type watch struct {
	word   *atomic.Uint64 // Pool.word
	free   *atomic.Int32  // Pool.free
	one    uint64         // what is written to wakeFd
	wakeFd int32          // the gate's offer eventfd

	// command is set to watch by a head or standby that sees it at sleep, to sleep by the watcher, which then looks at word and
	// free once more, and to stop for good. Who has changed word or free looks at command afterwards: one of the two sees
	// the other. It is the futex that the watcher sleeps on.
	command atomic.Uint32
	// claimedTicks is when the head that was claimed was seen blocked. Written before the claim, read by who accepts it.
	claimedTicks uint64
	// tid is the kernel's: stored before the thread runs, cleared with a futex wake when it is gone (CLONE_CHILD_CLEARTID).
	tid atomic.Uint32
	// stack is not used. It is there so that the thread does not share another's.
	stack [64]byte
}

const (
	commandSleep = 0
	commandWatch = 1
	commandStop  = 2

	// futex(2); x/sys does not name them.
	futexWait = 0

	cloneFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD |
		unix.CLONE_SYSVSEM | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_CLEARTID
)

// cloneWatcher starts the watcher of w; the thread inherits class, processors and blocked signals. Negative: an errno. Not
// noescape: w must not be on a stack, which may move.
func cloneWatcher(w *watch, stackTop uintptr) (tid int64)

// ticks reads the processor's counter of time: a system call for the clock would cost the watcher as much as the claim.
func ticks() uint64

// tickClock makes nanoseconds of ticks by what both have gone since it was made.
type tickClock struct {
	sinceTicks uint64
	sinceNs    int64
}

func (c *tickClock) ns(at, nowTicks uint64, nowNs int64) int64 {
	perTick := float64(nowNs-c.sinceNs) / float64(nowTicks-c.sinceTicks)
	return nowNs - int64(float64(nowTicks-at)*perTick)
}

// start runs the watcher on cpu, asleep until wake. Errors name what the kernel refused.
func (w *watch) start(cpu int, name string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if errno := w.clone(); errno != 0 {
		return fmt.Errorf("watcher: clone of a thread: %w (a seccomp filter?)", errno)
	}
	tid := int(w.tid.Load())
	_ = os.WriteFile(fmt.Sprintf("/proc/self/task/%d/comm", tid), []byte(name), 0) // for ps and top
	var set unix.CPUSet
	set.Set(cpu)
	err := unix.SchedSetaffinity(tid, &set)
	if err == nil {
		err = setClass(tid, schedIdle)
	}
	if err != nil {
		w.stop()
		return fmt.Errorf("watcher: class SCHED_IDLE on processor %d: %w", cpu, err)
	}
	return nil
}

// clone makes the thread with all signals blocked, which it inherits.
func (w *watch) clone() unix.Errno {
	const setSize = 8
	all, old := ^uint64(0), uint64(0)
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&old)), setSize, 0, 0)
	tid := cloneWatcher(w, (uintptr(unsafe.Pointer(w))+unsafe.Offsetof(w.stack)+unsafe.Sizeof(w.stack))&^15)
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&old)), 0, setSize, 0, 0)
	if tid < 0 {
		return unix.Errno(-tid)
	}
	return 0
}

// wake has a watcher that sleeps look. Who has entered a body, or come home; a load, and a system call if it does sleep.
func (w *watch) wake() {
	if w.command.Load() == commandSleep && w.command.CompareAndSwap(commandSleep, commandWatch) {
		w.futexWake()
	}
}

// futexWake is raw: it does not block.
func (w *watch) futexWake() {
	_, _, _ = unix.RawSyscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&w.command)), futexWakePrivate, 1)
}

// stop ends the thread and waits until it is gone, or for stopNs if others keep the processor from it. True: it is gone,
// and what it touches may be freed.
func (w *watch) stop() (gone bool) {
	w.command.Store(commandStop)
	w.futexWake()
	if tid := w.tid.Load(); tid != 0 {
		_ = setClass(int(tid), schedOther) // where it is permitted it need not wait for an idle moment
	}
	for begin := time.Now(); ; {
		tid := w.tid.Load()
		left := stopNs - int64(time.Since(begin))
		if tid == 0 || left <= 0 {
			return tid == 0
		}
		timeout := unix.NsecToTimespec(left)
		// Not a private futex: the kernel's wake at a thread's end is not.
		_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&w.tid)), futexWait, uintptr(tid), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	}
}

const stopNs = 2_000_000_000
