package iouring

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
)

// ring reads a list of ring options, and skips the test where the kernel lacks one.
func ring(t testing.TB, list string) srt.RingOptions {
	t.Helper()
	o, err := srt.ParseRing(list)
	require.NoError(t, err)
	if _, err := decide(&o); err != nil {
		t.Skip(err)
	}
	return o
}

// TestConformanceOldKernel: with nothing that came after the oldest kernel that will do.
func TestConformanceOldKernel(t *testing.T) {
	o := ring(t, "kernel=6.1")
	conformance.Run(t, func(so srt.Options) (*srt.Server, error) {
		so.Ring = o
		return srt.New(so, New)
	}, Probe())
	_, d := serve(t, srt.Options{Ring: o}, echo())
	require.False(t, d.tricks.noArray)
	require.False(t, d.syslets.table.numbers)
	for _, asked := range []string{"incremental", "bundle", "message-wakes", "gather=1us"} {
		o, err := srt.ParseRing("kernel=6.1," + asked)
		require.NoError(t, err)
		_, err = decide(&o)
		require.ErrorContains(t, err, "Linux 6.1 ", asked)
	}
}

// pairs are lists of ring options in which each switch is on and off together with
// each other one on and off. (Six rows do for ten switches: the first has all off, and
// of the others each switch is on in three, no two in the same three.)
func pairs() (rows []string) {
	var sets [][]string
	for a := 1; a < 6; a++ {
		for b := a + 1; b < 6; b++ {
			for c := b + 1; c < 6; c++ {
				on := []string{"=off", "=off", "=off", "=off", "=off", "=off"}
				on[a], on[b], on[c] = "=on", "=on", "=on"
				sets = append(sets, on)
			}
		}
	}
	for row := range 6 {
		var list []string
		for i, name := range srt.RingSwitches() {
			value := sets[i][row]
			if name == "bundle" && strings.Contains(strings.Join(list, ","), "incremental=on") {
				value = "=off" // they exclude each other
			}
			list = append(list, name+value)
		}
		rows = append(rows, strings.Join(list, ",")+[]string{"", ",spin=50us", ",gather=50us", ",gather=20us,spin=20us"}[row%4])
	}
	return append(rows, "bundle,incremental=off", "bundle,direct,quiet-sends=off")
}

func TestConformancePairs(t *testing.T) {
	require.LessOrEqual(t, len(srt.RingSwitches()), 10, "pairs has no rows for more")
	for i, list := range pairs() {
		t.Run(list, func(t *testing.T) {
			o := ring(t, list)
			conformance.Run(t, func(so srt.Options) (*srt.Server, error) {
				so.Ring = o
				if i%2 == 1 { // with queues that overflow and buffers that run out
					so.RingEntries, so.RingBuffers, so.RingBufferBytes = 2, 2, 512
				}
				return srt.New(so, New)
			}, Probe())
		})
	}
}

// TestSocketFull writes more than a socket takes to clients that read late: what a
// quiet send leaves is sent, in order, once.
func TestSocketFull(t *testing.T) {
	for _, list := range []string{"", "direct", "quiet-sends=off"} {
		t.Run(list, func(t *testing.T) {
			conformance.CheckLeaks(t)
			const parts, size = 300, 64 << 10
			want := random(rand.Uint64(), parts*size)
			a := &app{data: func(c *srt.Conn, p []byte) int {
				for i := range parts {
					if i%2 == 0 {
						_ = c.Write(want[i*size:][:size])
					} else {
						_ = c.WriteBlock(srt.NewBlock(want[i*size:][:size]))
					}
				}
				return len(p)
			}}
			v, d := serve(t, srt.Options{MaxUnsent: 2 * parts * size, Ring: ring(t, list)}, a)
			done := make(chan bool)
			for range 3 {
				c := dial(t, v)
				c.write(t, []byte("x"))
				go func() {
					got := make([]byte, len(want))
					c.read(t, got)
					done <- bytes.Equal(want, got)
				}()
			}
			for range 3 {
				require.True(t, await(t, done))
			}
			on(t, v, func(*srt.Shard) {
				if d.tricks.quiet {
					require.NotZero(t, d.unquiet)
				}
				require.Empty(t, d.quiet)
			})
		})
	}
}

// TestQuietSendThenGone: peers that go away while sends to them are under way.
func TestQuietSendThenGone(t *testing.T) {
	conformance.CheckLeaks(t)
	block := srt.NewBlock(make([]byte, 256<<10))
	v, d := serve(t, srt.Options{}, &app{data: func(c *srt.Conn, p []byte) int {
		_ = c.WriteBlock(block)
		if p[0] == 'a' {
			c.Abort()
		}
		return len(p)
	}})
	for i := range 60 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		connect(t, fd, v)
		client{fd}.write(t, []byte{"ab"[i%2]})
		if i%3 == 0 {
			require.NoError(t, unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
		}
		require.NoError(t, unix.Close(fd))
	}
	for open := 1; open > 0; {
		on(t, v, func(*srt.Shard) {
			open = 0
			for _, st := range d.conns {
				if st.c != nil {
					open++
				}
			}
		})
	}
}

// TestCompletionsOverflow: more completions at once than the queue has room for.
func TestCompletionsOverflow(t *testing.T) {
	for _, list := range []string{"", "incremental", "quiet-sends=off,one-enter=off"} {
		t.Run(list, func(t *testing.T) {
			conformance.CheckLeaks(t)
			v, d := serve(t, srt.Options{RingEntries: 2, Ring: ring(t, list)}, echo())
			clients := make([]client, 40)
			for i := range clients {
				clients[i] = dial(t, v)
			}
			flushes := uint64(0)
			for round := 0; flushes == 0 || round < 10; round++ {
				require.Less(t, round, 1000, "no overflow")
				held, release := make(chan struct{}), make(chan struct{})
				v.Shards()[0].Do(func(*srt.Shard) { close(held); <-release })
				await(t, held)
				msg, got := random(uint64(round), 100), make([]byte, 100)
				for _, c := range clients {
					c.write(t, msg)
				}
				close(release)
				for _, c := range clients {
					c.read(t, got)
					require.Equal(t, msg, got)
				}
				on(t, v, func(*srt.Shard) { flushes = d.ring.Stats.OverflowFlushes })
			}
		})
	}
}

// TestAlarm: deadlines are kept by one timer that stays in the ring, also when an
// earlier one comes up, while the loop sleeps for short times.
func TestAlarm(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := serve(t, srt.Options{}, echo())
	c := dial(t, v)
	gone := make(chan time.Duration, 64)
	on(t, v, func(s *srt.Shard) {
		for _, in := range []time.Duration{40, 5, 30, 1, 20} {
			in := in * time.Millisecond
			s.Arm(srt.NewTimer(func(*srt.Shard) { gone <- in }), in)
		}
	})
	var order []time.Duration
	got := make([]byte, 1)
	for len(order) < 5 {
		c.write(t, got)
		c.read(t, got)
		select {
		case in := <-gone:
			order = append(order, in/time.Millisecond)
		default:
		}
	}
	require.Equal(t, []time.Duration{1, 5, 20, 30, 40}, order)
	on(t, v, func(*srt.Shard) { require.Less(t, d.pending(), 4) })
}

// TestMessageWakes: a loop that sleeps for good is woken by other threads.
func TestMessageWakes(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := serve(t, srt.Options{Ring: ring(t, "message-wakes")}, echo())
	for range 200 {
		on(t, v, func(*srt.Shard) {})
	}
	on(t, v, func(*srt.Shard) { require.NotZero(t, d.wakes) })
}
