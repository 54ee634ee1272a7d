package threadlet

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestStopWaitsForBlockedBody(t *testing.T) {
	eachSetting(t, allKinds, func(t *testing.T, cfg Config) {
		fd, err := unix.Eventfd(0, 0)
		require.NoError(t, err)
		defer unix.Close(fd)
		entered, completed := false, false
		var p *Pool
		cfg.Loop = func() {
			if entered { // the second head
				p.Stop()
				signalEventfd(fd)
				return
			}
			entered = true
			ticket := p.Enter()
			if cfg.Detector == DetectorExplicit {
				require.True(t, p.HandOver(ticket))
			}
			_, _ = unix.Read(fd, make([]byte, 8))
			completed = !p.Leave(ticket)
		}
		p, err = Open(cfg)
		require.NoError(t, err)
		require.NoError(t, p.Run())
		require.True(t, completed, "Run returned before the body was through")
		require.Equal(t, cfg.Standbys+1, p.Stats().Threads)
	})
}

func TestStopFromABody(t *testing.T) {
	eachSetting(t, allKinds, func(t *testing.T, cfg Config) {
		var p *Pool
		var err error
		calls := 0
		cfg.Loop = func() {
			calls++
			if p.Stopping() {
				return
			}
			ticket := p.Enter()
			p.Stop()
			require.False(t, p.HandOver(ticket) && word(p.word.Load()) == word(ticket))
			sleepNs(1_000_000)
			p.Leave(ticket)
		}
		p, err = Open(cfg)
		require.NoError(t, err)
		require.NoError(t, p.Run())
		require.LessOrEqual(t, calls, 2)
		require.Equal(t, ended, word(p.word.Load()).state())
	})
}

func TestStopFromElsewhereWhileOffersFly(t *testing.T) {
	for range 50 {
		var p *Pool
		turns := make(chan int, 1)
		n := 0
		p, err := Open(Config{CPU: -1, Standbys: 2, Detector: DetectorExplicit, Loop: func() {
			for !p.Stopping() {
				if n++; n == 20 {
					turns <- n
				}
				ticket := p.Enter()
				p.HandOver(ticket)
				if !p.Leave(ticket) {
					return
				}
			}
		}})
		require.NoError(t, err)
		go func() {
			<-turns
			p.Stop()
		}()
		require.NoError(t, p.Run())
		require.Equal(t, ended, word(p.word.Load()).state())
	}
}

func TestStopBeforeRun(t *testing.T) {
	p, err := Open(Config{CPU: -1, Standbys: 1, Detector: DetectorExplicit, Loop: func() { t.Error("the loop ran") }})
	require.NoError(t, err)
	p.Stop()
	require.NoError(t, p.Run())
	require.ErrorContains(t, p.Run(), "before")
}
