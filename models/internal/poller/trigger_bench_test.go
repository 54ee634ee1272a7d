package poller

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchmarkTrigger is why connections are watched edge triggered: what a message
// costs the receiving side, epoll_wait and recv, when a batch of them waits and when
// each is alone. Level triggered the kernel puts every reported socket back on its
// list and asks it again at the next wait.
func BenchmarkTrigger(b *testing.B) {
	for name, flags := range map[string]uint32{
		"edge":  unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, // as Attach
		"level": unix.EPOLLIN | unix.EPOLLRDHUP,
	} {
		for _, conns := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/conns=%d", name, conns), func(b *testing.B) { receiveAll(b, flags, conns) })
		}
	}
}

func receiveAll(b *testing.B, flags uint32, conns int) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	require.NoError(b, err)
	defer unix.Close(epfd)
	from, to := loopbackPairs(b, conns)
	for i, fd := range to {
		require.NoError(b, unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: flags, Fd: int32(i)}))
	}
	var events [batch]unix.EpollEvent
	message, into := make([]byte, 16), make([]byte, recvBytes)
	wait := func(timeoutMs int) int {
		n, err := unix.EpollWait(epfd, events[:], timeoutMs)
		if err != nil && err != unix.EINTR {
			b.Fatal(err)
		}
		return max(n, 0)
	}
	for wait(0) > 0 && flags&unix.EPOLLET != 0 { // the first edges: writable
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for _, fd := range from {
			_, err := unix.Write(fd, message)
			require.NoError(b, err)
		}
		b.StartTimer()
		for got := 0; got < conns; {
			for _, ev := range events[:wait(-1)] {
				n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(to[ev.Fd]), uintptr(unsafe.Pointer(&into[0])), recvBytes, unix.MSG_DONTWAIT, 0, 0)
				if e != 0 || int(n) != len(message) {
					b.Fatalf("received %d bytes of %d: %v", n, len(message), e)
				}
				got++
			}
		}
		wait(0) // the look before a sleep
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*conns), "ns/message")
}

// loopbackPairs are the two ends of TCP connections over loopback.
func loopbackPairs(b *testing.B, n int) (from, to []int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer l.Close()
	fd := func(c net.Conn, err error) int {
		require.NoError(b, err)
		f, err := c.(*net.TCPConn).File() // a duplicate, blocking
		require.NoError(b, err)
		require.NoError(b, c.Close())
		b.Cleanup(func() { f.Close() })
		return int(f.Fd())
	}
	for range n {
		from = append(from, fd(net.Dial("tcp", l.Addr().String())))
		to = append(to, fd(l.Accept()))
	}
	return from, to
}
