package threadlet

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestVisit: a head that wakes while a thread visits has its role back when the visit is over, and not before.
func TestVisit(t *testing.T) {
	for _, cpu := range []int{-1, anyCPU(t)} {
		wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		require.NoError(t, err)
		var p *Pool
		var visits, seen, again int // the shard
		loop := func() {
			if !p.Stopping() && p.Offer() {
				for !p.Visit() {
					runtime.Gosched() // the next head has not parked yet
				}
				visits++
				signalEventfd(wake)
				for p.home.state.Load() != wanted {
					runtime.Gosched()
				}
				if p.Visit() {
					again++ // somebody is there already
				}
				visits++
				p.EndVisit()
				return
			}
			p.Park()
			_, _ = unix.Read(wake, make([]byte, 8))
			p.Unpark()
			seen = visits
			for p.Free() == 0 {
				sleepNs(1000) // the visitor is on its way home
			}
		}
		p, err = Open(Config{Name: "visit", CPU: cpu, Standbys: 1, Detector: DetectorExplicit, Loop: loop})
		require.NoError(t, err)
		require.NoError(t, p.Run())
		require.Equal(t, 2, seen, "what the visitor did before it left, as the head sees it")
		require.Zero(t, again)
		require.Equal(t, uint64(1), p.Stats().Visits)
		require.NoError(t, unix.Close(wake))
	}
}

// BenchmarkParkUnpark is what parking adds to an idle wait; BenchmarkVisit what a visit costs, without the work.
func BenchmarkParkUnpark(b *testing.B) { benchmarkHead(b, func(p *Pool) { p.Park(); p.Unpark() }) }

func BenchmarkVisit(b *testing.B) {
	benchmarkHead(b, func(p *Pool) {
		p.Park()
		p.Visit()
		p.EndVisit()
		p.Unpark()
	})
}

func benchmarkHead(b *testing.B, step func(p *Pool)) {
	b.ReportAllocs()
	var p *Pool
	p = open(b, Config{CPU: anyCPU(b), Standbys: 2, Loop: func() {
		b.ResetTimer()
		for range b.N {
			step(p)
		}
		b.StopTimer()
	}})
	require.NoError(b, p.Run())
}
