//go:build linux

package uring

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestTimeouts(t *testing.T) {
	r := openTest(t, Config{}, OpTimeout)
	start := time.Now()
	r.NextTimeout(1, int64(20*time.Millisecond))
	r.NextTimeout(2, int64(time.Millisecond))
	r.NextTimeout(3, int64(time.Hour))
	etime := -int32(unix.ETIME)
	got := collect(t, r, 2)
	require.GreaterOrEqual(t, time.Since(start), 20*time.Millisecond)
	require.Equal(t, uint64(2), got[0].UserData(), "each has its own time")
	require.Equal(t, map[uint64]int32{1: etime, 2: etime}, byUserData(t, got))
	r.Next(4).PrepCancel(3, false)
	require.Equal(t, map[uint64]int32{3: -int32(unix.ECANCELED), 4: 0}, byUserData(t, collect(t, r, 2)))
	r.NextTimeout(5, -1)
	require.Equal(t, etime, collect(t, r, 1)[0].Res())
}

func TestWaitTimesOut(t *testing.T) {
	r := openTest(t, Config{})
	start := time.Now()
	ready, err := r.SubmitAndWait(1, int64(10*time.Millisecond))
	require.NoError(t, err)
	require.Zero(t, ready)
	if r.Stats.Interrupts == 0 {
		require.GreaterOrEqual(t, time.Since(start), 10*time.Millisecond)
	}
	ready, err = r.SubmitAndWait(1, 0)
	require.NoError(t, err)
	require.Zero(t, ready)
	require.Equal(t, uint64(1), r.Stats.Waits)
}

func TestGatheringWait(t *testing.T) {
	r := openTest(t, Config{}, MinTimeout)
	r.Next(1).PrepNop()
	start := time.Now()
	ready, err := r.SubmitAndGather(2, 1000, patience) // two asked, one is enough after 1 us
	require.NoError(t, err)
	require.Equal(t, 1, ready)
	require.Less(t, time.Since(start), time.Duration(patience), "it waited for the second")
	collect(t, r, 1)
}

func TestLinkTimeout(t *testing.T) {
	r := openTest(t, Config{}, OpLinkTimeout, OpRecv)
	a, b := socketpair(t)
	buf := make([]byte, 8)
	require.NoError(t, r.Reserve(2))
	r.Next(1).PrepRecv(b, buf, 0).Link()
	r.NextLinkTimeout(2, int64(time.Millisecond))
	require.Equal(t, map[uint64]int32{1: -int32(unix.ECANCELED), 2: -int32(unix.ETIME)},
		byUserData(t, collect(t, r, 2)))

	require.NoError(t, r.Reserve(3))
	r.Next(3).PrepRecv(b, buf, 0).Link()
	r.NextLinkTimeout(4, patience)
	msg := []byte("in time")
	r.Next(5).PrepSend(a, msg, 0)
	require.Equal(t, map[uint64]int32{3: 7, 4: -int32(unix.ECANCELED), 5: 7},
		byUserData(t, collect(t, r, 3)))
}

func TestDrainWaitsForAllBefore(t *testing.T) {
	r := openTest(t, Config{}, OpRecv)
	a, b := socketpair(t)
	buf, msg := make([]byte, 8), []byte("go")
	r.Next(1).PrepRecv(b, buf, 0)
	r.Next(2).PrepNop().Drain()
	r.Next(3).PrepNop()
	ready, err := r.SubmitAndWait(1, int64(time.Millisecond))
	require.NoError(t, err)
	require.Zero(t, ready, "both nops wait for the recv")
	_, err = unix.Write(a, msg)
	require.NoError(t, err)
	got := collect(t, r, 3)
	require.Equal(t, uint64(1), got[0].UserData())
	require.Equal(t, uint64(2), got[1].UserData())
}

func TestCancel(t *testing.T) {
	r := openTest(t, Config{}, OpRecv, CancelFd)
	_, b := socketpair(t)
	bufs := [3][]byte{make([]byte, 8), make([]byte, 8), make([]byte, 8)}
	canceled := -int32(unix.ECANCELED)
	arm := func() {
		for i := range bufs {
			r.Next(uint64(10+i)).PrepRecv(b, bufs[i], 0)
		}
		require.NoError(t, r.Submit())
	}
	arm()
	require.Equal(t, 3, r.Pending())
	r.Next(1).PrepCancel(11, false)
	require.Equal(t, map[uint64]int32{1: 0, 11: canceled}, byUserData(t, collect(t, r, 2)))
	r.Next(2).PrepCancel(11, false)
	require.Equal(t, map[uint64]int32{2: -int32(unix.ENOENT)}, byUserData(t, collect(t, r, 1)))
	r.Next(3).PrepCancelFd(b)
	require.Equal(t, map[uint64]int32{3: 2, 10: canceled, 12: canceled}, byUserData(t, collect(t, r, 3)))
	for range 3 {
		r.Next(7).PrepRecv(b, bufs[0], 0)
	}
	require.NoError(t, r.Submit())
	r.Next(8).PrepCancel(7, true)
	sum := 0
	for _, c := range collect(t, r, 4) {
		if c.UserData() == 7 {
			require.Equal(t, canceled, c.Res())
			sum++
		} else {
			require.Equal(t, int32(3), c.Res())
		}
	}
	require.Equal(t, 3, sum)
	require.Zero(t, r.Pending())
}

func TestMessageBetweenRings(t *testing.T) {
	need(t, OpMsgRing, MsgRingFlags)
	const messages = 100
	fds := make(chan int)
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		result <- receiveMessages(fds, messages)
	}()
	r := openTest(t, Config{})
	target := <-fds
	for i := range messages {
		r.Next(1).PrepMsgRing(target, uint64(500+i), uint32(i))
		require.Zero(t, collect(t, r, 1)[0].Res())
	}
	require.NoError(t, <-result)
	r.Next(1).PrepMsgRing(0, 1, 1) // not a ring
	require.NotZero(t, collect(t, r, 1)[0].Res())
}

// receiveMessages opens a ring, tells its descriptor and waits for the messages.
func receiveMessages(fds chan<- int, messages int) error {
	r, err := Open(Config{})
	if err != nil {
		close(fds)
		return err
	}
	fds <- r.Fd()
	for n := 0; n < messages; {
		if ready, err := r.SubmitAndWait(1, patience); err != nil {
			return errors.Join(err, r.Close())
		} else if ready == 0 {
			continue
		}
		for c := r.Peek(); c != nil; c = r.Peek() {
			if !c.Message() || c.UserData() != uint64(500+n) || c.Res() != int32(n) || r.Pending() != 0 {
				return errors.Join(errors.New("wrong message"), r.Close())
			}
			n++
			r.Advance(1)
		}
	}
	return r.Close()
}

func TestCloseCancelsAndWaits(t *testing.T) {
	need(t, RecvMultishot, BufferRing, AcceptMultishot, PollMultishot)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for range 20 {
		r, err := Open(Config{Entries: 16})
		require.NoError(t, err)
		a, b := socketpair(t)
		ln, _ := listen(t)
		bufs, err := r.NewBufRing(1, 8, 128)
		require.NoError(t, err)
		buf, small := make([]byte, 16), []byte("unread")
		r.Next(1).PrepAcceptMultishot(ln, 0)
		r.Next(2).PrepRecvMultishot(b, bufs, 0)
		r.Next(3).PrepPollMultishot(a, unix.POLLIN)
		r.Next(4).PrepRecv(a, buf, 0).Async() // in a kernel worker
		r.NextTimeout(5, patience)
		r.Next(6).PrepSend(a, small, 0)
		require.NoError(t, r.Submit())
		r.Next(7).PrepNop() // never submitted
		require.Equal(t, 7, r.Pending())
		require.NoError(t, r.Close())
		require.Zero(t, r.Pending())
		require.NoError(t, r.Close())
		require.True(t, bufs.closed)
		_, err = r.SubmitAndWait(1, patience)
		require.ErrorIs(t, err, ErrClosed)
		require.Nil(t, r.Peek())
		r.NextTimeout(1, 1) // late, but harmless
		require.ErrorIs(t, r.Submit(), ErrClosed)
	}
}

// TestCloseAfterTheThreadEnded: the kernel cancels a thread's ops when it exits.
func TestCloseAfterTheThreadEnded(t *testing.T) {
	need(t, OpRecv)
	_, b := socketpair(t)
	type opened struct {
		r   *Ring
		err error
	}
	done := make(chan opened)
	buf := make([]byte, 16)
	var run func()
	run = func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			// But the process's first thread does not: take another one.
			defer runtime.UnlockOSThread()
			again := make(chan struct{})
			go func() { defer close(again); run() }()
			<-again
			return
		}
		r, err := Open(Config{})
		if err == nil {
			r.Next(1).PrepRecv(b, buf, 0)
			err = r.Submit()
		}
		done <- opened{r, err}
	}
	go run()
	o := <-done
	require.NoError(t, o.err)
	deadline := time.Now().Add(time.Duration(patience))
	for err := o.r.Close(); err != nil; err = o.r.Close() {
		require.True(t, time.Now().Before(deadline), "the thread does not end: %v", err)
		runtime.Gosched()
	}
}

func TestUnsafeClosesAreRefused(t *testing.T) {
	r := openTest(t, Config{CloseTimeoutNs: 1e6}, OpNop)
	// An op that is owed and never completes stands for a device that hangs.
	r.pending++
	err := r.Close()
	require.ErrorIs(t, err, ErrPending)
	require.ErrorContains(t, err, "CloseTimeoutNs")
	r.Next(1).PrepNop() // the ring still works
	collect(t, r, 1)
	r.pending--
	require.NoError(t, r.Close())
}
