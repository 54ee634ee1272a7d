package simdriver_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/simdriver"
)

var errWhim = errors.New("a whim")

// whims makes w an App that echoes and, now and then, does anything else that
// an App may do.
func (w *witness) whims() {
	m, jobs := w.m, &jobs{t: w.t, m: w.m}
	w.data = func(c *runtime.Conn, p []byte) int {
		n := frames(p, 1+m.Rand.IntN(4))
		_ = c.Write(p[:n]) // what a limit does to it is its own test
		switch m.Rand.IntN(30) {
		case 0:
			c.Close()
		case 1:
			c.CloseWith(errWhim)
		case 2:
			c.Abort()
		case 3, 4:
			id := c.ID()
			c.Pause()
			c.Shard().Arm(runtime.NewTimer(func(s *runtime.Shard) {
				if c := s.Conn(id); c != nil {
					c.Resume()
				}
			}), time.Duration(m.Rand.IntN(100))*time.Microsecond)
		case 5:
			if other := w.some(c.Shard()); other != nil {
				other.Abort()
			}
		case 6, 7, 8:
			c.Shard().Post(m.Rand.IntN(c.Shard().Shards()), &runtime.Message{A: uint64(n)})
		case 9, 10, 11, 12:
			jobs.submit(c.Shard())
		case 13:
			jobs.cancelOne(c.Shard())
		}
		if n < len(p) {
			c.Reread()
			return n
		}
		return n
	}
	w.closed = func(c *runtime.Conn, _ error) {
		if other := w.some(c.Shard()); other != nil && m.Rand.IntN(4) == 0 {
			other.CloseWith(errWhim)
		}
		if m.Rand.IntN(4) == 0 {
			id := c.ID()
			c.Abort() // nothing to the App any more; must not take the Conn from it
			if c.ID() != id {
				w.t.Errorf("a Conn changed its name from %d to %d inside Closed", id, c.ID())
			}
		}
	}
	w.stopped = func(s *runtime.Shard) { jobs.submit(s) }
}

func chaos(t *testing.T, m *simdriver.Sim) {
	w := newWitness(t, m)
	w.whims()
	w.serve()
	var all []*client
	for range 12 {
		all = append(all, dialMany(m, 1+m.Rand.IntN(3))...)
		talk(m, all, 25)
		c := all[m.Rand.IntN(len(all))]
		switch m.Rand.IntN(4) {
		case 0:
			c.Reset()
		case 1:
			c.CloseWrite()
		}
	}
	for _, c := range all {
		c.got = append(c.got, c.ReadAll()...)
		if !bytes.HasPrefix(c.sent, c.got) {
			t.Errorf("client %d got what it did not send", c.Index())
		}
	}
	w.stop()
	st := &w.stats
	closed := st.ClosedByApp + st.ClosedByError + st.ClosedByIdle + st.ClosedByLimit + st.ClosedByPeer
	require.EqualValues(t, len(w.order), st.Accepted, label(m, "accepted"))
	require.EqualValues(t, len(w.reasons), closed, label(m, "closed, by reason"))
	require.EqualValues(t, m.Counts.Refused, st.RefusedConns, label(m, "refused"))
	require.Equal(t, 2, w.started)
	require.Equal(t, 2, w.stops)
	for _, id := range w.order {
		if w.reasons[id] == nil {
			t.Errorf("%d never closed", id)
		}
		if m.Server().Shards()[id.Shard()].Conn(id) != nil {
			t.Errorf("the stale name %d finds a connection", id)
		}
	}
}

// Under every fault at once, connections live and end as the contract says.
func TestChaos(t *testing.T) {
	o := runtime.Options{Shards: 2, IdleTimeout: 5 * time.Millisecond, MaxUnsent: 4096, MaxUnread: 1024,
		UnsentPolicy: runtime.PolicyPause, UnreadPolicy: runtime.PolicyPause, MailboxSlots: 2, MaxConnsPerAddr: 4}
	everySeed(t, o, simdriver.Chaos(), chaos)
}

// The same seed gives the same run, another seed another.
func TestReplay(t *testing.T) {
	hashes := map[uint64]uint64{}
	for seed := range uint64(40) {
		var twice [2]uint64
		for i := range twice {
			m, err := simdriver.New(seed, runtime.Options{Shards: 2}, simdriver.Chaos())
			require.NoError(t, err)
			chaos(t, m)
			require.NoError(t, m.Err())
			twice[i] = m.Hash()
		}
		require.Equal(t, twice[0], twice[1], "seed %d does not repeat", seed)
		other, seen := hashes[twice[0]]
		require.False(t, seen, "seeds %d and %d give the same run", seed, other)
		hashes[twice[0]] = seed
	}
}

// Every fault that is asked for happens: a simulation that injects none proves nothing.
func TestFaultsHappen(t *testing.T) {
	var sum simdriver.Counts
	for seed := range uint64(60) {
		m, err := simdriver.New(seed, runtime.Options{Shards: 2}, simdriver.Chaos())
		require.NoError(t, err)
		chaos(t, m)
		c := m.Counts
		for _, add := range [][2]*int{{&sum.Accepts, &c.Accepts}, {&sum.Refused, &c.Refused}, {&sum.AttachFaults, &c.AttachFaults},
			{&sum.RecvFaults, &c.RecvFaults}, {&sum.SendFaults, &c.SendFaults}, {&sum.OpFaults, &c.OpFaults}, {&sum.Busy, &c.Busy},
			{&sum.Queued, &c.Queued}, {&sum.Losses, &c.Losses}, {&sum.Delays, &c.Delays}, {&sum.Sleeps, &c.Sleeps},
			{&sum.PartialSends, &c.PartialSends}, {&sum.SplitReads, &c.SplitReads}, {&sum.LateDetaches, &c.LateDetaches}} {
			*add[0] += *add[1]
		}
	}
	for name, n := range map[string]int{"accepts": sum.Accepts, "refused": sum.Refused, "attach faults": sum.AttachFaults,
		"receive faults": sum.RecvFaults, "send faults": sum.SendFaults, "op faults": sum.OpFaults, "busy": sum.Busy,
		"queued": sum.Queued, "losses": sum.Losses, "delays": sum.Delays, "sleeps": sum.Sleeps, "partial sends": sum.PartialSends,
		"split reads": sum.SplitReads, "late detaches": sum.LateDetaches} {
		require.NotZero(t, n, name)
	}
}
