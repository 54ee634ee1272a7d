package simdriver

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// Output, and the end of connections. A send has two halves, as under io_uring:
// the views are given to "the kernel", and later taken from, wholly or in part.
// In between they must neither move nor change.

// viewsMax bounds the segments of one send.
const viewsMax = 4

// Flush begins to send, at once or in a later batch.
func (d *Driver) Flush(conns []*runtime.Conn) {
	for i, c := range conns {
		l := d.linkOf(c, "Flush")
		if l == nil {
			continue
		}
		if slices.Contains(conns[:i], c) {
			d.sim.broke("connection %d is twice in one Flush", l.id)
		}
		if l.finSent {
			d.sim.broke("output of connection %d after its end of stream", l.id)
		}
		l.wants = true
		if d.sim.Rand.IntN(2) == 0 && l.writable() {
			d.send(l)
		}
	}
}

// send goes one half further.
func (d *Driver) send(l *link) {
	if !l.inFlight {
		d.give(l)
		if d.sim.Rand.IntN(2) == 0 {
			return
		}
	}
	d.taken(l)
}

func (d *Driver) give(l *link) {
	l.wants = false
	l.views = l.c.Output(make([][]byte, 0, 1+d.sim.Rand.IntN(viewsMax)))
	if len(l.views) == 0 && l.c.HasFiles() {
		d.giveFile(l)
		return
	}
	if len(l.views) == 0 || l.c.Unsent() == 0 {
		if len(l.views) > 0 || l.c.Unsent() > 0 {
			d.sim.broke("connection %d has %d unsent bytes in %d segments", l.id, l.c.Unsent(), len(l.views))
		}
		return
	}
	l.inFlight, l.sum = true, sumOf(l.views)
}

// giveFile is give for a range of a file, of which it reads a part. What was read
// is taken to be in the page cache, so that syslets read the rest.
func (d *Driver) giveFile(l *link) {
	r, ok := d.shard.CachedOutput(l.c)
	if !ok {
		return // MoreOutput follows
	}
	p := make([]byte, min(r.Len, 1+d.sim.Rand.IntN(64<<10)))
	n, err := unix.Pread(r.Fd, p, r.Off)
	switch {
	case err != nil:
		d.fail(l, err.(unix.Errno))
	case n == 0:
		d.shard.FileShort(l.c)
	default:
		l.views = [][]byte{p[:n]}
		l.inFlight, l.sum = true, sumOf(l.views)
	}
}

// taken is the end of a send.
func (d *Driver) taken(l *link) {
	m := d.sim
	if !l.inFlight {
		return
	}
	d.checkHeld(l)
	l.inFlight = false
	if m.chance(m.faults.Send) {
		m.Counts.SendFaults++
		l.peer.cut = true
		d.fail(l, pick(m.Rand, connErrnos))
		return
	}
	n := d.deliver(l)
	l.views = nil
	m.Note("sent %d %d", l.id, n)
	d.shard.Sent(l.c, n)
	if l.detached || l.c.Unsent() == 0 {
		return
	}
	if m.Rand.IntN(2) == 0 {
		l.wants = true
	} else {
		d.shard.MoreOutput(l.c)
	}
}

// deliver copies a part of the views to the peer.
func (d *Driver) deliver(l *link) (sent int) {
	total := 0
	for _, v := range l.views {
		total += len(v)
	}
	n := total
	if d.sim.Rand.IntN(2) == 0 {
		n = 1 + d.sim.Rand.IntN(total)
	}
	if n < total {
		d.sim.Counts.PartialSends++
	}
	for _, v := range l.views {
		k := min(n-sent, len(v))
		l.peer.received = append(l.peer.received, v[:k]...)
		sent += k
	}
	return sent
}

func (d *Driver) checkHeld(l *link) {
	if sumOf(l.views) != l.sum {
		d.sim.broke("bytes of connection %d changed while the kernel held them", l.id)
	}
}

// CloseWrite ends the stream to the peer.
func (d *Driver) CloseWrite(c *runtime.Conn) {
	l := d.linkOf(c, "CloseWrite")
	if l == nil {
		return
	}
	if c.Unsent() > 0 || l.inFlight || l.finSent {
		d.sim.broke("CloseWrite of connection %d with %d bytes unsent, ended before: %v", l.id, c.Unsent(), l.finSent)
	}
	l.finSent, l.peer.ended = true, true
	l.peer.finSent = l.peer.finSent || !l.peer.rude
	d.sim.Note("closewrite %d", l.id)
}

// Detach ends the connection. "The kernel" may keep its buffers for a while.
func (d *Driver) Detach(c *runtime.Conn) {
	l := d.linkOf(c, "Detach")
	if l == nil {
		return
	}
	m := d.sim
	l.detached = true
	l.peer.toServer = nil
	if l.finTaken && c.Unsent() == 0 {
		l.peer.ended = true // close(2) of a socket with nothing left either way
	}
	l.peer.cut = true
	m.Note("detach %d", l.id)
	if m.faults.DetachDelayMax == 0 || !l.inFlight && m.Rand.IntN(2) == 0 {
		d.detached(l)
		return
	}
	m.Counts.LateDetaches++
	l.goneNs = m.nowNs + m.Rand.Int64N(int64(m.faults.DetachDelayMax))
	d.gone = append(d.gone, l)
}

// forget is the event that ends a late detach.
func forget(d *Driver, e *event) {
	for i, l := range d.gone {
		if l == e.link {
			d.gone = append(d.gone[:i:i], d.gone[i+1:]...)
			d.detached(l)
			return
		}
	}
}

func (d *Driver) detached(l *link) {
	if l.inFlight {
		d.checkHeld(l)
	}
	if l.c.ID() != l.id || l.c.Fd() != l.fd {
		d.sim.broke("the Conn of %d was used again before Detached", l.id)
	}
	d.links[l.c.Slot()] = nil
	l.inFlight, l.views = false, nil
	d.shard.Detached(l.c)
}

// arriver is the link that is being accepted as fd.
func (d *Driver) arriver(fd int) *link {
	if d.accepting == nil || d.accepting.fd != fd {
		d.sim.broke("Attach of descriptor %d, which was not accepted", fd)
		return &link{peer: &Peer{sim: d.sim}, fd: fd}
	}
	return d.accepting
}
