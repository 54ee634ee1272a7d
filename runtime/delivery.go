package runtime

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a driver tells its shard. On the head only.

// Accepted makes a connection of a connected socket. It returns nil if a limit
// forbids the connection; the driver closes the socket then.
func (s *Shard) Accepted(fd int, remote netip.AddrPort) *Conn {
	if !s.mayOpen(remote.Addr()) {
		s.Stats.RefusedConns++
		return nil
	}
	c := s.conns.take(s)
	c.fd, c.addr, c.port = int32(fd), remote.Addr(), remote.Port()
	c.sinceNs = s.nowNs
	s.open++
	if s.filter != nil && !s.mayAccept(c) {
		s.unopen(c)
		return nil
	}
	c.state = connOpen // not before: a filter must not write to it or end it
	if err := s.drv.Attach(c); err != nil {
		s.unopen(c)
		return nil
	}
	s.Stats.Accepted++
	s.armSweep()
	s.calling(cbOpened)
	s.app.Opened(c)
	if s.called() {
		s.bookCalled(cbOpened, 0)
	}
	return c
}

func (s *Shard) mayAccept(c *Conn) bool {
	s.calling(cbAccept)
	ok := s.filter.Accept(s, c)
	if s.called() {
		s.bookCalled(cbAccept, 0)
	}
	return ok
}

// unopen takes back a slot whose connection the App never saw.
func (s *Shard) unopen(c *Conn) {
	s.Stats.RefusedConns++
	s.open--
	s.forgetAddr(c.addr)
	c.state, c.fd = connDetached, -1
	s.recycleIfDone(c)
}

// ConnAt gives the connection in slot if its generation is that of id, also
// when the App has let go of it; otherwise nil.
func (s *Shard) ConnAt(id ConnID) *Conn {
	if slot := id.Slot(); slot < s.conns.n {
		if c := s.conns.at(slot); c.id == id && c.state != connFree && c.state != connDetached {
			return c
		}
	}
	return nil
}

// Received shows bytes to the App. p is the driver's and not kept.
func (s *Shard) Received(c *Conn, p []byte) {
	s.Stats.BytesIn += uint64(len(p))
	if c.state != connOpen {
		return // lingering: dropped
	}
	c.sinceNs = s.nowNs
	if c.in.len() > 0 {
		c.in.append(&s.buffers, p)
		s.showUnread(c)
		return
	}
	n := s.show(c, p)
	if c.state == connOpen && n < len(p) {
		c.in.append(&s.buffers, p[n:])
		s.checkUnread(c)
	}
}

func (s *Shard) showUnread(c *Conn) {
	n := s.show(c, c.in.bytes())
	if c.state == connOpen {
		if n > 0 {
			c.in.consume(&s.buffers, n)
		}
		s.checkUnread(c)
	}
}

func (s *Shard) show(c *Conn, p []byte) int {
	s.Stats.DataCallbacks++
	s.calling(cbData)
	n := s.app.Data(c, p)
	if s.called() {
		s.bookCalled(cbData, 0)
	}
	if n < 0 || n > len(p) {
		panic("runtime: App.Data consumed what was not there")
	}
	return n
}

// ReceivedEnd says that the peer has ended its stream in good order.
func (s *Shard) ReceivedEnd(c *Conn) {
	switch c.state {
	case connOpen:
		if c.peerEnded {
			return // the App knows, and goes on
		}
		c.peerEnded = true
		s.rereadAll() // what the App has asked to see again, it still sees
		if c.state == connOpen && s.half != nil && s.goesOn(c) {
			return
		}
		s.drain(c, ErrPeerClosed)
	case connLingering:
		s.detach(c)
	case connDraining:
		c.peerEnded = true
	}
}

func (s *Shard) goesOn(c *Conn) bool {
	s.calling(cbData)
	on := s.half.PeerEnded(c)
	if s.called() {
		s.bookCalled(cbData, 0)
	}
	return on
}

// Failed says that the connection is broken.
func (s *Shard) Failed(c *Conn, err error) {
	switch c.state {
	case connOpen:
		s.leaveOpen(c, err)
		s.detach(c)
	case connDraining, connLingering:
		s.detach(c)
	}
}

// Sent says that the kernel has taken n more bytes of c's output and that its
// memory is free again.
func (s *Shard) Sent(c *Conn, n int) {
	s.Stats.BytesOut += uint64(n)
	if n > 0 && c.HasFiles() {
		c.progress()
	}
	c.out.sent(&s.buffers, n)
	if c.paused != 0 {
		c.relieve()
	}
	if c.state == connDraining {
		s.finishOutput(c)
	}
}

// progress begins the time anew after which c is given up.
func (c *Conn) progress() {
	switch c.state {
	case connOpen:
		c.sinceNs = c.shard.nowNs
	case connDraining:
		c.sinceNs = c.shard.nowNs + int64(c.shard.opts.LingerTimeout)
	}
}

// MoreOutput puts c on the list for the next flush, if it has output.
func (s *Shard) MoreOutput(c *Conn) {
	if c.out.bytes > 0 && !c.Detaching() {
		c.markDirty()
	}
}

// SockaddrAddrPort is the address in a raw sockaddr that accept4 filled in.
func SockaddrAddrPort(sa *unix.RawSockaddrAny) netip.AddrPort {
	p := (*[28]byte)(unsafe.Pointer(sa))
	port := uint16(p[2])<<8 | uint16(p[3])
	switch sa.Addr.Family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(p[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(p[8:24])).Unmap(), port)
	}
	return netip.AddrPort{}
}
