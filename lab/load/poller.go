package load

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller is an epoll instance, level-triggered. It belongs to the loop's thread.
type poller struct {
	fd     int
	events [256]unix.EpollEvent
	// coarse is set once the kernel has refused epoll_pwait2 (Linux before 5.11):
	// waits then end on whole milliseconds, rounded down, and the rest is polled.
	coarse bool
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("load: epoll_create1: %w", err)
	}
	return &poller{fd: fd}, nil
}

func (p *poller) close() { unix.Close(p.fd) }

const (
	readable = unix.EPOLLIN | unix.EPOLLRDHUP
	writable = unix.EPOLLOUT
)

// An event brings back index and generation in Fd and Pad, of which the kernel knows
// no more than that they are 64 bits.
func (p *poller) add(fd int, interest uint32, index int32, generation uint32) error {
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: interest, Fd: index, Pad: int32(generation)})
}

func (p *poller) change(fd int, interest uint32, index int32, generation uint32) error {
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: interest, Fd: index, Pad: int32(generation)})
}

// poll looks without waiting and returns the number of events. A system call that
// cannot block needs none of the Go scheduler's hooks, hence RawSyscall.
func (p *poller) poll() (int, error) {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), 0, 0, 0)
	return pollResult(n, e)
}

// wait blocks for at most d, which is short (longestWaitNs). It is made without the
// scheduler's hooks: with them Go's monitor thread takes the loop's P away at every
// sleep, looks again every 20 us to do so, and preempts the loop on its own CPU (sends
// were late by 3 ms at p99 instead of 0.05). A stop of the world waits for the sleep,
// or ends it by its signal.
func (p *poller) wait(d time.Duration) (int, error) {
	if d <= 0 {
		return p.poll()
	}
	if !p.coarse {
		ts := unix.NsecToTimespec(int64(d))
		n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
			uintptr(len(p.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
		if e != unix.ENOSYS {
			return pollResult(n, e)
		}
		p.coarse = true
	}
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), uintptr(d/time.Millisecond), 0, 0)
	return pollResult(n, e)
}

// pollResult takes EINTR (Go's preemption signal, SIGCONT) for an empty look: the
// loop reads the clock again anyway.
func pollResult(n uintptr, e unix.Errno) (int, error) {
	switch e {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, fmt.Errorf("load: epoll_pwait: %w", e)
}

// receive and send return bytes moved and the error number, 0 if none. The
// sockets are nonblocking, so RawSyscall is safe.
func receive(fd int, p []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0, 0)
	return int(n), e
}

func send(fd int, p []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), e
}
