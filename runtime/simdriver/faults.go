package simdriver

import (
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"
)

// Faults are the probabilities, 0 to 1, of what a Sim does of its own accord.
// The zero value is a system without faults; input is still split, and batches
// reordered, at random.
type Faults struct {
	Attach float64 // attaching an accepted connection fails
	Recv   float64 // per delivery: the connection breaks instead
	Send   float64 // per send: the connection breaks instead
	Op     float64 // an op of a syslet ends with a random errno
	Busy   float64 // a syslet is refused
	Queue  float64 // per op: the syslet is queued although it need not wait
	Lose   float64 // per event: the thread loses the shard after it
	Delay  float64 // an event that is ready waits for a later batch
	Wake   float64 // per turn: a sleeping shard is woken for nothing

	// OpDelayMax and DetachDelayMax bound how late a queued op's result and
	// Detached come. 0: at once.
	OpDelayMax, DetachDelayMax time.Duration
}

// Chaos gives some of everything.
func Chaos() Faults {
	return Faults{Attach: 0.05, Recv: 0.01, Send: 0.01, Op: 0.1, Busy: 0.1, Queue: 0.5, Lose: 0.2, Delay: 0.3, Wake: 0.05,
		OpDelayMax: time.Millisecond, DetachDelayMax: time.Millisecond}
}

// Calm delays, splits and reorders, but breaks nothing: every byte and every
// result must come through.
func Calm() Faults {
	f := Chaos()
	f.Attach, f.Recv, f.Send, f.Op, f.Busy = 0, 0, 0, 0, 0
	return f
}

// Counts are how often each thing happened.
type Counts struct {
	Accepts, Refused, AttachFaults, RecvFaults, SendFaults int
	OpFaults, Busy, Queued, Losses, Delays, Sleeps         int
	PartialSends, SplitReads, LateDetaches                 int
}

var connErrnos = []unix.Errno{unix.ECONNRESET, unix.EPIPE, unix.ETIMEDOUT, unix.EHOSTUNREACH}

var opErrnos = []unix.Errno{unix.EIO, unix.ENOSPC, unix.ENOENT, unix.EACCES, unix.EBADF, unix.EINTR}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }
