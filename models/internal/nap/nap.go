// Package nap decides how a loop waits: with or without the Go scheduler's hooks, and
// so with or without a timer.
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
// So a loop to which something came lately waits raw: the P stays with it. Two signals
// of the scheduler's end such a wait (EINTR): when it wants to stop the world it sends
// one every 100 us until it has, and the monitor sends one to a thread that has had
// its P for some 10 ms, which is the bound of a raw wait in which nothing comes. A loop
// does not give way to the first (blocking.Wait6): only if another follows soon does it
// wait with the hooks. So it does, too, when nothing has come for ShortNs.
//
// A raw wait has no timeout. To set a timer for each sleep and take it back leaves a
// virtual machine each time: measured at 20,000 messages a second over 64
// connections, a message cost 20 % more CPU for it, in C and in Go, with epoll and with
// io_uring. A loop that has a deadline sets one timer for it, which stays set for
// many waits: a timerfd (package poller), a timeout entry (package iouring).
package nap

import (
	"os"
	"strings"
)

// ShortNs: a loop that waited for longer waits with the hooks, until something comes
// sooner again. With the hooks a wait costs up to fifty wake-ups of the monitor, which
// has fallen asleep and starts over with a look every 20 us; raw it costs a signal for
// each 10 ms. Measured, 80 messages a second to 500 connections each: 20 switches per
// message with 1 ms, 7 with 100 ms, and 10 % less CPU.
const ShortNs = int64(100e6)

// Nap remembers for how long nothing had come, at the last wait.
type Nap struct {
	sleptNs     int64
	interrupted bool // the last wait was
}

// insistNs: a scheduler that means it asks anew in less.
const insistNs = int64(1e6)

// Raw says that the next wait may be made without the scheduler's hooks, untimed.
func (n *Nap) Raw() bool { return n.sleptNs < ShortNs && signalled }

// Woke says how long the loop slept, and whether a signal ended that.
func (n *Nap) Woke(ns int64, interrupted bool) {
	switch {
	case interrupted && n.interrupted && ns < insistNs:
		ns = ShortNs
	case interrupted:
		ns += n.sleptNs
	}
	n.sleptNs, n.interrupted = ns, interrupted
}

// signalled: the scheduler interrupts threads by a signal. If it is told not to,
// nothing would end a raw wait.
var signalled = !strings.Contains(os.Getenv("GODEBUG"), "asyncpreemptoff=1")
