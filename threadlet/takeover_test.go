package threadlet

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// requireTakenOver runs a body that blocks until a later event lets it go: without a takeover the loop stands still.
func requireTakenOver(t *testing.T, cfg Config, block, release func()) {
	b := &body{fn: block}
	s := newToy(t, cfg, &body{fn: func() {}}, b, &body{fn: release}, &body{fn: func() {}})
	stats := s.run(t)
	require.False(t, b.kept)
	require.GreaterOrEqual(t, stats.Detected(), uint64(1), brief(stats))
	require.Zero(t, stats.Announced())
}

func TestTakeoverFromNanosleep(t *testing.T) {
	eachSetting(t, detecting, func(t *testing.T, cfg Config) {
		var wentOn atomic.Bool
		requireTakenOver(t, cfg, func() {
			for !wentOn.Load() {
				sleepNs(5_000_000)
			}
		}, func() { wentOn.Store(true) })
	})
}

func TestTakeoverFromRead(t *testing.T) {
	eachSetting(t, detecting, func(t *testing.T, cfg Config) {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		defer w.Close()
		fd := int(r.Fd()) // blocking mode from here on: the thread blocks, not the goroutine
		requireTakenOver(t, cfg, func() {
			var buf [1]byte
			_, _ = unix.Read(fd, buf[:])
		}, func() { _, _ = w.Write([]byte{1}) })
	})
}

func TestTakeoverFromMutexHeldElsewhere(t *testing.T) {
	eachSetting(t, detecting, func(t *testing.T, cfg Config) {
		var mu sync.Mutex
		mu.Lock()
		requireTakenOver(t, cfg, func() { mu.Lock(); mu.Unlock() }, func() { mu.Unlock() }) //nolint:staticcheck // empty on purpose
	})
}

func TestTakeoverFromChannelWait(t *testing.T) {
	eachSetting(t, detecting, func(t *testing.T, cfg Config) {
		c := make(chan int)
		requireTakenOver(t, cfg, func() { <-c }, func() { c <- 1 })
	})
}

func TestTakeoverFromPageFault(t *testing.T) {
	eachSetting(t, []string{DetectorSwitch}, func(t *testing.T, cfg Config) {
		// A read from the disk may be over before the standby runs, so a body faults many times and some bodies follow.
		var bodies []*body
		for range 8 {
			cold := coldMapping(t)
			bodies = append(bodies, &body{fn: func() { touch(cold) }}, &body{fn: func() {}})
		}
		stats := newToy(t, cfg, bodies...).run(t)
		require.NotZero(t, stats.Detected(), brief(stats))
	})
}

const coldPages = 256

// coldMapping maps a file of which nothing is in the page cache.
func coldMapping(t *testing.T) []byte {
	page := os.Getpagesize()
	name := filepath.Join(t.TempDir(), "cold")
	content := make([]byte, coldPages*page)
	for i := range content {
		content[i] = byte(i / page)
	}
	f, err := os.Create(name)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.Write(content)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	fd := int(f.Fd())
	require.NoError(t, unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED))
	mem, err := unix.Mmap(fd, 0, len(content), unix.PROT_READ, unix.MAP_SHARED)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	require.NoError(t, unix.Madvise(mem, unix.MADV_RANDOM)) // no read-ahead
	resident := make([]byte, coldPages)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mem[0])), uintptr(len(mem)), uintptr(unsafe.Pointer(&resident[0])))
	require.Zero(t, errno)
	for _, r := range resident {
		if r&1 != 0 {
			t.Skip("missing: a file system whose page cache can be dropped (posix_fadvise DONTNEED) under TMPDIR")
		}
	}
	return mem
}

func touch(mem []byte) (sum int) {
	for at := 0; at < len(mem); at += os.Getpagesize() {
		sum += int(mem[at])
	}
	return sum
}

func TestNoTakeoverOutsideBody(t *testing.T) {
	eachSetting(t, detecting, func(t *testing.T, cfg Config) {
		var s *toy
		s = newToy(t, cfg, &body{fn: func() {}}, &body{outside: true, fn: func() {
			for range 20 {
				sleepNs(500_000)
			}
			for cfg.Detector == DetectorSwitch && s.pool.Stats().FalseAlarms == 0 {
				sleepNs(100_000) // a standby has looked, then, and refrained
			}
		}}, &body{fn: func() {}})
		stats := s.run(t)
		require.Zero(t, stats.Detected(), brief(stats))
	})
}

func TestNothingWhileIdle(t *testing.T) {
	eachSetting(t, detecting, func(t *testing.T, cfg Config) {
		var s *toy
		s = newToy(t, cfg, &body{outside: true, fn: func() {
			s.pool.Idle()
			for s.pool.sample.on.Load() {
				sleepNs(100_000) // until the timer has run out
			}
			before := s.pool.Stats()
			for range 20 {
				sleepNs(1_000_000)
			}
			after := s.pool.Stats()
			require.Equal(t, before.FalseAlarms, after.FalseAlarms)
			require.Zero(t, after.Detected())
		}}, &body{fn: func() { require.True(t, s.pool.sample.on.Load(), "the timer goes again beside a body") }})
		s.run(t)
	})
}

func TestBound(t *testing.T) {
	eachSetting(t, allKinds, func(t *testing.T, cfg Config) {
		cfg.Standbys = 1
		gate := make(chan struct{})
		announce := cfg.Detector == DetectorExplicit
		var s *toy
		first := &body{announce: announce, fn: func() { <-gate }}
		second := &body{announce: true, fn: func() { sleepNs(2_000_000) }}
		third := &body{fn: func() { sleepNs(2_000_000) }}
		s = newToy(t, cfg, first, second, third, &body{fn: func() { close(gate) }})
		stats := s.run(t)
		require.False(t, first.kept)
		require.True(t, second.kept)
		require.True(t, third.kept)
		require.EqualValues(t, 1, stats.AtBoundAnnounced)
		if cfg.Detector != DetectorExplicit {
			require.GreaterOrEqual(t, stats.AtBound, uint64(2), brief(stats))
		}
	})
}

func TestAnnounced(t *testing.T) {
	eachSetting(t, allKinds, func(t *testing.T, cfg Config) {
		c := make(chan int)
		waits := &body{announce: true, fn: func() { <-c }}
		quick := &body{announce: true, fn: func() {}}
		stats := newToy(t, cfg, quick, waits, &body{fn: func() { c <- 1 }}).run(t)
		require.False(t, waits.kept)
		require.False(t, quick.kept)
		require.EqualValues(t, 2, stats.Announced(), brief(stats))
	})
}
