package iouring

import "golang.org/x/sys/unix"

// Most sends are taken whole at once: the socket has room. Such a send is silent
// (CQE_SKIP_SUCCESS): no completion to post, to harvest, to dispatch, and none that
// ends a sleep which began with the same enter. Two flags make that sound.
// MSG_DONTWAIT: a send that cannot go on fails instead of waiting. MSG_WAITALL: a send
// that is taken in part has not succeeded. So when the enter that submitted it has
// returned, a send either has a completion, which says how much was taken, or is done
// and its memory is ours again.
const quietFlags = unix.MSG_DONTWAIT | unix.MSG_WAITALL

// quietSend is one of them, until that is known.
type quietSend struct {
	of    key // 0: it has completed
	bytes int
}

// forgetQuiet takes st's quiet send, which has a completion, off the list.
func (d *Driver) forgetQuiet(st *conn) {
	if st.quietAt != noSlot {
		d.quiet[st.quietAt].of = 0
		st.quietAt = noSlot
	}
}

// settle reports the quiet sends of which the kernel has said nothing: they are
// sent. It comes after each enter, before anything that the enter brought is
// handled, so that the App sees the same as with sends that complete. It says
// whether there were any.
func (d *Driver) settle() (any bool) {
	if len(d.quiet) == 0 || d.ring.Queued() > 0 || d.ring.Overflowed() {
		return false // not all are taken, or a failure may still be in the kernel: later
	}
	for i := range d.ring.Ready() {
		k := key(d.ring.At(i).UserData())
		if k.kind() != kindSend {
			continue
		}
		if st := d.find(k); st != nil && st.quiet {
			d.forgetQuiet(st)
		}
	}
	for _, q := range d.quiet {
		if q.of == 0 {
			continue
		}
		st := d.find(q.of)
		d.sendEnded(st)
		if st.detaching {
			d.letGo(st)
		} else {
			d.shard.Sent(st.c, q.bytes)
			d.shard.MoreOutput(st.c)
		}
	}
	d.quiet = d.quiet[:0]
	return true
}
