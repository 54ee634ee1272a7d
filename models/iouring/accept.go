package iouring

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/uring"
)

// listener accepts, by one multishot entry.
type listener struct {
	driver *Driver
	fd     int        // -1: not listening
	armed  bool       // the entry is in the kernel
	reopen *srt.Timer // begins to accept again after descriptors ran out

	from    unix.RawSockaddrAny
	fromLen uint32
	sysAddr uint64 // getpeername calls: a multishot accept tells no address
	refused uint64 // accepts that failed for want of descriptors or memory
}

// reopenAfter is how long we let the backlog hold connections when descriptors
// or memory have run out: accepting at once would fail at once.
const reopenAfter = 100 * time.Millisecond

func (l *listener) init(d *Driver) {
	l.driver, l.fd = d, -1
	l.reopen = srt.NewTimer(func(*srt.Shard) { l.arm() })
}

// Listen begins to accept on fd.
func (d *Driver) Listen(fd int) error {
	d.listener.fd = fd
	d.listener.arm()
	return nil
}

// StopListening leaves the socket open. What was accepted already still comes;
// the shard refuses it.
func (d *Driver) StopListening() { d.listener.stop() }

func (l *listener) arm() {
	if l.fd < 0 || l.armed {
		return
	}
	l.armed = true
	// The sockets are blocking. For what the ring does itself it is the same: recv
	// and send wait for the socket either way (seen on 6.18). But a request that the
	// kernel gives to a worker waits there as the socket says, and on a nonblocking
	// one ends with EAGAIN (scylladb/seastar#3479).
	l.driver.ring.Next(uint64(acceptKey)).PrepAcceptMultishot(l.fd, unix.SOCK_CLOEXEC)
}

func (l *listener) stop() {
	l.fd = -1
	l.driver.shard.Disarm(l.reopen)
	if l.armed {
		l.driver.ring.Next(uint64(kindNone)).PrepCancel(uint64(acceptKey), false)
	}
}

func (l *listener) done(e *uring.CQE) {
	l.armed = e.More()
	errno := e.Errno()
	if errno == 0 {
		l.take(int(e.Res()))
	}
	if l.armed || l.fd < 0 {
		return
	}
	switch errno {
	case 0, unix.EINTR, unix.EAGAIN, unix.ECONNABORTED, unix.ECANCELED:
		l.arm()
	default: // EMFILE, ENFILE, ENOBUFS, ENOMEM
		l.refused++
		l.driver.shard.Arm(l.reopen, reopenAfter)
	}
}

func (l *listener) take(fd int) {
	d := l.driver
	if d.closing || d.shard.Accepted(fd, srt.SockaddrAddrPort(l.peer(fd))) == nil {
		d.sysClose++
		_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	}
}

// peer is fd's peer, the zero address if it has gone already.
func (l *listener) peer(fd int) *unix.RawSockaddrAny {
	l.from.Addr.Family, l.fromLen = unix.AF_UNSPEC, unix.SizeofSockaddrAny
	l.sysAddr++
	_, _, _ = unix.RawSyscall(unix.SYS_GETPEERNAME, uintptr(fd), uintptr(unsafe.Pointer(&l.from)), uintptr(unsafe.Pointer(&l.fromLen)))
	return &l.from
}
