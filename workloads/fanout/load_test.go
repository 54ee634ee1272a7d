package fanout_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/workloads/fanout"
)

// TestLoad: a client knows its own messages among others', in pieces, and refuses
// what was not said so.
func TestLoad(t *testing.T) {
	for _, size := range []int{0, 16, 17, 1024, fanout.MaxBytes} {
		l := fanout.Load{Size: size}
		require.NoError(t, l.Check())
		want := max(size, fanout.HeaderBytes)
		require.Equal(t, want, l.DeliveryBytes())
		a, b, other := l.Client(0, 1), l.Client(1, 1), l.Client(0, 2)
		var wire []byte
		for range 5 {
			wire, _, _ = a.Request(wire)
			wire, _, _ = b.Request(wire)
			wire, _, _ = other.Request(wire)
		}
		require.Len(t, wire, 15*want)
		n, tags, err := a.Received(wire[:len(wire)-1], nil)
		require.NoError(t, err)
		require.Equal(t, 14*want, n)
		require.Equal(t, []uint32{0, 1, 2, 3, 4}, tags)
		if size > fanout.HeaderBytes {
			wire[len(wire)-1]++
			_, _, err = a.Received(wire[14*want:], nil)
			require.ErrorContains(t, err, "tag 4 of sender 0 is not as it was said")
		}
		wire[0]++
		_, _, err = a.Received(wire, nil)
		require.ErrorContains(t, err, "all messages have")
	}
	require.ErrorContains(t, fanout.Load{Size: 15}.Check(), "want 16 to 65536")
	require.ErrorContains(t, fanout.Load{Size: fanout.MaxBytes + 1}.Check(), "want 16 to 65536")
}

// TestLoadAllocs: neither a request nor what is heard costs an allocation.
func TestLoadAllocs(t *testing.T) {
	c := fanout.Load{Size: 256}.Client(0, 1)
	wire, tags := make([]byte, 0, 4096), make([]uint32, 0, 16)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		wire, _, _ = c.Request(wire[:0])
		_, tags, _ = c.Received(wire, tags[:0])
	}))
}
