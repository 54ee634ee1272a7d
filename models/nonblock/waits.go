package nonblock

import (
	"time"

	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
)

// waits are the syslets that wait in the loop: for a descriptor, through the
// epoll set, or for the clock. Indexed by Syslet.Slot; a key carries a part of
// the slot's generation, for an event may come after its wait was cancelled.
type waits struct {
	driver *Driver
	slots  []wait
	free   []int32
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

func (w *waits) key(slot int32) uint32 {
	return w.slots[slot].gen<<waitSlotBits | uint32(slot)
}

// add makes y wait for what its current op needs. False: the op's result has
// been applied instead.
func (w *waits) add(y *srt.Syslet, op *srt.Op) bool {
	if op.Code == srt.OpSleep {
		slot := w.take(y, -1)
		w.driver.shard.Arm(w.slots[slot].timer, time.Duration(y.Value(op.Args[0])))
		return true
	}
	// A duplicate, because an epoll set holds a descriptor only once and
	// several syslets, or the server, may wait for the same one.
	fd, err := unix.FcntlInt(uintptr(y.Value(op.Args[0])), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		y.Apply(y.Exec()) // the call itself knows the true error
		return false
	}
	slot := w.take(y, fd)
	if e := w.driver.Watch(fd, eventsOf(y, op), w.key(slot)); e != 0 {
		w.put(slot)
		// EPERM: a regular file, which never waits.
		y.Apply(y.Exec())
		return false
	}
	return true
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

func (w *waits) take(y *srt.Syslet, fd int) int32 {
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

func (w *waits) put(slot int32) {
	s := &w.slots[slot]
	if s.fd >= 0 {
		w.driver.Unwatch(s.fd)
		_ = unix.Close(s.fd)
	} else {
		w.driver.shard.Disarm(s.timer)
	}
	s.y.Slot = noSlot
	s.y, s.fd = nil, -1
	s.gen++
	w.free = append(w.free, slot)
}

// ready goes on with the syslet of an event.
func (w *waits) ready(key uint32) {
	slot := int32(key & (1<<waitSlotBits - 1))
	if int(slot) >= len(w.slots) || w.slots[slot].y == nil || w.key(slot) != key {
		return
	}
	y := w.slots[slot].y
	w.put(slot)
	w.goOn(y)
}

func (w *waits) expired(slot int32) {
	y := w.slots[slot].y
	w.put(slot)
	y.Apply(0)
	w.goOn(y)
}

func (w *waits) goOn(y *srt.Syslet) {
	if w.driver.Submit(y) == srt.Completed {
		w.driver.shard.Finish(y)
	}
}

// remove takes y out, if it is here.
func (w *waits) remove(y *srt.Syslet) bool {
	slot := y.Slot
	if slot < 0 || int(slot) >= len(w.slots) || w.slots[slot].y != y {
		return false
	}
	w.put(slot)
	return true
}
