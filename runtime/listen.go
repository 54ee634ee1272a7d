package runtime

import (
	"context"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// listen opens one nonblocking listening socket per shard on the same address.
// With several shards they share it by SO_REUSEPORT (3.9): the kernel spreads
// connections by hash, and no shard wakes in vain.
func listen(addr string, shards, backlog int) ([]int, net.Addr, error) {
	var fds []int
	var bound net.Addr
	for range shards {
		fd, a, err := listenOne(addr, shards > 1, backlog)
		if err != nil {
			closeAll(fds)
			return nil, nil, fmt.Errorf("runtime: cannot listen on %q (Options.Listen): %w", addr, err)
		}
		fds = append(fds, fd)
		bound, addr = a, a.String()
	}
	return fds, bound, nil
}

func listenOne(addr string, shared bool, backlog int) (int, net.Addr, error) {
	lc := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, rc syscall.RawConn) error {
		if !shared {
			return nil
		}
		var opErr error
		err := rc.Control(func(fd uintptr) {
			opErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		if err != nil {
			return err
		}
		return opErr
	}}
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return -1, nil, err
	}
	defer l.Close()
	rc, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		return -1, nil, err
	}
	fd := -1
	var dupErr error
	if err := rc.Control(func(own uintptr) { fd, dupErr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return -1, nil, err
	}
	if dupErr != nil {
		return -1, nil, dupErr
	}
	// Accepted sockets inherit the option: small frames must not wait for ACKs,
	// and it costs no system call per connection. Listening again sets the backlog.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err := unix.Listen(fd, backlog); err != nil {
		_ = unix.Close(fd)
		return -1, nil, err
	}
	return fd, l.Addr(), nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}
