package runtime

import (
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestConnSlots(t *testing.T) {
	s := bareShard(t, Options{})
	const n = 3*slotsPerChunk + 7
	conns := make([]*Conn, n)
	ids := map[ConnID]bool{}
	for i := range conns {
		c := s.conns.take(s)
		require.Equal(t, i, c.Slot())
		require.False(t, ids[c.id])
		conns[i], ids[c.id] = c, true
	}
	for i, c := range conns {
		require.Same(t, c, s.conns.at(i), "a Conn stays where it is")
	}
	for i := 0; i < n; i += 3 {
		conns[i].User, conns[i].state = "gone", connDetached
		s.conns.put(conns[i])
	}
	for range (n + 2) / 3 {
		c := s.conns.take(s)
		require.Same(t, conns[c.Slot()], c)
		require.False(t, ids[c.id], "an ID is for ever")
		require.Nil(t, c.User)
		require.Equal(t, connFree, c.state)
		ids[c.id] = true
	}
	require.Equal(t, n, s.conns.n, "free slots are used first")
}

// What is here for each connection, whatever it does, is kept small on purpose.
func TestConnIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(Conn{}), uintptr(128))
}

// A table of any size is swept a part at a time, and all of it four times in a
// timeout.
func TestSweepIsInParts(t *testing.T) {
	s := bareShard(t, Options{IdleTimeout: time.Second})
	const n = 2*sweepSlots + 100
	for range n {
		s.conns.take(s).state = connOpen
	}
	s.open, s.nowNs = n, int64(2*time.Second)
	s.armSweep()
	for _, ended := range []int{sweepSlots, 2 * sweepSlots, n, n} {
		require.True(t, s.sweeper.Armed())
		require.Equal(t, s.nowNs+int64(time.Second)/12, s.sweeper.dueNs)
		s.Disarm(s.sweeper) // as if it had fired
		s.sweep()
		require.Len(t, s.ending, ended)
	}
	require.Equal(t, connDraining, s.conns.at(n-1).state)
	require.Len(t, s.closers, n)
	require.True(t, s.giveUpTimer.Armed())
}
