package threadlet

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A body that computes without end is taken over, with every detector, if it may overrun, and not otherwise.
func TestOverrun(t *testing.T) {
	eachSetting(t, allKinds, func(t *testing.T, cfg Config) {
		cfg.Overrun = 100 * time.Microsecond
		var wentOn atomic.Bool
		var p *Pool
		turn := 0
		cfg.Loop = func() {
			turn++
			if turn == 2 { // the next head
				wentOn.Store(true)
				return
			}
			ticket := p.EnterLong()
			for !wentOn.Load() {
				spin(100)
			}
			require.False(t, p.Leave(ticket))
		}
		p, err := Open(cfg)
		require.NoError(t, err)
		require.NoError(t, p.Run())
		s := p.Stats()
		// Go parks a locked thread after 10 ms, which some detectors see as a block before the tick comes.
		require.EqualValues(t, 1, s.Detected(), brief(s))
	})
}

func TestShortBodiesDoNotOverrun(t *testing.T) {
	var p *Pool
	cfg := Config{CPU: -1, Standbys: 1, Detector: DetectorExplicit, Overrun: 10 * time.Second}
	cfg.Loop = func() {
		for range 3000 {
			if ticket := p.EnterLong(); !p.Leave(ticket) {
				t.Error("taken over")
			}
		}
	}
	p, err := Open(cfg)
	require.NoError(t, err)
	require.NoError(t, p.Run())
	stats := p.Stats()
	require.Zero(t, stats.Detected())
}

// A body may end its goroutine: the thread lives on, as head or as standby, as often as it likes.
func TestGoexit(t *testing.T) {
	eachSetting(t, allKinds, func(t *testing.T, cfg Config) {
		var p *Pool
		turns := 0
		cfg.Loop = func() {
			for turns < 40 {
				turns++
				kept, blocks := false, turns%5 == 0
				func() {
					if turns%2 == 0 && p.Offer() {
						runtime.Goexit()
					}
					ticket := p.Enter()
					defer func() { kept = p.Leave(ticket) }()
					if blocks {
						sleepNs(300_000)
					}
					runtime.Goexit()
				}()
				if !kept {
					return
				}
			}
		}
		p, err := Open(cfg)
		require.NoError(t, err)
		require.NoError(t, p.Run())
		require.Equal(t, 40, turns)
	})
}

// Work that is set aside for want of a standby is done by the first one that is free.
func TestSpare(t *testing.T) {
	eachSetting(t, allKinds, func(t *testing.T, cfg Config) {
		const works = 200
		var p *Pool
		var waiting, done atomic.Int32
		cfg.Standbys = 1
		cfg.HasSpare = func() bool { return waiting.Load() > 0 }
		cfg.Spare = func() {
			for n := waiting.Load(); n > 0; n = waiting.Load() {
				if waiting.CompareAndSwap(n, n-1) {
					done.Add(1)
				}
			}
		}
		begun := 0
		cfg.Loop = func() {
			for begun < works {
				begun++
				if p.Offer() {
					sleepNs(20_000)
					done.Add(1)
					return
				}
				waiting.Add(1)
				if p.Free() > 0 {
					cfg.Spare()
				}
			}
			for done.Load() < works {
				p.Idle()
				sleepNs(20_000)
			}
		}
		p, err := Open(cfg)
		require.NoError(t, err)
		require.NoError(t, p.Run())
		require.EqualValues(t, works, done.Load())
		require.NotZero(t, p.Stats().AtBoundAnnounced)
	})
}

// Where another process wants the processor the watcher gets none, and the alarms help.
func TestStarvedWatcher(t *testing.T) {
	cpu := anyCPU(t)
	needDetector(t, DetectorIdle, cpu)
	needDetector(t, DetectorSwitch, cpu) // the alarms are its
	competitor(t, cpu)
	var bodies []*body
	for range 300 {
		bodies = append(bodies, &body{fn: func() { sleepNs(2_000_000) }}, &body{fn: func() { spin(aboutMicrosecond * 1000) }})
	}
	stats := newToy(t, Config{CPU: cpu, Standbys: 30, Detector: DetectorIdle}, bodies...).run(t)
	require.Greater(t, stats.Takeovers[BySwitch]+stats.Takeovers[ByIdle], stats.Takeovers[ByBackstop], brief(stats))
	t.Log(brief(stats))
}
