package iouring

import (
	"time"

	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/uring"
)

// syslets are those that have ops in the ring, indexed by Syslet.Slot.
type syslets struct {
	driver  *Driver
	records []record
	free    []int32
	table   table
	early   early
	// chainMax bounds this ring's chains: chainMax, or what its queue holds.
	chainMax int

	// Ops linked behind another; opens into slots; of these, given a descriptor
	// later; completions.
	linked, slotted, named, heard uint64

	// cancelled are records whose ops were cancelled and have not completed. A
	// cancellation can miss: an op that a worker is about to hand back to the ring
	// (EALREADY), or one behind a link (ENOENT). So it is repeated.
	cancelled []key
	repeat    *srt.Timer
}

// cancelAgain is how long a cancellation gets to take effect.
const cancelAgain = 5 * time.Millisecond

// record is one of them. It keeps the syslet alive, and with it the memory that
// its ops gave to the kernel.
type record struct {
	y   *srt.Syslet // nil: free
	gen uint32      // of the entries in the ring: each batch of them has its own
	// ops were submitted as a chain, of which left have not completed; places[:ops]
	// are they. Invariant: left <= ops <= chainMax.
	ops, left int
	places    [chainMax]place
	// files are the program's that are open in slots of the file table.
	// Invariant: none when the record is freed, unless the ring goes with it.
	files files
	// waiting: the entry is a poll, before another try of the op.
	waiting bool
	// naming: the entries give a file that is in a slot a descriptor.
	naming bool
	// file: its entries are counted in early.flying.
	file bool
	// stepwise: the kernel has refused a chain; one op at a time from here on.
	stepwise bool
}

const noSlot = -1

func (q *syslets) init(d *Driver) {
	q.driver = d
	q.repeat = srt.NewTimer(func(*srt.Shard) { q.cancelRest() })
}

func (q *syslets) open(r *uring.Ring, t *tricks, conns int) {
	q.chainMax = min(chainMax, r.Entries())
	if !t.direct {
		conns = 0
	}
	q.table.open(r, t.features, conns)
}

// Submit runs y as far as it needs no system call; the rest is the ring's and,
// for plain functions, a helper's.
func (d *Driver) Submit(y *srt.Syslet) srt.Outcome {
	y.Slot = noSlot
	return d.syslets.goOn(y)
}

// isRingOp tells a helper to give the syslet back: the ring runs this op.
func isRingOp(op *srt.Op) bool {
	return op.Code != srt.OpCall && op.Code != srt.OpNop && op.Code != srt.OpAdd
}

func (q *syslets) goOn(y *srt.Syslet) srt.Outcome {
	d := q.driver
	for {
		op := y.Op()
		if reg, ok := q.toName(y, op); ok {
			q.name(y, reg)
			return srt.Queued
		}
		switch {
		case op == nil:
			q.put(y)
			return srt.Completed
		case op.Flags&srt.Sync != 0:
			d.shard.Stats.SyncOps++
			y.Apply(d.shard.ExecHere(y))
		case cannotBlock(y, op) && !q.onSlot(y, op):
			y.Apply(y.Exec())
		case op.Code == srt.OpCall || beyondRing(y, op):
			q.help(y)
			return srt.Queued
		default:
			q.begin(y)
			return srt.Queued
		}
	}
}

// onSlot reports whether op, though it cannot block, is for the ring, because its
// descriptor is a slot and cannot be made a number (toName): it moves no bytes.
func (q *syslets) onSlot(y *srt.Syslet, op *srt.Op) bool {
	return y.Slot >= 0 && q.records[y.Slot].files.of(op) != noSlot && y.Value(op.Args[1]) >= 0
}

// help has a helper go on with y, from the op that runs now.
func (q *syslets) help(y *srt.Syslet) {
	q.put(y)
	q.driver.helperOps++
	q.driver.helpers.Give(y)
}

func (q *syslets) take(y *srt.Syslet) {
	if n := len(q.free); n > 0 {
		y.Slot, q.free = q.free[n-1], q.free[:n-1]
	} else {
		y.Slot = int32(len(q.records))
		q.records = append(q.records, record{})
	}
	q.records[y.Slot].y = y
}

// put frees y's record, if it has one.
func (q *syslets) put(y *srt.Syslet) {
	if y.Slot < 0 {
		return
	}
	q.records[y.Slot] = record{gen: q.records[y.Slot].gen}
	q.free = append(q.free, y.Slot)
	y.Slot = noSlot
}

// done takes a completion; the last of a chain goes on with the syslet.
func (q *syslets) done(k key, res int32) {
	slot := k.slot()
	if int(slot) >= len(q.records) {
		return
	}
	r := &q.records[slot]
	if r.y == nil || sysletKey(slot, r.gen, k.place()) != k {
		return
	}
	q.heard++
	p := &r.places[k.place()]
	if p.result = r.plainErrno(p, res); p.quiet {
		q.broke(r, k.place())
	} else if r.left--; r.left > 0 {
		return
	}
	y := r.y
	q.landed(r)
	if !r.naming {
		q.settle(r)
	}
	switch {
	case r.naming:
		q.namedDone(r)
	case r.ops > 1:
		q.applyChain(r)
	case !q.apply(r):
		return
	}
	if q.driver.closing {
		q.put(y) // cut off: nobody is told any more
		return
	}
	if q.goOn(y) == srt.Completed {
		q.driver.shard.Finish(y)
	}
}

// apply takes the result of a single op. False: it is in the ring or with a
// helper again.
func (q *syslets) apply(r *record) bool {
	y, op, res := r.y, r.y.Op(), r.places[0].result
	errno := unix.Errno(0)
	if res < 0 {
		errno = unix.Errno(-res)
	}
	waited := r.waiting
	r.waiting = false
	switch {
	case y.Cancelled() || q.driver.closing:
		y.Apply(r.places[0].value(op))
	case waited && errno == 0:
		return q.retry(y, op)
	case errno == unix.EINTR && op.Code != srt.OpClose:
		q.begin(y)
		return false
	case !waited && waitsAgain(y, op, errno):
		q.waitFirst(y, op)
		return false
	case op.Code == srt.OpPoll && errno == 0 && pollResult(y, op, res) == 0:
		q.help(y) // the ring looks at POLLRDHUP unasked; poll(2) does not
		return false
	case op.Code == srt.OpPoll:
		y.Apply(pollResult(y, op, res))
	case op.Code == srt.OpRecv || op.Code == srt.OpSend:
		moved, done := y.Moved(op, int64(res))
		if !done {
			q.begin(y)
			return false
		}
		y.Apply(moved)
	default:
		y.Apply(r.places[0].value(op))
	}
	return true
}

// waitFirst polls for what an op that said EAGAIN, or a connect that has begun,
// waits for.
func (q *syslets) waitFirst(y *srt.Syslet, op *srt.Op) {
	r := &q.records[y.Slot]
	r.gen++
	r.ops, r.left, r.waiting = 1, 1, true // at the place where the op was
	events := uint32(unix.POLLIN)
	if op.Code == srt.OpSend || op.Code == srt.OpConnect {
		events = unix.POLLOUT
	}
	q.driver.ring.Next(uint64(sysletKey(y.Slot, r.gen, 0))).PrepPoll(int(y.Value(op.Args[0])), events)
}

// retry goes on with an op whose wait is over.
func (q *syslets) retry(y *srt.Syslet, op *srt.Op) bool {
	if op.Code != srt.OpConnect {
		q.begin(y)
		return false
	}
	q.driver.sysCtl++
	soerr, err := unix.GetsockoptInt(int(y.Value(op.Args[0])), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		soerr = int(unix.EBADF)
	}
	y.Apply(-int64(soerr))
	return true
}

// Cancel ends what the ring runs, or is about to run; a call that a helper has
// begun goes on to its end. What a chain has done until the cancellation reaches
// it stays done.
func (d *Driver) Cancel(y *srt.Syslet) {
	q := &d.syslets
	if s := y.Slot; s >= 0 && int(s) < len(q.records) && q.records[s].y == y {
		q.cancel(s)
		q.cancelled = append(q.cancelled, sysletKey(s, q.records[s].gen, 0))
		if !q.repeat.Armed() {
			d.shard.Arm(q.repeat, cancelAgain)
		}
	}
}

func (q *syslets) cancel(slot int32) {
	r := &q.records[slot]
	for i := range r.ops {
		q.driver.ring.Next(uint64(kindNone)).PrepCancel(uint64(sysletKey(slot, r.gen, i)), false)
	}
}

// cancelRest repeats the cancellations that have had no effect yet.
func (q *syslets) cancelRest() {
	rest := q.cancelled[:0]
	for _, k := range q.cancelled {
		if r := &q.records[k.slot()]; r.y != nil && sysletKey(k.slot(), r.gen, 0) == k {
			q.cancel(k.slot())
			rest = append(rest, k)
		}
	}
	q.cancelled = rest
	if len(rest) > 0 {
		q.driver.shard.Arm(q.repeat, cancelAgain)
	}
}

func (q *syslets) cancelAll() {
	for slot := range q.records {
		if q.records[slot].y != nil {
			q.cancel(int32(slot))
		}
	}
}
