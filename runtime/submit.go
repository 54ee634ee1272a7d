package runtime

import (
	"golang.org/x/sys/unix"
)

// Submit runs the syslet. Completed: it has run to its end without blocking,
// nothing will be delivered; look at its registers. Queued: its Done is called
// on this shard later, exactly once. Busy: Options.MaxInFlight are in flight;
// nothing of it has run. A program that is malformed is Completed with the
// result -EINVAL, and its Err says what is wrong. On the shard only; y must
// not be in flight.
func (s *Shard) Submit(y *Syslet) Outcome { return s.submit(y, true) }

// submit has the driver run y. If atOnce is false the completion is delivered
// even of what was done at once.
func (s *Shard) submit(y *Syslet, atOnce bool) Outcome {
	if y.state != sysletIdle {
		panic("runtime: syslet submitted while in flight")
	}
	if s.inFlight >= s.opts.MaxInFlight {
		s.Stats.OpsBusy++
		return Busy
	}
	y.begin(s)
	if err := y.check(); err != nil {
		y.err = err
		y.Abort(unix.EINVAL)
		return Completed
	}
	s.Stats.OpsSubmitted++
	y.state = sysletInFlight
	s.inFlight++
	out := s.drv.Submit(y)
	switch {
	case out == Queued:
		takeCallSite(&y.from)
		return Queued
	case out == Completed && !atOnce:
		s.pushFinished(y)
		return Queued
	case out == Completed:
		s.Stats.OpsCompleted++
	default:
		s.Stats.OpsBusy++
	}
	s.release(y)
	return out
}

func (s *Shard) release(y *Syslet) {
	y.state = sysletIdle
	s.inFlight--
	s.Stats.SysOps += uint64(y.calls)
	s.Stats.SyncOps += uint64(y.syncs)
}

// Cancel asks for the early end of a syslet in flight: the op that runs now is
// interrupted if the model can do so, and no other is begun. The completion
// follows in any case, with -ECANCELED unless the program ended first. On the
// shard only.
func (s *Shard) Cancel(y *Syslet) {
	if y.state == sysletInFlight && y.shard == s {
		y.cancelled.Store(true)
		s.drv.Cancel(y)
	}
}

// Finish delivers the completion of a syslet that was Queued. On the head only.
func (s *Shard) Finish(y *Syslet) {
	s.release(y)
	s.Stats.OpsFinished++
	if y.Done == nil || y.silent {
		return
	}
	done, code := y.Done, y.doneCode
	s.calling(cbDone)
	done(s, y)
	if s.called() {
		if code == 0 {
			code = codeOf(done)
		}
		s.bookCalled(cbDone, code)
	}
}

// FinishFrom gives a Queued syslet back to its shard, from any thread: if it
// has ended its completion is delivered soon, otherwise the driver's Submit
// goes on with it. The caller must not touch y afterwards.
func (s *Shard) FinishFrom(y *Syslet) {
	s.pushFinished(y)
	s.notify()
}

func (s *Shard) pushFinished(y *Syslet) {
	for {
		old := s.finished.Load()
		y.next = old
		if s.finished.CompareAndSwap(old, y) {
			return
		}
	}
}

// takeFinished delivers what ended on other threads, oldest first.
func (s *Shard) takeFinished() {
	if s.finished.Load() == nil {
		return
	}
	var oldest *Syslet
	for y := s.finished.Swap(nil); y != nil; {
		next := y.next
		y.next, oldest = oldest, y
		y = next
	}
	for oldest != nil {
		y := oldest
		oldest, y.next = y.next, nil
		if y.pc < 0 || s.drv.Submit(y) == Completed {
			s.Finish(y)
		}
	}
}
