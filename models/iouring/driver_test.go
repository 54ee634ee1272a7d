package iouring

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, func(o srt.Options) (*srt.Server, error) { return srt.New(o, New) }, Probe())
}

// TestInterrupts: every wait is the ring's, and the kernel cancels it.
func TestInterrupts(t *testing.T) {
	conformance.RunInterrupts(t, func(o srt.Options) (*srt.Server, error) { return srt.New(o, New) }, Probe())
}

// TestConformanceTiny is the suite with queues that overflow and buffers that
// run out all the time.
func TestConformanceTiny(t *testing.T) {
	conformance.Run(t, func(o srt.Options) (*srt.Server, error) {
		o.RingEntries, o.RingBuffers, o.RingBufferBytes = 2, 2, 512
		return srt.New(o, New)
	}, Probe())
}

// app is an App of functions; nil ones do nothing.
type app struct {
	opened func(c *srt.Conn)
	data   func(c *srt.Conn, p []byte) int
	closed func(c *srt.Conn, reason error)
}

func (a *app) Opened(c *srt.Conn) {
	if a.opened != nil {
		a.opened(c)
	}
}

func (a *app) Data(c *srt.Conn, p []byte) int {
	if a.data != nil {
		return a.data(c, p)
	}
	return len(p)
}

func (a *app) Closed(c *srt.Conn, reason error) {
	if a.closed != nil {
		a.closed(c, reason)
	}
}

func echo() *app {
	return &app{data: func(c *srt.Conn, p []byte) int { _ = c.Write(p); return len(p) }}
}

// patience bounds every wait; no test relies on its length.
const patience = 30 * time.Second

// serve starts a server of one shard, stopped at the test's end, and gives its
// driver, which is for the shard only.
func serve(t testing.TB, o srt.Options, a *app) (*srt.Server, *Driver) {
	t.Helper()
	if err := Probe(); err != nil {
		t.Skipf("model refused: %v", err)
	}
	o.Listen = "127.0.0.1:0"
	var d *Driver
	v, err := srt.New(o, func(s *srt.Shard) (srt.Driver, error) {
		drv, err := New(s)
		d, _ = drv.(*Driver)
		return drv, err
	})
	require.NoError(t, err)
	require.NoError(t, v.Start(func(*srt.Shard) (srt.App, error) { return a, nil }))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, v.Stop(ctx))
	})
	return v, d
}

// on runs fn on the shard and waits for it.
func on(t testing.TB, v *srt.Server, fn func(s *srt.Shard)) {
	t.Helper()
	done := make(chan struct{})
	v.Shards()[0].Do(func(s *srt.Shard) { fn(s); close(done) })
	await(t, done)
}

func await[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case x := <-ch:
		return x
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// run runs a syslet of ops to its end.
func run(t testing.TB, v *srt.Server, y *srt.Syslet) {
	t.Helper()
	done := make(chan struct{})
	y.Done = func(*srt.Shard, *srt.Syslet) { close(done) }
	on(t, v, func(s *srt.Shard) {
		if s.Submit(y) != srt.Queued {
			close(done)
		}
	})
	await(t, done)
}

func statsOf(t testing.TB, v *srt.Server) srt.Stats {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	st, err := v.Stats(ctx)
	require.NoError(t, err)
	return st
}

// client is a raw, blocking socket: it allocates nothing per message.
type client struct{ fd int }

func dial(t testing.TB, v *srt.Server) client {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Close(fd)) })
	connect(t, fd, v)
	require.NoError(t, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	require.NoError(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience.Seconds())}))
	return client{fd}
}

func connect(t testing.TB, fd int, v *srt.Server) {
	t.Helper()
	to := netip.MustParseAddrPort(v.Addr().String())
	require.NoError(t, unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}))
}

func (c client) write(t testing.TB, p []byte) {
	for len(p) > 0 {
		n, err := unix.Write(c.fd, p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			t.Errorf("write: %v", err)
			return
		}
		p = p[n:]
	}
}

func (c client) read(t testing.TB, p []byte) {
	for len(p) > 0 {
		n, err := unix.Read(c.fd, p)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			t.Errorf("read: %d bytes, %v", n, err)
			return
		}
		p = p[n:]
	}
}

// BenchmarkEcho sends one message on each of n connections, then reads the n
// answers: n is 1 for ping-pong, more for what batching gives.
func BenchmarkEcho(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("conns=%d", n), func(b *testing.B) {
			v, _ := serve(b, srt.Options{}, echo())
			clients := make([]client, n)
			for i := range clients {
				clients[i] = dial(b, v)
			}
			msg, got := make([]byte, 64), make([]byte, 64)
			round := func() {
				for _, c := range clients {
					c.write(b, msg)
				}
				for _, c := range clients {
					c.read(b, got)
				}
			}
			round()
			before := statsOf(b, v)
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; done += n {
				round()
			}
			b.StopTimer()
			after := statsOf(b, v)
			msgs := float64(after.DataCallbacks - before.DataCallbacks)
			b.ReportMetric(float64(after.SystemCalls()-before.SystemCalls())/msgs, "syscalls/msg")
			b.ReportMetric(float64(after.Waits-before.Waits)/msgs, "waits/msg")
		})
	}
}
