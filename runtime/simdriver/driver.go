package simdriver

import (
	"fmt"
	"hash/maphash"
	"math"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// Driver implements runtime.Driver on a Sim. All its state is here, and none on
// the stack of Turn, so that Loop can be left after any event.
type Driver struct {
	sim       *Sim
	shard     *runtime.Shard
	listening bool
	closed    bool    // StopListening was called
	arriving  []*Peer // dialled, not accepted
	accepting *link   // between accept and Attach
	links     []*link // by slot of the connection; nil: none
	gone      []*link // detached, Detached not yet said
	flights   []*flight
	resubmit  map[*runtime.Syslet]bool // given back by FinishFrom with ops left

	batch  []event
	next   int // batch[next:] is still to be handled
	buf    []byte
	turned bool // this step has had its batch

	asleep  bool
	woken   bool
	untilNs int64 // when asleep: the wait's end; math.MaxInt64: none
}

// event is one thing that a batch delivers.
type event struct {
	do   func(d *Driver, e *event)
	link *link
	peer *Peer
	op   *flight
}

func (m *Sim) open(s *runtime.Shard) (runtime.Driver, error) {
	d := &Driver{sim: m, shard: s, resubmit: map[*runtime.Syslet]bool{}}
	m.drivers = append(m.drivers, d)
	return d, nil
}

// Run is called when the shard has ended.
func (d *Driver) Run() error {
	if lost := d.shard.Loop(); lost {
		return fmt.Errorf("simdriver: shard %d was asked to be released while it ran", d.shard.Index())
	}
	// As io_uring does: what the kernel still holds is waited for.
	for _, l := range d.gone {
		d.detached(l)
	}
	d.gone = nil
	return nil
}

// runnable reports whether a call of Loop would do something now.
func (d *Driver) runnable() bool {
	if d.shard.Quit() {
		return false
	}
	if d.asleep && d.sim.chance(d.sim.faults.Wake) {
		d.woken = true
	}
	return !d.asleep || d.woken || d.sim.nowNs >= d.untilNs || d.hasEvents()
}

// nextDue is the first time at which the shard will be runnable by itself.
func (d *Driver) nextDue() (atNs int64, ok bool) {
	if d.shard.Quit() {
		return 0, false
	}
	atNs = int64(math.MaxInt64)
	if d.asleep {
		atNs = d.untilNs
	}
	for _, f := range d.flights {
		atNs = min(atNs, f.dueNs)
	}
	for _, l := range d.gone {
		atNs = min(atNs, l.goneNs)
	}
	return atNs, atNs != math.MaxInt64
}

// Turn handles one batch per step, and gives the shard up at its end or, as a
// takeover does, after any event of it.
func (d *Driver) Turn(timeoutNs int64) (kept bool) {
	if d.asleep {
		d.asleep, d.woken = false, false
		d.shard.Woke()
	}
	if d.next >= len(d.batch) {
		if d.turned {
			return false
		}
		d.turned = true
		d.gather()
		if len(d.batch) == 0 {
			return d.sleep(timeoutNs)
		}
	}
	for d.next < len(d.batch) {
		e := &d.batch[d.next]
		d.next++
		e.do(d, e)
		if d.sim.chance(d.sim.faults.Lose) {
			d.sim.Counts.Losses++
			d.sim.Note("lose %d", d.shard.Index())
			return false
		}
	}
	return true
}

// sleep is the wait: it leaves Loop, and the next step that the shard is
// runnable in goes on behind it.
func (d *Driver) sleep(timeoutNs int64) (kept bool) {
	if timeoutNs == 0 || !d.shard.MayWait() {
		return true
	}
	d.sim.Counts.Sleeps++
	d.asleep, d.untilNs = true, math.MaxInt64
	if timeoutNs > 0 && timeoutNs < math.MaxInt64-d.sim.nowNs {
		d.untilNs = d.sim.nowNs + timeoutNs
	}
	return false
}

func (d *Driver) hasEvents() bool {
	if d.listening && len(d.arriving) > 0 {
		return true
	}
	for _, l := range d.links {
		if l != nil && (l.readable() || l.writable()) {
			return true
		}
	}
	due, ok := d.nextEvent()
	return ok && due <= d.sim.nowNs
}

func (d *Driver) nextEvent() (int64, bool) {
	at := int64(math.MaxInt64)
	for _, f := range d.flights {
		at = min(at, f.dueNs)
	}
	for _, l := range d.gone {
		at = min(at, l.goneNs)
	}
	return at, at != math.MaxInt64
}

// gather makes a batch of what is ready, in random order.
func (d *Driver) gather() {
	m := d.sim
	clear(d.batch)
	d.batch, d.next = d.batch[:0], 0
	if d.listening {
		for _, p := range d.arriving {
			d.add(event{do: accept, peer: p})
		}
	}
	for _, l := range d.links {
		if l != nil && l.readable() {
			d.add(event{do: receive, link: l})
		}
		if l != nil && l.writable() {
			d.add(event{do: send, link: l})
		}
	}
	for _, f := range d.flights {
		if f.dueNs <= m.nowNs {
			d.add(event{do: goOn, op: f})
		}
	}
	for _, l := range d.gone {
		if l.goneNs <= m.nowNs {
			d.add(event{do: forget, link: l})
		}
	}
	m.Rand.Shuffle(len(d.batch), func(i, j int) { d.batch[i], d.batch[j] = d.batch[j], d.batch[i] })
}

func (d *Driver) add(e event) {
	if d.sim.chance(d.sim.faults.Delay) {
		d.sim.Counts.Delays++
		return
	}
	d.batch = append(d.batch, e)
}

// Events are looked at again when their turn comes: what was ready when the
// batch was made may be over by an earlier event of it.

func receive(d *Driver, e *event) {
	if e.link.readable() {
		d.receive(e.link)
	}
}

func send(d *Driver, e *event) {
	if e.link.writable() {
		d.send(e.link)
	}
}

func goOn(d *Driver, e *event) {
	if d.drop(e.op) {
		d.goOn(e.op.y)
	}
}

func accept(d *Driver, e *event) {
	m, p := d.sim, e.peer
	if !d.listening || !d.unqueue(p) {
		return
	}
	m.nextFd++
	p.link = &link{peer: p, fd: m.nextFd}
	l := p.link
	d.accepting = l
	if c := d.shard.Accepted(l.fd, p.addr()); c == nil {
		m.Counts.Refused++
		m.Note("refuse %d", p.index)
		p.link, p.cut = nil, true
		return
	}
	m.Counts.Accepts++
}

func (d *Driver) unqueue(p *Peer) bool {
	for i, q := range d.arriving {
		if q == p {
			d.arriving = append(d.arriving[:i:i], d.arriving[i+1:]...)
			return true
		}
	}
	return false
}

// Listen begins to accept.
func (d *Driver) Listen(int) error { d.listening = true; return nil }

// StopListening refuses what still arrives.
func (d *Driver) StopListening() {
	d.listening, d.closed = false, true
	for _, p := range d.arriving {
		p.cut = true
	}
	d.arriving = nil
}

// Attach takes an accepted connection, or fails.
func (d *Driver) Attach(c *runtime.Conn) error {
	m := d.sim
	if m.chance(m.faults.Attach) {
		m.Counts.AttachFaults++
		return unix.ENOSPC
	}
	for c.Slot() >= len(d.links) {
		d.links = append(d.links, nil)
	}
	if old := d.links[c.Slot()]; old != nil {
		m.broke("slot %d was given to connection %d before Detached of %d", c.Slot(), c.ID(), old.id)
	}
	l := d.arriver(c.Fd())
	l.c, l.id = c, c.ID()
	d.links[c.Slot()] = l
	m.Note("attach %d peer %d", l.id, l.peer.index)
	if c.Unsent() > 0 || c.Unread() > 0 || len(c.Output(make([][]byte, 0, 1))) > 0 {
		m.broke("connection %d begins with bytes of an earlier one", l.id)
	}
	return nil
}

// SetReading stops or resumes deliveries.
func (d *Driver) SetReading(c *runtime.Conn, on bool) {
	if l := d.linkOf(c, "SetReading"); l != nil {
		l.paused = !on
	}
}

// Wake ends the simulated wait.
func (d *Driver) Wake() { d.woken = true }

// ReadStats has nothing to add: no system call is made.
func (d *Driver) ReadStats(*runtime.Stats) {}

// linkOf is the link of a connection that the runtime names in a call.
func (d *Driver) linkOf(c *runtime.Conn, call string) *link {
	if c.Slot() < len(d.links) {
		if l := d.links[c.Slot()]; l != nil && l.c == c && l.id == c.ID() && !l.detached {
			return l
		}
	}
	d.sim.broke("%s of connection %d (slot %d), which is not attached", call, c.ID(), c.Slot())
	return nil
}

var sumSeed = maphash.MakeSeed()

func sumOf(views [][]byte) uint64 {
	var h maphash.Hash
	h.SetSeed(sumSeed)
	for _, v := range views {
		_, _ = h.Write(v) // does not fail
	}
	return h.Sum64()
}
