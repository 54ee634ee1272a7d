package runtime

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func socketPair(t *testing.T, kind int) (fd, peer int) {
	ends, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = unix.Close(ends[0])
		_ = unix.Close(ends[1])
	})
	return ends[0], ends[1]
}

// A send that is tried moves what there is room for, Exec the rest, also on a
// nonblocking socket; the result is all of it.
func TestSendMovesAll(t *testing.T) {
	for _, kind := range []int{0, unix.SOCK_NONBLOCK} {
		fd, peer := socketPair(t, unix.SOCK_STREAM|kind)
		require.NoError(t, unix.SetNonblock(peer, false))
		data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		y := NewSyslet(Send(Imm(int64(fd)), data, 0))
		_, ok := y.Try()
		require.False(t, ok)
		require.Less(t, len(y.Rest(&y.Ops[0])), len(data), "the first part is on its way")

		dup, err := unix.FcntlInt(uintptr(peer), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		got := make(chan []byte, 1)
		go func() {
			f := os.NewFile(uintptr(dup), "peer")
			defer f.Close()
			all, _ := io.ReadAll(f)
			got <- all
		}()
		require.EqualValues(t, len(data), y.Exec())
		require.NoError(t, unix.Shutdown(fd, unix.SHUT_WR))
		require.True(t, bytes.Equal(data, <-got))
		require.Len(t, y.Rest(&y.Ops[0]), len(data), "the next one begins at the beginning")
	}
}

// What was sent before an error is the result; the error comes next.
func TestSendEndsEarly(t *testing.T) {
	fd, peer := socketPair(t, unix.SOCK_STREAM)
	y := NewSyslet(Send(Imm(int64(fd)), make([]byte, 1<<20), 0))
	_, ok := y.Try()
	require.False(t, ok)
	sent := 1<<20 - len(y.Rest(&y.Ops[0]))
	require.NoError(t, unix.Shutdown(peer, unix.SHUT_RD))
	require.EqualValues(t, sent, y.Exec())
	require.EqualValues(t, -int64(unix.EPIPE), y.Exec())
}

// MSG_WAITALL goes on in a stream until the buffer is full or the stream ends,
// and not from one datagram to the next.
func TestRecvWaitAll(t *testing.T) {
	fd, peer := socketPair(t, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
	buf := make([]byte, 8)
	y := NewSyslet(Recv(Imm(int64(fd)), buf, unix.MSG_WAITALL))
	write := func(peer int, s string) {
		_, err := unix.Write(peer, []byte(s))
		require.NoError(t, err)
	}
	write(peer, "abc")
	_, ok := y.Try()
	require.False(t, ok)
	write(peer, "defghi")
	require.EqualValues(t, 8, y.Exec())
	require.Equal(t, "abcdefgh", string(buf))
	require.NoError(t, unix.Shutdown(peer, unix.SHUT_WR))
	require.EqualValues(t, 1, y.Exec())

	fd, peer = socketPair(t, unix.SOCK_DGRAM)
	y = NewSyslet(Recv(Imm(int64(fd)), buf, unix.MSG_WAITALL))
	write(peer, "abc")
	res, ok := y.Try()
	require.True(t, ok)
	require.EqualValues(t, 3, res)
}
