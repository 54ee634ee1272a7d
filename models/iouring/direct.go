package iouring

import srt "github.com/syslet/syslet/runtime"

// directMax bounds the slots for connections; the kernel takes 8 bytes for each.
const directMax = 1 << 16

// enter puts a connection into the ring's file table, from where the kernel takes
// it without counting references, and returns its slot there, or noSlot: then the
// ring uses its descriptor. That is kept in any case, for the calls that want
// one (getpeername, shutdown, sendfile).
func (d *Driver) enter(c *srt.Conn) int32 {
	t := &d.syslets.table
	if !d.tricks.direct || c.Slot() >= t.conns {
		return noSlot
	}
	slot := t.size + c.Slot()
	d.sysCtl++
	if d.ring.UpdateFile(slot, c.Fd()) != nil {
		return noSlot
	}
	return int32(slot)
}
