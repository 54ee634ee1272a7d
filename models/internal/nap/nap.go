// Package nap decides how a loop waits: with or without the Go scheduler's hooks.
//
// A system call that may block tells the scheduler, which then takes the
// thread's P away for others. For a loop that sleeps a tenth of a millisecond at
// a time, thousands of times a second, that is dear: a locked goroutine never
// passes through the scheduler, so the monitor thread finds its P "running for
// more than 10 ms" at each look, takes it, falls into deep sleep itself because
// no P is left, and has to be woken when the loop comes back, and so on, every
// 20 us. Measured at 6,000 messages a second on one CPU: the monitor used 75 to
// 117 ms of CPU a second, as much as the loop.
//
// So a loop that was woken soon after it went to sleep the last time waits raw,
// for at most ShortNs: the P stays with it. That is safe because the scheduler
// interrupts the wait with a signal (EINTR) when it wants to stop the world, and
// because the wait is short even if it did not. Only when nothing comes within
// ShortNs does the loop go to sleep properly, as an idle one does at once.
package nap

// ShortNs is the longest wait that holds a P. The scheduler's own patience
// between two signals is 100 us, a time slice 10 ms.
const ShortNs = int64(1e6)

// Nap remembers how long the loop slept the last time.
type Nap struct{ soon bool }

// First is how long to wait raw before waiting properly: 0 for not at all. A
// negative timeout is none.
func (n *Nap) First(timeoutNs int64) int64 {
	switch {
	case !n.soon:
		return 0
	case timeoutNs < 0 || timeoutNs > ShortNs:
		return ShortNs
	}
	return timeoutNs
}

// Rest is what is left of a timeout after First.
func Rest(timeoutNs, firstNs int64) int64 {
	if timeoutNs < 0 {
		return timeoutNs
	}
	return timeoutNs - firstNs
}

// Slept says how long the loop slept in all.
func (n *Nap) Slept(ns int64) { n.soon = ns < ShortNs }
