package iouring

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
)

func random(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
	return p
}

// TestBuffersRunOut has more connections with more to say than there are receive
// buffers, entries and room for completions.
func TestBuffersRunOut(t *testing.T) {
	for _, list := range []string{"", "incremental", "bundle", "direct"} {
		t.Run(list, func(t *testing.T) { buffersRunOut(t, ring(t, list)) })
	}
}

func buffersRunOut(t *testing.T, o srt.RingOptions) {
	conformance.CheckLeaks(t)
	v, d := serve(t, srt.Options{RingEntries: 4, RingBuffers: 2, RingBufferBytes: 64, Ring: o}, echo())
	const conns, size = 20, 32 << 10
	done := make(chan bool, 2*conns)
	seed := rand.Uint64()
	for i := range conns {
		c, want := dial(t, v), random(seed+uint64(i), size)
		go func() { c.write(t, want); done <- true }()
		go func() {
			got := make([]byte, size)
			c.read(t, got)
			done <- bytes.Equal(want, got)
		}()
	}
	for range 2 * conns {
		require.True(t, await(t, done), "seed %d", seed)
	}
	on(t, v, func(*srt.Shard) {
		require.NotZero(t, d.starved)
		require.Zero(t, d.bufs.Lent())
	})
}

// TestPauseKeepsOrder pauses and resumes at random while bytes come in: what the
// kernel had received before the receive was cancelled is neither lost nor late.
func TestPauseKeepsOrder(t *testing.T) {
	conformance.CheckLeaks(t)
	const size = 1 << 20
	paused := 0
	var got []byte
	ended := make(chan struct{})
	rng := rand.New(rand.NewPCG(1, rand.Uint64()))
	a := &app{closed: func(*srt.Conn, error) { close(ended) }}
	a.data = func(c *srt.Conn, p []byte) int {
		if paused != 0 {
			t.Error("data for a paused connection")
		}
		got = append(got, p...)
		switch rng.IntN(3) {
		case 0:
			paused++
			c.Pause()
			id := c.ID()
			resume := srt.NewTimer(func(s *srt.Shard) {
				if c := s.Conn(id); c != nil {
					paused--
					c.Resume()
				}
			})
			c.Shard().Arm(resume, time.Duration(rng.IntN(100))*time.Microsecond)
		case 1:
			c.Pause() // and again before the cancellation is even submitted
			c.Resume()
		}
		return len(p)
	}
	v, _ := serve(t, srt.Options{RingBuffers: 64, RingBufferBytes: 256}, a)
	c, want := dial(t, v), random(7, size)
	go func() { c.write(t, want); _ = unix.Shutdown(c.fd, unix.SHUT_WR) }()
	await(t, ended)
	on(t, v, func(*srt.Shard) { require.True(t, bytes.Equal(want, got), "%d of %d bytes", len(got), size) })
}

// TestAcceptWaitsForDescriptors: when they run out, accepting goes on later by itself.
func TestAcceptWaitsForDescriptors(t *testing.T) {
	conformance.CheckLeaks(t)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	// Before the server: the ring keeps the limit that it found when it began to accept.
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(fd) + 64, Max: old.Max}))
	defer func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old)) }()
	opened := make(chan struct{}, 1)
	v, d := serve(t, srt.Options{}, &app{opened: func(*srt.Conn) { opened <- struct{}{} }})
	var taken []int
	for {
		n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			require.ErrorIs(t, err, unix.EMFILE)
			break
		}
		taken = append(taken, n)
	}
	connect(t, fd, v)
	for refused := uint64(0); refused == 0; {
		on(t, v, func(*srt.Shard) { refused = d.listener.refused })
	}
	require.Empty(t, opened)
	for _, n := range taken {
		require.NoError(t, unix.Close(n))
	}
	await(t, opened)
}

// TestNoAllocationPerMessage counts what the whole process allocates: the client
// is raw sockets.
func TestNoAllocationPerMessage(t *testing.T) {
	v, _ := serve(t, srt.Options{}, echo())
	clients := []client{dial(t, v), dial(t, v), dial(t, v)}
	msg, got := make([]byte, 100), make([]byte, 100)
	const rounds = 2000
	echoes := func() {
		for range rounds {
			for _, c := range clients {
				c.write(t, msg)
			}
			for _, c := range clients {
				c.read(t, got)
			}
		}
	}
	echoes()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	echoes()
	runtime.ReadMemStats(&after)
	require.Less(t, after.Mallocs-before.Mallocs, uint64(rounds/10), "for %d messages", rounds*len(clients))
}

var errFactory = errors.New("the factory of shard 2")

// TestNewLeavesNothingBehind: on its own failure, and on that of a later shard's.
func TestNewLeavesNothingBehind(t *testing.T) {
	if err := Probe(); err != nil {
		t.Skipf("model refused: %v", err)
	}
	for what, o := range map[string]srt.Options{
		"Options.RingEntries":     {RingEntries: 1 << 20},
		"RingBufferBytes":         {RingBufferBytes: 1 << 31},
		"the factory of shard 2":  {Shards: 3},
		"cannot bind a thread to": {CPUs: []int{1023}},
	} {
		t.Run(what, func(t *testing.T) {
			conformance.CheckLeaks(t)
			o.Listen = "127.0.0.1:0"
			v, err := srt.New(o, func(s *srt.Shard) (srt.Driver, error) {
				if s.Index() == 2 {
					return nil, errFactory
				}
				return New(s)
			})
			require.NoError(t, err)
			require.ErrorContains(t, v.Start(func(*srt.Shard) (srt.App, error) { return echo(), nil }), what)
		})
	}
}

// TestStopCutsOff: what is in the kernel when a stop runs out of time is
// cancelled and waited for.
func TestStopCutsOff(t *testing.T) {
	if err := Probe(); err != nil {
		t.Skipf("model refused: %v", err)
	}
	conformance.CheckLeaks(t)
	v, err := srt.New(srt.Options{Listen: "127.0.0.1:0"}, New)
	require.NoError(t, err)
	require.NoError(t, v.Start(func(*srt.Shard) (srt.App, error) { return echo(), nil }))
	c := dial(t, v)
	c.write(t, []byte("x"))
	c.read(t, make([]byte, 1))
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	on(t, v, func(s *srt.Shard) {
		for _, op := range []srt.Op{srt.Sleep(srt.Imm(int64(time.Hour))), srt.Recv(srt.Imm(int64(p[0])), make([]byte, 9), 0),
			srt.Poll(srt.Imm(int64(p[1])), unix.POLLIN)} {
			y := srt.NewSyslet(op, srt.Call(func(*srt.Syslet) int64 { t.Error("begun after the end"); return 0 }))
			y.Done = func(*srt.Shard, *srt.Syslet) { t.Error("delivered after the end") }
			require.Equal(t, srt.Queued, s.Submit(y))
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, v.Stop(ctx), srt.ErrStopTimeout)
	require.NoError(t, unix.Close(p[0]))
	require.NoError(t, unix.Close(p[1]))
}
