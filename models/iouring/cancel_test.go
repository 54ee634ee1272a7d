package iouring

import (
	"context"
	"path/filepath"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
)

// stuckPipe is one that nobody writes to: the ring, unlike pread(2), waits for it.
func stuckPipe(t *testing.T) srt.Arg {
	var p [2]int
	require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	t.Cleanup(func() {
		require.NoError(t, unix.Close(p[0]))
		require.NoError(t, unix.Close(p[1]))
	})
	return imm(p[0])
}

// cancelled submits y, lets the ring run what it can, and cancels.
func cancelled(t *testing.T, v *srt.Server, y *srt.Syslet) {
	t.Helper()
	done := make(chan unix.Errno, 1)
	y.Done = func(_ *srt.Shard, y *srt.Syslet) { done <- y.Errno() }
	on(t, v, func(s *srt.Shard) { require.Equal(t, srt.Queued, s.Submit(y)) })
	on(t, v, func(s *srt.Shard) { s.Cancel(y) })
	require.Equal(t, unix.ECANCELED, await(t, done))
}

// TestCancelledChainsKeepDescriptors: what a chain has opened until it is cancelled
// is in its register, or closed.
func TestCancelledChainsKeepDescriptors(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := slots(t)
	stuck, buf := stuckPipe(t), make([]byte, 4)
	name := file(t, "x")
	open := srt.Openat(srt.AtCwd, srt.CPath(name), unix.O_RDONLY, 0).To(0)
	read, end := srt.Pread(stuck, buf, srt.Imm(0)).To(1), srt.Close(srt.Reg(0)).To(2)
	first := srt.Fsync(srt.Imm(-1)).To(3)
	for what, c := range map[string]struct {
		ops     []srt.Op
		slotted uint64
		open    bool
	}{
		"for the maker":         {[]srt.Op{first, open, read}, 0, true},
		"for the maker, a stop": {[]srt.Op{first, open.With(stopNeg), read}, 0, true},
		"closed all the same":   {[]srt.Op{open, read, end}, 1, false},
		"not closed":            {[]srt.Op{first, open.With(stopNeg), read.With(stopNeg), end}, 1, true},
		"waiting elsewhere":     {[]srt.Op{open, srt.Sleep(srt.Imm(int64(time.Hour))), end}, 1, true},
	} {
		y := srt.NewSyslet(c.ops...)
		for range 10 {
			y.Regs = [srt.RegCount]int64{-1}
			before := d.syslets.slotted
			cancelled(t, v, y)
			require.Equal(t, c.slotted, d.syslets.slotted-before, what)
			if y.Regs[0] < 0 { // the kernel was slow: it had not been opened
				continue
			}
			require.Equal(t, c.open, closeOpen(y.Regs[0], name), what)
		}
		require.GreaterOrEqual(t, y.Regs[0], int64(0), what)
	}
}

// TestCancelledOpen: a worker that is interrupted says so in the kernel's own way.
func TestCancelledOpen(t *testing.T) {
	conformance.CheckLeaks(t)
	v, _ := serve(t, srt.Options{}, echo())
	name := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(name, 0o600))
	y := srt.NewSyslet(srt.Openat(srt.AtCwd, srt.CPath(name), unix.O_RDONLY, 0).With(srt.Async).To(0))
	cancelled(t, v, y)
	require.Equal(t, -int64(unix.ECANCELED), y.Regs[0])
}

// TestCancelWithoutInstall: no descriptor can be had for what is open in a slot.
func TestCancelWithoutInstall(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := slots(t)
	on(t, v, func(*srt.Shard) { d.syslets.table.numbers = false })
	y := readFile(file(t, "x"), make([]byte, 1))
	y.Ops[1] = srt.Sleep(srt.Imm(int64(time.Hour)))
	cancelled(t, v, y)
	require.Equal(t, -int64(unix.EBADF), y.Regs[0])
}

// TestServerEndsWithOpenSlots: nothing is left of a chain that the server's end cuts off.
func TestServerEndsWithOpenSlots(t *testing.T) {
	conformance.CheckLeaks(t)
	if err := Probe(); err != nil {
		t.Skipf("model refused: %v", err)
	}
	v, err := srt.New(srt.Options{Listen: "127.0.0.1:0"}, New)
	require.NoError(t, err)
	require.NoError(t, v.Start(func(*srt.Shard) (srt.App, error) { return echo(), nil }))
	y := readFile(file(t, "x"), make([]byte, 1))
	y.Ops[1] = srt.Pread(stuckPipe(t), make([]byte, 1), srt.Imm(0)).With(stopNeg)
	y.Done = func(*srt.Shard, *srt.Syslet) { t.Error("completed after the end") }
	on(t, v, func(s *srt.Shard) { require.Equal(t, srt.Queued, s.Submit(y)) })
	on(t, v, func(*srt.Shard) {})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.Error(t, v.Stop(ctx))
}

// TestChainsDoNotAllocate: a program that is kept and submitted again costs none.
func TestChainsDoNotAllocate(t *testing.T) {
	v, _ := slots(t)
	y := readFile(file(t, "0123"), make([]byte, 8))
	left, end := 0, make(chan struct{}, 1)
	y.Done = func(s *srt.Shard, y *srt.Syslet) {
		if left--; left > 0 {
			s.Submit(y)
			return
		}
		end <- struct{}{}
	}
	runs := func(n int) (mallocs uint64) {
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		on(t, v, func(s *srt.Shard) { left = n; s.Submit(y) })
		await(t, end)
		goruntime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	runs(100)
	const n = 2000
	least := uint64(n)
	for range 5 { // what goes on beside allocates now and then, and more when the machine is slow
		least = min(least, runs(n))
	}
	require.Less(t, least, uint64(n/20))
	require.Equal(t, int64(4), y.Regs[1])
}
