package iouring

import (
	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
)

// gather is the kernel's list of the segments of one send. It is on the heap and
// stays where it is; a connection has one only while it sends several segments.
type gather struct {
	msg  unix.Msghdr
	iovs [iovMax]unix.Iovec
	next *gather
}

// Flush queues one send for each of conns that has none in the kernel. All go
// with the next enter.
func (d *Driver) Flush(conns []*srt.Conn) {
	for _, c := range conns {
		switch st := d.at(c); {
		case st.sending:
		case c.HasFiles():
			d.sendFiles(st)
		default:
			d.send(st)
		}
	}
}

// sendFiles sends output in which there are ranges of files, by plain calls: see
// package outlet. What does not fit waits for room in the ring, in a send's place.
func (d *Driver) sendFiles(st *conn) {
	if !st.nonblocking {
		st.nonblocking = true
		d.sysCtl++
		if err := unix.SetNonblock(st.c.Fd(), true); err != nil {
			d.shard.Failed(st.c, err)
			return
		}
	}
	if d.outlet.Send(d.shard, st.c) && !st.detaching {
		d.ring.Next(connKey(kindSend, st.id)).PrepPoll(st.c.Fd(), unix.POLLOUT)
		st.sending, st.room = true, true
		st.entries++
	}
}

// send gives the kernel what is queued. Without MSG_WAITALL: a short send tells
// at once what was taken, so that limits see the same as under the other models.
func (d *Driver) send(st *conn) {
	flags := unix.MSG_NOSIGNAL
	if st.quiet = d.tricks.quiet && !st.full && !st.c.AwaitsSent(); st.quiet {
		flags |= quietFlags
	}
	views := st.c.Output(d.views[:0])
	s := d.ring.Next(connKey(kindSend, st.id))
	if len(views) == 1 {
		s.PrepSend(st.fd(), views[0], flags)
	} else {
		st.gather = d.takeGather()
		s.PrepSendmsg(st.fd(), st.gather.fill(views), flags)
	}
	if st.slot != noSlot {
		s.FixedFile()
	}
	if st.quiet {
		d.ring.SkipSuccess(s)
		st.quietAt = int32(len(d.quiet))
		n := 0
		for _, v := range views {
			n += len(v)
		}
		d.quiet = append(d.quiet, quietSend{key(connKey(kindSend, st.id)), n})
	}
	clear(views)
	st.sending = true
	st.entries++
}

func (g *gather) fill(views [][]byte) *unix.Msghdr {
	for i, v := range views {
		g.iovs[i].Base = &v[0]
		g.iovs[i].SetLen(len(v))
	}
	g.msg.Iov = &g.iovs[0]
	g.msg.SetIovlen(len(views))
	return &g.msg
}

func (d *Driver) takeGather() *gather {
	g := d.gathers
	if g == nil {
		return &gather{}
	}
	d.gathers, g.next = g.next, nil
	return g
}

func (d *Driver) putGather(g *gather) {
	clear(g.iovs[:g.msg.Iovlen])
	g.next, d.gathers = d.gathers, g
}

// sendDone reports what the kernel has taken; the rest goes with the turn's flush.
func (d *Driver) sendDone(k key, res int) {
	st := d.find(k)
	if st == nil {
		return
	}
	if st.quiet {
		d.unquiet++
		d.ring.Forgo(0)
		d.forgetQuiet(st)
	}
	st.full = st.quiet
	d.sendEnded(st)
	c := st.c
	if st.room {
		st.room = false
		res = min(res, 0) // not bytes
	}
	switch {
	case st.detaching:
		d.letGo(st)
		return
	case res >= 0:
		d.shard.Sent(c, res)
	case unix.Errno(-res) != unix.EINTR && unix.Errno(-res) != unix.EAGAIN:
		d.shard.Failed(c, unix.Errno(-res))
		return
	}
	if !st.detaching {
		d.shard.MoreOutput(c)
	}
}

// sendEnded takes a send off the books.
func (d *Driver) sendEnded(st *conn) {
	st.sending, st.quiet = false, false
	st.entries--
	if st.gather != nil {
		d.putGather(st.gather)
		st.gather = nil
	}
}
