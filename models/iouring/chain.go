package iouring

import (
	"unsafe"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/uring"
)

// chainMax bounds the ops that are linked in one submission.
const chainMax = 1 << placeBits

// place is an op in the ring.
type place struct {
	op     int32 // index in the program
	slot   int32 // of the file table: what an open fills, or the op's descriptor
	result int32
	// hard: linked to the next one so that this goes on whatever comes out.
	hard bool
	// quiet: completes only if it fails, and then as the last of its chain.
	quiet bool
}

// A chain is the way that a program goes if all goes well, as far as the kernel
// goes on along it without asking us. It may only where the program would,
// whatever comes out:
//
//   - A hard link goes on after every result: for ops behind which the program
//     goes on at one place.
//   - A link goes on after success alone, and for the four ops that can break one
//     (open, close, pread, pwrite) success is narrow: no error, and all that was
//     asked for was read or written. So the result is known before: it tells where
//     the program goes on, later ops of the chain may use it, and nobody need be
//     woken for it. Behind another result the kernel cancels the rest, and the
//     program goes on from there. Where both links would do we take this one, but
//     for reads, which are often short.
//
// The other ops break no link, whatever they give (fsync, fallocate, statx and
// those on paths complete without marking the entry as failed since Linux 6.0),
// so if it matters what they give, the chain ends.
//
// And no op of a chain may use what nobody knows before: a result behind a hard
// link, a descriptor that is not a slot, a path in memory that is read into.
// Registers, and paths, are read when the chain is submitted.
//
// walk is where a chain has got to. While it goes, y's registers hold the results
// that it counts on.
type walk struct {
	y       *srt.Syslet
	steps   []step
	pc      int32
	left    int  // steps that the program may still do
	unknown regs // hold what only the kernel will know
	files   files
	reads   bool // some op reads into memory
	quiet   bool // every link yet is a quiet one: see Ring.SkipSuccess
}

// begin queues the op that runs now and those that can be linked behind it.
func (q *syslets) begin(y *srt.Syslet) {
	if y.Slot < 0 {
		q.take(y)
	}
	r := &q.records[y.Slot]
	q.queueing(r, y.Op())
	r.gen++
	r.ops = 0
	w := walk{y: y, pc: int32(y.PC()), files: r.files}
	if p := planOf(y); p != nil && !r.stepwise && q.chainMax > 1 && p.steps[w.pc].traits&linkable != 0 {
		q.chain(r, &w, p)
	} else {
		q.add(r, &w)
	}
	r.left = r.loud(0)
	q.linked += uint64(r.ops - 1)
}

// loud counts the places from i on that complete in any case.
func (r *record) loud(i int) (n int) {
	for ; i < r.ops; i++ {
		if !r.places[i].quiet {
			n++
		}
	}
	return n
}

func (q *syslets) chain(r *record, w *walk, p *plan) {
	w.steps, w.left, w.quiet = p.steps, w.y.StepsLeft(), true
	_ = q.driver.ring.Reserve(q.chainMax) // fails only with the ring, which Turn will see
	registers := w.y.Regs
	for {
		s := q.add(r, w)
		at := &r.places[r.ops-1]
		if r.ops == q.chainMax || !w.pass(at, r.ops == 1) || !w.compute() || !w.fits(r.places[:r.ops]) {
			at.hard, at.quiet = false, false // the last one
			break
		}
		if at.hard {
			s.HardLink()
		} else {
			s.Link()
		}
		if at.quiet {
			q.driver.ring.SkipSuccess(s)
		}
	}
	w.y.Regs = registers
}

// add queues the op that the walk is at.
func (q *syslets) add(r *record, w *walk) *uring.SQE {
	p := &r.places[r.ops]
	op := &w.y.Ops[w.pc]
	*p = place{op: w.pc, slot: noSlot}
	if op.Code == srt.OpOpenat && w.steps != nil {
		p.slot = q.slotFor(w.y, op, &w.steps[w.pc])
	} else {
		p.slot = w.files.of(op)
	}
	s := q.driver.prep(w.y, op, sysletKey(w.y.Slot, r.gen, r.ops), p.slot)
	r.ops++
	return s
}

// pass goes on behind the op at p, which is the last one yet, and reports whether
// the kernel may.
func (w *walk) pass(p *place, first bool) bool {
	op, st := &w.y.Ops[w.pc], &w.steps[w.pc]
	res, known := w.success(op, p)
	p.hard = st.certain() && (!known || op.Code == srt.OpPread && st.traits&asked == 0)
	p.quiet = w.quiet && known && !p.hard
	if w.quiet = p.quiet || w.quiet && p.hard && !first; p.quiet {
		p.result = int32(res)
	}
	switch {
	case p.hard:
		w.set(op, st, 0, false)
		w.pc = st.next[zero]
	case known:
		w.set(op, st, res, true)
		w.pc = st.next[signOf(res)]
	case op.Code == srt.OpOpenat && st.next[zero] == st.next[above]: // some descriptor
		w.set(op, st, 0, false)
		w.pc = st.next[above]
	default:
		return false
	}
	switch {
	case p.slot == noSlot:
	case op.Code == srt.OpOpenat:
		w.files.opened(op, p.slot)
	default:
		w.files.used(op)
	}
	w.reads = w.reads || op.Code == srt.OpPread || op.Code == srt.OpStatx
	w.left--
	return true
}

// success is the result that does not break a link. Not known: there are several,
// or every result is one.
func (w *walk) success(op *srt.Op, p *place) (res int64, known bool) {
	switch op.Code {
	case srt.OpOpenat:
		return standIn(p.slot), p.slot != noSlot
	case srt.OpClose:
		return 0, true
	case srt.OpPread, srt.OpPwrite:
		return int64(min(len(w.y.Data(op)), uring.MostBytes)), true
	}
	return 0, false
}

// set puts an op's result into its register.
func (w *walk) set(op *srt.Op, st *step, res int64, known bool) {
	if op.Dst == 0 {
		return
	}
	w.y.Regs[op.Dst-1] = res
	if w.unknown |= st.writes; known {
		w.unknown &^= st.writes
	}
}

// compute does what needs no system call, and reports whether it is known where
// the program goes on then.
func (w *walk) compute() bool {
	for w.pc != ended && w.left > 0 {
		op, st := &w.y.Ops[w.pc], &w.steps[w.pc]
		if st.traits&computed == 0 {
			return true
		}
		known := st.reads&w.unknown == 0
		if !known && !st.certain() {
			return false
		}
		res := w.y.Value(op.Args[0])
		if op.Code == srt.OpAdd {
			res += w.y.Value(op.Args[1])
		}
		w.set(op, st, res, known)
		w.pc = st.next[signOf(res)]
		w.left--
	}
	return false
}

// fits reports whether the op that the walk is at may be linked behind places.
func (w *walk) fits(places []place) bool {
	op, st := &w.y.Ops[w.pc], &w.steps[w.pc]
	switch {
	case st.traits&linkable == 0, st.reads&w.unknown != 0, w.files.needsNumber(w.y, op), cannotBlock(w.y, op):
		return false
	case w.reads && len(op.Path) > 0:
		return !w.readsInto(places, op.Path) && !w.readsInto(places, op.Path2)
	}
	return true
}

// readsInto reports whether an op at places reads into memory that path lies in.
func (w *walk) readsInto(places []place, path []byte) bool {
	for i := range places {
		op := &w.y.Ops[places[i].op]
		switch {
		case op.Code == srt.OpPread && overlap(path, op.Buf):
			return true
		case op.Code == srt.OpStatx && overlap(path, unsafe.Slice((*byte)(unsafe.Pointer(op.Stat)), unsafe.Sizeof(*op.Stat))):
			return true
		}
	}
	return false
}

func overlap(a, b []byte) bool {
	from, to := uintptr(unsafe.Pointer(unsafe.SliceData(a))), uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return from < to+uintptr(len(b)) && to < from+uintptr(len(a))
}
