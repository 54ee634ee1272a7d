package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// netBufferBytes is a connection's read buffer.
const netBufferBytes = 32 << 10

// Tried, ratio of CPU per message to the choice made at 20,000/s and in a closed
// loop: GOMAXPROCS=2 1.07 and 1.02 for echo; for framed and fanout 2 is better (framed
// answers twice as many at saturation, fan-out costs 0.94). Fan-out through a writer goroutine
// per receiver (queue) instead of trying the socket first: 1.11 and 1.05.
type netServer struct {
	cfg *config
	wg  sync.WaitGroup
	// mu guards conns, closing, and room.
	mu      sync.Mutex
	conns   map[*net.TCPConn]struct{}
	closing bool
	room    room[*netMember]
}

func runNet(ctx context.Context, cfg *config, ready func(net.Addr) error) error {
	l, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return fmt.Errorf("--listen %q: %w", cfg.listen, err)
	}
	if cfg.workload == "files" {
		return serveFiles(ctx, cfg, l, ready)
	}
	s := &netServer{cfg: cfg, conns: map[*net.TCPConn]struct{}{}}
	s.room.place = func(m *netMember) *int { return &m.index }
	if err := ready(l.Addr()); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { s.shut(l) })()
	for {
		c, err := l.Accept()
		if err == nil {
			s.start(c.(*net.TCPConn)) // TCP_NODELAY is Go's default
			continue
		}
		if ctx.Err() != nil {
			s.wg.Wait()
			return nil
		}
		if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ECONNABORTED) {
			return fmt.Errorf("net: accept: %w", err)
		}
		time.Sleep(10 * time.Millisecond) // descriptors come back when connections end
	}
}

// shut closes the listener and every connection.
func (s *netServer) shut(l net.Listener) {
	_ = l.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *netServer) start(c *net.TCPConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		_ = c.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.wg.Go(func() {
		switch s.cfg.workload {
		case "echo":
			echoNet(c)
		case "framed":
			framedNet(c, s.cfg.disk)
		default:
			s.fanout(c)
		}
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	})
}

func echoNet(c *net.TCPConn) {
	buf := make([]byte, netBufferBytes)
	for {
		n, err := c.Read(buf)
		if n > 0 {
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// framedNet answers in place: all frames of one read go out with one write.
func framedNet(c *net.TCPConn, d *disk) {
	buf, block, have := make([]byte, netBufferBytes), alignedBlock(), 0
	for {
		n, err := c.Read(buf[have:])
		if have += n; n > 0 {
			taken, ok := splitFrames(buf[:have], func([]byte) {}, func(f *frame) { d.answer(f, block) })
			if _, err := c.Write(buf[:taken]); err != nil || !ok {
				return
			}
			have = copy(buf, buf[taken:have])
		}
		if err != nil {
			return
		}
	}
}

// netMember is a connection of the workload fanout.
type netMember struct {
	out   outbox
	index int
}

// fanout reads one connection's messages. A receiver is first tried without
// blocking; what the kernel does not take waits in its outbox.
func (s *netServer) fanout(c *net.TCPConn) {
	m := s.join(c)
	defer s.leave(m)
	buf, have := make([]byte, maxMessageBytes), 0
	for {
		n, err := c.Read(buf[have:])
		have += n
		whole, ok := wholeMessages(buf[:have])
		if whole > 0 && ok {
			s.send(buf[:whole])
			have = copy(buf, buf[whole:have])
		}
		if err != nil || !ok {
			return
		}
	}
}

func (s *netServer) send(p []byte) {
	var shared []byte
	s.mu.Lock()
	for _, m := range s.room.all {
		shared = m.out.sendShared(p, shared)
	}
	s.mu.Unlock()
}

func (s *netServer) join(c *net.TCPConn) *netMember {
	m := &netMember{}
	spawn := func(f func()) { go f() }
	write := func(bufs [][]byte) error {
		b := net.Buffers(bufs)
		_, err := b.WriteTo(c)
		return err
	}
	m.out.init(spawn, write, func() { _ = c.Close() })
	if !s.cfg.tuned("queue") {
		m.out.try = tryWrite(c)
	}
	s.mu.Lock()
	s.room.add(m)
	s.mu.Unlock()
	return m
}

func (s *netServer) leave(m *netMember) {
	s.mu.Lock()
	s.room.remove(m)
	s.mu.Unlock()
}

// tryWrite makes a write to c that takes what fits and does not wait. The
// result is for one caller at a time.
func tryWrite(c *net.TCPConn) func([]byte) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	var (
		p []byte
		n int
		e error
	)
	attempt := func(fd uintptr) bool {
		n, e = syscall.Write(int(fd), p)
		return true // whatever came of it: do not wait
	}
	return func(b []byte) (int, error) {
		p = b
		err := raw.Write(attempt)
		p = nil
		if err == nil && e != syscall.EAGAIN && e != syscall.EINTR {
			err = e
		}
		return max(n, 0), err
	}
}

// serveFiles is the standard library's file server with the limits that one
// would set in earnest.
func serveFiles(ctx context.Context, cfg *config, l net.Listener, ready func(net.Addr) error) error {
	srv := &http.Server{
		Handler:           http.FileServer(http.Dir(cfg.root)),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	if err := ready(l.Addr()); err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("net/http: serve: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if srv.Shutdown(end) != nil {
		_ = srv.Close() // somebody would not finish
	}
	<-served
	return nil
}
