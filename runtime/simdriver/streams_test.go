package simdriver_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/simdriver"
)

// client is a peer and what it has sent and got.
type client struct {
	*simdriver.Peer
	sent, got []byte
}

func (c *client) say(b []byte) {
	if c.Write(b) {
		c.sent = append(c.sent, b...)
	}
}

func dialMany(m *simdriver.Sim, n int) []*client {
	var all []*client
	for range n {
		all = append(all, &client{Peer: m.Dial()})
	}
	return all
}

// talk has the clients say frames and hold their windows at random between steps.
func talk(m *simdriver.Sim, all []*client, rounds int) {
	for range rounds {
		c := all[m.Rand.IntN(len(all))]
		switch m.Rand.IntN(4) {
		case 0, 1:
			c.say(frame(m))
		case 2:
			c.Hold(m.Rand.IntN(3) == 0)
		}
		m.Step()
		c.got = append(c.got, c.ReadAll()...)
	}
	for _, c := range all {
		c.Hold(false)
	}
}

// Every byte comes back in order whatever the splits, however little the App
// consumes at a time, and through pauses.
func TestEchoKeepsBytes(t *testing.T) {
	everySeed(t, runtime.Options{Shards: 2}, simdriver.Calm(), func(t *testing.T, m *simdriver.Sim) {
		w := newWitness(t, m)
		w.data = func(c *runtime.Conn, p []byte) int {
			atMost := 1 + m.Rand.IntN(3)
			n := frames(p, atMost)
			if m.Rand.IntN(4) == 0 {
				_ = c.WriteBlock(runtime.NewBlock(bytes.Clone(p[:n])))
			} else {
				_ = c.Write(p[:n])
			}
			if n < len(p) && frames(p[n:], 1) > 0 {
				c.Reread()
			}
			if m.Rand.IntN(8) == 0 {
				id := c.ID()
				c.Pause()
				c.Shard().Arm(runtime.NewTimer(func(s *runtime.Shard) { s.Conn(id).Resume() }), time.Duration(m.Rand.IntN(50))*time.Microsecond)
			}
			return n
		}
		w.serve()
		all := dialMany(m, 1+m.Rand.IntN(6))
		talk(m, all, 100)
		err := settle(m, func() bool {
			for _, c := range all {
				if c.got = append(c.got, c.ReadAll()...); len(c.got) < len(c.sent) {
					return false
				}
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			if !bytes.Equal(c.sent, c.got) {
				t.Errorf("client %d got other bytes than it sent", c.Index())
			}
			c.CloseWrite()
		}
		if err := settle(m, func() bool { return len(w.order) == len(all) && len(w.open) == 0 }); err != nil {
			t.Error(err)
		}
		for id, reason := range w.reasons {
			if !errors.Is(reason, runtime.ErrPeerClosed) {
				t.Errorf("%d closed with %v", id, reason)
			}
		}
		w.stop()
	})
}

// A client that says all, ends its stream, and only then listens gets all.
func TestHalfClose(t *testing.T) {
	everySeed(t, runtime.Options{}, simdriver.Calm(), func(t *testing.T, m *simdriver.Sim) {
		w := newWitness(t, m)
		w.data = func(c *runtime.Conn, p []byte) int { _ = c.Write(p); return len(p) }
		w.serve()
		c := &client{Peer: m.Dial()}
		c.Hold(true)
		for range 5 {
			c.say(frame(m))
		}
		c.CloseWrite()
		_ = m.RunFor(time.Millisecond)
		c.Hold(false)
		if err := settle(m, func() bool { return c.Ended() }); err != nil {
			t.Fatal(err)
		}
		if got := c.ReadAll(); !bytes.Equal(c.sent, got) {
			t.Errorf("sent %d bytes, got %d", len(c.sent), len(got))
		}
		w.stop()
	})
}

// What an App queues before Close arrives, then the end of the stream; a
// paused connection notices its peer's end too, without the linger timeout.
func TestCloseFlushes(t *testing.T) {
	why := errors.New("why")
	everySeed(t, runtime.Options{}, simdriver.Calm(), func(t *testing.T, m *simdriver.Sim) {
		w := newWitness(t, m)
		var last []byte
		w.data = func(c *runtime.Conn, p []byte) int {
			if m.Rand.IntN(2) == 0 {
				c.Pause()
			}
			for range m.Rand.IntN(20) {
				b := bytes.Repeat([]byte{byte(m.Rand.Uint32())}, m.Rand.IntN(3000))
				_ = c.Write(b)
				last = append(last, b...)
			}
			c.CloseWith(why)
			return m.Rand.IntN(len(p) + 1)
		}
		w.serve()
		c := &client{Peer: m.Dial()}
		c.say(frame(m))
		early := m.Rand.IntN(2) == 0 // its end may come in the batch in which we close
		if early {
			c.CloseWrite()
		}
		if err := settle(m, func() bool { c.got = append(c.got, c.ReadAll()...); return c.Ended() }); err != nil {
			t.Fatal(err)
		}
		c.CloseWrite()
		if !bytes.Equal(last, c.got) {
			t.Errorf("queued %d bytes before Close, %d arrived", len(last), len(c.got))
		}
		if id, _ := c.Accepted(); w.reasons[id] != why && len(w.open) == 0 {
			t.Errorf("closed with %v", w.reasons[id])
		}
		if err := m.RunFor(2 * time.Second); err != nil { // longer than a connection lingers
			t.Error(err)
		}
		if st := statsOf(t, m); st.LingerTimeouts != 0 || st.ClosedByApp != 1 {
			t.Errorf("%d linger timeouts, %d closed by the App", st.LingerTimeouts, st.ClosedByApp)
		}
		w.stop()
	})
}

// A peer that never ends its stream after we have ended ours is cut off.
func TestLinger(t *testing.T) {
	everySeed(t, runtime.Options{}, simdriver.Calm(), func(t *testing.T, m *simdriver.Sim) {
		w := newWitness(t, m)
		w.opened = func(c *runtime.Conn) { c.Close() }
		w.serve()
		c := m.Dial()
		c.Linger()
		_ = m.RunFor(2 * time.Second)
		if st := statsOf(t, m); st.LingerTimeouts != 1 || st.Conns != 0 {
			t.Errorf("%d linger timeouts, %d connections left", st.LingerTimeouts, st.Conns)
		}
		w.stop()
	})
}

// Bytes shown to Data stay as they are for as long as the callback runs, also
// after it has ended its connection and written to others.
func TestDataOutlivesItsConnection(t *testing.T) {
	everySeed(t, runtime.Options{}, simdriver.Calm(), func(t *testing.T, m *simdriver.Sim) {
		w := newWitness(t, m)
		w.data = func(c *runtime.Conn, p []byte) int {
			if len(p) < 100 {
				return 0
			}
			before := bytes.Clone(p)
			if m.Rand.IntN(2) == 0 {
				c.Abort()
			} else {
				c.Close()
			}
			for _, id := range w.order {
				if other := c.Shard().Conn(id); other != nil {
					_ = other.Write(bytes.Repeat([]byte{0xee}, 300))
				}
			}
			if !bytes.Equal(before, p) {
				t.Error("the bytes that Data was shown changed during the call")
			}
			return 0
		}
		w.serve()
		all := dialMany(m, 4)
		for range 200 {
			all[m.Rand.IntN(4)].say(frame(m))
			m.Step()
		}
		w.stop()
	})
}

// A filter that refuses leaves nothing behind, whatever it tried to do.
func TestRefusedLeavesNothing(t *testing.T) {
	f := simdriver.Calm()
	f.Attach = 0.3
	everySeed(t, runtime.Options{}, f, func(t *testing.T, m *simdriver.Sim) {
		w := newWitness(t, m)
		w.filter = func(c *runtime.Conn) bool {
			switch m.Rand.IntN(5) {
			case 0, 1:
				_ = c.Write([]byte("we are full"))
			case 2:
				c.Close()
			case 3:
				c.Abort()
			}
			c.User = "refused"
			if m.Rand.IntN(2) == 0 {
				c.User = nil
				return true
			}
			return false
		}
		w.data = func(c *runtime.Conn, p []byte) int { _ = c.Write(p); return len(p) }
		w.serve()
		var all []*client
		for range 10 {
			all = append(all, dialMany(m, 2)...)
			talk(m, all, 20)
		}
		err := settle(m, func() bool {
			for _, c := range all {
				if c.got = append(c.got, c.ReadAll()...); !c.Cut() && len(c.got) < len(c.sent) {
					return false
				}
			}
			return true
		})
		if err != nil {
			t.Error(err)
		}
		for _, c := range all {
			if _, ok := c.Accepted(); ok && !bytes.Equal(c.got, c.sent) {
				t.Errorf("client %d got %q for %q", c.Index(), c.got, c.sent)
			}
			if _, ok := c.Accepted(); !ok && len(c.got) > 0 {
				t.Errorf("client %d was refused and got %q", c.Index(), c.got)
			}
		}
		w.stop()
	})
}
