package perfring

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// onRing runs f on a locked thread with a primed ring of one page, as the
// threadlet mechanism has them.
func onRing(t *testing.T, f func(r *Ring)) {
	var refused error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		r, err := Open(0, 1, PairBytes)
		if err == nil {
			if err = r.Prime(); err == nil {
				f(r)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		refused = err
	}()
	<-done
	if refused != nil {
		t.Skipf("missing kernel feature perf switch records: %v", refused)
	}
	require.False(t, t.Failed())
}

func nap() {
	ts := unix.NsecToTimespec(1)
	for unix.Nanosleep(&ts, &ts) == unix.EINTR {
	}
}

// Whole pairs stay whole over many pauses: the order of wake-ups rests on it.
func TestPairsStayPairs(t *testing.T) {
	onRing(t, func(r *Ring) {
		for i := range 500 {
			r.Pause(true)
			if i%3 != 0 {
				nap()
			}
			r.Pause(false)
			if i%5 != 0 {
				nap()
			}
			if n := r.Written(); n%PairBytes != 0 {
				t.Errorf("round %d: %d bytes", i, n)
				return
			}
			if _, blocked := r.Blocked(); blocked {
				t.Error("blocked while running")
				return
			}
		}
	})
}

func TestTellsBlocks(t *testing.T) {
	onRing(t, func(r *Ring) {
		mark := r.Written()
		if r.BlockedBetween(mark, mark) {
			t.Error("no switch is no block")
		}
		nap()
		if !r.BlockedBetween(mark, r.Written()) {
			t.Error("a sleep is a block")
		}
		if !r.HasWoken() {
			t.Error("a switch-out makes the descriptor readable")
		}
		for range 600 {
			nap() // more than the ring holds
		}
		if !r.BlockedBetween(mark, r.Written()) {
			t.Error("overwritten records count as a block")
		}
		r.Pause(true)
		r.HasWoken()
		mark = r.Written()
		nap()
		if r.Written() != mark || r.HasWoken() {
			t.Error("a paused ring is silent")
		}
	})
}

// A sleep is two records, out and in, in the order of time and within it.
func TestRecordsOfASleep(t *testing.T) {
	onRing(t, func(r *Ring) {
		before, mark := now(), r.Written()
		nap()
		after, end := now(), r.Written()
		if end-mark < PairBytes || end-mark > r.Size() {
			t.Errorf("%d bytes for a sleep", end-mark)
			return
		}
		out, in := r.Before(mark+RecordBytes), r.Before(mark+PairBytes)
		if !out.Out || in.Out || out.TimeNs < before || in.TimeNs < out.TimeNs || in.TimeNs > after {
			t.Errorf("out %+v, in %+v, between %d and %d", out, in, before, after)
		}
	})
}

// Another thread sees that this one sleeps, and since when.
func TestBlockedIsSeenByOthers(t *testing.T) {
	var p [2]int
	require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	onRing(t, func(r *Ring) {
		before, seen := now(), make(chan int64)
		go func() {
			for {
				if since, yes := r.Blocked(); yes {
					_, _ = unix.Write(p[1], []byte{1})
					seen <- since
					return
				}
				nap()
			}
		}()
		for n, err := unix.Read(p[0], make([]byte, 1)); n != 1; n, err = unix.Read(p[0], make([]byte, 1)) {
			if err != unix.EINTR {
				t.Error(err)
				return
			}
		}
		if since := <-seen; since < before || since > now() {
			t.Errorf("blocked since %d, asked from %d", since, before)
		}
	})
}

func TestClosesOnce(t *testing.T) {
	onRing(t, func(r *Ring) {
		if err := r.Close(); err != nil || r.FD() >= 0 {
			t.Error(r.FD(), err)
		}
	})
}

func now() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
