package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"
	"github.com/panjf2000/gnet/v2/pkg/pool/goroutine"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"
)

// Tried, ratio of CPU per message to the choice made at 20,000/s and in a closed
// loop: GOMAXPROCS=1 1.22 and 1.05, =3 1.00 and 0.99; the loop locked to its thread (lock)
// 1.21 and 1.00; edge-triggered (et) 1.02 and 1.04, fan-out to 500 0.99; an acceptor of
// its own (reactors) 1.00 and 0.99. Built without the tag poll_opt 1.03 and between 1.02 and
// 1.08, with gc_opt as well 1.0 (build with poll_opt; /stats tells). Disk reads by the library's pool
// (ants) instead of ours: no difference.
type gnetServer struct {
	gnet.BuiltinEventEngine
	cfg     *config
	ready   func(net.Addr) error
	readers *readers[gnet.Conn]
	eng     gnet.Engine
	booted  chan struct{}
	err     error
	// room is touched by the only event loop.
	room room[*gnetMember]
}

// gnetMember is a connection of the workload fanout.
type gnetMember struct {
	conn  gnet.Conn
	index int
}

func runGnet(ctx context.Context, cfg *config, ready func(net.Addr) error) error {
	s := &gnetServer{cfg: cfg, ready: ready, booted: make(chan struct{})}
	s.room.place = func(m *gnetMember) *int { return &m.index }
	var spawn func(func())
	if cfg.tuned("ants") {
		pool := goroutine.Default()
		spawn = func(f func()) { _ = pool.Submit(f) }
	}
	s.readers = newReaders(cfg.disk, spawn, s.answer)
	stopped := make(chan error, 1)
	go func() {
		select {
		case <-ctx.Done():
		case <-stopped:
			return
		}
		<-s.booted
		_ = s.eng.Stop(context.Background())
	}()
	err := gnet.Run(s, "tcp://"+cfg.listen,
		gnet.WithNumEventLoop(1),
		gnet.WithReusePort(!cfg.tuned("reactors")),
		gnet.WithEdgeTriggeredIO(cfg.tuned("et")),
		gnet.WithLockOSThread(cfg.tuned("lock")),
		gnet.WithTCPNoDelay(gnet.TCPNoDelay),
		gnet.WithLogger(stderrLogger()),
	)
	close(stopped)
	s.readers.stop()
	if s.err != nil {
		return s.err
	}
	if err != nil {
		return fmt.Errorf("gnet on %q: %w", cfg.listen, err)
	}
	return nil
}

// stderrLogger keeps gnet's log off stdout, which is for the ready line.
func stderrLogger() logging.Logger {
	enc := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	return zap.New(zapcore.NewCore(enc, zapcore.Lock(os.Stderr), zapcore.ErrorLevel)).Sugar()
}

// OnBoot is called when the listener is open; only its descriptor tells the port.
func (s *gnetServer) OnBoot(eng gnet.Engine) gnet.Action {
	s.eng = eng
	defer close(s.booted)
	fd, err := eng.Dup()
	if err == nil {
		defer unix.Close(fd)
		var addr net.Addr
		if addr, err = socketAddr(fd); err == nil {
			err = s.ready(addr)
		}
	}
	if err != nil {
		s.err = fmt.Errorf("gnet on %q: %w", s.cfg.listen, err)
		return gnet.Shutdown
	}
	return gnet.None
}

func (s *gnetServer) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	if s.cfg.workload == "fanout" {
		m := &gnetMember{conn: c}
		c.SetContext(m)
		s.room.add(m)
	}
	return nil, gnet.None
}

func (s *gnetServer) OnClose(c gnet.Conn, _ error) gnet.Action {
	if m, ok := c.Context().(*gnetMember); ok {
		s.room.remove(m)
	}
	return gnet.None
}

// OnTraffic runs in the loop, where Write goes to the socket at once and
// copies only what the kernel does not take. A failed Write closes.
func (s *gnetServer) OnTraffic(c gnet.Conn) gnet.Action {
	switch s.cfg.workload {
	case "echo":
		p, _ := c.Next(-1)
		_, _ = c.Write(p)
		return bounded(c)
	case "framed":
		return s.framed(c)
	default:
		return s.fanout(c)
	}
}

func bounded(c gnet.Conn) gnet.Action {
	if c.OutboundBuffered() > maxUnsentBytes {
		return gnet.Close
	}
	return gnet.None
}

func (s *gnetServer) framed(c gnet.Conn) gnet.Action {
	p, _ := c.Peek(-1)
	n, ok := splitFrames(p,
		func(run []byte) { _, _ = c.Write(run) },
		func(f *frame) { s.readers.read(c, f) })
	if !ok {
		return gnet.Close
	}
	if n > 0 { // Discard(0) would discard everything
		_, _ = c.Discard(n)
	}
	return bounded(c)
}

// answer is called by a reader.
func (s *gnetServer) answer(c gnet.Conn, f *frame) {
	out := *f
	_ = c.AsyncWrite(out[:], nil) // fails only for a connection that has gone
}

func (s *gnetServer) fanout(c gnet.Conn) gnet.Action {
	p, _ := c.Peek(-1)
	n, ok := wholeMessages(p)
	if !ok {
		return gnet.Close
	}
	if n == 0 {
		return gnet.None
	}
	// Backwards: a write that fails takes its member out of the room and
	// moves one into its place that has had its turn.
	for i := len(s.room.all) - 1; i >= 0; i-- {
		to := s.room.all[i].conn
		if to == c {
			continue
		}
		_, _ = to.Write(p[:n])
		if to.OutboundBuffered() > maxUnsentBytes {
			_ = to.Close() // in the loop's next round
		}
	}
	// The sender last: its end, if the write fails, frees what p points to.
	_, _ = c.Write(p[:n])
	_, _ = c.Discard(n)
	return bounded(c)
}

// socketAddr is the local address of a TCP socket.
func socketAddr(fd int) (net.Addr, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return nil, os.NewSyscallError("getsockname", err)
	}
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}, nil
	case *unix.SockaddrInet6:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}, nil
	}
	return nil, fmt.Errorf("address family of %T", sa)
}
