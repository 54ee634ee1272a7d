// Package waits holds the syslets of a shard that wait in its loop: for a
// descriptor, through the epoll set, or for the clock.
package waits

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models/internal/poller"
	srt "github.com/syslet/syslet/runtime"
)

// Waits is indexed by Syslet.Slot; a key carries a part of the slot's
// generation, for an event may come after its wait was cancelled. On the head
// only.
type Waits struct {
	poller *poller.Poller
	shard  *srt.Shard
	submit func(y *srt.Syslet) srt.Outcome
	slots  []wait
	free   []int32
}

// New makes the waits of s on p, whose OnWatch they take. submit goes on with a
// syslet whose wait is over.
func New(p *poller.Poller, s *srt.Shard, submit func(y *srt.Syslet) srt.Outcome) *Waits {
	w := &Waits{poller: p, shard: s, submit: submit}
	p.OnWatch = w.ready
	return w
}

// ForOthers are ops that may wait for ever for a peer or the clock: they belong
// into the loop, not on one of a few threads.
func ForOthers(op *srt.Op) bool {
	switch op.Code {
	case srt.OpRecv, srt.OpSend, srt.OpAccept, srt.OpPoll, srt.OpSleep:
		return true
	}
	return false
}

type wait struct {
	y     *srt.Syslet // nil: free
	timer *srt.Timer
	fd    int // watched, ours to close; -1: the timer is what it waits for
	gen   uint32
}

const (
	waitSlotBits = 20
	noSlot       = -1
)

func (w *Waits) key(slot int32) uint32 {
	return w.slots[slot].gen<<waitSlotBits | uint32(slot)
}

// Add makes y wait for what its current op needs. False: the op's result has
// been applied instead.
func (w *Waits) Add(y *srt.Syslet) bool {
	op := y.Op()
	if op.Code == srt.OpSleep {
		slot := w.take(y, -1)
		w.shard.Arm(w.slots[slot].timer, time.Duration(y.Value(op.Args[0])))
		return true
	}
	if op.Flags&srt.Async != 0 {
		// Tried first all the same: not all that such an op may say comes with an
		// event, and when one has come the op is here again.
		if res, ok := y.Try(); ok {
			y.Apply(res)
			return false
		}
	}
	if op.Code == srt.OpAccept && !listens(y, op) {
		y.Apply(y.Exec()) // its error comes with no event
		return false
	}
	// A duplicate, because an epoll set holds a descriptor only once and
	// several syslets, or the server, may wait for the same one.
	fd, err := unix.FcntlInt(uintptr(y.Value(op.Args[0])), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		y.Apply(y.Exec()) // the call itself knows the true error
		return false
	}
	slot := w.take(y, fd)
	if e := w.poller.Watch(fd, eventsOf(y, op), w.key(slot)); e != 0 {
		w.put(slot)
		// EPERM: a regular file, which never waits.
		y.Apply(y.Exec())
		return false
	}
	return true
}

// listens reports whether the descriptor of an accept is one to wait for.
func listens(y *srt.Syslet, op *srt.Op) bool {
	v, err := unix.GetsockoptInt(int(y.Value(op.Args[0])), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err == nil && v != 0
}

func eventsOf(y *srt.Syslet, op *srt.Op) uint32 {
	switch op.Code {
	case srt.OpSend:
		return unix.EPOLLOUT
	case srt.OpPoll:
		return uint32(y.Value(op.Args[1])) // EPOLLx and POLLx have the same values
	}
	return unix.EPOLLIN
}

func (w *Waits) take(y *srt.Syslet, fd int) int32 {
	var slot int32
	if n := len(w.free); n > 0 {
		slot, w.free = w.free[n-1], w.free[:n-1]
	} else {
		slot = int32(len(w.slots))
		w.slots = append(w.slots, wait{})
		w.slots[slot].timer = srt.NewTimer(func(*srt.Shard) { w.expired(slot) })
	}
	w.slots[slot].y, w.slots[slot].fd = y, fd
	y.Slot = slot
	return slot
}

func (w *Waits) put(slot int32) {
	s := &w.slots[slot]
	if s.fd >= 0 {
		w.poller.Unwatch(s.fd)
		_ = unix.Close(s.fd)
	} else {
		w.shard.Disarm(s.timer)
	}
	s.y.Slot = noSlot
	s.y, s.fd = nil, -1
	s.gen++
	w.free = append(w.free, slot)
}

// ready goes on with the syslet of an event.
func (w *Waits) ready(key uint32) {
	slot := int32(key & (1<<waitSlotBits - 1))
	if int(slot) >= len(w.slots) || w.slots[slot].y == nil || w.key(slot) != key {
		return
	}
	y := w.slots[slot].y
	w.put(slot)
	w.goOn(y)
}

func (w *Waits) expired(slot int32) {
	y := w.slots[slot].y
	w.put(slot)
	y.Apply(0)
	w.goOn(y)
}

func (w *Waits) goOn(y *srt.Syslet) {
	if w.submit(y) == srt.Completed {
		w.shard.Finish(y)
	}
}

// Remove takes y out, if it is here.
func (w *Waits) Remove(y *srt.Syslet) bool {
	slot := y.Slot
	if slot < 0 || int(slot) >= len(w.slots) || w.slots[slot].y != y {
		return false
	}
	w.put(slot)
	return true
}

// Close closes the descriptors of what still waits when the loop has ended.
func (w *Waits) Close() {
	for i := range w.slots {
		if w.slots[i].y != nil && w.slots[i].fd >= 0 {
			_ = unix.Close(w.slots[i].fd)
		}
	}
	w.slots = nil
}
