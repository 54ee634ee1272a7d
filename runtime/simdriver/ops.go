package simdriver

import (
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// Syslets. Results come from Sim.Ops; which op waits, and for how long, is
// drawn. Completions take either way back: Finish on the head, or FinishFrom as
// another thread would, also with ops left, which Submit then goes on with.

// giveBack is how often a syslet comes back with ops left.
const giveBack = 0.2

// flight is a queued syslet that waits for its current op.
type flight struct {
	y     *runtime.Syslet
	dueNs int64
}

// Submit runs y, or what is left of it.
func (d *Driver) Submit(y *runtime.Syslet) runtime.Outcome {
	m := d.sim
	if d.resubmit[y] {
		delete(d.resubmit, y)
	} else if m.chance(m.faults.Busy) {
		m.Counts.Busy++
		return runtime.Busy
	}
	if d.flying(y) != nil {
		m.broke("a syslet was submitted while in flight")
	}
	if d.run(y, false) {
		return runtime.Completed
	}
	return runtime.Queued
}

// run runs y until it ends or has to wait; waited says that the current op has
// waited already.
func (d *Driver) run(y *runtime.Syslet, waited bool) (ended bool) {
	for op := y.Op(); op != nil; op = y.Op() {
		if wait, ns := d.waits(y, op); wait && !waited {
			d.sim.Counts.Queued++
			d.flights = append(d.flights, &flight{y: y, dueNs: d.sim.nowNs + ns})
			return false
		}
		waited = false
		res := d.result(y, op)
		d.sim.Note("op %s %d", op.Code, res)
		y.Apply(res)
	}
	return true
}

func (d *Driver) waits(y *runtime.Syslet, op *runtime.Op) (wait bool, ns int64) {
	m := d.sim
	switch {
	case op.Code == runtime.OpSleep && y.Value(op.Args[0]) > 0:
		return true, y.Value(op.Args[0])
	case op.Flags&runtime.Sync != 0:
		return false, 0
	case op.Flags&runtime.Async == 0 && !m.chance(m.faults.Queue):
		return false, 0
	case m.faults.OpDelayMax == 0:
		return true, 0
	}
	return true, m.Rand.Int64N(int64(m.faults.OpDelayMax))
}

func (d *Driver) result(y *runtime.Syslet, op *runtime.Op) int64 {
	m := d.sim
	switch op.Code {
	case runtime.OpNop, runtime.OpAdd, runtime.OpCall:
		return y.Exec()
	case runtime.OpSleep:
		return 0
	}
	if m.chance(m.faults.Op) {
		m.Counts.OpFaults++
		return -int64(pick(m.Rand, opErrnos))
	}
	if m.Ops == nil {
		return 0
	}
	return m.Ops(m.Rand, y, op)
}

// goOn continues a syslet whose wait is over, and delivers its end.
func (d *Driver) goOn(y *runtime.Syslet) {
	if d.sim.chance(giveBack) {
		// A helper that ran one op and left the rest to the shard. Its op's
		// result is in; Submit goes on.
		op := y.Op()
		res := d.result(y, op)
		d.sim.Note("op %s %d, given back", op.Code, res)
		if y.Apply(res); y.Op() != nil {
			d.resubmit[y] = true
		}
		d.shard.FinishFrom(y)
		return
	}
	if !d.run(y, true) {
		return
	}
	if d.sim.Rand.IntN(2) == 0 {
		d.shard.Finish(y)
		return
	}
	d.shard.FinishFrom(y)
}

// Cancel ends the wait of y, gives the rest back to the shard, or does nothing:
// then the runtime ends the program after the op that runs.
func (d *Driver) Cancel(y *runtime.Syslet) {
	f := d.flying(y)
	if f == nil || d.sim.Rand.IntN(3) == 0 {
		return
	}
	d.drop(f)
	y.Abort(unix.ECANCELED)
	d.shard.FinishFrom(y)
}

func (d *Driver) flying(y *runtime.Syslet) *flight {
	for _, f := range d.flights {
		if f.y == y {
			return f
		}
	}
	return nil
}

func (d *Driver) drop(f *flight) bool {
	for i, g := range d.flights {
		if g == f {
			d.flights = append(d.flights[:i:i], d.flights[i+1:]...)
			return true
		}
	}
	return false
}
