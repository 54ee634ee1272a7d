package conformance

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

func random(rng *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
	return p
}

// writeSplit writes p in random pieces.
func writeSplit(rng *rand.Rand, c net.Conn, p []byte) error {
	for len(p) > 0 {
		n := min(len(p), 1+int(rng.ExpFloat64()*float64(1+rng.IntN(64<<10))))
		if _, err := c.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// echo sends random sizes up to 8 MiB in random splits over several connections.
func (s suite) echo(t *testing.T) {
	v := s.serve(t, runtime.Options{MaxUnsent: 16 << 20, UnsentPolicy: runtime.PolicyPause}, echoApp())
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var wg sync.WaitGroup
	for i, size := range []int{1, 17, 4095, 4096, 4097, 65536, 1 << 20, 8 << 20} {
		c := dial(t, v)
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			want := random(rng, size)
			errs := make(chan error, 1)
			go func() { errs <- writeSplit(rng, c, want) }()
			got := make([]byte, size)
			_, err := io.ReadFull(c, got)
			if err == nil {
				err = <-errs
			}
			if err != nil || !bytes.Equal(want, got) {
				t.Errorf("%d bytes, seed %d: err %v, equal %v", size, seed, err, bytes.Equal(want, got))
			}
		}()
	}
	wg.Wait()
}

// halfClose: what was sent before the peer's end of stream is still answered.
func (s suite) halfClose(t *testing.T) {
	reasons := make(chan error, 1)
	a := echoApp()
	a.closed = func(_ *runtime.Conn, reason error) { reasons <- reason }
	v := s.serve(t, runtime.Options{}, a)
	c := dial(t, v)
	want := random(rand.New(rand.NewPCG(1, 1)), 2<<20)
	go func() { _, _ = c.Write(want); _ = c.CloseWrite() }()
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "%d of %d bytes", len(got), len(want))
	require.ErrorIs(t, await(t, reasons), runtime.ErrPeerClosed)
}

func (s suite) reset(t *testing.T) {
	opened, reasons := make(chan struct{}, 1), make(chan error, 1)
	v := s.serve(t, runtime.Options{}, &app{
		opened: func(*runtime.Conn) { opened <- struct{}{} },
		closed: func(_ *runtime.Conn, reason error) { reasons <- reason },
	})
	c := dial(t, v)
	await(t, opened)
	require.NoError(t, c.SetLinger(0))
	require.NoError(t, c.Close())
	require.ErrorIs(t, await(t, reasons), unix.ECONNRESET)
}

func (s suite) thousand(t *testing.T) {
	const n = 1000
	v := s.serve(t, runtime.Options{Shards: 2}, echoApp())
	conns := make([]*net.TCPConn, n)
	for i := range conns {
		conns[i] = dial(t, v)
	}
	for i, c := range conns {
		_, err := c.Write([]byte{byte(i), byte(i >> 8), 'x'})
		require.NoError(t, err)
	}
	for i, c := range conns {
		var got [3]byte
		_, err := io.ReadFull(c, got[:])
		require.NoError(t, err)
		require.Equal(t, [3]byte{byte(i), byte(i >> 8), 'x'}, got)
	}
	require.EqualValues(t, n, statsOf(t, v).Conns)
}

// slowReader: one that does not read must not hold up the others.
func (s suite) slowReader(t *testing.T) {
	v := s.serve(t, runtime.Options{MaxUnsent: 32 << 20}, echoApp())
	slow, quick := dial(t, v), dial(t, v)
	want := random(rand.New(rand.NewPCG(2, 2)), 8<<20)
	go func() { _, _ = slow.Write(want) }()
	for statsOf(t, v).BytesIn < 1<<20 { // and we read nothing of its echo
		time.Sleep(time.Millisecond)
	}
	for i := range 100 {
		_, err := quick.Write([]byte{byte(i)})
		require.NoError(t, err)
		var b [1]byte
		_, err = io.ReadFull(quick, b[:])
		require.NoError(t, err)
		require.Equal(t, byte(i), b[0])
	}
	got := make([]byte, len(want))
	_, err := io.ReadFull(slow, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
}

// leftovers: what is not consumed is shown again, in front of what follows.
func (s suite) leftovers(t *testing.T) {
	const frame = 10
	v := s.serve(t, runtime.Options{}, &app{data: func(c *runtime.Conn, p []byte) int {
		n := len(p) / frame * frame
		_ = c.Write(p[:n])
		return n
	}})
	c := dial(t, v)
	rng := rand.New(rand.NewPCG(3, 3))
	want := random(rng, frame*20000)
	go func() { _ = writeSplit(rng, c, want) }()
	got := make([]byte, len(want))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
}

func (s suite) closeFlushes(t *testing.T) {
	want := random(rand.New(rand.NewPCG(4, 4)), 1<<20)
	reasons := make(chan error, 1)
	v := s.serve(t, runtime.Options{}, &app{
		data:   func(c *runtime.Conn, p []byte) int { _ = c.Write(want); c.Close(); return len(p) },
		closed: func(c *runtime.Conn, reason error) { reasons <- errors.Join(reason, c.Write([]byte("x"))) },
	})
	c := dial(t, v)
	// More than the server reads: its close must not turn into a reset.
	_, err := c.Write(make([]byte, 100<<10))
	require.NoError(t, err)
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
	reason := await(t, reasons)
	require.ErrorIs(t, reason, runtime.ErrClosedByApp)
	require.ErrorIs(t, reason, runtime.ErrConnClosed)
}

func (s suite) abort(t *testing.T) {
	reasons := make(chan error, 1)
	v := s.serve(t, runtime.Options{}, &app{
		data:   func(c *runtime.Conn, p []byte) int { c.Abort(); return len(p) },
		closed: func(_ *runtime.Conn, reason error) { reasons <- reason },
	})
	c := dial(t, v)
	_, err := c.Write([]byte("x"))
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	require.ErrorIs(t, err, unix.ECONNRESET)
	require.ErrorIs(t, await(t, reasons), runtime.ErrClosedByApp)
}

// lingerTimeout: a peer that takes no bytes cannot keep a closing connection.
func (s suite) lingerTimeout(t *testing.T) {
	v := s.serve(t, runtime.Options{MaxUnsent: 64 << 20, LingerTimeout: 50 * time.Millisecond}, &app{
		data: func(c *runtime.Conn, p []byte) int { _ = c.Write(make([]byte, 32<<20)); c.Close(); return len(p) },
	})
	c := dial(t, v)
	_, err := c.Write([]byte("x"))
	require.NoError(t, err)
	for statsOf(t, v).LingerTimeouts == 0 {
		time.Sleep(time.Millisecond)
	}
	require.Zero(t, statsOf(t, v).Conns)
}

func (s suite) pauseResume(t *testing.T) {
	got := make(chan byte, 16)
	v := s.serve(t, runtime.Options{}, &app{
		opened: func(c *runtime.Conn) { c.Pause() },
		data: func(_ *runtime.Conn, p []byte) int {
			for _, b := range p {
				got <- b
			}
			return len(p)
		},
	})
	c := dial(t, v)
	_, err := c.Write([]byte("a"))
	require.NoError(t, err)
	var conn *runtime.Conn
	for conn == nil { // accepted soon
		on(t, v, func(s *runtime.Shard) { conn = s.ConnInSlot(0) })
	}
	require.Empty(t, got)
	on(t, v, func(*runtime.Shard) { conn.Resume() })
	require.Equal(t, byte('a'), await(t, got))
}

// sharedBlock: one block to many connections.
func (s suite) sharedBlock(t *testing.T) {
	const n = 50
	block := runtime.NewBlock(random(rand.New(rand.NewPCG(5, 5)), 10000))
	opened := make(chan struct{}, n)
	var conns []*runtime.Conn
	v := s.serve(t, runtime.Options{}, &app{opened: func(c *runtime.Conn) { conns = append(conns, c); opened <- struct{}{} }})
	var clients []*net.TCPConn
	for range n {
		clients = append(clients, dial(t, v))
		await(t, opened)
	}
	on(t, v, func(*runtime.Shard) {
		for _, c := range conns {
			_ = c.WriteBlock(block)
			_ = c.Write([]byte("!"))
		}
	})
	for _, c := range clients {
		got := make([]byte, block.Len()+1)
		_, err := io.ReadFull(c, got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(block.Bytes(), got[:block.Len()]))
		require.Equal(t, byte('!'), got[block.Len()])
	}
}

// staleID: the name of a connection that is gone never names its successor.
func (s suite) staleID(t *testing.T) {
	ids := make(chan runtime.ConnID, 8)
	closed := make(chan struct{}, 8)
	v := s.serve(t, runtime.Options{}, &app{
		opened: func(c *runtime.Conn) { ids <- c.ID() },
		closed: func(*runtime.Conn, error) { closed <- struct{}{} },
	})
	seen := map[runtime.ConnID]bool{}
	for range 5 {
		c := dial(t, v)
		id := await(t, ids)
		require.False(t, seen[id])
		seen[id] = true
		on(t, v, func(s *runtime.Shard) { require.NotNil(t, s.Conn(id)) })
		require.NoError(t, c.Close())
		await(t, closed)
		on(t, v, func(s *runtime.Shard) { require.Nil(t, s.Conn(id)) })
	}
}

// endBehindMuch: the end of the stream is found however many turns it takes to
// read what lies before it, also after a pause.
func (s suite) endBehindMuch(t *testing.T) {
	for _, size := range []int{1000, 60 << 10, 300 << 10, 3 << 20} {
		got, done := 0, make(chan error, 1)
		opened := make(chan struct{})
		v := s.serve(t, runtime.Options{}, &app{
			opened: func(c *runtime.Conn) { c.Pause(); close(opened) },
			data:   func(_ *runtime.Conn, p []byte) int { got += len(p); return len(p) },
			closed: func(_ *runtime.Conn, reason error) { done <- reason },
		})
		c := dial(t, v)
		await(t, opened)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = c.Write(make([]byte, size))
			_ = c.CloseWrite()
		}()
		if size < 100<<10 {
			await(t, sent) // all of it, the end too, waits in the socket
			on(t, v, func(*runtime.Shard) {})
		}
		on(t, v, func(s *runtime.Shard) { s.ConnInSlot(0).Resume() })
		require.ErrorIs(t, await(t, done), runtime.ErrPeerClosed)
		on(t, v, func(*runtime.Shard) { require.Equal(t, size, got) })
	}
}
