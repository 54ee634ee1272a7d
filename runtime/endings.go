package runtime

import "golang.org/x/sys/unix"

// How connections end.
//
//	open --Close/EOF/limit--> draining --output sent--> lingering --peer's EOF--> detached --driver done--> free
//	  \________________________ error, Abort, deadline ______________________________^
//
// Closed is called once, when a connection leaves open, but never inside
// another callback: at the end of the event or of the turn.

// drain ends c in good order.
func (s *Shard) drain(c *Conn, reason error) {
	if c.state != connOpen {
		return
	}
	s.leaveOpen(c, reason)
	c.state = connDraining
	c.sinceNs = s.nowNs + int64(s.opts.LingerTimeout)
	s.closes(c)
	c.resume(c.paused) // a paused connection would not notice its peer's end
	if c.out.bytes == 0 {
		c.markDirty() // finished by the turn's flush, not inside a callback
	}
}

// abort ends c at once, with a reset.
func (s *Shard) abort(c *Conn, reason error) {
	switch c.state {
	case connOpen:
		s.leaveOpen(c, reason)
		s.reset(c)
		s.detach(c)
	case connDraining, connLingering:
		s.giveUp(c)
	}
}

func (s *Shard) giveUp(c *Conn) {
	s.reset(c)
	s.detach(c)
}

func (s *Shard) reset(c *Conn) {
	// Cannot fail in a way that matters: at worst the peer sees an orderly end.
	_ = unix.SetsockoptLinger(c.Fd(), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	s.Stats.SysCtl++
}

// ended is a connection whose Closed is due.
type ended struct {
	c      *Conn
	reason error
}

// leaveOpen takes c away from the App, which hears of it soon.
func (s *Shard) leaveOpen(c *Conn, reason error) {
	s.countClose(reason)
	c.ending = true
	s.ending = append(s.ending, ended{c, reason})
}

// sayClosed calls Closed for all that left open. Closed may end others.
func (s *Shard) sayClosed() {
	for i := 0; i < len(s.ending); i++ {
		c, reason := s.ending[i].c, s.ending[i].reason
		c.in.release(&s.buffers) // not earlier: a Data callback may look at it still
		s.calling(cbClosed)
		s.app.Closed(c, reason)
		if s.called() {
			s.bookCalled(cbClosed, 0)
		}
		c.User, c.ending = nil, false
		if c.state == connDetached {
			s.recycleIfDone(c)
		}
	}
	clear(s.ending)
	s.ending = s.ending[:0]
}

// finishOutput goes on with a draining connection whose output is all sent.
func (s *Shard) finishOutput(c *Conn) {
	if c.state != connDraining || c.out.bytes > 0 {
		return
	}
	if c.peerEnded {
		s.detach(c)
		return
	}
	// Not close(2) yet: unread input would turn into a reset that can overtake
	// our last bytes.
	c.state = connLingering
	c.sinceNs = min(c.sinceNs, s.nowNs+lingerNs)
	s.drv.CloseWrite(c)
}

// lingerNs is how long we wait for a peer's end of stream after ours.
const lingerNs = int64(1e9)

func (s *Shard) detach(c *Conn) {
	c.state = connDetached
	s.open--
	s.forgetAddr(c.addr)
	s.drv.Detach(c)
}

// Detached says that the driver and the kernel hold nothing of c any more; its
// slot is free for another connection.
func (s *Shard) Detached(c *Conn) {
	c.fd = -1
	c.out.release(&s.buffers)
	s.recycleIfDone(c)
}

// recycleIfDone frees the slot when driver, App and dirty list have let go of it.
func (s *Shard) recycleIfDone(c *Conn) {
	if c.fd >= 0 || c.ending || c.dirty {
		return
	}
	s.conns.put(c)
}
