package iouring

import (
	srt "github.com/syslet/syslet/runtime"
)

// gatherFor is how many completions a gathering sleep would like.
const gatherFor = 32

// wait fills the batch, unless some of the last one is left.
//
// A loop that slept for a short time the last time will most likely sleep again:
// it submits and sleeps in one enter. Otherwise the first enter submits and looks
// (it is left out if nothing is queued and the kernel says that it has
// nothing, TASKRUN_FLAG), and only if it brings nothing is there a second that
// sleeps; before that the loop goes round once more for what it has sent, so that
// an idle loop holds no output.
func (d *Driver) wait(timeoutNs int64) bool {
	if d.next < d.n {
		return true
	}
	d.bufs.Commit()
	ready, err := 0, error(nil)
	sleepy := timeoutNs != 0 && len(d.ready)+len(d.again) == 0
	if sleepy && d.tricks.oneEnter && d.nap.Raw() && d.shard.MayWait() {
		err = d.sleep(timeoutNs)
		d.settle()
	} else {
		ready, err = d.submitAndLook()
		if !d.settle() && sleepy && ready == 0 && err == nil && d.shard.MayWait() {
			err = d.sleep(timeoutNs)
		}
	}
	d.n, d.next = d.ring.Harvest(d.events[:]), 0
	d.err = err
	return err == nil
}

// submitAndLook is the enter that does not wait. The kernel makes the sends in it.
func (d *Driver) submitAndLook() (ready int, err error) {
	if d.ring.Queued() < srt.OutputMany {
		return d.ring.SubmitAndWait(1, 0)
	}
	d.shard.OutputBegins()
	defer d.shard.OutputEnds()
	return d.ring.SubmitAndWait(1, 0)
}

// sleep waits as package nap says.
func (d *Driver) sleep(timeoutNs int64) (err error) {
	fromNs, interrupts := d.shard.NowNs(), d.ring.Stats.Interrupts
	switch {
	case !d.nap.Raw():
		_, err = d.ring.SubmitAndWait(1, d.timeout(fromNs, timeoutNs))
	case d.spins.look(d):
		_, err = d.ring.SubmitAndWait(1, 0)
	default:
		least := 1
		if d.tricks.gatherNs > 0 {
			least = gatherFor
		}
		_, err = d.ring.SubmitAndHold(least, d.tricks.gatherNs, d.timeout(fromNs, timeoutNs))
	}
	d.shard.Woke()
	sleptNs := d.shard.NowNs() - fromNs
	d.nap.Woke(sleptNs, d.ring.Stats.Interrupts != interrupts)
	d.spins.slept(sleptNs)
	return err
}

// timeout is what the wait itself needs of a timeout: none (negative) if a timeout
// entry that stays in the ring for many waits ends it in time.
func (d *Driver) timeout(nowNs, timeoutNs int64) int64 {
	switch {
	case timeoutNs < 0:
		return -1
	case !d.tricks.standing:
		return timeoutNs
	case d.alarmNs == 0:
		d.alarmNs = nowNs + timeoutNs
		d.ring.NextTimeout(uint64(alarmKey), timeoutNs)
	case d.alarmNs > nowNs+timeoutNs:
		return timeoutNs // an earlier deadline has come up since
	}
	return -1
}

// spins looks for completions for a while before the loop sleeps, as long as that
// succeeds: each success doubles the time, each failure halves it, down to nothing;
// a sleep that would have been short enough to spin through begins anew. An idle
// loop's sleeps are long, so it never spins.
type spins struct {
	mostNs, nowNs int64
}

const spinLeastNs = 1000

func (s *spins) look(d *Driver) (found bool) {
	if s.nowNs == 0 {
		return false
	}
	if d.ring.Queued() > 0 { // what the peers answer to is still here
		if ready, err := d.ring.SubmitAndWait(1, 0); ready > 0 || err != nil {
			return true
		}
	}
	fromNs := srt.Nanotime()
	for !d.ring.Idle() || srt.Nanotime()-fromNs < s.nowNs {
		if !d.ring.Idle() {
			s.nowNs = min(2*s.nowNs, s.mostNs)
			return true
		}
	}
	if s.nowNs /= 2; s.nowNs < spinLeastNs {
		s.nowNs = 0
	}
	return false
}

func (s *spins) slept(ns int64) {
	if s.nowNs == 0 && ns < s.mostNs {
		s.nowNs = s.mostNs
	}
}
