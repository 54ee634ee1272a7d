package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lesismal/nbio"
	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/taskpool"
)

// Tried, ratio of CPU per message to the choice made at 20,000/s and in a closed
// loop: GOMAXPROCS=1 1.13 and 1.06; the poller locked to its thread (lock) 0.95 to 1.05 and 1.00;
// edge-triggered (et) 0.98 and 1.00; edge-triggered with reads in a pool (etasync) 0.96 and 1.13,
// at 16 times the median latency. Framed: GOMAXPROCS=2 1.17 and 1.28 of what it is with 4; disk
// reads by the library's pool (taskpool) instead of ours 1.0 and 1.3.
type nbioServer struct {
	cfg     *config
	readers *readers[*nbio.Conn]
	// mu guards room: connections open in the listener's goroutine, close in
	// another, and messages come in the poller's.
	mu   sync.Mutex
	room room[*nbioConn]
}

// nbioConn is a connection's session.
type nbioConn struct {
	conn  *nbio.Conn
	in    partial
	index int
	// opened is atomic for the race detector: the listener's goroutine makes the
	// session, the poller's uses it, and only epoll_ctl, which the detector does
	// not see, is between them.
	opened atomic.Bool
}

func runNbio(ctx context.Context, cfg *config, ready func(net.Addr) error) error {
	logging.Output = os.Stderr // stdout is for the ready line
	logging.SetLevel(logging.LevelError)
	conf := nbio.Config{
		Network: "tcp", Addrs: []string{cfg.listen}, NPoller: 1,
		MaxWriteBufferSize: maxUnsentBytes, LockPoller: cfg.tuned("lock"),
	}
	if cfg.tuned("et") || cfg.tuned("etasync") {
		conf.EpollMod = nbio.EPOLLET
		conf.AsyncReadInPoller = cfg.tuned("etasync")
	}
	if conf.AsyncReadInPoller {
		conf.IOExecute = taskpool.NewIO(64, 1024, nbio.DefaultReadBufferSize).Go
	}
	var addr net.Addr
	conf.Listen = func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		if err == nil {
			addr = l.Addr()
		}
		return l, err
	}
	s := &nbioServer{cfg: cfg}
	s.room.place = func(c *nbioConn) *int { return &c.index }
	var spawn func(func())
	if cfg.tuned("taskpool") {
		spawn = taskpool.New(readerGoroutines, 4096).Go
	}
	s.readers = newReaders(cfg.disk, spawn, s.answer)
	e := nbio.NewEngine(conf)
	s.register(e)
	if err := e.Start(); err != nil {
		return fmt.Errorf("nbio on %q: %w", cfg.listen, err)
	}
	if err := ready(addr); err != nil {
		return err
	}
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := e.Shutdown(end); err != nil {
		return fmt.Errorf("nbio: shutdown: %w", err)
	}
	s.readers.stop()
	return nil
}

func (s *nbioServer) register(e *nbio.Engine) {
	if s.cfg.workload == "echo" {
		// Write sends at once and copies only what the kernel does not take.
		e.OnData(func(c *nbio.Conn, p []byte) { _, _ = c.Write(p) })
		return
	}
	e.OnOpen(func(c *nbio.Conn) {
		m := &nbioConn{conn: c}
		c.SetSession(m)
		s.mu.Lock()
		s.room.add(m)
		s.mu.Unlock()
		m.opened.Store(true)
	})
	e.OnClose(func(c *nbio.Conn, _ error) {
		s.mu.Lock()
		s.room.remove(c.Session().(*nbioConn))
		s.mu.Unlock()
	})
	handle := s.fanout
	if s.cfg.workload == "framed" {
		handle = s.framed
	}
	e.OnData(func(c *nbio.Conn, p []byte) {
		m := c.Session().(*nbioConn)
		if !m.opened.Load() {
			return // never: a connection is polled after OnOpen
		}
		p = m.in.join(p)
		n, ok := handle(c, p)
		if !ok {
			_ = c.Close()
			return
		}
		m.in.keep(p[n:])
	})
}

func (s *nbioServer) framed(c *nbio.Conn, p []byte) (int, bool) {
	return splitFrames(p,
		func(run []byte) { _, _ = c.Write(run) },
		func(f *frame) { s.readers.read(c, f) })
}

// answer is called by a reader; nbio's connections may be written to by anyone.
func (s *nbioServer) answer(c *nbio.Conn, f *frame) { _, _ = c.Write(f[:]) }

func (s *nbioServer) fanout(_ *nbio.Conn, p []byte) (int, bool) {
	n, ok := wholeMessages(p)
	if n == 0 || !ok {
		return n, ok
	}
	s.mu.Lock()
	for _, m := range s.room.all {
		_, _ = m.conn.Write(p[:n]) // closes a receiver that is too slow
	}
	s.mu.Unlock()
	return n, true
}
