package runtime

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NameThread names the calling thread, for ps, top and the lab's sensors, which
// tell a shard's threads from Go's own by name. At most 15 bytes count. The
// caller has locked its goroutine to the thread.
func NameThread(name string) {
	var b [16]byte
	copy(b[:15], name)
	// Cannot fail with a valid address.
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b)), 0, 0, 0)
}

// BindThread binds the calling, locked thread to one CPU; cpu -1 leaves it as
// it is. unbind restores what was: Go uses a thread again for other goroutines.
func BindThread(cpu int) (unbind func(), err error) {
	if cpu < 0 {
		return func() {}, nil
	}
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("runtime: cannot read a thread's CPUs: %w", err)
	}
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("runtime: cannot bind a thread to CPU %d (Options.CPUs): %w", cpu, err)
	}
	return func() { _ = unix.SchedSetaffinity(0, &before) }, nil
}

// PreferredSlice is the time slice that PreferThread asks for, and the smallest
// that the kernel gives.
const PreferredSlice = 100 * time.Microsecond

// PreferThread makes the calling, locked thread one that gets its CPU at once
// when it wakes, although another thread of its class computes there: a query in
// a helper, the garbage collector. Without it the other one's slice has to end
// first, 1 to 4 ms later. It does so by a time slice that is shorter than the
// others': a thread that asks for little at a time is served soon (EEVDF, and
// its PREEMPT_SHORT: Linux 6.12; sched_setattr(2), unprivileged). It gets no more
// CPU time by that. Older kernels keep their default; see SlicesKnown. restore
// gives the thread the default slice back.
func PreferThread() (restore func()) {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil || before.Policy != unix.SCHED_NORMAL && before.Policy != unix.SCHED_BATCH {
		return func() {} // a class of its own: whoever set it knows why
	}
	if setSlice(before, PreferredSlice) != nil {
		return func() {}
	}
	return func() { _ = setSlice(before, 0) }
}

// DeferThread makes the calling, locked thread one that does not push another off
// its CPU when it wakes, but waits until that sleeps or has used up its slice: a
// helper that the loop has just woken, while it has other work. SCHED_BATCH, which
// keeps the nice value and needs no privilege (sched_setscheduler(2)). restore
// gives the thread back as it was.
func DeferThread() (restore func()) {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil || before.Policy != unix.SCHED_NORMAL {
		return func() {}
	}
	set := func(policy uint32) { _ = unix.SchedSetAttr(0, &unix.SchedAttr{Policy: policy, Nice: before.Nice}, 0) }
	set(unix.SCHED_BATCH)
	return func() { set(unix.SCHED_NORMAL) }
}

// setSlice gives the calling thread a time slice, 0 for the default, and keeps
// its class and nice value.
func setSlice(like *unix.SchedAttr, d time.Duration) error {
	return unix.SchedSetAttr(0, &unix.SchedAttr{Policy: like.Policy, Nice: like.Nice, Runtime: uint64(d)}, 0)
}

// SlicesKnown says why this kernel does not let PreferThread have an effect, or
// nil. It tries on the calling thread, and undoes it.
func SlicesKnown() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return fmt.Errorf("runtime: sched_getattr: %w", err)
	}
	if err := setSlice(before, PreferredSlice); err != nil {
		return fmt.Errorf("runtime: sched_setattr: %w", err)
	}
	now, err := unix.SchedGetAttr(0, 0)
	_ = setSlice(before, 0)
	if err != nil {
		return fmt.Errorf("runtime: sched_getattr: %w", err)
	}
	if now.Runtime != uint64(PreferredSlice) {
		return errors.New("runtime: a thread's time slice cannot be set (Linux 6.12)")
	}
	return nil
}
