package iouring

import (
	"math/bits"

	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/uring"
)

// The ring has a file table of its own. An open into one of its slots (a direct
// descriptor) makes a descriptor that is known before the open has happened, so
// that a read and a close can be linked behind it.

// table hands out the slots. Kernels from 6.1 on, and we need those, can open
// into a slot that the caller chooses.
type table struct {
	free []int32
	// numbers: a file in a slot can be given a descriptor (FIXED_FD_INSTALL, 6.8).
	numbers bool
	// size is the number of slots for the files of syslets; behind them are conns
	// slots for connections (Options.Ring.Direct).
	size, conns int
}

// tableSize bounds the files that are open in slots at a time. The program that
// finds none free runs with descriptors.
const tableSize = 1024

// open makes the table, or leaves it without slots where that cannot be: the
// kernel has no such table (before 5.19) or RLIMIT_NOFILE is too low.
func (t *table) open(r *uring.Ring, f *uring.Features, conns int) {
	size := tableSize
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		size = int(min(limit.Cur, uint64(size)))
		conns = int(min(limit.Cur-uint64(size), uint64(conns)))
	}
	if r.Entries() < 2 || !f.Has(uring.SparseFiles) || r.RegisterFiles(size+conns) != nil {
		return
	}
	t.size, t.conns = size, conns
	t.numbers = f.Has(uring.OpFdInstall)
	t.free = make([]int32, size)
	for i := range t.free {
		t.free[i] = int32(size - 1 - i)
	}
}

func (t *table) take() int32 {
	last := len(t.free) - 1
	slot := t.free[last]
	t.free = t.free[:last]
	return slot
}

func (t *table) put(slot int32) { t.free = append(t.free, slot) } // has room: it came from there

// standIn is what a program sees of a file in a slot instead of a descriptor: a
// number that no descriptor has, for no table of 2^30 can be allocated. So it is
// no error, and whoever uses it after its close gets EBADF, as from a closed
// descriptor.
func standIn(slot int32) int64 { return 1<<30 + int64(slot) }

// files are the registers of a program that stand for slots.
type files struct {
	open  regs
	dirty regs // written to, and not synced since
	slots [srt.RegCount]int32
}

// of gives the slot that op's descriptor is, or noSlot.
func (f *files) of(op *srt.Op) int32 {
	if i, ok := op.Args[0].IsReg(); ok && f.open&(1<<i) != 0 && slotUse(op.Code) != useBad {
		return f.slots[i]
	}
	return noSlot
}

func (f *files) opened(op *srt.Op, slot int32) {
	i := op.Dst - 1
	f.open |= 1 << i
	f.dirty &^= 1 << i
	f.slots[i] = slot
}

// used notes what op, which ran, did with the slot that its descriptor is.
func (f *files) used(op *srt.Op) {
	i, _ := op.Args[0].IsReg()
	switch slotUse(op.Code) {
	case useWrite:
		f.dirty |= 1 << i
	case useSync:
		f.dirty &^= 1 << i
	case useClose:
		f.open &^= 1 << i
		f.dirty &^= 1 << i
	}
}

// needsNumber reports whether op needs a descriptor for the file that is in a slot:
// to close it unsynced (see scan), or because it is no op for the ring.
func (f *files) needsNumber(y *srt.Syslet, op *srt.Op) bool {
	i, ok := op.Args[0].IsReg()
	if !ok || f.open&(1<<i) == 0 {
		return false
	}
	return f.dirty&(1<<i) != 0 && op.Code == srt.OpClose || cannotBlock(y, op)
}

// slotFor gives the open that runs now a slot, or noSlot: then it makes a
// descriptor.
func (q *syslets) slotFor(y *srt.Syslet, op *srt.Op, st *step) int32 {
	flags := y.Value(op.Args[1])
	switch {
	case st.traits&slotted == 0 || len(q.table.free) == 0:
		return noSlot
	case st.traits&unsynced != 0 && flags&unix.O_ACCMODE != unix.O_RDONLY:
		return noSlot
	case st.traits&shown != 0 && !q.table.numbers:
		return noSlot
	case flags&unix.O_PATH != 0: // a descriptor says EBADF to most ops, a slot does not
		return noSlot
	}
	q.slotted++
	return q.table.take()
}

// toName tells whether a file in a slot must get a descriptor before the program
// goes on with op (nil: ends), and that of which register.
func (q *syslets) toName(y *srt.Syslet, op *srt.Op) (reg int, ok bool) {
	if y.Slot < 0 || q.records[y.Slot].files.open == 0 {
		return 0, false
	}
	f := &q.records[y.Slot].files
	if op == nil {
		return bits.TrailingZeros8(uint8(f.open)), true
	}
	reg, _ = op.Args[0].IsReg()
	return reg, q.table.numbers && f.needsNumber(y, op)
}

// name gives the file in register reg's slot a descriptor, because the program
// ends with it open, or is to close it unsynced.
func (q *syslets) name(y *srt.Syslet, reg int) {
	r := &q.records[y.Slot]
	r.gen++
	r.ops, r.left, r.naming = 2, 2, true
	r.places[0] = place{op: int32(reg), slot: noSlot}
	r.places[1] = place{slot: noSlot}
	slot, ring := int(r.files.slots[reg]), q.driver.ring
	_ = ring.Reserve(2) // fails only with the ring, which Turn will see
	if q.table.numbers {
		ring.Next(uint64(sysletKey(y.Slot, r.gen, 0))).PrepFdInstall(slot).HardLink()
		q.named++
	} else { // it was cancelled, or ran too long: slotFor sees to that
		r.left, r.places[0].result = 1, -int32(unix.EBADF)
	}
	ring.Next(uint64(sysletKey(y.Slot, r.gen, 1))).PrepCloseDirect(slot)
}

// namedDone takes the descriptor. There may be none (EMFILE): then the file is
// closed. That is what a close was to do, though without its report; a program
// that has ended finds the error in the register, as of an open that failed.
func (q *syslets) namedDone(r *record) {
	y, reg := r.y, r.places[0].op
	r.naming = false
	q.table.put(r.files.slots[reg])
	r.files.open &^= 1 << reg
	r.files.dirty &^= 1 << reg
	if fd := r.places[0].result; fd >= 0 || y.Op() == nil {
		y.Regs[reg] = int64(fd)
		return
	}
	y.Apply(0)
}
