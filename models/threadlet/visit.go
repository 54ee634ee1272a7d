package threadlet

import srt "github.com/syslet/syslet/runtime"

// turnsPerVisit bounds a visit: then the head goes on.
const turnsPerVisit = 4

// handIn gives the shard y, which this thread has run alone. If the head sleeps this
// thread does what the head would have done, and next is what it is to run then.
// Not in a deferred call, and so not of a y that may end its goroutine.
func (d *Driver) handIn(y *srt.Syslet) (next *srt.Syslet) {
	if !d.pool.Visit() {
		d.shard.FinishFrom(y)
		return nil
	}
	wake := true
	defer func() { // a callback may end its goroutine
		d.shard.VisitEnds()
		d.pool.EndVisit()
		if wake {
			d.Wake()
		}
	}()
	d.shard.VisitBegins()
	d.shard.FinishFrom(y) // for the turn that follows: the shard is awake
	wake = d.visitTurns()
	return d.fromBacklog()
}

// visitTurns makes turns of the shard without a wait, and says whether the head must
// go on: something runs in its context, or is due before it would wake.
func (d *Driver) visitTurns() (wake bool) {
	for range turnsPerVisit {
		d.shard.EndTurn()
		d.setAside()
		if len(d.bodies) > 0 || d.shard.Quit() {
			return true
		}
		switch waitNs := d.shard.WaitNs(); {
		case waitNs == 0:
			continue
		case waitNs > 0 && (d.wakesAtNs < 0 || d.shard.NowNs()+waitNs < d.wakesAtNs):
			return true
		}
		if d.shard.MayWait() {
			return false
		}
	}
	return true
}

// setAside moves the bodies that need a thread and not the head's context to the
// backlog.
func (d *Driver) setAside() {
	keep := d.bodies[:0]
	for _, y := range d.bodies[d.first:] {
		if y.Slot == willBlock && !d.waitsInLoop(y.Op()) {
			d.mayRaiseProcs()
			d.backlog.Push(y)
		} else {
			keep = append(keep, y)
		}
	}
	clear(d.bodies[len(keep):])
	d.bodies, d.first = keep, 0
}

// fromBacklog takes what has waited longest, and sees to it that a standby takes the
// next: one wake-up may have been for several.
func (d *Driver) fromBacklog() *srt.Syslet {
	y := d.backlog.Pop()
	if y != nil && !d.backlog.Empty() && d.pool.Free() > 0 {
		d.pool.WakeSpare()
	}
	return y
}
