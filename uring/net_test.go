//go:build linux

package uring

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// listen gives a listening loopback socket and its address.
func listen(t testing.TB) (int, *unix.RawSockaddrInet4) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Close(fd)) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(fd, 16))
	sa, err := unix.Getsockname(fd)
	require.NoError(t, err)
	port := sa.(*unix.SockaddrInet4).Port
	raw := &unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{127, 0, 0, 1}}
	p := (*[2]byte)(unsafe.Pointer(&raw.Port)) // network order
	p[0], p[1] = byte(port>>8), byte(port)
	return fd, raw
}

func dial(t testing.TB, r *Ring, addr *unix.RawSockaddrInet4) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	r.Next(1000).PrepConnect(fd, unsafe.Pointer(addr), unix.SizeofSockaddrInet4)
	return fd
}

func TestAcceptMultishotAndConnect(t *testing.T) {
	r := openTest(t, Config{}, AcceptMultishot, OpConnect, CancelFd)
	ln, addr := listen(t)
	r.Next(1).PrepAcceptMultishot(ln, unix.SOCK_CLOEXEC)
	var fds []int
	for range 5 {
		fds = append(fds, dial(t, r, addr))
		got := byUserData(t, collect(t, r, 2))
		require.Zero(t, got[1000])
		require.Positive(t, got[1])
		fds = append(fds, int(got[1]))
		require.Equal(t, 1, r.Pending(), "the accept stays armed")
	}
	r.Next(2).PrepCancelFd(ln)
	got := byUserData(t, collect(t, r, 2))
	require.Equal(t, map[uint64]int32{1: -int32(unix.ECANCELED), 2: 1}, got)
	require.Zero(t, r.Pending())
	for _, fd := range fds {
		require.NoError(t, unix.Close(fd))
	}
}

func TestAcceptSingle(t *testing.T) {
	r := openTest(t, Config{}, OpConnect)
	ln, addr := listen(t)
	var peer unix.RawSockaddrAny
	peerLen := uint32(unsafe.Sizeof(peer))
	r.Next(1).PrepAccept(ln, &peer, &peerLen, unix.SOCK_CLOEXEC)
	c := dial(t, r, addr)
	got := byUserData(t, collect(t, r, 2))
	require.Positive(t, got[1])
	require.Equal(t, uint16(unix.AF_INET), peer.Addr.Family)
	require.Equal(t, uint32(unix.SizeofSockaddrInet4), peerLen)
	require.NoError(t, unix.Close(int(got[1])))
	require.NoError(t, unix.Close(c))
}

// TestRecvMultishotRunsOutOfBuffers sends more than the buffers hold, keeps them all
// until ENOBUFS, gives them back, arms again, and must see every byte in order.
func TestRecvMultishotRunsOutOfBuffers(t *testing.T) {
	r := openTest(t, Config{}, RecvMultishot, BufferRing, OpSend)
	a, b := socketpair(t)
	bufs, err := r.NewBufRing(3, 4, 64)
	require.NoError(t, err)
	sent := make([]byte, 1000) // 15.6 buffers
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range sent {
		sent[i] = byte(rng.Uint32())
	}
	r.Next(1).PrepSend(a, sent, unix.MSG_WAITALL).Link()
	r.Next(2).PrepShutdown(a, unix.SHUT_WR)
	require.Equal(t, int32(len(sent)), collect(t, r, 2)[0].Res())

	var got []byte
	exhausted, eof := 0, false
	for !eof {
		r.Next(7).PrepRecvMultishot(b, bufs, 0)
		var held []uint16
		for armed := true; armed; {
			c := collect(t, r, 1)[0]
			require.Equal(t, uint64(7), c.UserData())
			armed = c.More()
			bid, hasBuffer := c.Buffer()
			switch {
			case c.Errno() == unix.ENOBUFS:
				require.False(t, hasBuffer)
				require.False(t, c.More(), "ENOBUFS ends a multishot")
				exhausted++
			case c.Res() == 0:
				eof = true
				require.False(t, c.More())
			default:
				require.Zero(t, c.Errno())
				require.True(t, hasBuffer)
				got = append(got, bufs.Bytes(bid, int(c.Res()))...)
				held = append(held, bid)
			}
		}
		require.Equal(t, len(held), bufs.Lent())
		require.LessOrEqual(t, len(held), bufs.Len())
		for _, bid := range held {
			bufs.Recycle(bid)
		}
		bufs.Commit()
	}
	// After 256, 512 and 768 bytes, and where the end of the stream, too, needs a
	// buffer to be seen, once more.
	require.Contains(t, []int{3, 4}, exhausted)
	require.True(t, bytes.Equal(sent, got))
	require.Zero(t, r.Pending())
	require.NoError(t, bufs.Close())
	require.NoError(t, bufs.Close())
}

// TestBufRingWrapsAround drives the 16-bit tail past its end, with the buffers coming
// back in another order than they went.
func TestBufRingWrapsAround(t *testing.T) {
	r := openTest(t, Config{}, RecvMultishot, BufferRing, OpSend)
	a, b := socketpair(t)
	bufs, err := r.NewBufRing(0, 4, 8)
	require.NoError(t, err)
	bufs.Commit() // nothing new: harmless
	r.Next(1).PrepRecvMultishot(b, bufs, 0)
	var out [4]byte
	msg := out[:]
	seen := map[uint16]bool{}
	var held []uint16
	for i := range 70_000 {
		out[0], out[1], out[2] = byte(i), byte(i>>8), byte(i>>16)
		r.Next(2).PrepSend(a, msg, 0)
		for n := 0; n < 2; {
			_, err := r.SubmitAndWait(2-n, patience)
			require.NoError(t, err)
			for c := r.Peek(); c != nil; c = r.Peek() {
				if bid, ok := c.Buffer(); ok {
					if !c.More() || !bytes.Equal(msg, bufs.Bytes(bid, int(c.Res()))) {
						t.Fatalf("message %d: %v, more %v", i, c.Res(), c.More())
					}
					seen[bid] = true
					if held = append(held, bid); len(held) == 3 {
						bufs.Recycle(held[2])
						bufs.Recycle(held[i%2])
						held = append(held[:0], held[1-i%2])
						bufs.Commit()
					}
				} else if c.Res() != 4 {
					t.Fatalf("message %d: result %d", i, c.Res())
				}
				n++
				r.Advance(1)
			}
		}
	}
	require.Len(t, seen, 4, "all buffers take part")
}

func TestBufRingGuards(t *testing.T) {
	r := openTest(t, Config{}, BufferRing)
	_, err := r.NewBufRing(1, 3, 64)
	require.ErrorContains(t, err, "power of two")
	_, err = r.NewBufRing(1, 4, 0)
	require.ErrorContains(t, err, "size")
	bufs, err := r.NewBufRing(1, 4, 64)
	require.NoError(t, err)
	_, err = r.NewBufRing(1, 4, 64)
	require.ErrorIs(t, err, unix.EEXIST, "the group is taken")
	require.Panics(t, func() { bufs.Recycle(2) }, "the kernel has it")
	require.Len(t, bufs.Bytes(2, 10), 10)
	require.Equal(t, 64, cap(bufs.Bytes(2, 10)))
	bufs.Recycle(2)
	require.Panics(t, func() { bufs.Recycle(2) })
	require.Panics(t, func() { bufs.Bytes(1, 65) })
}

func TestRecvSelectSingle(t *testing.T) {
	r := openTest(t, Config{}, BufferRing, OpSend)
	a, b := socketpair(t)
	bufs, err := r.NewBufRing(9, 1, 32)
	require.NoError(t, err)
	for i := range 3 {
		msg := fmt.Appendf(nil, "message %d", i)
		r.Next(1).PrepRecvSelect(b, bufs, 0).PollFirst()
		r.Next(2).PrepSend(a, msg, 0)
		cqes := collect(t, r, 2)
		require.Equal(t, int32(len(msg)), byUserData(t, cqes)[1])
		for _, c := range cqes {
			if bid, ok := c.Buffer(); ok {
				require.Equal(t, msg, bufs.Bytes(bid, int(c.Res())))
				bufs.Recycle(bid)
				bufs.Commit()
			}
		}
	}
}

func TestSendmsgRecvmsgShutdown(t *testing.T) {
	r := openTest(t, Config{}, OpSendmsg, OpShutdown)
	a, b := socketpair(t)
	parts := [][]byte{[]byte("gather "), []byte("and "), []byte("scatter")}
	iov := make([]unix.Iovec, len(parts))
	for i, p := range parts {
		iov[i].Base = &p[0]
		iov[i].SetLen(len(p))
	}
	msg := &unix.Msghdr{Iov: &iov[0]}
	msg.SetIovlen(len(iov))
	in := make([]byte, 64)
	inVec := unix.Iovec{Base: &in[0]}
	inVec.SetLen(len(in))
	inMsg := &unix.Msghdr{Iov: &inVec}
	inMsg.SetIovlen(1)
	r.Next(1).PrepSendmsg(a, msg, 0)
	r.Next(2).PrepRecvmsg(b, inMsg, 0)
	got := byUserData(t, collect(t, r, 2))
	require.Equal(t, map[uint64]int32{1: 18, 2: 18}, got)
	require.Equal(t, "gather and scatter", string(in[:18]))

	r.Next(3).PrepRecv(b, in, 0)
	require.NoError(t, r.Submit())
	r.Next(4).PrepShutdown(a, unix.SHUT_WR)
	require.Equal(t, map[uint64]int32{3: 0, 4: 0}, byUserData(t, collect(t, r, 2)), "end of stream")
	r.Next(5).PrepSend(a, in, unix.MSG_NOSIGNAL)
	require.Equal(t, unix.EPIPE, ptr(collect(t, r, 1)[0]).Errno())
}

func ptr(c CQE) *CQE { return &c }

func TestPoll(t *testing.T) {
	r := openTest(t, Config{}, PollMultishot)
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(t, err)
	defer unix.Close(fd)
	one := []byte{1, 0, 0, 0, 0, 0, 0, 1}
	r.Next(1).PrepPoll(fd, unix.POLLIN)
	require.NoError(t, r.Submit())
	_, err = unix.Write(fd, one)
	require.NoError(t, err)
	c := ptr(collect(t, r, 1)[0])
	require.Equal(t, int32(unix.POLLIN), c.Res()&unix.POLLIN)
	require.False(t, c.More())

	r.Next(2).PrepPollMultishot(fd, unix.POLLIN)
	c = ptr(collect(t, r, 1)[0]) // ready already
	for range 4 {
		require.True(t, c.More())
		_, err = unix.Read(fd, make([]byte, 8))
		require.NoError(t, err)
		_, err = unix.Write(fd, one)
		require.NoError(t, err)
		c = ptr(collect(t, r, 1)[0])
		require.Equal(t, uint64(2), c.UserData())
	}
	require.Equal(t, 1, r.Pending())
}
