package simdriver_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/simdriver"
)

const (
	unsentMax = 2000
	unreadMax = 1024
)

// Unsent bytes keep within their limit under each policy.
func TestUnsentLimit(t *testing.T) {
	for policy, bound := range map[runtime.Policy]int{runtime.PolicyClose: unsentMax, runtime.PolicyDrop: unsentMax,
		runtime.PolicyPause: 2 * unsentMax} {
		t.Run(policy.String(), func(t *testing.T) {
			everySeed(t, runtime.Options{MaxUnsent: unsentMax, UnsentPolicy: policy}, simdriver.Calm(), func(t *testing.T, m *simdriver.Sim) {
				unsentLimit(t, m, policy, bound)
			})
		})
	}
}

func unsentLimit(t *testing.T, m *simdriver.Sim, policy runtime.Policy, bound int) {
	w := newWitness(t, m)
	var taken []byte // what Write accepted
	refused := false
	w.data = func(c *runtime.Conn, p []byte) int {
		b := bytes.Repeat(p[:1], 1+m.Rand.IntN(400))
		if err := c.Write(b); err == nil {
			taken = append(taken, b...)
		} else {
			refused = true
			if !errors.Is(err, runtime.ErrUnsentLimit) && !errors.Is(err, runtime.ErrConnClosed) {
				t.Errorf("write failed with %v", err)
			}
		}
		if c.Unsent() > bound {
			t.Errorf("%d bytes unsent, the limit is %d", c.Unsent(), bound)
		}
		return len(p)
	}
	w.serve()
	c := &client{Peer: m.Dial()}
	c.Hold(true)
	for range 150 {
		c.say([]byte{byte(m.Rand.Uint32())})
		m.Step()
	}
	id, _ := c.Accepted()
	switch {
	case policy == runtime.PolicyPause && refused:
		t.Error("a paused connection was refused a write")
	case policy == runtime.PolicyClose && refused && !errors.Is(w.reasons[id], runtime.ErrUnsentLimit) && len(w.open) == 0:
		t.Errorf("closed with %v", w.reasons[id])
	case policy != runtime.PolicyClose && len(w.reasons) > 0:
		t.Errorf("closed with %v", w.reasons[id])
	}
	c.Hold(false)
	if policy != runtime.PolicyClose {
		if err := settle(m, func() bool {
			c.got = append(c.got, c.ReadAll()...)
			return c.Pending() == 0 && len(c.got) >= len(taken)
		}); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(c.got, taken) {
			t.Error("what arrived is not what Write accepted")
		}
	}
	w.stop()
}

// Unread bytes never exceed the limit by more than one delivery, and a paused
// connection loses nothing.
func TestUnreadLimit(t *testing.T) {
	for _, policy := range []runtime.Policy{runtime.PolicyClose, runtime.PolicyPause} {
		t.Run(policy.String(), func(t *testing.T) {
			everySeed(t, runtime.Options{MaxUnread: unreadMax, UnreadPolicy: policy}, simdriver.Calm(), func(t *testing.T, m *simdriver.Sim) {
				unreadLimit(t, m, policy)
			})
		})
	}
}

func unreadLimit(t *testing.T, m *simdriver.Sim, policy runtime.Policy) {
	w := newWitness(t, m)
	hungry := false
	var got []byte
	w.data = func(c *runtime.Conn, p []byte) int {
		if c.Unread() >= unreadMax+100 {
			t.Errorf("%d bytes unread", c.Unread())
		}
		if !hungry {
			return 0
		}
		got = append(got, p...)
		return len(p)
	}
	w.serve()
	c := &client{Peer: m.Dial()}
	for range 100 {
		if c.Pending() < 60 {
			c.say(frame(m))
		}
		m.Step()
	}
	total := len(c.sent)
	if policy == runtime.PolicyClose && total > unreadMax+200 {
		if err := settle(m, func() bool { return len(w.reasons) == 1 }); err != nil {
			t.Error(err)
		}
		if id := w.order[0]; !errors.Is(w.reasons[id], runtime.ErrUnreadLimit) {
			t.Errorf("closed with %v", w.reasons[id])
		}
	}
	if policy == runtime.PolicyPause {
		hungry = true
		m.Server().Shards()[0].Do(func(s *runtime.Shard) {
			if c := w.some(s); c != nil {
				c.Reread()
			}
		})
		if err := settle(m, func() bool { return len(got) >= total }); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(got, c.sent) {
			t.Error("bytes were lost")
		}
	}
	w.stop()
}

// The limits on connections hold at every moment, and refused peers are told.
func TestConnLimits(t *testing.T) {
	o := runtime.Options{MaxConns: 5, MaxConnsPerAddr: 2}
	everySeed(t, o, simdriver.Chaos(), func(t *testing.T, m *simdriver.Sim) {
		w := newWitness(t, m)
		w.opened = func(c *runtime.Conn) {
			per := 0
			for _, other := range w.open {
				if other.Remote().Addr() == c.Remote().Addr() {
					per++
				}
			}
			// One whose end is decided but not yet told does not count any more.
			ending := 0
			for id := range w.open {
				if w.isEnding(id) {
					ending++
				}
			}
			if len(w.open)-ending > o.MaxConns || per-ending > o.MaxConnsPerAddr {
				t.Errorf("%d connections open, %d of one address", len(w.open), per)
			}
		}
		w.serve()
		var all []*client
		for range 60 {
			all = append(all, dialMany(m, 1)...)
			if m.Rand.IntN(2) == 0 {
				all[m.Rand.IntN(len(all))].CloseWrite()
			}
			m.Step()
		}
		_ = m.RunFor(10 * time.Millisecond)
		if m.Counts.Refused == 0 {
			t.Error("no connection was refused")
		}
		w.stop()
	})
}

// An idle connection is closed after the timeout and not before; one that
// speaks is not.
func TestIdle(t *testing.T) {
	const idle = 10 * time.Millisecond
	everySeed(t, runtime.Options{IdleTimeout: idle}, simdriver.Calm(), func(t *testing.T, m *simdriver.Sim) {
		w := newWitness(t, m)
		heard, at := map[runtime.ConnID]int64{}, map[runtime.ConnID]int64{}
		w.opened = func(c *runtime.Conn) { heard[c.ID()] = c.Shard().NowNs() }
		w.data = func(c *runtime.Conn, p []byte) int { heard[c.ID()] = c.Shard().NowNs(); return len(p) }
		w.closed = func(c *runtime.Conn, _ error) { at[c.ID()] = c.Shard().NowNs() }
		w.serve()
		lively, quiet := &client{Peer: m.Dial()}, &client{Peer: m.Dial()}
		quiet.say([]byte("q"))
		for range 20 {
			lively.say([]byte("l"))
			_ = m.RunFor(3 * time.Millisecond)
		}
		if id, _ := lively.Accepted(); w.reasons[id] != nil {
			t.Errorf("the lively one was closed: %v", w.reasons[id])
		}
		id, _ := quiet.Accepted()
		if !errors.Is(w.reasons[id], runtime.ErrIdle) {
			t.Fatalf("the quiet one: %v", w.reasons[id])
		}
		if was := time.Duration(at[id] - heard[id]); was < idle || was > 2*idle {
			t.Errorf("closed after %v of silence", was)
		}
		w.stop()
	})
}
