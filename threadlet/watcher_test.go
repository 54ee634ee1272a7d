//go:build amd64 || arm64

package threadlet

import (
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fakeRing is a watcher's world without a kernel's ring: so the assembly can be tested where perf events are refused, and
// under emulation of another processor.
type fakeRing struct {
	watch
	owner   atomic.Uint64
	standby atomic.Int32
	views   [2]ringView
	head    uint64
	records [2 * recordSize / 8]uint64
}

const (
	fakeOut     = recordSwitch | switchOut<<32
	fakePreempt = recordSwitch | (switchOut|switchOutPreempt)<<32
	fakeIn      = recordSwitch
)

func newFakeRing(t *testing.T) *fakeRing {
	f := &fakeRing{}
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK)
	require.NoError(t, err)
	f.word, f.free, f.rings, f.one, f.wakeFd = &f.owner, &f.standby, &f.views[0], 1, int32(fd)
	for i := range f.views {
		f.views[i] = ringView{head: &f.head, data: unsafe.Pointer(&f.records), mask: 2*recordSize - 1}
	}
	cpu, err := onlyCPU(anyCPU(t))
	require.NoError(t, err)
	if err := f.start(cpu, "fake-tlw"); err != nil {
		t.Skipf("missing kernel feature for detector %s: %v", DetectorIdle, err)
	}
	t.Cleanup(func() {
		require.True(t, f.stop())
		require.NoError(t, unix.Close(fd))
		requireNoThreads(t, "fake-tlw")
	})
	return f
}

// record puts one more record into the ring.
func (f *fakeRing) record(header, timeNs uint64) {
	head := atomic.LoadUint64(&f.head)
	at := head / 8 % uint64(len(f.records))
	atomic.StoreUint64(&f.records[at+1], timeNs)
	atomic.StoreUint64(&f.records[at], header)
	atomic.StoreUint64(&f.head, head+recordSize)
}

func (f *fakeRing) wakes() int {
	var buf [8]byte
	n, _ := unix.Read(int(f.wakeFd), buf[:])
	return max(n, 0) / 8 * int(buf[0])
}

// settle waits until the watcher is asleep: it has then seen all that was there.
func (f *fakeRing) settle() {
	f.rest()
	for f.asleep.Load() == 0 {
		sleepNs(10_000)
	}
}

func TestWatcherClaims(t *testing.T) {
	f := newFakeRing(t)
	f.record(fakeOut, 1)
	f.record(fakeIn, 2)
	f.record(fakeOut, 1234)
	f.standby.Store(3)
	w := word(0).withThread(1)
	w = w&^epochMask | epochMask // the next epoch wraps around and must leave the body alone
	w = w.enter()
	f.owner.Store(uint64(w))
	f.wake()
	for f.owner.Load() == uint64(w) {
		sleepNs(10_000)
	}
	f.settle()
	require.Equal(t, w.claim(), word(f.owner.Load()))
	require.EqualValues(t, 2, f.standby.Load())
	require.EqualValues(t, 1234, f.claimedAtNs)
	require.Equal(t, 1, f.wakes())
}

func TestWatcherRefrains(t *testing.T) {
	body := word(0).withThread(1).enter()
	for _, c := range []struct {
		name   string
		w      word
		header uint64
	}{
		{"preempted", body, fakePreempt},
		{"switched in", body, fakeIn},
		{"another record", body, fakeOut + 1},
		{"no body", body.withState(running), fakeOut},
		{"offered", body.offer(), fakeOut},
		{"claimed", body.claim(), fakeOut},
		{"ended", body.withState(ended), fakeOut},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeRing(t)
			f.record(c.header, 1)
			f.standby.Store(1)
			f.owner.Store(uint64(c.w))
			for range 20 {
				f.wake()
				sleepNs(20_000) // gives it the processor; a claim at any time fails the test
				f.settle()
			}
			require.Equal(t, c.w, word(f.owner.Load()))
			require.EqualValues(t, 1, f.standby.Load())
			require.Zero(t, f.wakes())
		})
	}
}

func TestWatcherSleepsAtTheBound(t *testing.T) {
	f := newFakeRing(t)
	f.record(fakeOut, 1)
	w := word(0).enter()
	f.owner.Store(uint64(w))
	f.wake()
	for f.command.Load() != commandSleep || f.asleep.Load() == 0 {
		sleepNs(10_000)
	}
	require.Equal(t, w, word(f.owner.Load()))
	require.Zero(t, f.standby.Load())
	f.standby.Store(1)
	f.wake()
	for f.owner.Load() == uint64(w) {
		sleepNs(10_000)
	}
	f.settle()
	require.Equal(t, w.claim(), word(f.owner.Load()))
}
