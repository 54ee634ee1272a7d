package simdriver_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/simdriver"
)

// A stop closes every connection after its output is sent, then calls each
// App's Stop, then waits for what that has begun, and refuses who comes late.
func TestStopSequence(t *testing.T) {
	everySeed(t, runtime.Options{Shards: 2, MailboxSlots: 2}, simdriver.Calm(), func(t *testing.T, m *simdriver.Sim) {
		w := newWitness(t, m)
		words := bytes.Repeat([]byte("last words "), 1+m.Rand.IntN(500))
		mail, saved := 0, 0
		w.opened = func(c *runtime.Conn) { _ = c.Write(words) }
		w.message = func(*runtime.Shard, int, *runtime.Message) { mail++ }
		w.stopped = func(s *runtime.Shard) {
			if len(w.open) > 0 {
				t.Errorf("Stop was called with %d connections open", len(w.open))
			}
			s.Threadlet(func() error { return nil }, func(error) {
				saved++
				for range 10 {
					s.Post(1-s.Index(), &runtime.Message{})
				}
			})
		}
		w.serve()
		all := dialMany(m, 5)
		if err := settle(m, func() bool { return len(w.order) == len(all) }); err != nil {
			t.Fatal(err)
		}
		w.stop()
		for _, c := range all {
			if !bytes.Equal(words, c.ReadAll()) || !c.Ended() {
				t.Errorf("client %d did not get its last words and an end", c.Index())
			}
		}
		for id, reason := range w.reasons {
			if reason != runtime.ErrShutdown {
				t.Errorf("%d closed with %v", id, reason)
			}
		}
		if w.stops != 2 || saved != 2 || mail != 20 {
			t.Errorf("%d stops, %d saved, %d messages", w.stops, saved, mail)
		}
		if late := m.Dial(); !late.Cut() {
			t.Error("a connection after Stop was not refused")
		}
		if m.Server().Stop(context.Background()) == nil {
			t.Error("a second Stop succeeded")
		}
	})
}

// Messages arrive once, in each sender's order, through full rings.
func TestMailOrder(t *testing.T) {
	const shards, n = 3, 40
	everySeed(t, runtime.Options{Shards: shards, MailboxSlots: 4}, simdriver.Calm(), func(t *testing.T, m *simdriver.Sim) {
		w := newWitness(t, m)
		var next [shards][shards]uint64 // from, to
		left := shards * shards * n
		w.message = func(s *runtime.Shard, from int, msg *runtime.Message) {
			if want := next[from][s.Index()]; msg.A != want {
				t.Errorf("from %d to %d: message %d, want %d", from, s.Index(), msg.A, want)
			}
			next[from][s.Index()]++
			left--
		}
		w.serve()
		for _, sh := range m.Server().Shards() {
			for i := range uint64(n) {
				sh.Do(func(s *runtime.Shard) {
					for to := range shards {
						if s.Post(to, &runtime.Message{A: i}) != runtime.Queued {
							t.Error("busy")
						}
					}
				})
				if m.Rand.IntN(2) == 0 {
					m.Step()
				}
			}
		}
		if err := settle(m, func() bool { return left == 0 }); err != nil {
			t.Error(err)
		}
		w.stop()
	})
}
