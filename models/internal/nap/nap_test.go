package nap

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNap: signals do not make a loop that hears nothing look busy.
func TestNap(t *testing.T) {
	const tick = int64(10e6) // of the scheduler's monitor
	var n Nap
	require.Equal(t, signalled, n.Raw())
	for sleptNs := tick; sleptNs < ShortNs; sleptNs += tick {
		n.Woke(tick, true)
		require.Equal(t, signalled, n.Raw(), "after %d ns", sleptNs)
	}
	n.Woke(tick, true)
	require.False(t, n.Raw(), "nothing came for ShortNs")
	n.Woke(1e9, false)
	require.False(t, n.Raw(), "what came was long in coming")
	n.Woke(tick, false)
	require.Equal(t, signalled, n.Raw(), "something came soon")

	n.Woke(tick, true)
	require.Equal(t, signalled, n.Raw(), "the monitor's signal")
	n.Woke(1e5, true)
	require.False(t, n.Raw(), "the scheduler insists")
	n.Woke(1e5, false)
	require.Equal(t, signalled, n.Raw(), "something came soon")
	n.Woke(1e5, true)
	require.Equal(t, signalled, n.Raw(), "a first signal")
}
