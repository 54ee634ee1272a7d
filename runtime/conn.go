package runtime

import (
	"net/netip"
)

// ConnID names a connection for ever: shard, slot and the slot's generation. A
// descriptor is reused at once; a ConnID is not.
type ConnID uint64

const (
	slotBits = 24
	genBits  = 32
)

func makeConnID(shard, slot int, gen uint32) ConnID {
	return ConnID(uint64(shard)<<(slotBits+genBits) | uint64(gen)<<slotBits | uint64(slot))
}

// Shard is the index of the connection's shard.
func (id ConnID) Shard() int { return int(id >> (slotBits + genBits)) }

// Slot is the connection's place in its shard's table.
func (id ConnID) Slot() int { return int(id & (1<<slotBits - 1)) }

func (id ConnID) gen() uint32 { return uint32(id >> slotBits) }

type connState uint8

const (
	connFree      connState = iota
	connOpen                // the App's
	connDraining            // closed for the App; queued output is being sent
	connLingering           // our end of the stream is sent; waiting for the peer's
	connDetached            // given up; the driver may still hold buffers of it
)

// Conn is a connection. All methods are for its shard only. A Conn is used
// again for another connection some time after Closed: keep its ID, not it.
// While nothing is unread or unsent it is all that a connection costs here, about
// 100 bytes: what is needed only while there is something to hold is pooled.
type Conn struct {
	// User is the App's.
	User any

	shard *Shard
	// id names it, or while it is free the next one in its slot.
	id  ConnID
	in  unread
	out output
	// sinceNs is, while open, when bytes came last; while draining or lingering,
	// when it is given up.
	sinceNs int64
	addr    netip.Addr
	fd      int32
	port    uint16
	state   connState
	paused  uint8
	dirty   bool // Invariant: true exactly while it is in shard.dirty
	ending  bool // Invariant: true exactly while it is in shard.ending
	// peerEnded: the peer's end of stream has come; there is none to linger for.
	peerEnded bool
}

// Why reading is paused; bits of Conn.paused.
const (
	pausedByApp uint8 = 1 << iota
	pausedByUnsent
	pausedByUnread
	pausedUntilSent
)

// ID names the connection.
func (c *Conn) ID() ConnID { return c.id }

// Shard is the loop that owns the connection.
func (c *Conn) Shard() *Shard { return c.shard }

// Fd is the descriptor; for drivers.
func (c *Conn) Fd() int { return int(c.fd) }

// Slot is the index of the connection in its shard's table; for drivers.
func (c *Conn) Slot() int { return c.id.Slot() }

// Remote is the peer's address.
func (c *Conn) Remote() netip.AddrPort { return netip.AddrPortFrom(c.addr, c.port) }

// Unsent is the number of bytes queued and not yet taken by the kernel, those of
// files included.
func (c *Conn) Unsent() int { return c.out.bytes }

// Unread is the number of bytes that the App has not consumed.
func (c *Conn) Unread() int { return c.in.len() }

// Write queues a copy of p; it is sent at the end of the turn. It fails with
// ErrConnClosed after the end, and with ErrUnsentLimit if p would exceed
// Options.MaxUnsent under PolicyClose (the connection is closed) or PolicyDrop
// (nothing else happens). Either way none of p is sent.
func (c *Conn) Write(p []byte) error {
	if err := c.admit(len(p)); err != nil || len(p) == 0 {
		return err
	}
	c.out.write(&c.shard.buffers, p)
	c.markDirty()
	return nil
}

// WriteBlock queues b without copying it; otherwise it is as Write.
func (c *Conn) WriteBlock(b *Block) error {
	c.shard.queueable(b)
	if err := c.admit(len(b.b)); err != nil || len(b.b) == 0 {
		return err
	}
	c.out.writeBlock(&c.shard.buffers, b)
	c.markDirty()
	return nil
}

func (c *Conn) markDirty() {
	if !c.dirty {
		c.dirty = true
		c.shard.dirty = append(c.shard.dirty, c)
	}
}

// Pause stops reading from the connection, Resume goes on.
func (c *Conn) Pause()  { c.pause(pausedByApp) }
func (c *Conn) Resume() { c.resume(pausedByApp) }

// PauseUntilSent stops reading until the kernel has taken all that is queued, and
// then shows the unconsumed bytes to App.Data again: for an App that answers no
// more requests before its answers are on their way.
func (c *Conn) PauseUntilSent() {
	if c.out.bytes == 0 {
		c.Reread()
		return
	}
	c.pause(pausedUntilSent)
}

func (c *Conn) pause(why uint8) {
	if c.paused == 0 && c.state == connOpen {
		c.shard.drv.SetReading(c, false)
	}
	c.paused |= why
}

func (c *Conn) resume(why uint8) {
	if c.paused&why == 0 {
		return
	}
	c.paused &^= why
	if c.paused == 0 && c.state >= connOpen && c.state <= connLingering {
		c.shard.drv.SetReading(c, true)
	}
}

// Reread shows the unconsumed bytes to App.Data again, later in this turn.
func (c *Conn) Reread() {
	if c.state == connOpen { // in a Data callback the bytes may not be in c.in yet
		c.shard.reread = append(c.shard.reread, c.id)
	}
}

// Close sends what is queued, then the end of the stream, and closes. The App
// hears of it by Closed, with ErrClosedByApp, before the turn ends. Bytes that
// still arrive are dropped.
func (c *Conn) Close() { c.shard.drain(c, ErrClosedByApp) }

// CloseWith is Close with a reason of the App's, which Closed is given.
func (c *Conn) CloseWith(reason error) { c.shard.drain(c, reason) }

// Abort closes at once; the peer sees a reset and queued output is lost.
func (c *Conn) Abort() { c.shard.abort(c, ErrClosedByApp) }

// Output appends what is queued, in order, to dst as far as dst has capacity and up
// to the first range of a file (Shard.CachedOutput); for drivers. The bytes stay where they are until Shard.Sent or Detached.
func (c *Conn) Output(dst [][]byte) [][]byte {
	q := c.out.q
	if q == nil {
		return dst
	}
	q.shown = true
	for i := q.first; i < len(q.segs) && len(dst) < cap(dst) && q.segs[i].span == nil; i++ {
		dst = append(dst, q.segs[i].b)
	}
	return dst
}

// AwaitsSent reports whether something waits until output has been sent: the end of
// the connection, or reading; for drivers that can tell sooner or later.
func (c *Conn) AwaitsSent() bool { return c.state != connOpen || c.paused != 0 }

// Detaching reports whether the connection has been given up; for drivers.
func (c *Conn) Detaching() bool { return c.state == connDetached || c.state == connFree }

// ConnInSlot is the open connection in a slot, or nil: slots are counted from 0,
// in the order in which they were first used. On the shard only.
func (s *Shard) ConnInSlot(slot int) *Conn {
	if slot < s.conns.n {
		if c := s.conns.at(slot); c.state == connOpen {
			return c
		}
	}
	return nil
}
