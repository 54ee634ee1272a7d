// Package outlet sends output in which there are ranges of files: bytes by
// sendmsg(2), ranges by sendfile(2), with nonblocking calls on the head.
//
// CPU of the sender per answer of 250 bytes of header and a body, Linux 6.18 on two
// virtual CPUs, TCP over loopback, 32 connections, us, least of five runs:
//
//	body     one send   MSG_MORE, sendfile   sendfile alone   pread, sendmsg   mmap, sendmsg
//	1 KiB       6.2            7.6                10.5              7.0             6.7
//	8 KiB       7.8            7.7                10.9              8.9             7.9
//	16 KiB      8.7            7.8                10.6              9.7             8.8
//	64 KiB     16.5           11.2                13.9             19.9            17.6
//	256 KiB    48.4           26.1                28.2             62.7            49.0
//
// So it is what a ring does best, too: its SPLICE goes to a worker thread, and
// READ and SEND copy twice. A socket that is marked O_NONBLOCK, as sendfile needs
// it, makes no difference to a ring's accept, recv and send.
package outlet

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

const (
	viewsMax = 64
	// shareBytes is what a connection may send before the others' turn.
	shareBytes = 1 << 20
)

// Outlet is a shard's. The zero value is ready.
type Outlet struct {
	views [viewsMax][]byte
	iovs  [viewsMax]unix.Iovec
	msg   unix.Msghdr
	// Calls counts system calls.
	Calls uint64
}

// Send sends what c has queued and reports whether that ended because the socket,
// which must be nonblocking, is full. What is left otherwise waits for the disk, or
// for the next turn: MoreOutput is called then.
func (o *Outlet) Send(s *runtime.Shard, c *runtime.Conn) (full bool) {
	for budget := shareBytes; c.Unsent() > 0 && !c.Detaching(); {
		if budget <= 0 {
			s.MoreOutput(c)
			return false
		}
		n, e, more := o.next(s, c)
		switch {
		case !more && e == 0:
			return false
		case e == unix.EINTR:
			continue
		case e == unix.EAGAIN:
			return true
		case e != 0:
			s.Failed(c, e)
			return false
		}
		budget -= n
		s.Sent(c, n)
	}
	return false
}

// next sends what is at the head of the queue. more is false, with no error, if
// nothing could be.
func (o *Outlet) next(s *runtime.Shard, c *runtime.Conn) (n int, e unix.Errno, more bool) {
	views := c.Output(o.views[:0])
	if len(views) > 0 {
		n, e = o.bytes(c, views)
		return n, e, true
	}
	r, ok := s.CachedOutput(c)
	if !ok {
		return 0, 0, false
	}
	o.Calls++
	sent, _, e := unix.RawSyscall6(unix.SYS_SENDFILE, uintptr(c.Fd()), uintptr(r.Fd), uintptr(unsafe.Pointer(&r.Off)), uintptr(r.Len), 0, 0)
	if e == 0 && sent == 0 {
		s.FileShort(c)
		return 0, 0, false
	}
	return int(sent), e, true
}

func (o *Outlet) bytes(c *runtime.Conn, views [][]byte) (int, unix.Errno) {
	flags := unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	if c.FileFollows(len(views)) {
		flags |= unix.MSG_MORE
	}
	o.Calls++
	if len(views) == 1 {
		n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(c.Fd()), uintptr(unsafe.Pointer(&views[0][0])), uintptr(len(views[0])), uintptr(flags), 0, 0)
		views[0] = nil
		return int(n), e
	}
	for i, v := range views {
		o.iovs[i].Base = &v[0]
		o.iovs[i].SetLen(len(v))
	}
	o.msg.Iov = &o.iovs[0]
	o.msg.SetIovlen(len(views))
	n, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(c.Fd()), uintptr(unsafe.Pointer(&o.msg)), uintptr(flags))
	clear(o.iovs[:len(views)])
	clear(views)
	return int(n), e
}
