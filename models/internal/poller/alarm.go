package poller

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// alarm ends a wait at the shard's next deadline: a timerfd in the epoll set that
// is set once for each deadline, instead of a timeout for each wait. To start and
// stop the kernel's timer around every sleep costs more than all the rest of the
// sleep where that leaves a virtual machine (3 us of 17 for an echoed message,
// seen on an EPYC guest).
type alarm struct {
	fd int // edge triggered: it need not be read
	// atNs is when it goes off, on the shard's clock; 0: not set, or gone off.
	atNs int64
}

func (a *alarm) open() error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		a.fd = -1
		return fmt.Errorf("poller: cannot make a timerfd: %w", err)
	}
	a.fd = fd
	return nil
}

// due sets the alarm so that it goes off within timeoutNs from nowNs, at the latest,
// and reports whether it had to be set. An earlier deadline that is no longer wanted
// is left: it costs one turn of the loop.
func (a *alarm) due(nowNs, timeoutNs int64) bool {
	if timeoutNs < 0 || a.atNs > nowNs && a.atNs-nowNs <= timeoutNs {
		return false
	}
	a.atNs = nowNs + timeoutNs
	t := unix.ItimerSpec{Value: unix.NsecToTimespec(max(timeoutNs, 1))} // 0 would stop it
	_, _, _ = unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(a.fd), 0, uintptr(unsafe.Pointer(&t)), 0, 0, 0)
	return true
}

func (a *alarm) close() {
	if a.fd >= 0 {
		_ = unix.Close(a.fd)
	}
}
