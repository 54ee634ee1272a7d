package load

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// acceptor is a server that keeps what connects; it answers as behave says.
func acceptor(t *testing.T, behave func(net.Conn)) (addr string, sources *atomic.Pointer[map[string]int]) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	sources = &atomic.Pointer[map[string]int]{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		seen := map[string]int{}
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			seen[host]++
			now := map[string]int{}
			for k, v := range seen {
				now[k] = v
			}
			sources.Store(&now)
			go behave(c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), sources
}

func echoes(c net.Conn) {
	buf := make([]byte, 1000)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func TestIdlersComeFromManyAddresses(t *testing.T) {
	addr, sources := acceptor(t, echoes)
	d, err := OpenIdle(context.Background(), IdleConfig{Target: addr, Conns: 90, SourceAddrs: 3, EchoBytes: 300_000, InFlight: 10})
	require.NoError(t, err)
	defer d.Close()
	require.Equal(t, map[string]int{"127.0.0.2": 30, "127.0.0.3": 30, "127.0.0.4": 30}, *sources.Load())
	r := d.Report()
	require.Equal(t, 90, r.Conns)
	require.InEpsilon(t, 90/r.ConnectS, r.RatePerS, 1e-9)
	lost, err := d.Lost()
	require.NoError(t, err)
	require.Zero(t, lost)
}

func TestIdlersBoundedRate(t *testing.T) {
	addr, _ := acceptor(t, func(net.Conn) {})
	d, err := OpenIdle(context.Background(), IdleConfig{Target: addr, Conns: 21, ConnectRate: 100})
	require.NoError(t, err)
	defer d.Close()
	require.GreaterOrEqual(t, d.Report().ConnectS, 0.19)
	require.Equal(t, 1, d.Report().SourceAddrs)
}

func TestIdlersThatAreClosed(t *testing.T) {
	_, err := func() (*Idlers, error) {
		addr, _ := acceptor(t, func(c net.Conn) { c.Close() })
		return OpenIdle(context.Background(), IdleConfig{Target: addr, Conns: 5, EchoBytes: 10})
	}()
	require.Error(t, err, "closed before they were idle")

	end := make(chan struct{})
	closed := make(chan struct{}, 7)
	addr, _ := acceptor(t, func(c net.Conn) { <-end; c.Close(); closed <- struct{}{} })
	d, err := OpenIdle(context.Background(), IdleConfig{Target: addr, Conns: 7})
	require.NoError(t, err)
	defer d.Close()
	close(end)
	for range 7 {
		<-closed
	}
	require.Eventually(t, func() bool { n, err := d.Lost(); return err == nil && n == 7 }, 5*time.Second, time.Millisecond)
}

func TestIdlersThatCannotBe(t *testing.T) {
	addr, _ := acceptor(t, func(net.Conn) {})
	for _, cfg := range []IdleConfig{
		{Conns: 1}, {Target: addr}, {Target: addr, Conns: 1, SourceAddrs: -1}, {Target: addr, Conns: 1, EchoBytes: -1},
		{Target: addr, Conns: 1, ConnectRate: -1}, {Target: "[::1]:1", Conns: 1, SourceAddrs: 2}, {Target: "127.0.0.1:1", Conns: 1},
		{Target: addr, Conns: 3, EchoBytes: 10, Timeout: 50 * time.Millisecond}, // nobody answers
	} {
		_, err := OpenIdle(context.Background(), cfg)
		require.Error(t, err, "%+v", cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := OpenIdle(ctx, IdleConfig{Target: addr, Conns: 3})
	require.ErrorIs(t, err, context.Canceled)
}
