package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/bytedance/gopkg/util/gopool"
	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"
)

// writeBytes is what the kernel charges a socket's send buffer for a small
// write beyond its bytes, at most.
const writeBytes = 2 << 10

// Tried, ratio of CPU per message to the choice made at 20,000/s and in a closed
// loop: handlers in the library's goroutine pool, its default (--tune gopool),
// 1.34 and 1.12; a goroutine per request (go) 1.24 and 1.09; GOMAXPROCS=1 1.27
// and 1.00. Output by WriteBinary, which copies up to 4 KiB (binary): fan-out to 200 of
// 64, 1,024 and 3,000 bytes 1.02, 1.04 and 1.06, echo 1.00. Disk reads by the library's
// pool (spawn) instead of ours: no difference.
//
// Handlers in the poller are only safe because none of them waits: see
// netpollConn. When input and the end of a connection arrive together the
// library may close before the answer (its issue 304); nothing here can help that.
type netpollServer struct {
	cfg     *config
	readers *readers[*netpollConn]
	// mu guards room: connections open and close in different goroutines.
	mu   sync.RWMutex
	room room[*netpollConn]
}

// netpollConn is a connection's context. A handler runs in the poller's own
// goroutine, so it neither waits for input (in keeps a beginning) nor for room
// in the socket (out does).
type netpollConn struct {
	conn  netpoll.Connection
	in    partial
	out   outbox
	index int
	// credit is how many bytes the socket's send buffer certainly takes; a
	// third of sndbuf after the kernel has called it writable. Under out.mu.
	credit, sndbuf int
	copies         bool // --tune binary
	gone           bool // the descriptor is not ours any more; under out.mu
	broken         bool // the peer broke the protocol: its input is ignored; the handler's
}

type netpollKey struct{}

func runNetpoll(ctx context.Context, cfg *config, ready func(net.Addr) error) error {
	s := &netpollServer{cfg: cfg}
	s.room.place = func(c *netpollConn) *int { return &c.index }
	conf := netpoll.Config{PollerNum: 1, Runner: func(_ context.Context, f func()) { f() }}
	switch {
	case cfg.tuned("gopool"):
		conf.Runner = nil
	case cfg.tuned("go"):
		conf.Runner = func(_ context.Context, f func()) { go f() }
	}
	if err := netpoll.Configure(conf); err != nil {
		return fmt.Errorf("netpoll: %w", err)
	}
	l, err := netpoll.CreateListener("tcp", cfg.listen)
	if err != nil {
		return fmt.Errorf("netpoll on %q: %w", cfg.listen, err)
	}
	var spawn func(func())
	if cfg.tuned("spawn") {
		spawn = gopool.Go
	}
	s.readers = newReaders(cfg.disk, spawn, func(c *netpollConn, f *frame) { c.out.send(f[:], true) })
	loop, err := netpoll.NewEventLoop(s.handle, netpoll.WithOnPrepare(s.prepare))
	if err != nil {
		return fmt.Errorf("netpoll: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- loop.Serve(l) }()
	if err := ready(l.Addr()); err != nil {
		return err
	}
	select {
	case err := <-served:
		return fmt.Errorf("netpoll: serve: %w", err)
	case <-ctx.Done():
	}
	// Shutdown waits for busy connections to become idle; they need not. And it looks
	// at its context between connections only: in closing one it spins for as long as
	// the poller is in that one's handler.
	end, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	go func() { _ = loop.Shutdown(end); cancel() }()
	<-end.Done()
	return nil
}

// prepare is called before the connection's first byte is read.
func (s *netpollServer) prepare(conn netpoll.Connection) context.Context {
	c := &netpollConn{conn: conn, copies: s.cfg.tuned("binary")}
	c.out.init(gopool.Go, c.write, c.end)
	c.out.try = c.try
	// What try promises fails only when the whole system is out of memory for
	// TCP; then a connection ends instead of the poller.
	_ = conn.SetWriteTimeout(time.Second)
	c.sndbuf, _ = unix.GetsockoptInt(conn.(netpoll.Conn).Fd(), unix.SOL_SOCKET, unix.SO_SNDBUF)
	s.mu.Lock()
	s.room.add(c)
	s.mu.Unlock()
	// Runs before the library frees the buffers that a writer may still use.
	_ = conn.AddCloseCallback(func(netpoll.Connection) error {
		s.mu.Lock()
		s.room.remove(c)
		s.mu.Unlock()
		c.out.close()
		c.out.mu.Lock()
		c.gone = true
		c.out.mu.Unlock()
		return nil
	})
	return context.WithValue(context.Background(), netpollKey{}, c)
}

// write sends blocks of our own, to which the library refers.
func (c *netpollConn) write(bufs [][]byte) error {
	w := c.conn.Writer()
	for _, b := range bufs {
		if err := w.WriteDirect(b, 0); err != nil {
			return err
		}
	}
	_ = c.conn.SetWriteTimeout(0) // this goroutine may wait
	err := w.Flush()
	_ = c.conn.SetWriteTimeout(time.Second)
	return err
}

// try sends p if the socket certainly takes all of it: Flush waits otherwise,
// for the poller, which may be who is calling. The kernel calls a socket
// writable while a third of its buffer or more is free; only that much is
// written before it is asked again.
func (c *netpollConn) try(p []byte) (int, error) {
	cost := len(p) + writeBytes
	if c.credit < cost {
		fds := [1]unix.PollFd{{Fd: int32(c.conn.(netpoll.Conn).Fd()), Events: unix.POLLOUT}}
		if n, err := unix.Poll(fds[:], 0); n == 1 && err == nil && fds[0].Revents&unix.POLLOUT != 0 {
			c.credit = c.sndbuf / 3
		}
		if c.credit < cost {
			c.credit = 0 // write follows, and it fills the buffer
			return 0, nil
		}
	}
	c.credit -= cost
	w := c.conn.Writer()
	if c.copies {
		_, _ = w.WriteBinary(p)
	} else if err := w.WriteDirect(p, 0); err != nil {
		return 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// handle takes all input, as it must.
func (s *netpollServer) handle(ctx context.Context, conn netpoll.Connection) error {
	c := ctx.Value(netpollKey{}).(*netpollConn)
	r := conn.Reader()
	p, err := r.Next(r.Len())
	if err != nil {
		return err
	}
	if c.broken {
		return r.Release()
	}
	n, ok := len(p), true
	switch s.cfg.workload {
	case "echo":
		c.out.send(p, true)
		return r.Release()
	case "framed":
		p = c.in.join(p)
		n, ok = splitFrames(p,
			func(run []byte) { c.out.send(run, true) },
			func(f *frame) { s.readers.read(c, f) })
	case "fanout":
		p = c.in.join(p)
		n, ok = s.fanout(p)
	}
	if !ok {
		c.broken = true
		c.end()
		return r.Release()
	}
	c.in.keep(p[n:])
	return r.Release()
}

// end has the poller find the connection closed. Conn.Close would not do: run by, or
// beside, a handler in the poller it waits there for the poller itself.
func (c *netpollConn) end() {
	c.out.mu.Lock()
	if !c.gone {
		_ = unix.Shutdown(c.conn.(netpoll.Conn).Fd(), unix.SHUT_RDWR)
	}
	c.out.mu.Unlock()
}

func (s *netpollServer) fanout(p []byte) (int, bool) {
	n, ok := wholeMessages(p)
	if n == 0 || !ok {
		return n, ok
	}
	var shared []byte // made when the first receiver has to wait
	s.mu.RLock()
	for _, c := range s.room.all {
		shared = c.out.sendShared(p[:n], shared)
	}
	s.mu.RUnlock()
	return n, true
}
