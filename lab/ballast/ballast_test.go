package ballast

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func heap() (live, allocated int64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.TotalAlloc)
}

// TestBallast: the heap is about as large as was asked for, stays through
// collections, and is gone at the end; garbage is made meanwhile.
func TestBallast(t *testing.T) {
	const bytes = 64 << 20
	before, _ := heap()
	b, err := Start(Config{Bytes: bytes, GarbagePerS: 4 << 20, Percent: 50})
	require.NoError(t, err)
	live, made := heap()
	require.InEpsilon(t, bytes, live-before, 0.15)
	for {
		_, now := heap()
		if now-made > 1<<20 {
			break
		}
	}
	b.Stop()
	require.Equal(t, 100, debug.SetGCPercent(100), "GOGC is as it was")
	live, _ = heap()
	require.InDelta(t, before, live, bytes/20)
}

func TestBallastRefuses(t *testing.T) {
	_, err := Start(Config{Bytes: -1})
	require.ErrorContains(t, err, "negative")
	_, err = Start(Config{Percent: 10})
	require.ErrorContains(t, err, "without")
}
