// Package blocking makes system calls that are expected to block: Syscall6 those that
// may take long, Wait6 the short waits of a loop. The runtime, the ring and the
// threadlet mechanism share it, and so it lies beneath them all.
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

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

// Wait6 is syscall.RawSyscall6 for a wait of a goroutine that is locked to its thread:
// the thread keeps its processor (P). A signal by which the scheduler asks the goroutine
// to give way ends the wait (EINTR), and the request itself is dropped: the scheduler's
// monitor sends one for each 10 ms in which a thread keeps its P, and a locked
// goroutine that complies sleeps until another thread, which may have to wait for the
// CPU first, has found it in a queue and handed the P back. While the collector marks
// on the same CPU that took up to 28 ms. Who means it, to stop the world or to scan
// this stack, asks again within 100 us, and again: so whoever is interrupted twice
// in short succession is to wait by Syscall6, or to let go.
//
//go:noinline
func Wait6(nr, a, b, c, d, e, f uintptr) (r uintptr, errno syscall.Errno) {
	procPin() // what asks a pinned goroutine to give way is told no, at the next function's entry
	r, _, errno = syscall.RawSyscall6(nr, a, b, c, d, e, f)
	if errno == syscall.EINTR {
		enter(1)
	}
	procUnpin()
	return r, errno
}

// enter is a function whose entry looks for such a request, which those do that need
// stack.
//
//go:noinline
func enter(n int) int {
	var room [256]byte
	room[n&255] = byte(n)
	return int(room[(n*7)&255])
}
