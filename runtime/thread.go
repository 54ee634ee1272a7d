package runtime

import (
	"fmt"
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
