//go:build linux

package uring

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestAsOf(t *testing.T) {
	need(t)
	f, err := Probe().AsOf("6.1")
	require.NoError(t, err)
	for _, x := range f.List() {
		if x.Since == "6.2" || x.Since == "6.10" || x.Since == "6.12" {
			require.NotEqual(t, Present, x.State, x.Name)
		}
	}
	require.NoError(t, f.Require(baseFeatures...))
	require.ErrorContains(t, f.Require(MinTimeout), "Linux 6.1 does not do: MIN_TIMEOUT")
	same, err := Probe().AsOf("99.0")
	require.NoError(t, err)
	for _, x := range Probe().List() {
		require.Equal(t, x.State, same.State(x.Feature), x.Name)
	}
	for _, bad := range []string{"", "6", "6.x", "x.1", "-1.2"} {
		_, err := f.AsOf(bad)
		require.ErrorContains(t, err, bad)
	}
	older, err := Probe().AsOf("6.0")
	require.NoError(t, err)
	_, err = Open(Config{Features: older})
	require.ErrorContains(t, err, "DEFER_TASKRUN")
}

// TestSkipSuccessAlone: a send that is taken whole is silent, one that is not says
// how much was taken, and one to a broken socket the error.
func TestSkipSuccessAlone(t *testing.T) {
	r := openTest(t, Config{}, CQESkip)
	a, b := socketpair(t)
	const flags = unix.MSG_DONTWAIT | unix.MSG_WAITALL | unix.MSG_NOSIGNAL
	small, large := make([]byte, 100), make([]byte, 8<<20)
	send := func(buf []byte) (c *CQE) {
		r.SkipSuccess(r.Next(1).PrepSend(a, buf, flags))
		_, err := r.SubmitAndWait(1, 0)
		require.NoError(t, err)
		if c = r.Peek(); c != nil {
			c = ptr(*c)
			r.Forgo(0)
			r.Advance(1)
		}
		require.Zero(t, r.Pending())
		return c
	}
	require.Nil(t, send(small))
	c := send(large)
	require.NotNil(t, c)
	require.Positive(t, c.Res())
	require.Less(t, int(c.Res()), len(large))
	require.Equal(t, unix.EAGAIN, send(small).Errno())
	require.NoError(t, unix.Shutdown(b, unix.SHUT_RDWR))
	require.Equal(t, unix.EPIPE, send(small).Errno())
}

// TestCloseWithSilentEntries: entries that skip success are not counted, also when
// they are never submitted; what is pending is waited for all the same.
func TestCloseWithSilentEntries(t *testing.T) {
	need(t, CQESkip)
	r, err := Open(Config{Entries: 8})
	require.NoError(t, err)
	a, b := socketpair(t)
	r.Next(1).PrepRecv(b, make([]byte, 1), 0)
	require.NoError(t, r.Submit())
	for range 3 {
		r.SkipSuccess(r.Next(2).PrepSend(a, []byte("x"), unix.MSG_DONTWAIT))
	}
	require.Equal(t, 1, r.Pending())
	r.dropQueued()
	require.Equal(t, 1, r.Pending())
	require.NoError(t, r.Close())
}

// TestIncrementalBuffers: small messages share a buffer, in order, and the buffer
// comes back once.
func TestIncrementalBuffers(t *testing.T) {
	r := openTest(t, Config{}, BufferRingInc)
	bufs, err := r.NewIncrementalBufRing(3, 2, 64)
	require.NoError(t, err)
	a, b := socketpair(t)
	r.Next(1).PrepRecvMultishot(b, bufs, 0)
	want, got, went := byte(0), []byte(nil), 0
	for range 40 {
		msg := []byte{want, want + 1, want + 2, want + 3, want + 4, want + 5, want + 6}
		want += 7
		_, err := unix.Write(a, msg)
		require.NoError(t, err)
		for n := 0; n < len(msg); {
			c := collect(t, r, 1)[0]
			bid, ok := c.Buffer()
			require.True(t, ok, "%d", c.Res())
			n += int(c.Res())
			if c.BufferGoesOn() {
				went++
				got = append(got, bufs.Part(bid, int(c.Res()))...)
				continue
			}
			got = append(got, bufs.Bytes(bid, int(c.Res()))...)
			bufs.Recycle(bid)
			bufs.Commit()
		}
	}
	for i := range got {
		require.Equal(t, byte(i), got[i])
	}
	require.Len(t, got, 280)
	require.Greater(t, went, 20)
	require.Zero(t, bufs.Lent())
}

// TestBundle: one completion fills several buffers, which need not lie side by side.
func TestBundle(t *testing.T) {
	r := openTest(t, Config{}, RecvSendBundle)
	bufs, err := r.NewBufRing(3, 8, 16)
	require.NoError(t, err)
	a, b := socketpair(t)
	receive := func(n int) (got []byte, bids []uint16, completions int) {
		for len(got) < n {
			r.Next(1).PrepRecvSelect(b, bufs, 0).Bundle()
			c := collect(t, r, 1)[0]
			bid, ok := c.Buffer()
			require.True(t, ok)
			completions++
			left := int(c.Res())
			for ; left > bufs.Size(); left -= bufs.Size() {
				got = append(got, bufs.Bytes(bid, bufs.Size())...)
				bids = append(bids, bid)
				bid = bufs.Behind(bid)
			}
			got, bids = append(got, bufs.Bytes(bid, left)...), append(bids, bid)
		}
		return got, bids, completions
	}
	msg := make([]byte, 100)
	for i := range msg {
		msg[i] = byte(i)
	}
	for range 5 {
		_, err := unix.Write(a, msg)
		require.NoError(t, err)
		got, bids, completions := receive(len(msg))
		require.Equal(t, msg, got)
		require.Less(t, completions, len(bids))
		for i := range bids { // back in another order
			bufs.Recycle(bids[(i*3+1)%len(bids)])
		}
		bufs.Commit()
	}
}

func TestMessage(t *testing.T) {
	r := openTest(t, Config{}, SyncMessage)
	done := make(chan error)
	go func() { done <- Message(r.Fd(), 77, 5) }()
	c := collect(t, r, 1)[0]
	require.NoError(t, <-done)
	require.Equal(t, uint64(77), c.UserData())
	require.Equal(t, int32(5), c.Res())
	require.True(t, c.Message())
	require.Zero(t, r.Pending())
	require.ErrorIs(t, Message(-1, 0, 0), unix.EBADF)
}

// TestHold: a wait without the scheduler's hooks ends by a completion, by a timeout
// entry that stays, and by its own timeout.
func TestHold(t *testing.T) {
	r := openTest(t, Config{})
	require.True(t, r.Idle())
	r.NextTimeout(1, 1e6)
	require.False(t, r.Idle())
	ready, err := 0, error(nil)
	for ready == 0 && err == nil { // a signal may end it earlier
		ready, err = r.SubmitAndHold(1, 0, -1)
	}
	require.NoError(t, err)
	require.Equal(t, uint64(1), r.At(0).UserData())
	require.False(t, r.Idle())
	r.Advance(1)
	r.Next(2).PrepNop()
	ready, err = r.SubmitAndHold(1, 0, -1)
	require.NoError(t, err)
	require.Equal(t, 1, ready)
	r.Advance(1)
	ready, err = r.SubmitAndHold(1, 0, 1e5)
	require.NoError(t, err)
	require.Zero(t, ready)
}
