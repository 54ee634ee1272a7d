//go:build amd64 || arm64

package threadlet

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fakePool is a watcher's world without a pool: so the assembly can be tested alone, and under emulation of another processor.
type fakePool struct {
	watch
	owner   atomic.Uint64
	standby atomic.Int32
}

func newFakePool(t *testing.T) *fakePool {
	f := &fakePool{}
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK)
	require.NoError(t, err)
	f.word, f.free, f.one, f.wakeFd = &f.owner, &f.standby, 1, int32(fd)
	if err := f.start(anyCPU(t), "fake-tlw"); err != nil {
		t.Skipf("missing kernel feature for detector %s: %v", DetectorIdle, err)
	}
	t.Cleanup(func() {
		require.True(t, f.stop())
		require.NoError(t, unix.Close(fd))
		requireNoThreads(t, "fake-tlw")
	})
	return f
}

func (f *fakePool) wakes() int {
	var buf [8]byte
	n, _ := unix.Read(int(f.wakeFd), buf[:])
	return max(n, 0) / 8 * int(buf[0])
}

// settle waits until the watcher has gone to sleep: it has then seen all that was there.
func (f *fakePool) settle() {
	for f.command.Load() != commandSleep {
		sleepNs(10_000)
	}
}

func TestWatcherClaims(t *testing.T) {
	f := newFakePool(t)
	f.standby.Store(3)
	w := word(0).withThread(1)
	w = w | epochMask // the next epoch wraps around and must leave the body alone
	w = w.enter()
	before := ticks()
	f.owner.Store(uint64(w))
	f.wake()
	for f.owner.Load() == uint64(w) {
		sleepNs(10_000)
	}
	f.settle()
	require.Equal(t, w.claim(), word(f.owner.Load()))
	require.EqualValues(t, 2, f.standby.Load())
	require.Greater(t, f.claimedTicks, before)
	require.Less(t, f.claimedTicks, ticks())
	require.Equal(t, 1, f.wakes())
}

func TestWatcherRefrains(t *testing.T) {
	body := word(0).withThread(1).enter()
	for _, c := range []struct {
		name string
		w    word
	}{
		{"no body", body.withState(running)},
		{"offered", body.offer()},
		{"claimed", body.claim()},
		{"ended", body.withState(ended)},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakePool(t)
			f.standby.Store(1)
			f.owner.Store(uint64(c.w))
			for range 20 {
				f.wake()
				f.settle()
			}
			require.Equal(t, c.w, word(f.owner.Load()))
			require.EqualValues(t, 1, f.standby.Load())
			require.Zero(t, f.wakes())
		})
	}
}

func TestWatcherSleepsAtTheBound(t *testing.T) {
	f := newFakePool(t)
	w := word(0).enter()
	f.owner.Store(uint64(w))
	f.wake()
	f.settle()
	require.Equal(t, w, word(f.owner.Load()))
	require.Zero(t, f.standby.Load())
	f.standby.Store(1) // one comes home
	f.wake()
	for f.owner.Load() == uint64(w) {
		sleepNs(10_000)
	}
	f.settle()
	require.Equal(t, w.claim(), word(f.owner.Load()))
}

func TestTickClock(t *testing.T) {
	clk := newClock()
	c := tickClock{sinceTicks: ticks(), sinceNs: clk.nowNs()}
	sleepNs(20_000_000)
	at, atNs := ticks(), clk.nowNs()
	sleepNs(1_000_000)
	require.InDelta(t, atNs, c.ns(at, ticks(), clk.nowNs()), 500_000)
}
