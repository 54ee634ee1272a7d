package iouring

import (
	"time"

	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
)

// syslets are those that have ops in the ring, indexed by Syslet.Slot.
type syslets struct {
	driver  *Driver
	records []record
	free    []int32
	linked  uint64 // ops submitted behind another in a chain

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
	// ops were submitted as a chain, of which left have not completed; results
	// are by place. Invariant: left <= ops <= chainMax.
	ops, left int
	results   [chainMax]int32
	// waiting: the entry is a poll, before another try of the op.
	waiting bool
	// stepwise: the kernel has refused a chain; one op at a time from here on.
	stepwise bool
}

const noSlot = -1

func (q *syslets) init(d *Driver) {
	q.driver = d
	q.repeat = srt.NewTimer(func(*srt.Shard) { q.cancelRest() })
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
		switch {
		case op == nil:
			q.put(y)
			return srt.Completed
		case op.Flags&srt.Sync != 0:
			d.shard.Stats.SyncOps++
			y.Apply(y.Exec())
		case op.Code == srt.OpCall || beyondRing(y, op):
			q.help(y)
			return srt.Queued
		case cannotBlock(y, op):
			y.Apply(y.Exec())
		default:
			q.begin(y)
			return srt.Queued
		}
	}
}

// help has a helper go on with y, from the op that runs now.
func (q *syslets) help(y *srt.Syslet) {
	q.put(y)
	q.driver.helperOps++
	q.driver.helpers.Give(y)
}

// begin queues the op that runs now and those that can be linked behind it.
func (q *syslets) begin(y *srt.Syslet) {
	if y.Slot < 0 {
		q.take(y)
	}
	r := &q.records[y.Slot]
	r.gen++
	r.ops = 1
	var links links
	if !r.stepwise {
		r.ops = links.find(y, min(chainMax, q.driver.ring.Entries()))
	}
	r.left = r.ops
	q.linked += uint64(r.ops - 1)
	if r.ops > 1 {
		_ = q.driver.ring.Reserve(r.ops) // fails only with the ring, which Turn will see
	}
	for i := range r.ops {
		s := q.driver.prep(y, &y.Ops[y.PC()+i], sysletKey(y.Slot, r.gen, i))
		if i < r.ops-1 {
			links.mark(i, s)
		}
	}
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
	r.results[k.place()] = res
	if r.left--; r.left > 0 {
		return
	}
	y := r.y
	switch {
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

// applyChain applies the results of a chain in the program's order. An op that
// the kernel cancelled because an earlier one broke the chain has not run, and
// the program goes on with it, or where that op's flags led it.
func (q *syslets) applyChain(r *record) {
	y, first := r.y, r.y.PC()
	for i := range r.ops {
		if y.PC() != first+i {
			return
		}
		res := r.results[i]
		if unix.Errno(-res) == unix.ECANCELED && !y.Cancelled() {
			// The first of a chain only if the kernel refused a later one's form.
			r.stepwise = r.stepwise || i == 0
			return
		}
		y.Apply(resultOf(y.Op(), res))
	}
}

// apply takes the result of a single op. False: it is in the ring or with a
// helper again.
func (q *syslets) apply(r *record) bool {
	y, op, res := r.y, r.y.Op(), r.results[0]
	errno := unix.Errno(0)
	if res < 0 {
		errno = unix.Errno(-res)
	}
	waited := r.waiting
	r.waiting = false
	switch {
	case y.Cancelled() || q.driver.closing:
		y.Apply(resultOf(op, res))
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
	default:
		y.Apply(resultOf(op, res))
	}
	return true
}

// waitFirst polls for what an op that said EAGAIN, or a connect that has begun,
// waits for.
func (q *syslets) waitFirst(y *srt.Syslet, op *srt.Op) {
	r := &q.records[y.Slot]
	r.gen++
	r.ops, r.left, r.waiting = 1, 1, true
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
