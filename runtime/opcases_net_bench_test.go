package runtime_test

import (
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
)

// The ops of BenchmarkOp on sockets and pipes, and those without a descriptor.

func openRecv(b *testing.B) *opCase {
	here, there := socketpair(b)
	p, feed := make([]byte, 64), make([]byte, 64)
	c := &opCase{
		ops: []srt.Op{srt.Recv(imm(here), p, 0)},
		prepare: func(n int) {
			for range n {
				must(unix.SYS_WRITE, uintptr(there), cstr(feed), 64, 0)
			}
		},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			_, _, err = unix.Recvfrom(here, p, 0)
		}
		return err
	}
	return c
}

func openSend(b *testing.B) *opCase {
	here, there := socketpair(b)
	p, drain := make([]byte, 64), make([]byte, 64)
	c := &opCase{
		ops: []srt.Op{srt.Send(imm(here), p, 0)},
		cleanup: func(n int) {
			for range n {
				must(unix.SYS_READ, uintptr(there), cstr(drain), 64, 0)
			}
		},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			err = unix.Send(here, p, unix.MSG_NOSIGNAL)
		}
		return err
	}
	return c
}

// A datagram socket, whose connect only notes the address.
func openConnect(b *testing.B) *opCase {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(b, err)
	b.Cleanup(func() { check(b, unix.Close(fd)) })
	raw := make([]byte, unix.SizeofSockaddrInet4)
	*(*unix.RawSockaddrInet4)(unsafe.Pointer(&raw[0])) = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: 9 << 8, Addr: [4]byte{127, 0, 0, 1}}
	there := &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}
	c := &opCase{
		ops: []srt.Op{srt.Connect(imm(fd), raw)},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			err = unix.Connect(fd, there)
		}
		return err
	}
	return c
}

// listener is a listening socket in memory: there are no ports to run out of.
func listener(b *testing.B) int {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(b, err)
	b.Cleanup(func() { check(b, unix.Close(fd)) })
	check(b, unix.Bind(fd, &unix.SockaddrUnix{})) // the kernel finds a name
	check(b, unix.Listen(fd, chunkMax))
	return fd
}

func nameOf(b *testing.B, fd int) []byte {
	sa, err := unix.Getsockname(fd)
	check(b, err)
	name := sa.(*unix.SockaddrUnix).Name
	raw := unix.RawSockaddrUnix{Family: unix.AF_UNIX}
	p := unsafe.Slice((*byte)(unsafe.Pointer(&raw)), 2+len(name))
	copy(p[2:], name)
	p[2] = 0 // x/sys shows an abstract name's NUL as @
	return p
}

func dial(name []byte) int {
	fd := must(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0, 0)
	must(unix.SYS_CONNECT, uintptr(fd), cstr(name), uintptr(len(name)), 0)
	return fd
}

func openAccept(b *testing.B) *opCase {
	l := listener(b)
	name := nameOf(b, l)
	var clients, conns [chunkMax]int
	c := &opCase{
		ops: []srt.Op{srt.Accept(imm(l), unix.SOCK_CLOEXEC)},
		got: func(y *srt.Syslet, i int) { conns[i] = int(y.Result()) },
		prepare: func(n int) {
			for i := range n {
				clients[i] = dial(name)
			}
		},
		cleanup: func(n int) {
			for i := range n {
				must(unix.SYS_CLOSE, uintptr(clients[i]), 0, 0, 0)
				must(unix.SYS_CLOSE, uintptr(conns[i]), 0, 0, 0)
			}
		},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			conns[c.i], _, err = unix.Accept4(l, unix.SOCK_CLOEXEC)
		}
		return err
	}
	return c
}

func openPoll(b *testing.B) *opCase {
	here, there := socketpair(b)
	must(unix.SYS_WRITE, uintptr(there), cstr([]byte{0}), 1, 0)
	p := []unix.PollFd{{Fd: int32(here), Events: unix.POLLIN}}
	c := &opCase{
		ops: []srt.Op{srt.Poll(imm(here), unix.POLLIN)},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			_, err = unix.Poll(p, -1)
		}
		return err
	}
	return c
}

// A sleep of nothing, which neither makes a system call for.
func openSleep(*testing.B) *opCase {
	c := &opCase{
		ops: []srt.Op{srt.Sleep(srt.Imm(0))},
	}
	c.bare = func() error {
		for ; c.i < c.to; c.i++ {
			time.Sleep(0)
		}
		return nil
	}
	return c
}

// From a pipe to /dev/null.
func openSplice(b *testing.B) *opCase {
	r, w := pipe(b)
	_, err := unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, chunkMax*4096)
	check(b, err)
	null, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	check(b, err)
	b.Cleanup(func() { check(b, unix.Close(null)) })
	piece := make([]byte, 4096)
	c := &opCase{
		ops: []srt.Op{srt.Splice(imm(r), srt.Imm(-1), imm(null), srt.Imm(-1), srt.Imm(4096), 0)},
		prepare: func(n int) {
			for range n {
				must(unix.SYS_WRITE, uintptr(w), cstr(piece), 4096, 0)
			}
		},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			_, err = unix.Splice(r, nil, null, nil, 4096, 0)
		}
		return err
	}
	return c
}

func openCall(*testing.B) *opCase {
	n := 0
	c := &opCase{
		ops: []srt.Op{srt.Call(func(*srt.Syslet) int64 { n++; return 0 })},
	}
	c.bare = func() error {
		for ; c.i < c.to; c.i++ {
			n++
		}
		return nil
	}
	return c
}
