package iouring

import (
	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/uring"
)

// conn is what the driver knows of the connection in a slot. It is the slot's for
// good and used again with it.
type conn struct {
	c         *srt.Conn // nil: no connection
	id        srt.ConnID
	entries   int32 // in the kernel for it. Invariant: at 0, and detaching, it is let go
	slot      int32 // of the file table, or noSlot
	quietAt   int32 // the quiet send's place in Driver.quiet, or noSlot
	receiving bool  // a multishot receive is one of the entries
	sending   bool  // a send is one of them: its memory is the kernel's
	quiet     bool  // and it completes only if it fails
	full      bool  // the socket did not take all of a quiet send: the next is not quiet
	room      bool  // the send is a poll for room, instead
	// nonblocking: the socket is marked so, for sendfile(2), which has no flag.
	nonblocking bool
	gather      *gather
	paused      bool
	over        bool // the stream has ended or broken: no receive is armed any more
	detaching   bool

	// What came while paused: the end of a receive is not at once where we ask for
	// it. A copy, so that a paused connection keeps no buffer from the others.
	held    []byte
	heldEnd bool       // and then the end, or the failure
	heldErr unix.Errno // 0: an orderly end
}

func (d *Driver) at(c *srt.Conn) *conn { return d.conns[c.Slot()] }

// find gives the connection that a completion belongs to. Slots are not used
// again before their last completion, so there is one.
func (d *Driver) find(k key) *conn {
	if slot := int(k.slot()); slot < len(d.conns) && k.names(d.conns[slot].id) {
		return d.conns[slot]
	}
	return nil
}

// Attach arms the receive, which stays armed.
func (d *Driver) Attach(c *srt.Conn) error {
	for c.Slot() >= len(d.conns) {
		d.conns = append(d.conns, &conn{})
	}
	st := d.at(c)
	*st = conn{c: c, id: c.ID(), slot: d.enter(c)}
	if s := d.receive(st); d.tricks.pollFirst {
		s.PollFirst()
	}
	return nil
}

// goReceiving arms the receive, if it is wanted and not armed.
func (d *Driver) goReceiving(st *conn) {
	if st.receiving || st.paused || st.over || st.detaching || len(st.held) > 0 {
		return
	}
	d.receive(st)
}

// receive arms the multishot receive.
func (d *Driver) receive(st *conn) *uring.SQE {
	st.receiving = true
	st.entries++
	s := d.ring.Next(connKey(kindRecv, st.id)).PrepRecvMultishot(st.fd(), d.bufs, 0)
	if st.slot != noSlot {
		s.FixedFile()
	}
	if d.tricks.bundle {
		s.Bundle()
	}
	return s
}

// fd is what an entry names the connection by: its slot, or its descriptor.
func (st *conn) fd() int {
	if st.slot != noSlot {
		return int(st.slot)
	}
	return st.c.Fd()
}

// SetReading stops or resumes. The receive that is armed is cancelled, which an
// entry queued later cannot overtake: the ring takes them in order.
func (d *Driver) SetReading(c *srt.Conn, on bool) {
	st := d.at(c)
	st.paused = !on
	switch {
	case !on && st.receiving:
		d.ring.Next(uint64(kindNone)).PrepCancel(connKey(kindRecv, st.id), false)
	case on && (len(st.held) > 0 || st.heldEnd):
		d.ready = append(d.ready, st.id) // not here: we may be inside a callback
	case on:
		d.goReceiving(st)
	}
}

// recvDone delivers what came. A completion without More is the receive's last.
func (d *Driver) recvDone(k key, e *uring.CQE) {
	st := d.find(k)
	if bid, ok := e.Buffer(); ok {
		d.take(st, e, bid)
	}
	if e.More() || st == nil {
		return
	}
	st.receiving = false
	st.entries--
	switch errno := e.Errno(); {
	case st.detaching:
		d.letGo(st)
	case errno == unix.ENOBUFS:
		// Others hold all buffers, in completions that come before these are asked for.
		d.starved++
		d.ready = append(d.ready, st.id)
	case errno == unix.EAGAIN && !st.paused: // the socket is nonblocking by now: wait first
		st.receiving = true
		st.entries++
		d.ring.Next(connKey(kindRecv, st.id)).PrepPoll(st.c.Fd(), unix.POLLIN)
	case errno == unix.ECANCELED || errno == unix.EINTR || errno == unix.EAGAIN || e.Res() > 0:
		d.goReceiving(st)
	default:
		st.over = true
		if st.paused || len(st.held) > 0 {
			st.heldEnd, st.heldErr = true, errno
			return
		}
		d.end(st, errno)
	}
}

// take delivers what is in the buffer that e names, or in several of a bundle.
func (d *Driver) take(st *conn, e *uring.CQE, bid uint16) {
	n := max(int(e.Res()), 0)
	if e.BufferGoesOn() {
		d.deliver(st, d.bufs.Part(bid, n))
		return
	}
	for d.tricks.bundle && n > d.bufs.Size() {
		d.deliver(st, d.bufs.Bytes(bid, d.bufs.Size()))
		n -= d.bufs.Size()
		behind := d.bufs.Behind(bid)
		d.bufs.Recycle(bid)
		bid = behind
	}
	d.deliver(st, d.bufs.Bytes(bid, n))
	d.bufs.Recycle(bid)
}

func (d *Driver) deliver(st *conn, p []byte) {
	switch {
	case st == nil || st.detaching || len(p) == 0:
	case st.paused || len(st.held) > 0:
		st.held = append(st.held, p...)
	default:
		d.shard.Received(st.c, p)
	}
}

func (d *Driver) end(st *conn, errno unix.Errno) {
	if errno == 0 {
		d.shard.ReceivedEnd(st.c)
		return
	}
	d.shard.Failed(st.c, errno)
}

// goOnReceiving delivers what was held, in order, and arms the receive.
func (d *Driver) goOnReceiving(st *conn) {
	if st.paused || st.detaching {
		return
	}
	// By the buffer, as it came: an App that pauses at a limit must get the chance to.
	for len(st.held) > 0 && !st.paused {
		p := st.held[:min(len(st.held), d.bufs.Size())]
		if st.held = st.held[len(p):]; len(st.held) == 0 {
			st.held = nil
		}
		d.shard.Received(st.c, p)
	}
	if len(st.held) > 0 || st.detaching {
		return
	}
	if st.heldEnd && !st.paused && !st.detaching {
		st.heldEnd = false
		d.end(st, st.heldErr)
		return
	}
	d.goReceiving(st)
}

// CloseWrite sends the end of the stream. A call of its own, because the ring
// would give it to a worker thread, and it does not block.
func (d *Driver) CloseWrite(c *srt.Conn) {
	d.sysCtl++
	_, _, _ = unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(c.Fd()), unix.SHUT_WR, 0)
}

// Detach cancels what is in the kernel, and closes. The shard hears of it when
// all of that has completed.
func (d *Driver) Detach(c *srt.Conn) {
	st := d.at(c)
	st.detaching = true
	st.held, st.heldEnd = nil, false
	d.cancel(st)
	st.entries++
	d.ring.Next(connKey(kindClose, st.id)).PrepClose(c.Fd())
	if st.slot != noSlot { // the file lives until both are gone
		st.entries++
		d.ring.Next(connKey(kindClose, st.id)).PrepCloseDirect(int(st.slot))
	}
}

// cancel asks for the end of st's receive and send. By user data: to cancel by
// descriptor the kernel walks all that the ring has.
func (d *Driver) cancel(st *conn) {
	if st.receiving {
		st.entries++
		d.ring.Next(connKey(kindCancel, st.id)).PrepCancel(connKey(kindRecv, st.id), false)
	}
	if st.sending && !st.quiet { // a quiet one does not wait
		st.entries++
		d.ring.Next(connKey(kindCancel, st.id)).PrepCancel(connKey(kindSend, st.id), false)
	}
}

// endingDone counts the completion of a cancel or a close.
func (d *Driver) endingDone(k key, errno unix.Errno) {
	st := d.find(k)
	if st == nil {
		return
	}
	st.entries--
	if k.kind() == kindCancel && errno == unix.EALREADY {
		d.cancel(st) // it was running: once more
	}
	d.letGo(st)
}

func (d *Driver) letGo(st *conn) {
	if st.entries > 0 || !st.detaching {
		return
	}
	c := st.c
	*st = conn{}
	d.shard.Detached(c)
}
