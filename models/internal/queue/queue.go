// Package queue holds syslets that wait for a thread: a ring that a shard's
// head fills and any thread empties.
package queue

import (
	"sync/atomic"

	srt "github.com/syslet/syslet/runtime"
)

// Queue is a ring of one producer and many consumers. The producer is the head:
// one thread at a time, each of which sees what the one before it did.
type Queue struct {
	// A slot is stored before tail says so, and not overwritten before head has
	// passed it: a consumer whose compare-and-swap on head succeeds has read
	// what that slot held.
	slots []atomic.Pointer[srt.Syslet]
	tail  atomic.Uint64 // written by the producer alone
	head  atomic.Uint64
}

// New makes a queue for all that may be in flight on s: Push always has room.
func New(s *srt.Shard) *Queue {
	size := 1
	for size < s.Options().MaxInFlight {
		size *= 2
	}
	return &Queue{slots: make([]atomic.Pointer[srt.Syslet], size)}
}

// Push adds y at the end. On the head only.
func (q *Queue) Push(y *srt.Syslet) {
	tail := q.tail.Load()
	q.slots[tail&uint64(len(q.slots)-1)].Store(y)
	q.tail.Store(tail + 1)
}

// Pop takes what has waited longest, or nil. Any thread.
func (q *Queue) Pop() *srt.Syslet {
	for {
		head := q.head.Load()
		if head == q.tail.Load() {
			return nil
		}
		y := q.slots[head&uint64(len(q.slots)-1)].Load()
		if q.head.CompareAndSwap(head, head+1) {
			return y
		}
	}
}

// Empty says whether nothing waits. Any thread.
func (q *Queue) Empty() bool { return q.head.Load() == q.tail.Load() }
