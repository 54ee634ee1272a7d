// Package blocking makes a system call that is expected to block. It is the one
// thing that the runtime and the threadlet mechanism share, and so lies beneath
// both.
package blocking

import (
	"syscall"
	_ "unsafe" // for go:linkname
)

//go:linkname entersyscallblock runtime.entersyscallblock
func entersyscallblock()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

// Syscall6 is syscall.Syscall6 for a call that is expected to block: it gives its
// processor of the Go scheduler (P) back before the call, where the other keeps it
// until the scheduler's monitor takes it away, 20 us to 10 ms later. With a few
// dozen threads in such calls the monitor, which looks at each P again and again,
// uses a tenth of the CPU: a read of 32 in flight under the threadlet model took
// 12.0 us of CPU, and takes 9.9 so. A call that does not block costs some 200 ns
// more than syscall.Syscall6's. Both names are linked to by others
// (go.dev/issue/67401) and kept stable. Any goroutine, locked to its thread or
// not.
//
//go:nosplit
//go:norace
func Syscall6(nr, a, b, c, d, e, f uintptr) (r uintptr, errno syscall.Errno) {
	// One frame from the first to the last: the scheduler remembers the stack pointer.
	entersyscallblock()
	r, _, errno = syscall.RawSyscall6(nr, a, b, c, d, e, f)
	exitsyscall()
	return r, errno
}
