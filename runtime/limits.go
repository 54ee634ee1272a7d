package runtime

import (
	"errors"
	"net/netip"
)

// What happens at the limits of Options.

// admit says whether n more bytes may be queued on c.
func (c *Conn) admit(n int) error {
	if c.state != connOpen {
		return ErrConnClosed
	}
	s, limit := c.shard, c.shard.opts.MaxUnsent
	if c.out.bytes+n <= limit {
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
		if c.out.bytes+n <= 2*limit {
			return nil
		}
	}
	s.abort(c, ErrUnsentLimit)
	return ErrUnsentLimit
}

// relieve resumes reading when enough has been sent.
func (c *Conn) relieve() {
	if c.paused&pausedByUnsent != 0 && c.out.bytes <= c.shard.opts.MaxUnsent/2 {
		c.resume(pausedByUnsent)
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

// sweep gives up connections that have been idle or closing for too long. It
// looks at every slot: four times per timeout, which is cheap beside the
// alternative, a timer touched by every message.
func (s *Shard) sweep() {
	idle := int64(s.opts.IdleTimeout)
	for _, c := range s.conns {
		switch c.state {
		case connOpen:
			if idle > 0 && s.nowNs-c.heardNs >= idle {
				s.drain(c, ErrIdle)
			}
		case connDraining, connLingering:
			if s.nowNs >= c.deadlineNs {
				s.Stats.LingerTimeouts++
				s.giveUp(c)
			}
		}
	}
	s.armSweep()
}

// sweepEvery is how often a closing connection's deadline is looked at.
const sweepEveryNs = int64(250e6)

func (s *Shard) armSweep() {
	every := sweepEveryNs
	switch {
	case s.closing > 0:
	case s.opts.IdleTimeout > 0 && s.open > 0:
		every = max(int64(s.opts.IdleTimeout)/4, 1e6)
	default:
		return
	}
	if !s.sweeper.Armed() || s.sweeper.dueNs > s.nowNs+every {
		s.Arm(s.sweeper, durationNs(every))
	}
}
