//go:build linux

package uring

import (
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	iosys "github.com/iceber/iouring-go/syscall"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// ringMappings counts the mappings of io_uring in this process.
func ringMappings() int {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		panic(err)
	}
	return strings.Count(string(maps), "[io_uring]")
}

func TestNopBatch(t *testing.T) {
	r := openTest(t, Config{Entries: 64})
	for round := range 5 {
		for i := range 64 {
			r.Next(uint64(round*64 + i)).PrepNop()
		}
		require.Equal(t, 64, r.Queued())
		enters := r.Stats.Enters
		ready, err := r.SubmitAndWait(64, patience)
		require.NoError(t, err)
		require.Equal(t, 64, ready)
		require.Equal(t, enters+1, r.Stats.Enters, "submit and wait must be one enter")
		for i := range 64 { // nops complete in order
			c := r.Peek()
			require.NotNil(t, c)
			require.Equal(t, uint64(round*64+i), c.UserData())
			require.Zero(t, c.Res())
			require.False(t, c.More())
			r.Advance(1)
		}
		require.Nil(t, r.Peek())
		require.Zero(t, r.Pending())
	}
	require.Equal(t, uint64(320), r.Stats.Submitted)
	require.Equal(t, uint64(320), r.Stats.Completed)
}

func TestNoEnterWhenNothingToDo(t *testing.T) {
	r := openTest(t, Config{})
	r.Next(1).PrepNop()
	_, err := r.SubmitAndWait(1, patience)
	require.NoError(t, err)
	enters := r.Stats.Enters
	ready, err := r.SubmitAndWait(1, patience) // one is ready: nothing to ask for
	require.NoError(t, err)
	require.Equal(t, 1, ready)
	require.NotNil(t, r.Peek())
	r.Advance(1)
	ready, err = r.SubmitAndWait(1, 0)
	require.NoError(t, err)
	require.Zero(t, ready)
	require.NoError(t, r.Submit())
	require.Equal(t, enters, r.Stats.Enters)
}

func TestFullQueueSubmitsByItself(t *testing.T) {
	r := openTest(t, Config{Entries: 8})
	for i := range 30 {
		r.Next(uint64(i)).PrepNop()
	}
	require.Equal(t, uint64(24), r.Stats.Submitted)
	got := byUserData(t, collect(t, r, 30))
	require.Len(t, got, 30)
}

func TestOverflowIsFlushed(t *testing.T) {
	r := openTest(t, Config{Entries: 4}) // 16 completions
	const n = 50
	for i := range n {
		r.Next(uint64(i)).PrepNop()
	}
	require.NoError(t, r.Submit())
	require.True(t, r.overflowed())
	got := make(map[uint64]bool)
	for c := r.Peek(); c != nil; c = r.Peek() {
		require.False(t, got[c.UserData()])
		got[c.UserData()] = true
		r.Advance(1)
	}
	require.Len(t, got, n)
	require.NotZero(t, r.Stats.OverflowFlushes)
	require.Zero(t, r.Pending())
	require.False(t, r.overflowed())
}

func TestReserveKeepsChainsWhole(t *testing.T) {
	r := openTest(t, Config{Entries: 8})
	for i := range 6 {
		r.Next(uint64(i)).PrepNop()
	}
	require.NoError(t, r.Reserve(2))
	require.Equal(t, 6, r.Queued(), "two are free: no submit")
	require.NoError(t, r.Reserve(3))
	require.Zero(t, r.Queued())
	require.ErrorContains(t, r.Reserve(9), "Config.Entries")
	require.NoError(t, r.Err(), "a silly request must not kill the ring")
	collect(t, r, 6)
}

func TestOtherThreadIsRefused(t *testing.T) {
	r := openTest(t, Config{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		r.Next(1).PrepNop()
		err := r.Submit()
		if err != ErrNotIssuer {
			t.Errorf("submit on another thread: %v", err)
		}
		if err := r.Close(); !strings.Contains(err.Error(), "pending") {
			t.Errorf("close on another thread: %v", err)
		}
	}()
	<-done
	require.ErrorIs(t, r.Submit(), ErrNotIssuer, "the error sticks")
	for i := range 1000 { // a dead ring still hands out entries
		r.Next(uint64(i)).PrepNop()
	}
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
	require.ErrorIs(t, r.Submit(), ErrClosed)
}

func TestEnableOnAnotherThread(t *testing.T) {
	need(t, RingDisabled)
	r, err := Open(Config{Disabled: true})
	require.NoError(t, err)
	r.Next(6).PrepNop()
	require.ErrorIs(t, r.Submit(), ErrDisabled)
	require.NoError(t, r.Close())

	r, err = Open(Config{Disabled: true, RegisterFd: true})
	require.NoError(t, err)
	r.Next(6).PrepNop()
	require.ErrorIs(t, r.Submit(), ErrDisabled)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		if err := r.Enable(); err != nil {
			done <- err
			return
		}
		r.Next(7).PrepNop()
		_, err := r.SubmitAndWait(2, patience)
		for want := uint64(6); err == nil && want <= 7; want++ {
			if c := r.Peek(); c == nil || c.UserData() != want {
				t.Errorf("no completion %d", want)
				break
			}
			r.Advance(1)
		}
		done <- err
	}()
	require.NoError(t, <-done)
	require.NoError(t, r.Close(), "nothing is pending: any thread may close")
}

func TestSignalsAreNoError(t *testing.T) {
	r := openTest(t, Config{})
	tid := unix.Gettid()
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			_ = unix.Tgkill(unix.Getpid(), tid, unix.SIGURG) // what the Go scheduler sends
			runtime.Gosched()
		}
	}()
	for r.Stats.Interrupts < 20 {
		ready, err := r.SubmitAndWait(1, patience)
		require.NoError(t, err)
		require.Zero(t, ready)
	}
	// Entries submitted by an enter that a signal cuts short are submitted once.
	for i := range 200 {
		r.Next(uint64(i)).PrepNop()
		require.Equal(t, map[uint64]int32{uint64(i): 0}, byUserData(t, collect(t, r, 1)))
	}
	stop.Store(true)
	<-done
}

// TestOldLayout opens the ring as on a kernel without NO_SQARRAY.
func TestOldLayout(t *testing.T) {
	need(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cfg := Config{Entries: 4}
	require.NoError(t, cfg.fill())
	r, err := open(cfg, iosys.IORING_SETUP_SUBMIT_ALL|_IORING_SETUP_SINGLE_ISSUER|_IORING_SETUP_DEFER_TASKRUN)
	require.NoError(t, err)
	for i := range 11 {
		r.Next(uint64(i)).PrepNop()
	}
	require.Len(t, byUserData(t, collect(t, r, 11)), 11)
	require.NoError(t, r.Close())
}

func TestRegisteredFd(t *testing.T) {
	for range 40 { // more than the thread's table holds, were Close to forget it
		func() {
			r := openTest(t, Config{RegisterFd: true})
			require.NotZero(t, r.enterFlags, "not registered")
			r.Next(1).PrepNop()
			collect(t, r, 1)
			ready, err := r.SubmitAndWait(1, 1000)
			require.NoError(t, err)
			require.Zero(t, ready)
			require.NoError(t, r.Close())
		}()
	}
	r := openTest(t, Config{RegisterFd: true})
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // a thread without rings of its own
		defer runtime.UnlockOSThread()
		r.Next(1).PrepNop()
		if err := r.Submit(); err != ErrNotIssuer {
			t.Errorf("submit on another thread: %v", err)
		}
	}()
	<-done
}

// TestBadEntryHurtsNobodyElse: SUBMIT_ALL goes on behind an entry the kernel refuses.
func TestBadEntryHurtsNobodyElse(t *testing.T) {
	r := openTest(t, Config{})
	r.Next(1).PrepNop()
	r.Next(2).prep(255, -1, 0, 0, 0) // no such op
	r.Next(3).PrepNop()
	require.Equal(t, map[uint64]int32{1: 0, 2: -int32(unix.EINVAL), 3: 0}, byUserData(t, collect(t, r, 3)))
}

// TestRefusals: what the kernel refuses for the moment stays queued; what it refuses
// again and again ends the ring, but not the program.
func TestRefusals(t *testing.T) {
	r := openTest(t, Config{Entries: 4})
	for _, errno := range []unix.Errno{unix.EAGAIN, unix.EBUSY, unix.EINTR, unix.ETIME} {
		r.settle(errno)
		require.NoError(t, r.Err())
	}
	require.Equal(t, uint64(2), r.Stats.Refusals)
	require.Equal(t, uint64(1), r.Stats.Interrupts)

	// A head that never moves stands for a kernel that takes nothing.
	kernelHead := r.kSQHead
	frozen := r.head
	r.kSQHead = &frozen
	for i := range 4 {
		r.Next(uint64(i)).PrepNop()
	}
	require.Equal(t, 4, r.Pending())
	require.NotNil(t, r.Next(5))
	require.ErrorIs(t, r.Err(), ErrStuck)
	_, err := r.SubmitAndWait(1, patience)
	require.ErrorIs(t, err, ErrStuck)
	r.kSQHead = kernelHead
	r.head, r.tail = *kernelHead, *kernelHead // the kernel did take the four
	r.pending = 4
	r.err = nil
	collect(t, r, 4)

	r.settle(unix.EBADR)
	require.ErrorIs(t, r.Err(), ErrDropped)
	r.err = nil
	r.settle(unix.EFAULT)
	require.ErrorIs(t, r.Err(), unix.EFAULT)
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Entries: MaxEntries + 1}, "Config.Entries"},
		{Config{Entries: 64, CQEntries: 128}, "at least 256"},
		{Config{CQEntries: 1 << 20}, "Config.CQEntries"},
	} {
		_, err := Open(c.cfg)
		require.ErrorContains(t, err, c.want)
	}
	r := openTest(t, Config{Entries: 100, CQEntries: 500})
	require.Equal(t, 128, r.Entries())
	require.Len(t, r.cqes, 512)
}

func TestNothingAllocates(t *testing.T) {
	r := openTest(t, Config{Entries: 64}, OpSend, OpRecv)
	a, b := socketpair(t)
	out, in := make([]byte, 64), make([]byte, 64)
	var batch [16]CQE
	allocs := testing.AllocsPerRun(200, func() {
		for i := range 8 {
			r.Next(uint64(i)).PrepNop()
		}
		r.Next(8).PrepRecv(b, in, 0).PollFirst()
		r.Next(9).PrepSend(a, out, 0)
		r.NextTimeout(10, 1000)
		for n := 0; n < 11; {
			if _, err := r.SubmitAndWait(11-n, patience); err != nil {
				panic(err)
			}
			n += r.Harvest(batch[:])
		}
		if _, err := r.SubmitAndWait(1, 1000); err != nil { // a wait that times out
			panic(err)
		}
	})
	require.Zero(t, allocs)
}

func TestLocalBuffersEscape(t *testing.T) {
	r := openTest(t, Config{})
	var batch [4]CQE
	allocs := testing.AllocsPerRun(50, func() {
		var local [16]byte // would lie on the stack, which may move
		r.Next(1).PrepRead(-1, local[:], 0)
		if _, err := r.SubmitAndWait(1, patience); err != nil {
			panic(err)
		}
		r.Harvest(batch[:])
	})
	require.Equal(t, 1.0, allocs)
}

// socketpair gives two connected blocking stream sockets, closed after the test.
func socketpair(t testing.TB) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = unix.Close(fds[0]) // a test may have closed it
		_ = unix.Close(fds[1])
	})
	return fds[0], fds[1]
}
