package conformance

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/runtime"
)

// flooding answers each read with more than the limit, if the policy lets it.
func flooding(errs chan error, reasons chan error) *app {
	return &app{
		data: func(c *runtime.Conn, p []byte) int {
			for range 64 {
				if err := c.Write(make([]byte, 1<<20)); err != nil {
					errs <- err
					break
				}
			}
			return len(p)
		},
		closed: func(_ *runtime.Conn, reason error) { reasons <- reason },
	}
}

func (s suite) unsentClose(t *testing.T) {
	errs, reasons := make(chan error, 100), make(chan error, 1)
	v := s.serve(t, runtime.Options{MaxUnsent: 8 << 20}, flooding(errs, reasons))
	c := dial(t, v)
	_, err := c.Write([]byte("x"))
	require.NoError(t, err)
	require.ErrorIs(t, await(t, errs), runtime.ErrUnsentLimit)
	require.ErrorIs(t, await(t, reasons), runtime.ErrUnsentLimit)
	require.EqualValues(t, 1, statsOf(t, v).ClosedByLimit)
}

func (s suite) unsentDrop(t *testing.T) {
	errs, reasons := make(chan error, 100), make(chan error, 1)
	v := s.serve(t, runtime.Options{MaxUnsent: 8 << 20, UnsentPolicy: runtime.PolicyDrop}, flooding(errs, reasons))
	c := dial(t, v)
	_, err := c.Write([]byte("x"))
	require.NoError(t, err)
	require.ErrorIs(t, await(t, errs), runtime.ErrUnsentLimit)
	_, err = io.ReadFull(c, make([]byte, 8<<20))
	require.NoError(t, err, "the connection lives and gets what was below the limit")
	require.EqualValues(t, 1, statsOf(t, v).UnsentDropped)
	require.Empty(t, reasons)
}

// unsentPause: a peer that sends and does not read is read no further, and all
// of it is answered once it reads. (The baseline's reader stops by itself: it
// is the one that writes.)
func (s suite) unsentPause(t *testing.T) {
	const limit, size = 256 << 10, 32 << 20
	most := 0
	a := echoApp()
	a.data = func(c *runtime.Conn, p []byte) int {
		_ = c.Write(p)
		most = max(most, c.Unsent())
		return len(p)
	}
	v := s.serve(t, runtime.Options{MaxUnsent: limit, UnsentPolicy: runtime.PolicyPause}, a)
	c := dial(t, v)
	go func() { _, _ = c.Write(make([]byte, size)) }()
	// Until nothing comes in any more: both sockets' buffers and ours are full.
	for still, last := 0, uint64(0); still < 5; {
		if in := statsOf(t, v).BytesIn; in > 0 && in == last {
			still++
		} else {
			still, last = 0, in
		}
		time.Sleep(time.Millisecond)
	}
	n, err := io.CopyN(io.Discard, c, size)
	require.NoError(t, err, "after %d bytes", n)
	on(t, v, func(*runtime.Shard) { require.LessOrEqual(t, most, 2*limit) })
}

func (s suite) unreadClose(t *testing.T) {
	reasons := make(chan error, 1)
	v := s.serve(t, runtime.Options{MaxUnread: 10000}, &app{
		data:   func(*runtime.Conn, []byte) int { return 0 },
		closed: func(_ *runtime.Conn, reason error) { reasons <- reason },
	})
	c := dial(t, v)
	go func() { _, _ = c.Write(make([]byte, 1<<20)) }()
	require.ErrorIs(t, await(t, reasons), runtime.ErrUnreadLimit)
}

func (s suite) unreadPause(t *testing.T) {
	const limit, size = 10000, 4 << 20
	most, total := 0, 0
	hungry := false
	done := make(chan struct{})
	v := s.serve(t, runtime.Options{MaxUnread: limit, UnreadPolicy: runtime.PolicyPause}, &app{
		data: func(_ *runtime.Conn, p []byte) int {
			if !hungry {
				most = max(most, len(p))
				return 0
			}
			if total += len(p); total == size {
				close(done)
			}
			return len(p)
		},
	})
	c := dial(t, v)
	go func() { _, _ = c.Write(make([]byte, size)) }()
	for statsOf(t, v).ReadPauses == 0 {
		time.Sleep(time.Millisecond)
	}
	on(t, v, func(s *runtime.Shard) {
		require.Less(t, most, limit+(256<<10), "one read beyond the limit at the most")
		hungry = true
		s.ConnInSlot(0).Reread()
	})
	await(t, done)
}

func (s suite) maxConns(t *testing.T) {
	v := s.serve(t, runtime.Options{MaxConns: 3}, echoApp())
	for range 3 {
		ping(t, dial(t, v))
	}
	_, err := dial(t, v).Read(make([]byte, 1))
	require.Error(t, err)
	require.EqualValues(t, 1, statsOf(t, v).RefusedConns)
	require.EqualValues(t, 3, statsOf(t, v).Conns)
}

func (s suite) maxConnsPerAddr(t *testing.T) {
	v := s.serve(t, runtime.Options{MaxConnsPerAddr: 2}, echoApp())
	first := dial(t, v)
	ping(t, first)
	ping(t, dial(t, v))
	_, err := dial(t, v).Read(make([]byte, 1))
	require.Error(t, err)
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}, Timeout: patience}
	other, err := d.Dial("tcp", v.Addr().String())
	require.NoError(t, err)
	defer other.Close()
	ping(t, other)
	require.NoError(t, first.Close())
	for statsOf(t, v).Conns != 2 {
		time.Sleep(time.Millisecond)
	}
	ping(t, dial(t, v))
}

func ping(t *testing.T, c net.Conn) {
	t.Helper()
	_, err := c.Write([]byte("ping"))
	require.NoError(t, err)
	_, err = io.ReadFull(c, make([]byte, 4))
	require.NoError(t, err)
}

func (s suite) idle(t *testing.T) {
	reasons := make(chan error, 1)
	a := echoApp()
	a.closed = func(_ *runtime.Conn, reason error) { reasons <- reason }
	v := s.serve(t, runtime.Options{IdleTimeout: 40 * time.Millisecond}, a)
	ping(t, dial(t, v))
	require.ErrorIs(t, await(t, reasons), runtime.ErrIdle)
	require.EqualValues(t, 1, statsOf(t, v).ClosedByIdle)
}
