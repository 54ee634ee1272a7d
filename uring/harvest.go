//go:build linux

package uring

import "sync/atomic"

// Ready counts the completions that can be harvested without a system call.
func (r *Ring) Ready() int {
	r.cqTail = atomic.LoadUint32(r.kCQTail)
	return int(r.cqTail - r.cqHead)
}

// Peek gives the next completion, or nil. It lies in memory shared with the kernel
// and is good until Advance. Only if the queue has overflowed does it make a system
// call, to fetch the rest. Completions that the kernel has yet to post (DEFER_TASKRUN)
// appear in SubmitAndWait, also with a timeout of 0.
func (r *Ring) Peek() *CQE {
	if r.cqHead == r.cqTail && !r.refill() {
		return nil
	}
	return &r.cqes[r.cqHead&r.cqMask]
}

// At is the i-th of the completions that are ready, from 0; it is good until they are
// harvested. Invariant: i is less than what Ready or a submit last said.
func (r *Ring) At(i int) *CQE { return &r.cqes[(r.cqHead+uint32(i))&r.cqMask] }

// Overflowed says that completions wait in the kernel for room in the queue: what is
// ready is not all there is.
func (r *Ring) Overflowed() bool { return r.overflowed() }

// Advance gives the first n completions back to the kernel. Invariant: n is at most
// what was ready when Peek or Ready last looked.
func (r *Ring) Advance(n int) {
	if uint32(n) > r.cqTail-r.cqHead {
		panic("uring: Advance past the completions that are ready")
	}
	for i := range uint32(n) {
		r.account(&r.cqes[(r.cqHead+i)&r.cqMask])
	}
	r.giveBack(uint32(n))
}

// Harvest copies up to len(dst) completions and gives them back to the kernel, with
// one store for all: the cheapest way, and safe whatever is done to the ring while
// dst is worked off. It returns how many; 0 means none is ready.
func (r *Ring) Harvest(dst []CQE) int {
	if r.cqHead == r.cqTail && !r.refill() {
		return 0
	}
	n := min(uint32(len(dst)), r.cqTail-r.cqHead)
	for i := range n {
		dst[i] = r.cqes[(r.cqHead+i)&r.cqMask]
		r.account(&dst[i])
	}
	r.giveBack(n)
	return int(n)
}

// refill looks at the kernel's tail, and flushes an overflow into the empty queue.
func (r *Ring) refill() bool {
	if r.Ready() > 0 {
		return true
	}
	if r.err != nil || !r.overflowed() {
		return false
	}
	r.Stats.OverflowFlushes++
	r.settle(r.enter(0, enterGetevents))
	return r.Ready() > 0
}

// account keeps pending right.
func (r *Ring) account(c *CQE) {
	if c.final() {
		r.pending--
	}
}

// giveBack moves the head past n completions; atomic because the kernel reads it.
func (r *Ring) giveBack(n uint32) {
	r.cqHead += n
	r.Stats.Completed += uint64(n)
	atomic.StoreUint32(r.kCQHead, r.cqHead)
}
