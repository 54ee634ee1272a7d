package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/evio"
	"golang.org/x/sys/unix"
)

// evioStopPoll is how often the loop looks whether it should end: evio ends
// only by what a callback returns.
const evioStopPoll = 100 * time.Millisecond

// Tried, ratio of CPU per message to the choice made at 20,000/s and in a closed
// loop: GOMAXPROCS=1 1.32 and 1.04; a copy of the input for each event (copy) 1.01 and
// 1.01; framed with a goroutine per disk read (go) instead of ours 1.0. The library has no other options. Its
// two epoll_ctl per answer, and in fan-out a wake-up per receiver, cannot be avoided.
type evioServer struct {
	cfg     *config
	ready   func(net.Addr) error
	err     error
	readers *readers[*evioConn]
	room    room[*evioConn]
	// stalled are the connections whose pending bytes wait until evio has
	// written what it holds. Touched by the loop only, as is retrying.
	stalled  []*evioConn
	retrying bool
}

// evioConn is a connection's context. Everything but the fields under mu
// belongs to the loop.
type evioConn struct {
	conn  evio.Conn
	in    evio.InputStream
	index int
	// out is conn's own output that it has not written yet.
	out reflect.Value

	mu      sync.Mutex // readers append answers
	pending []byte
	woken   bool
	dead    bool // left too much unread; evio cannot close it before that is written
}

func runEvio(ctx context.Context, cfg *config, ready func(net.Addr) error) error {
	s := &evioServer{cfg: cfg, ready: ready}
	s.room.place = func(c *evioConn) *int { return &c.index }
	var spawn func(func())
	if cfg.tuned("go") {
		spawn = func(f func()) { go f() }
	}
	s.readers = newReaders(cfg.disk, spawn, func(c *evioConn, f *frame) {
		out := *f
		c.push(out[:])
	})
	ticked := false
	var stop atomic.Bool // set by the signal's goroutine, read by the loop
	defer context.AfterFunc(ctx, func() { stop.Store(true) })()
	events := evio.Events{
		NumLoops: 1,
		Serving:  s.serving,
		Opened:   s.opened,
		Tick: func() (time.Duration, evio.Action) {
			// Not in the first call: evio would hang if its loop ended before
			// Serve has come to wait for the end.
			if stop.Load() && ticked {
				return evioStopPoll, evio.Shutdown
			}
			ticked = true
			return evioStopPoll, evio.None
		},
	}
	switch cfg.workload {
	case "echo":
		events.Data = func(_ evio.Conn, in []byte) ([]byte, evio.Action) { return in, evio.None }
	case "framed":
		events.Data, events.Closed, events.PreWrite = s.data(s.framed), s.closed, s.preWrite
	default:
		events.Data, events.Closed, events.PreWrite = s.data(s.fanout), s.closed, s.preWrite
	}
	if err := evio.Serve(events, "tcp://"+cfg.listen); err != nil {
		return fmt.Errorf("evio on %q: %w", cfg.listen, err)
	}
	if s.err == nil && !stop.Load() {
		s.err = fmt.Errorf("%w: evio %s: its loop ended by itself (it does so when accept fails, for instance without descriptors)",
			errUnable, version("github.com/tidwall/evio"))
	}
	return s.err
}

func (s *evioServer) serving(srv evio.Server) evio.Action {
	s.err = noDelayListener(srv.Addrs[0])
	if s.err == nil {
		s.err = s.ready(srv.Addrs[0])
	}
	if s.err != nil {
		return evio.Shutdown
	}
	return evio.None
}

// noDelayListener sets TCP_NODELAY on the process' listener at addr, because
// evio neither does nor gives access to a descriptor. Accepted sockets inherit it.
func noDelayListener(addr net.Addr) error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("evio: TCP_NODELAY: %w", err)
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || v == 0 {
			continue
		}
		if a, err := socketAddr(fd); err == nil && a.String() == addr.String() {
			return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
		}
	}
	return fmt.Errorf("evio: TCP_NODELAY: no listener at %v among the process' descriptors", addr)
}

func (s *evioServer) opened(c evio.Conn) ([]byte, evio.Options, evio.Action) {
	if s.cfg.workload != "echo" {
		e := &evioConn{conn: c, out: reflect.ValueOf(c).Elem().FieldByName("out")}
		c.SetContext(e)
		s.room.add(e)
	}
	return nil, evio.Options{ReuseInputBuffer: !s.cfg.tuned("copy")}, evio.None
}

func (s *evioServer) closed(c evio.Conn, _ error) evio.Action {
	e, ok := c.Context().(*evioConn)
	if !ok { // ended before it was opened
		return evio.None
	}
	s.room.remove(e)
	for i, other := range s.stalled {
		if other == e {
			s.stalled = append(s.stalled[:i], s.stalled[i+1:]...)
			s.retrying = false
			break
		}
	}
	return evio.None
}

// push appends p, which must not change any more, to what e is to be sent, and
// wakes e. Any goroutine may call it.
func (e *evioConn) push(p []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.append(p); e.dead || e.woken {
		return
	}
	e.woken = true
	e.conn.Wake()
}

// append is called with mu held. The first block is referred to, not copied:
// many connections share it, and evio makes a copy of its own anyway.
func (e *evioConn) append(p []byte) {
	switch {
	case e.dead:
	case len(e.pending)+len(p) > maxUnsentBytes:
		e.dead, e.pending = true, nil
	case len(e.pending) == 0:
		e.pending = p[:len(p):len(p)] // no room: a later append copies
	default:
		e.pending = append(e.pending, p...)
	}
}

// data wraps a handler of input, which returns what it took. evio calls Data
// with input only while the connection has no output left, but after Wake at
// any time, and would then lose the output that is left (v1.0.8, loopWake): so
// a woken connection returns nothing until its output has gone.
func (s *evioServer) data(handle func(e *evioConn, in []byte) (int, bool)) func(evio.Conn, []byte) ([]byte, evio.Action) {
	return func(c evio.Conn, in []byte) ([]byte, evio.Action) {
		e := c.Context().(*evioConn)
		if len(in) == 0 {
			return s.woken(e)
		}
		p := e.in.Begin(in)
		n, ok := handle(e, p)
		e.in.End(p[n:])
		out, action := e.take()
		if !ok {
			action = evio.Close
		}
		return out, action
	}
}

// take is what e is to be sent. The caller may use it until the next push.
func (e *evioConn) take() ([]byte, evio.Action) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.woken = false
	out := e.pending
	e.pending = nil
	if e.dead {
		return out, evio.Close
	}
	return out, evio.None
}

func (s *evioServer) woken(e *evioConn) ([]byte, evio.Action) {
	if s.retrying && s.stalled[0] == e {
		s.retrying = false
		rest := s.stalled[:0]
		for _, other := range s.stalled {
			switch {
			case other.out.Len() > 0:
				rest = append(rest, other)
			case other != e:
				other.conn.Wake()
			}
		}
		s.stalled = rest
		if e.out.Len() > 0 {
			return nil, evio.None
		}
		return e.take()
	}
	if e.out.Len() > 0 {
		for _, other := range s.stalled {
			if other == e {
				return nil, evio.None
			}
		}
		s.stalled = append(s.stalled, e)
		return nil, evio.None
	}
	return e.take()
}

// preWrite is called before evio writes to some socket: perhaps to one of the
// stalled, so they are looked at once more afterwards.
func (s *evioServer) preWrite() {
	if len(s.stalled) > 0 && !s.retrying {
		s.retrying = true
		s.stalled[0].conn.Wake()
	}
}

func (s *evioServer) framed(e *evioConn, p []byte) (int, bool) {
	return splitFrames(p, e.answer, func(f *frame) { s.readers.read(e, f) })
}

// answer is push without waking, for the handler of e's own input: take
// follows, so p need not last longer than that.
func (e *evioConn) answer(p []byte) {
	e.mu.Lock()
	e.append(p)
	e.mu.Unlock()
}

func (s *evioServer) fanout(from *evioConn, p []byte) (int, bool) {
	n, ok := wholeMessages(p)
	if n == 0 || !ok {
		return n, ok
	}
	shared := append([]byte(nil), p[:n]...)
	for _, e := range s.room.all {
		if e == from {
			e.answer(shared)
		} else {
			e.push(shared)
		}
	}
	return n, true
}
