package threadlet

import (
	"syscall"
	_ "unsafe" // for go:linkname
)

//go:linkname entersyscallblock runtime.entersyscallblock
func entersyscallblock()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

// blockingSyscall6 is syscall.Syscall6 for a call that is expected to block: it gives its P back before, and does not leave it to the
// scheduler's monitor to take it away, which looks for that at every P and in time uses a tenth of the processor. Both names
// are linked to by others (go.dev/issue/67401) and kept stable.
//
//go:nosplit
//go:norace
func blockingSyscall6(nr, a, b, c, d, e, f uintptr) (r uintptr, errno syscall.Errno) {
	// One frame from the first to the last: the scheduler remembers the stack pointer.
	entersyscallblock()
	r, _, errno = syscall.RawSyscall6(nr, a, b, c, d, e, f)
	exitsyscall()
	return r, errno
}
