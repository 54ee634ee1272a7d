package simdriver

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// Peer is the far end of a simulated connection. What it writes is under way
// until a step delivers it.
type Peer struct {
	sim   *Sim
	index int
	host  byte
	rude  bool // does not answer the server's end of stream
	hold  bool // takes nothing: the server's output stays where it is

	toServer []byte // written here, not yet received there
	finSent  bool   // the end of the stream follows toServer
	rstSent  bool   // a reset overtakes it
	received []byte // sent there, not yet read here
	ended    bool   // the server's end of stream follows received
	cut      bool   // the connection is gone: reset, refused or closed under way
	link     *link  // nil before it is accepted
}

// Write sends p. It reports false if the connection is known to be gone.
func (p *Peer) Write(b []byte) bool {
	if p.cut || p.finSent || p.rstSent {
		return false
	}
	p.toServer = append(p.toServer, b...)
	return true
}

// Read takes what has arrived, up to len(b) bytes.
func (p *Peer) Read(b []byte) int {
	n := copy(b, p.received)
	p.received = p.received[n:]
	return n
}

// ReadAll takes all that has arrived.
func (p *Peer) ReadAll() []byte {
	b := p.received
	p.received = nil
	return b
}

// CloseWrite ends the stream to the server.
func (p *Peer) CloseWrite() { p.finSent = true }

// Reset breaks the connection; what is under way is lost.
func (p *Peer) Reset() {
	p.rstSent = true
	p.toServer = nil
}

// Hold makes the peer's window zero: it takes nothing until Hold(false).
func (p *Peer) Hold(on bool) { p.hold = on }

// Linger makes the peer keep its end of the stream open after the server has
// ended its own. Otherwise it ends it at once, as most clients do.
func (p *Peer) Linger() { p.rude = true }

// Ended reports whether the server has ended its stream in good order.
func (p *Peer) Ended() bool { return p.ended }

// Cut reports whether the connection is gone without an end of stream.
func (p *Peer) Cut() bool { return p.cut && !p.ended }

// Accepted reports whether the server has opened the connection, and its name.
func (p *Peer) Accepted() (runtime.ConnID, bool) {
	if p.link == nil {
		return 0, false
	}
	return p.link.id, true
}

// Pending is the number of bytes under way to the server.
func (p *Peer) Pending() int { return len(p.toServer) }

// Index is the peer's number, in order of Dial.
func (p *Peer) Index() int { return p.index }

func (p *Peer) addr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, p.host}), uint16(1024+p.index%60000))
}

// link is the server's side of a connection: what a kernel's socket would hold.
type link struct {
	peer     *Peer
	c        *runtime.Conn
	id       runtime.ConnID
	fd       int
	paused   bool
	finTaken bool // ReceivedEnd was delivered
	finSent  bool // CloseWrite was called
	wants    bool // has output that no send is under way for
	inFlight bool // a send is under way: views are the kernel's
	detached bool // Detach was called
	goneNs   int64
	views    [][]byte
	sum      uint64 // of views, when they were given
}

// readable reports whether there is something to deliver.
func (l *link) readable() bool {
	p := l.peer
	return !l.detached && !l.paused && !l.finTaken && (p.rstSent || len(p.toServer) > 0 || p.finSent)
}

func (l *link) writable() bool {
	return !l.detached && !l.peer.hold && (l.inFlight || l.wants)
}

// receive delivers a part of what the peer has written, or its end, or a break.
func (d *Driver) receive(l *link) {
	m, p := d.sim, l.peer
	switch {
	case p.rstSent:
		p.cut = true
		d.fail(l, unix.ECONNRESET)
	case m.chance(m.faults.Recv):
		m.Counts.RecvFaults++
		p.cut = true
		d.fail(l, pick(m.Rand, connErrnos))
	case len(p.toServer) > 0:
		n := 1 + m.Rand.IntN(len(p.toServer))
		if n < len(p.toServer) {
			m.Counts.SplitReads++
		}
		b := append(d.buf[:0], p.toServer[:n]...)
		p.toServer = p.toServer[n:]
		m.Note("recv %d %d", l.id, n)
		d.shard.Received(l.c, b)
		// The buffer is the driver's again: who kept it finds other bytes there.
		for i := range b {
			b[i] = 0xdb
		}
		d.buf = b
	default:
		l.finTaken = true
		m.Note("fin %d", l.id)
		d.shard.ReceivedEnd(l.c)
	}
}

func (d *Driver) fail(l *link, e unix.Errno) {
	d.sim.Note("fail %d %d", l.id, int(e))
	d.shard.Failed(l.c, e)
	if !l.detached {
		d.sim.broke("connection %d failed and was not detached", l.id)
	}
}
