package load

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/syslet/syslet/workloads/script"
)

// tagged is a script of 8-byte frames {tag, number}; the server sends each back.
// With hello set it first sends 8 bytes of hello and waits for them. Every third
// request is of kind 1.
type tagged struct {
	window int
	hello  bool
}

func (t tagged) Kinds() []string { return []string{"even", "third"} }
func (t tagged) Window() int     { return t.window }
func (t tagged) Client(i int, seed uint64) script.Client {
	return &taggedClient{load: t, welcome: !t.hello}
}

type taggedClient struct {
	load    tagged
	next    uint32
	welcome bool
}

var helloFrame = []byte("hello!!!")

func (c *taggedClient) Hello(dst []byte) []byte {
	if c.load.hello {
		return append(dst, helloFrame...)
	}
	return dst
}

func (c *taggedClient) Ready() bool { return c.welcome }

func (c *taggedClient) Request(dst []byte) ([]byte, uint32, int) {
	tag := c.next & uint32(c.load.window-1)
	dst = binary.LittleEndian.AppendUint32(dst, tag)
	dst = binary.LittleEndian.AppendUint32(dst, c.next)
	c.next++
	kind := 0
	if c.next%3 == 0 {
		kind = 1
	}
	return dst, tag, kind
}

var errBadFrame = errors.New("bad frame")

func (c *taggedClient) Received(p []byte, answered []uint32) (int, []uint32, error) {
	at := 0
	for ; len(p)-at >= 8; at += 8 {
		if string(p[at:at+8]) == string(helloFrame) {
			c.welcome = true
			continue
		}
		tag := binary.LittleEndian.Uint32(p[at:])
		if tag == 0xffffffff {
			return at, answered, errBadFrame
		}
		answered = append(answered, tag)
	}
	return at, answered, nil
}

// server is an echo server of the net package, one goroutine per connection.
type server struct {
	listener net.Listener
	// paused is held for writing while the server stands still.
	paused sync.RWMutex
	// onFrame may look at and change what goes back, and refuse to go on; n counts
	// the reads of the connection. Set before the first connection.
	onRead func(conn net.Conn, n int, p []byte) bool
	wg     sync.WaitGroup
	mu     sync.Mutex
	open   map[net.Conn]struct{}
}

func serve(t testing.TB, onRead func(conn net.Conn, n int, p []byte) bool) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{listener: listener, onRead: onRead, open: map[net.Conn]struct{}{}}
	s.wg.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

func (s *server) target() string { return s.listener.Addr().String() }

func (s *server) stop() {
	s.listener.Close()
	s.closeAll()
	s.wg.Wait()
}

func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		conn.Close()
	}
}

func (s *server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[conn] = struct{}{}
		s.mu.Unlock()
		s.wg.Go(func() { s.echo(conn) })
	}
}

func (s *server) echo(conn net.Conn) {
	defer func() {
		s.mu.Lock()
		delete(s.open, conn)
		s.mu.Unlock()
		conn.Close()
	}()
	buf := make([]byte, 64<<10)
	for n := 0; ; n++ {
		// Whole frames: at least one, and what else is there.
		got, err := io.ReadAtLeast(conn, buf, 8)
		if err != nil {
			return
		}
		if got%8 != 0 {
			rest, err := io.ReadFull(conn, buf[got:got+8-got%8])
			if err != nil {
				return
			}
			got += rest
		}
		s.paused.RLock()
		goOn := s.onRead == nil || s.onRead(conn, n, buf[:got])
		s.paused.RUnlock()
		if !goOn {
			return
		}
		if _, err := conn.Write(buf[:got]); err != nil {
			return
		}
	}
}

func mustRun(t testing.TB, cfg Config) *Report {
	t.Helper()
	report, err := Run(context.Background(), cfg)
	require.NoError(t, err)
	checkBalance(t, report)
	return report
}

// checkBalance: every request of the window is in one place and in the histograms.
func checkBalance(t testing.TB, r *Report) {
	t.Helper()
	c := r.Counts
	require.Equal(t, c.Intended, c.Answered+c.Unanswered+c.Lost+c.Unsent, "%+v", c)
	require.Equal(t, c.Intended, r.All.Latency.Count)
	require.Equal(t, c.Intended-c.Unsent, r.All.Service.Count)
	var kinds int64
	for _, k := range r.Kinds {
		kinds += k.Latency.Count
	}
	require.Equal(t, c.Intended-c.Unsent, kinds)
	if r.Mode == Open {
		require.Equal(t, c.Intended, r.Self.Pacing.Count)
	}
}
