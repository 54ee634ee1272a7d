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
		if st := d.at(c); !st.sending {
			d.send(st)
		}
	}
}

// send gives the kernel what is queued. Without MSG_WAITALL: a short send tells
// at once what was taken, so that limits see the same as under the other models.
func (d *Driver) send(st *conn) {
	const flags = unix.MSG_NOSIGNAL
	views := st.c.Output(d.views[:0])
	s := d.ring.Next(connKey(kindSend, st.id))
	if len(views) == 1 {
		s.PrepSend(st.c.Fd(), views[0], flags)
	} else {
		st.gather = d.takeGather()
		s.PrepSendmsg(st.c.Fd(), st.gather.fill(views), flags)
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
	st.sending = false
	st.entries--
	if st.gather != nil {
		d.putGather(st.gather)
		st.gather = nil
	}
	c := st.c
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
