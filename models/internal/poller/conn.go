package poller

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// Connections: all calls here are nonblocking and so made raw; those of the steady path
// by package syscall itself, for unix.RawSyscall6 is a jump to it behind a wrapper that
// copies its arguments to the stack.

const inEdges = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR

func (p *Poller) at(c *runtime.Conn) *state { return &p.conns[c.Slot()] }

// Attach watches both directions, edge triggered, once and for all: no epoll_ctl on
// the steady path, and 0.3 us less for each message than level triggered, where the
// kernel asks each reported socket again at the next wait (BenchmarkTrigger).
func (p *Poller) Attach(c *runtime.Conn) error {
	for c.Slot() >= len(p.conns) {
		p.conns = append(p.conns, state{})
	}
	*p.at(c) = state{}
	const events = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
	if e := p.ctl(unix.EPOLL_CTL_ADD, c.Fd(), events, uint64(c.ID())); e != 0 {
		return e
	}
	return nil
}

// Detach closes the descriptor, which takes it out of the set.
func (p *Poller) Detach(c *runtime.Conn) {
	p.close(c.Fd())
	p.shard.Detached(c)
}

func (p *Poller) close(fd int) {
	p.sysClose++
	_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// CloseWrite sends the end of the stream.
func (p *Poller) CloseWrite(c *runtime.Conn) {
	p.sysCtl++
	_, _, _ = unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(c.Fd()), unix.SHUT_WR, 0)
}

// SetReading stops or resumes: the edges come in any case and are remembered.
func (p *Poller) SetReading(c *runtime.Conn, on bool) {
	st := p.at(c)
	st.paused = !on
	if on && st.readable {
		p.ready = append(p.ready, c.ID())
	}
}

func (p *Poller) connEvent(id runtime.ConnID, events uint32) {
	c := p.shard.ConnAt(id)
	if c == nil {
		return // closed earlier in this batch
	}
	if events&unix.EPOLLOUT != 0 {
		p.at(c).blocked = false
		p.shard.MoreOutput(c)
	}
	if events&inEdges != 0 {
		st := p.at(c)
		st.readable = true
		st.ending = st.ending || events&^(unix.EPOLLIN|unix.EPOLLOUT) != 0
		p.receive(c)
	}
}

// receive reads what there is, up to a connection's share of a turn. After a
// short read there is nothing left, unless the stream is known to end.
func (p *Poller) receive(c *runtime.Conn) {
	id := c.ID()
	for range recvsPerRun {
		st := p.at(c)
		if st.paused {
			return
		}
		p.sysRecv++
		r, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.Fd()), uintptr(unsafe.Pointer(&p.buf[0])), recvBytes, unix.MSG_DONTWAIT, 0, 0)
		switch {
		case e == unix.EINTR:
			continue
		case e == unix.EAGAIN:
			st.readable = false
			return
		case e != 0:
			p.shard.Failed(c, e)
			return
		case r == 0:
			st.readable = false
			p.shard.ReceivedEnd(c)
			return
		}
		n := int(r)
		if n < recvBytes && !st.ending {
			st.readable = false
		}
		p.shard.Received(c, p.buf[:n])
		if p.shard.ConnAt(id) == nil || !p.at(c).readable {
			return
		}
	}
	p.ready = append(p.ready, id)
}

// Flush sends what conns have queued, as far as their sockets take it.
func (p *Poller) Flush(conns []*runtime.Conn) {
	for _, c := range conns {
		if st := p.at(c); !st.blocked {
			p.send(c, st)
		}
	}
}

func (p *Poller) send(c *runtime.Conn, st *state) {
	if c.HasFiles() {
		st.blocked = p.outlet.Send(p.shard, c)
		return
	}
	for c.Unsent() > 0 {
		views := c.Output(p.views[:0])
		total := 0
		for i, v := range views {
			p.iovs[i].Base = &v[0]
			p.iovs[i].SetLen(len(v))
			total += len(v)
		}
		n, e := p.sendViews(c.Fd(), len(views))
		switch {
		case e == unix.EINTR:
			continue
		case e == unix.EAGAIN:
			st.blocked = true
			return
		case e != 0:
			p.shard.Failed(c, e)
			return
		}
		p.shard.Sent(c, n)
		if n < total {
			st.blocked = true // the edge of what is freed from now on
			return
		}
		if c.Detaching() {
			return
		}
	}
}

func (p *Poller) sendViews(fd, n int) (int, unix.Errno) {
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	p.sysSend++
	if n == 1 {
		r, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(p.iovs[0].Base)), uintptr(p.iovs[0].Len), flags, 0, 0)
		return int(r), e
	}
	msg := unix.Msghdr{Iov: &p.iovs[0]}
	msg.SetIovlen(n)
	r, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), flags)
	return int(r), e
}

// Listen begins to accept on fd.
func (p *Poller) Listen(fd int) error {
	p.listenFd = fd
	return p.startAccepting()
}

func (p *Poller) startAccepting() error {
	if p.listenFd < 0 || p.listening {
		return nil
	}
	if e := p.ctl(unix.EPOLL_CTL_ADD, p.listenFd, unix.EPOLLIN, acceptTo); e != 0 {
		return e
	}
	p.listening = true
	return nil
}

// StopListening leaves the socket open and unwatched.
func (p *Poller) StopListening() {
	p.stopAccepting()
	p.listenFd = -1
}

func (p *Poller) stopAccepting() {
	if p.listening {
		p.ctl(unix.EPOLL_CTL_DEL, p.listenFd, 0, 0)
		p.listening = false
	}
}

// reopenAfter is how long we let the backlog hold connections when descriptors
// or memory have run out: a level-triggered listener would spin.
const reopenAfter = 100 * time.Millisecond

func (p *Poller) accept() {
	for range acceptsMax {
		p.addrN = unix.SizeofSockaddrAny
		p.sysAccept++
		fd, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(p.listenFd), uintptr(unsafe.Pointer(&p.from)), uintptr(unsafe.Pointer(&p.addrN)),
			unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch e {
		case 0:
			if p.shard.Accepted(int(fd), runtime.SockaddrAddrPort(&p.from)) == nil {
				p.close(int(fd))
			}
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			p.stopAccepting()
			p.shard.Arm(p.reopen, reopenAfter)
			return
		default:
			return // EAGAIN
		}
		if !p.listening {
			return
		}
	}
}
