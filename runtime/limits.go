package runtime

import (
	"errors"
	"net/netip"
	"time"
)

// What happens at the limits of Options.

// admit says whether n more bytes may be queued on c.
func (c *Conn) admit(n int) error {
	if c.state != connOpen {
		return ErrConnClosed
	}
	s, limit := c.shard, c.shard.opts.MaxUnsent
	if c.out.copied()+n <= limit {
		return nil
	}
	switch s.opts.UnsentPolicy {
	case PolicyDrop:
		s.Stats.UnsentDropped++
		return ErrUnsentLimit
	case PolicyPause:
		if c.paused&pausedByUnsent == 0 {
			s.Stats.ReadPauses++
			c.pause(pausedByUnsent)
		}
		// What one callback may answer is bounded by what one read brings, so
		// twice the limit is reached only by output that reading does not cause.
		if c.out.copied()+n <= 2*limit {
			return nil
		}
	}
	s.abort(c, ErrUnsentLimit)
	return ErrUnsentLimit
}

// relieve resumes reading when enough has been sent.
func (c *Conn) relieve() {
	if c.paused&pausedByUnsent != 0 && c.out.copied() <= c.shard.opts.MaxUnsent/2 {
		c.resume(pausedByUnsent)
	}
	if c.paused&pausedUntilSent != 0 && c.out.bytes == 0 {
		c.resume(pausedUntilSent)
		c.Reread()
	}
}

// checkUnread looks at what an App left unconsumed.
func (s *Shard) checkUnread(c *Conn) {
	switch {
	case c.in.len() < s.opts.MaxUnread:
		if c.in.len() <= s.opts.MaxUnread/2 {
			c.resume(pausedByUnread)
		}
	case s.opts.UnreadPolicy == PolicyPause:
		if c.paused&pausedByUnread == 0 {
			s.Stats.ReadPauses++
			c.pause(pausedByUnread)
		}
	default:
		s.abort(c, ErrUnreadLimit)
	}
}

// mayOpen applies the limits on the number of connections.
func (s *Shard) mayOpen(addr netip.Addr) bool {
	if s.open >= s.opts.MaxConns || s.stopping {
		return false
	}
	if s.opts.MaxConnsPerAddr == 0 {
		return true
	}
	if s.perAddr[addr] >= s.opts.MaxConnsPerAddr {
		return false
	}
	s.perAddr[addr]++
	return true
}

func (s *Shard) forgetAddr(addr netip.Addr) {
	if s.opts.MaxConnsPerAddr == 0 {
		return
	}
	if s.perAddr[addr]--; s.perAddr[addr] == 0 {
		delete(s.perAddr, addr)
	}
}

// countClose sorts an end by its reason.
func (s *Shard) countClose(reason error) {
	st := &s.Stats
	switch {
	case errors.Is(reason, ErrPeerClosed):
		st.ClosedByPeer++
	case errors.Is(reason, ErrIdle):
		st.ClosedByIdle++
	case errors.Is(reason, ErrUnsentLimit), errors.Is(reason, ErrUnreadLimit):
		st.ClosedByLimit++
	case errors.As(reason, new(interface{ Timeout() bool })):
		st.ClosedByError++ // an errno
	default:
		st.ClosedByApp++
	}
}

const (
	// sweepSlots bounds the slots that are looked at in a turn, so that a table of
	// any size delays nobody.
	sweepSlots = 4096
	// closersEvery is how often the deadlines of closing connections are looked at.
	closersEvery = 250 * time.Millisecond
)

// sweep ends connections that have been idle for too long. It gets round four
// times per timeout, a part of the slots at a time, which is cheap beside the
// alternative: a timer touched by every message.
func (s *Shard) sweep() {
	idle := int64(s.opts.IdleTimeout)
	until := min(s.swept+sweepSlots, s.conns.n)
	for slot := s.swept; slot < until; slot++ {
		if c := s.conns.at(slot); c.state == connOpen && s.nowNs-c.sinceNs >= idle {
			s.drain(c, ErrIdle)
		}
	}
	if s.swept = until; until == s.conns.n {
		s.swept = 0
	}
	s.armSweep()
}

func (s *Shard) armSweep() {
	if s.opts.IdleTimeout == 0 || s.open == 0 || s.sweeper.Armed() {
		return
	}
	parts := (s.conns.n + sweepSlots - 1) / sweepSlots
	s.Arm(s.sweeper, max(s.opts.IdleTimeout/time.Duration(4*parts), time.Millisecond))
}

// giveUpClosers gives up connections that have been closing for too long.
func (s *Shard) giveUpClosers() {
	keep := s.closers[:0]
	for _, id := range s.closers {
		c := s.ConnAt(id)
		switch {
		case c == nil: // has ended
		case s.nowNs < c.sinceNs:
			keep = append(keep, id)
		default:
			s.Stats.LingerTimeouts++
			if c.state == connDraining {
				s.giveUp(c)
			} else { // without a reset: the kernel may have megabytes to send yet
				s.detach(c)
			}
		}
	}
	s.closers = keep
	if len(keep) > 0 {
		s.Arm(s.giveUpTimer, closersEvery)
	}
}

// closes has c's deadline looked at.
func (s *Shard) closes(c *Conn) {
	s.closers = append(s.closers, c.id)
	if !s.giveUpTimer.Armed() {
		s.Arm(s.giveUpTimer, closersEvery)
	}
}

// trim gives memory back that the shard's buffers have not needed for a while.
func (s *Shard) trim() {
	if after := s.buffers.trim(); s.buffers.ample {
		s.Arm(s.trimmer, after)
	}
}
