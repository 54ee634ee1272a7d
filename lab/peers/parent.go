package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// endWithParent ends the process at once when the one that started it has ended,
// however that came: what a killed lab leaves behind would serve for ever, and an
// engine's loop that was cut off in the midst of its connections may spin. Not by
// PR_SET_PDEATHSIG, which tells of the parent's thread, and Go's come and go. Where
// the kernel has no pidfd_open (before 5.3) it does nothing.
func endWithParent() {
	parent := os.Getppid()
	if parent <= 1 { // in another pid namespace, or init, which nobody outlives
		return
	}
	fd, err := unix.PidfdOpen(parent, 0)
	if os.Getppid() != parent { // had ended: the descriptor may be another's
		gone(parent)
	}
	if err != nil {
		return
	}
	// A thread of its own that sleeps in the call: Go's poller would be one more
	// thing that the scheduler asks in each turn of the library's loop.
	go func() {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			if n, err := unix.Poll(fds, -1); n == 1 {
				gone(parent)
			} else if err != unix.EINTR {
				return
			}
		}
	}()
}

func gone(parent int) {
	fail(exitError, fmt.Errorf("process %d, which started this one, has ended", parent))
}
