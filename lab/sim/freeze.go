package sim

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// freezer stops one thread of the server, Go's monitor, with ptrace(2). All of its
// methods are called on one locked thread: the kernel takes that for the tracer.
type freezer struct {
	tid    int
	frozen bool
}

const freezeTries = 200

// freeze stops the thread where it does no harm: asleep by the clock. Elsewhere it may
// hold a lock of Go's scheduler or the simulator's. It reports whether it did; a thread
// that never sleeps in freezeTries looks is held up by the loop itself, and idle.
func (f *freezer) freeze() (bool, error) {
	if f.tid == 0 || f.frozen {
		return f.frozen, nil
	}
	for range freezeTries {
		if err := unix.PtraceSeize(f.tid); err != nil {
			return false, fmt.Errorf("sim: ptrace of the server's monitor thread (kernel.yama.ptrace_scope above 1 forbids it): %w", err)
		}
		f.frozen = true
		if err := unix.PtraceInterrupt(f.tid); err != nil {
			return false, fmt.Errorf("sim: ptrace interrupt: %w", err)
		}
		var status unix.WaitStatus
		if _, err := unix.Wait4(f.tid, &status, unix.WALL, nil); err != nil {
			return false, fmt.Errorf("sim: wait for the stopped thread: %w", err)
		}
		if sleepsByClock(f.tid) {
			return true, nil
		}
		f.thaw()
		time.Sleep(time.Millisecond)
	}
	return false, nil
}

// thaw lets it go on. One that was killed meanwhile is waited for: until its tracer has
// done so, its process does not end.
func (f *freezer) thaw() {
	if !f.frozen {
		return
	}
	f.frozen = false
	if unix.PtraceDetach(f.tid) != nil {
		_, _ = unix.Wait4(f.tid, nil, unix.WALL, nil)
	}
}
