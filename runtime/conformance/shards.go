package conformance

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/runtime"
)

// mailboxOrder: every pair of shards, more messages than the rings hold.
func (s suite) mailboxOrder(t *testing.T) {
	const shards, n = 3, 5000
	done := make(chan int, shards*shards)
	v := s.serveEach(t, runtime.Options{Shards: shards, MailboxSlots: 64}, func(*runtime.Shard) *app {
		var next [shards]uint64 // this shard's
		return &app{message: func(s *runtime.Shard, from int, m *runtime.Message) {
			if m.A != next[from] || m.Kind != uint32(from) || m.Ref != "ref" || m.Block.Len() != 3 {
				t.Errorf("from %d to %d: message %d (kind %d), want %d", from, s.Index(), m.A, m.Kind, next[from])
			}
			if next[from]++; next[from] == n {
				done <- from
			}
		}}
	})
	block := runtime.NewBlock([]byte("abc"))
	for _, sh := range v.Shards() {
		sh.Do(func(s *runtime.Shard) {
			for i := range uint64(n) {
				for to := range shards {
					if s.Post(to, &runtime.Message{Kind: uint32(s.Index()), A: i, Ref: "ref", Block: block}) != runtime.Queued {
						t.Error("busy")
					}
				}
			}
		})
	}
	for range shards * shards {
		await(t, done)
	}
	st := statsOf(t, v)
	require.EqualValues(t, shards*shards*n, st.MailSent)
	require.EqualValues(t, shards*shards*n, st.MailReceived)
	require.NotZero(t, st.MailBacklogged)
}

func (s suite) mailboxBusy(t *testing.T) {
	v := s.serve(t, runtime.Options{MailboxSlots: 4, MailboxBacklog: 4}, echoApp())
	on(t, v, func(s *runtime.Shard) {
		for range 8 {
			require.Equal(t, runtime.Queued, s.Post(0, &runtime.Message{}))
		}
		require.Equal(t, runtime.Busy, s.Post(0, &runtime.Message{}))
	})
	require.EqualValues(t, 1, statsOf(t, v).MailBusy)
}

func (s suite) timers(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	const n = 200
	var order []int
	done := make(chan struct{})
	on(t, v, func(s *runtime.Shard) {
		began := s.NowNs()
		gone := runtime.NewTimer(func(*runtime.Shard) { t.Error("a disarmed timer fired") })
		s.Arm(gone, time.Millisecond)
		s.Disarm(gone)
		require.False(t, gone.Armed())
		for i := range n {
			due := time.Duration(i*7919%n) * 50 * time.Microsecond
			s.Arm(runtime.NewTimer(func(s *runtime.Shard) {
				if s.NowNs()-began < int64(due) {
					t.Errorf("timer of %v fired early", due)
				}
				if order = append(order, i*7919%n); len(order) == n {
					close(done)
				}
			}), due)
		}
		var again *runtime.Timer
		again = runtime.NewTimer(func(s *runtime.Shard) { s.Arm(again, 0) })
		s.Arm(again, 0) // one that arms itself must not keep the others from firing
	})
	await(t, done)
	require.IsNonDecreasing(t, order)
}

func (s suite) ticks(t *testing.T) {
	ticks := make(chan int64, 100)
	s.serve(t, runtime.Options{TickInterval: 2 * time.Millisecond}, &app{tick: func(s *runtime.Shard) {
		select {
		case ticks <- s.NowNs():
		default:
		}
	}})
	last := await(t, ticks)
	for range 5 {
		now := await(t, ticks)
		require.GreaterOrEqual(t, now-last, int64(2*time.Millisecond))
		last = now
	}
}

// do: foreign requests are served by a sleeping shard and by a busy one.
func (s suite) do(t *testing.T) {
	started := 0
	v := s.serve(t, runtime.Options{}, &app{start: func(*runtime.Shard) { started++ }})
	sum := 0
	for i := range 1000 {
		on(t, v, func(*runtime.Shard) { sum += i })
	}
	on(t, v, func(*runtime.Shard) { require.Equal(t, 999*1000/2, sum); require.Equal(t, 1, started) })
}

// bare is an App without a tick, a start or mail: nothing wakes its shard but
// sockets and foreign requests.
type bare struct{}

func (bare) Opened(*runtime.Conn)                 {}
func (bare) Data(c *runtime.Conn, p []byte) int   { _ = c.Write(p); return len(p) }
func (bare) Closed(c *runtime.Conn, reason error) {}

// doAfterEcho: a shard that sleeps after any kind of turn can be woken.
func (s suite) doAfterEcho(t *testing.T) {
	v, err := s.open(runtime.Options{Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	require.NoError(t, v.Start(func(*runtime.Shard) (runtime.App, error) { return bare{}, nil }))
	t.Cleanup(func() { stop(t, v) })
	c := dial(t, v)
	for range 200 {
		ping(t, c)
		on(t, v, func(*runtime.Shard) {})
	}
}

// stopWaits: a stop closes connections in good order, calls Stop, and waits
// for what Stop has begun.
func (s suite) stopWaits(t *testing.T) {
	var events []string // one shard: no lock
	a := &app{closed: func(_ *runtime.Conn, reason error) { events = append(events, "closed: "+reason.Error()) }}
	a.stop = func(s *runtime.Shard) {
		s.Threadlet(func() error { time.Sleep(5 * time.Millisecond); return nil }, func(error) {
			events = append(events, "saved")
			s.Post(0, &runtime.Message{})
		})
		events = append(events, "stop")
	}
	a.message = func(*runtime.Shard, int, *runtime.Message) { events = append(events, "mail") }
	opened := make(chan struct{}, 1)
	a.opened = func(c *runtime.Conn) { _ = c.Write([]byte("last words")); opened <- struct{}{} }
	v := s.serve(t, runtime.Options{}, a)
	c := dial(t, v)
	await(t, opened)
	said := make(chan string, 1)
	go func() { b, _ := io.ReadAll(c); c.Close(); said <- string(b) }()
	stop(t, v)
	require.Equal(t, "last words", await(t, said))
	require.Equal(t, []string{"closed: " + runtime.ErrShutdown.Error(), "stop", "saved", "mail"}, events)
}

// stopTimeout: a stop that runs out of time says so and leaves nothing behind.
func (s suite) stopTimeout(t *testing.T) {
	gate := make(chan struct{})
	v := s.serve(t, runtime.Options{}, echoApp())
	c := dial(t, v)
	ping(t, c)
	if v.Options().Files == runtime.FilesInline {
		close(gate) // it would hold the loop itself up
	} else {
		time.AfterFunc(100*time.Millisecond, func() { close(gate) })
		on(t, v, func(s *runtime.Shard) { s.Threadlet(func() error { <-gate; return nil }, nil) })
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, v.Stop(ctx), runtime.ErrStopTimeout)
}

func (s suite) stats(t *testing.T) {
	v := s.serve(t, runtime.Options{Shards: 2}, echoApp())
	const conns, pings = 4, 25
	for range conns {
		c := dial(t, v)
		for range pings {
			ping(t, c)
		}
	}
	for statsOf(t, v).BytesOut < conns*pings*4 {
		time.Sleep(time.Millisecond) // a client can have an answer before the shard has heard that it was sent
	}
	st := statsOf(t, v)
	require.EqualValues(t, conns, st.Accepted)
	require.EqualValues(t, conns, st.Conns)
	require.EqualValues(t, conns*pings*4, st.BytesIn)
	require.EqualValues(t, conns*pings*4, st.BytesOut)
	require.NotZero(t, st.DataCallbacks)
	require.NotZero(t, st.SystemCalls())
}
