package threadlet

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// onRing runs f on a locked thread with a primed ring.
func onRing(t *testing.T, f func(r *perfRing)) {
	needDetector(t, DetectorSwitch, -1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		r, err := openPerfRing()
		if err != nil {
			t.Error(err)
			return
		}
		f(r)
		if err := r.close(); err != nil {
			t.Error(err)
		}
	}()
	<-done
	require.False(t, t.Failed())
}

// Whole pairs stay whole over many pauses: the order of wake-ups rests on it.
func TestRingKeepsPairs(t *testing.T) {
	onRing(t, func(r *perfRing) {
		for i := range 500 {
			r.pause(true)
			if i%3 != 0 {
				sleepNs(1)
			}
			r.pause(false)
			if i%5 != 0 {
				sleepNs(1)
			}
			if n := r.written(); n%(2*recordSize) != 0 {
				t.Errorf("round %d: %d bytes", i, n)
				return
			}
			if _, blocked := r.blocked(); blocked {
				t.Error("blocked while running")
				return
			}
		}
	})
}

func TestRingTellsBlocks(t *testing.T) {
	onRing(t, func(r *perfRing) {
		mark := r.written()
		if r.blockedBetween(mark, mark) {
			t.Error("no switch is no block")
		}
		sleepNs(1)
		if !r.blockedBetween(mark, r.written()) {
			t.Error("a sleep is a block")
		}
		if !r.hasWoken() {
			t.Error("a switch-out makes the descriptor readable")
		}
		for range 600 {
			sleepNs(1) // more than the ring holds
		}
		if !r.blockedBetween(mark, r.written()) {
			t.Error("overwritten records count as a block")
		}
		r.pause(true)
		r.hasWoken()
		mark = r.written()
		sleepNs(1)
		if r.written() != mark || r.hasWoken() {
			t.Error("a paused ring is silent")
		}
	})
}

func TestStatLine(t *testing.T) {
	require.True(t, asleepByStat([]byte("12 (a) b) S 1 2")))
	require.True(t, asleepByStat([]byte("12 (x) D 1")))
	require.False(t, asleepByStat([]byte("12 (S) R 1")))
	require.False(t, asleepByStat([]byte("12 (S)")))
	require.False(t, asleepByStat(nil))
}
