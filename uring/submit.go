//go:build linux

package uring

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// submitTries bounds how often the getter asks a kernel that refuses entries.
const submitTries = 1000

// Next hands out a cleared entry that carries userData; fill it with one of its
// Prep methods before anything else is called on the ring. If the queue is full it is
// submitted first. It never returns nil: should that submit fail for good, the
// entry goes nowhere and [Ring.Err] and the next submit tell why.
func (r *Ring) Next(userData uint64) *SQE {
	if r.tail-r.head >= r.sqEntries {
		r.makeRoom(1)
	}
	s := &r.sqes[r.tail&r.sqMask]
	*s = SQE{}
	s.raw.SetUserData(userData)
	r.tail++
	r.pending++
	return s
}

// Reserve submits what is queued if fewer than n entries are free, so that the
// next n entries go to the kernel in one submit. A chain of linked entries needs
// it: a submit in its midst would cut it in two.
func (r *Ring) Reserve(n int) error {
	if r.err != nil {
		return r.err
	}
	if n < 0 || n > int(r.sqEntries) {
		return fmt.Errorf("uring: Reserve(%d) on a queue of %d; raise Config.Entries", n, r.sqEntries)
	}
	if r.tail-r.head+uint32(n) > r.sqEntries {
		r.makeRoom(uint32(n))
	}
	return r.err
}

// SkipSuccess has s post no completion if it succeeds. Use it on an entry of its own
// that cannot wait (a send with MSG_DONTWAIT), of which the kernel is done when it has
// taken it; or on entries that are marked Link, of a chain whose every entry so marked
// skips, its first one too: then one that fails is the last of the chain to complete,
// those behind it being cancelled in silence. Of each that completes after all,
// [Ring.Forgo] must be told, and how many were cancelled with it. On any other entry
// Pending would miscount. (IOSQE_CQE_SKIP_SUCCESS, 5.17)
func (r *Ring) SkipSuccess(s *SQE) *SQE {
	s.raw.SetFlags(_IOSQE_CQE_SKIP_SUCCESS)
	r.pending--
	return s
}

// Forgo tells that an entry which skips success has failed, and that n entries
// behind it in its chain do not, which so complete in silence.
func (r *Ring) Forgo(n int) { r.pending -= n - 1 } // its own completion was counted as one of theirs

// Queued counts the entries that are prepared but not submitted.
func (r *Ring) Queued() int { return int(r.tail - r.head) }

// Submit gives all queued entries to the kernel without waiting. Entries that the
// kernel refuses for the moment stay queued and go with the next submit. An error
// is final: see [Ring.Err].
func (r *Ring) Submit() error {
	if r.err != nil {
		return r.err
	}
	if r.tail != r.head {
		r.settle(r.enter(r.publish(), 0))
	}
	return r.err
}

// SubmitAndWait gives all queued entries to the kernel and waits until minComplete
// completions are there to harvest or timeoutNs nanoseconds are over, all in one
// enter, or in none if nothing is queued and enough is there. timeoutNs 0 never
// waits, below 0 waits without limit. It returns how many completions are ready,
// which may be fewer than asked: a timeout (ETIME), a signal (EINTR, the Go
// scheduler sends them) or a momentary refusal is no error. So harvest first,
// then compute the timeout anew. An error is final: see [Ring.Err].
func (r *Ring) SubmitAndWait(minComplete int, timeoutNs int64) (ready int, err error) {
	return r.SubmitAndGather(minComplete, 0, timeoutNs)
}

// SubmitAndGather is SubmitAndWait that waits for minComplete completions only for
// gatherNs nanoseconds (rounded up to whole microseconds); after that one is enough.
// It trades a little latency for fewer wake-ups. gatherNs is ignored where the
// kernel lacks [MinTimeout]. (6.12)
func (r *Ring) SubmitAndGather(minComplete int, gatherNs, timeoutNs int64) (ready int, err error) {
	return r.submitAndWait(minComplete, gatherNs, timeoutNs, false)
}

// SubmitAndHold is SubmitAndGather that keeps the Go scheduler out of it: the thread does not give its P away, which saves a loop that sleeps for
// microseconds, thousands of times a second, the monitor thread's attention.
// Other goroutines go without that P meanwhile, so the wait must be a short one. When
// the scheduler wants to stop the world, its signal ends it.
//
// A timeout has the kernel set a timer and take it back, which in a virtual machine
// is dear. Cheaper for many waits is one timeout entry that stays in the
// ring ([Ring.NextTimeout]) and no timeoutNs.
func (r *Ring) SubmitAndHold(minComplete int, gatherNs, timeoutNs int64) (ready int, err error) {
	return r.submitAndWait(minComplete, gatherNs, timeoutNs, true)
}

func (r *Ring) submitAndWait(minComplete int, gatherNs, timeoutNs int64, hold bool) (ready int, err error) {
	if r.err != nil {
		return 0, r.err
	}
	ready = r.Ready()
	if r.overflowed() {
		r.Stats.OverflowFlushes++ // by this enter, as far as there is room
	}
	toSubmit := r.publish()
	if timeoutNs == 0 || minComplete <= ready {
		if toSubmit == 0 && !r.deferred() {
			return ready, nil
		}
		r.settle(r.enter(toSubmit, enterGetevents))
	} else {
		r.settle(r.enterWait(toSubmit, uint32(minComplete), gatherNs, timeoutNs, hold))
	}
	return r.Ready(), r.err
}

// Idle says that a submit without waiting would bring nothing: no entry is queued, no
// completion is ready, and the kernel has none to post. It is no system call, only a
// look at shared memory: for a loop that spins before it sleeps. (TASKRUN_FLAG, 5.19)
func (r *Ring) Idle() bool { return r.tail == r.head && r.Ready() == 0 && !r.deferred() }

// makeRoom submits until n entries are free, or kills the ring.
func (r *Ring) makeRoom(n uint32) {
	for try := 0; r.err == nil && r.tail-r.head+n > r.sqEntries; try++ {
		if try == submitTries {
			r.err = ErrStuck
			break
		}
		flags := uint32(0)
		if try > 0 { // refused: run deferred work and flush, to free memory
			flags = enterGetevents
		}
		r.settle(r.enter(r.publish(), flags))
		if try > 16 {
			pause()
		}
	}
	if r.err != nil { // the ring is dead: let the caller write into the void
		r.dropQueued()
	}
}

// dropQueued forgets the entries that are not submitted; the kernel never saw them.
func (r *Ring) dropQueued() {
	for ; r.tail != r.head; r.tail-- {
		if !r.sqes[(r.tail-1)&r.sqMask].skips() {
			r.pending--
		}
	}
}

// settle sorts the outcome of an enter into nothing to report, count, or final.
func (r *Ring) settle(errno unix.Errno) {
	switch errno {
	case 0, unix.ETIME:
	case unix.EINTR:
		r.Stats.Interrupts++
	case unix.EAGAIN, unix.EBUSY:
		r.Stats.Refusals++
	case unix.EBADR:
		r.err = ErrDropped
	default:
		switch {
		case r.issuer == 0:
			r.err = ErrDisabled // EBADFD
		case unix.Gettid() != r.issuer:
			r.err = ErrNotIssuer // EEXIST; EINVAL or EBADF with RegisterFd
		default:
			r.err = fmt.Errorf("uring: io_uring_enter: %w", errno)
		}
	}
}
