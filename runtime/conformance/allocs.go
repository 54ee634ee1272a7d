package conformance

import (
	"io"
	goruntime "runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/runtime"
)

// allocs: in steady state a message costs no allocation, under any model.
func (s suite) allocs(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	c := dial(t, v)
	msg, got := make([]byte, 64), make([]byte, 64)
	pings := func(n int) {
		for range n {
			if _, err := c.Write(msg); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, got); err != nil {
				t.Fatal(err)
			}
		}
	}
	pings(500) // pools fill
	const n = 2000
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	pings(n)
	goruntime.ReadMemStats(&after)
	// Go's own background work allocates now and then: a few in all, not one a message.
	require.Less(t, after.Mallocs-before.Mallocs, uint64(n/20), "allocations in %d messages", n)
}
