// Package switchlog is a runtime.BlockSensor: the kernel's own records of when a
// thread left its CPU and came back (package perfring).
package switchlog

import (
	"os"
	"sync/atomic"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/perfring"
)

// Log is the log of one thread; the ring has Counter and Blocked.
type Log struct{ *perfring.Ring }

// sizes of the ring, in pages: the first that the kernel permits is taken. It
// notifies who polls the descriptor once per round of the ring, at least, which
// costs a virtual machine 11 us even if nobody does: so the ring is not small.
var sizes = []int{8, 1}

// Open opens the log of a thread of this process, 0 for the calling one. The error
// says what the system refuses.
func Open(tid int) (Log, error) {
	var r *perfring.Ring
	var err error
	for _, pages := range sizes {
		if r, err = perfring.Open(tid, pages, pages*os.Getpagesize()); err == nil {
			break
		}
	}
	return Log{r}, err
}

// prove opens a log of the calling thread, which must be locked, and sees that there
// are records in it.
func prove() error {
	l, err := Open(0)
	if err != nil {
		return err
	}
	defer l.Close()
	if proven.Load() {
		return nil
	}
	err = l.Prime()
	proven.Store(err == nil)
	return err
}

// proven: a log has shown records. Set by whichever thread finds out.
var proven atomic.Bool

// Switches implements runtime.BlockSensor.
func (l Log) Switches(from, to uint64, out []runtime.Switch) (n int, next, lost uint64) {
	if to-from > l.Size() {
		lost = to - from - l.Size()
		from = to - l.Size()
	}
	for ; to-from >= perfring.PairBytes && n < len(out); from += perfring.PairBytes {
		left, back := l.Before(from+perfring.RecordBytes), l.Before(from+perfring.PairBytes)
		out[n] = runtime.Switch{OutNs: left.TimeNs, InNs: back.TimeNs, Preempted: left.Preempted}
		n++
	}
	return n, from, lost
}

// Close releases the log. Nobody reads it any more.
func (l Log) Close() { _ = l.Ring.Close() }

// Attach lets s open a log of the calling thread, its only head, unless the
// system forbids it. detach comes after Loop.
func Attach(s *runtime.Shard) (detach func()) {
	if err := prove(); err != nil {
		s.SetBlockSensor(nil, err.Error())
		return func() {}
	}
	s.SetBlockSensing(func(tid int) (runtime.BlockSensor, func(), error) {
		l, err := Open(tid)
		if err != nil {
			return nil, nil, err
		}
		return l, l.Close, nil
	})
	return func() { s.SetBlockSensing(nil) }
}
