package iouring

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
)

// TestEarly: of reads that are queued in one go, most are in the kernel before the
// turn ends, and the last never is; all are counted out again.
func TestEarly(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := serve(t, srt.Options{}, echo())
	const reads = 8
	p := pair(t, 0) // read as a file, it lets each read wait
	done := make(chan int64, reads)
	submit := func(s *srt.Shard) {
		y := srt.NewSyslet(srt.Pread(imm(p[0]), make([]byte, 1), srt.Imm(0)))
		y.Done = func(_ *srt.Shard, y *srt.Syslet) { done <- y.Result() }
		require.Equal(t, srt.Queued, s.Submit(y))
	}
	var lone, enters uint64
	var queued, flying int
	on(t, v, func(s *srt.Shard) {
		lone = d.ring.Stats.Enters
		submit(s)
		lone = d.ring.Stats.Enters - lone
		for range reads - 1 {
			submit(s)
		}
		enters, queued, flying = d.ring.Stats.Enters, d.ring.Queued(), d.syslets.early.flying
		enters -= lone
	})
	require.Zero(t, lone, "a lone op goes with the turn's enter")
	require.Positive(t, queued, "and so does the last one")
	require.LessOrEqual(t, queued, reads/2)
	require.Equal(t, reads, flying)
	require.NotZero(t, enters)
	for range reads {
		_, err := unix.Write(p[1], []byte("x"))
		require.NoError(t, err)
		require.EqualValues(t, 1, await(t, done))
	}
	on(t, v, func(*srt.Shard) { flying = d.syslets.early.flying })
	require.Zero(t, flying)
}

// TestEarlyIsLeftOff: what is done in its submission is not submitted early again;
// a chain that breaks is counted out, too.
func TestEarlyIsLeftOff(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := serve(t, srt.Options{}, echo())
	fd, err := unix.Open("/proc/self/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	const reads = 4
	done := make(chan int64, reads)
	on(t, v, func(s *srt.Shard) {
		for range reads {
			y := srt.NewSyslet(srt.Pread(imm(fd), make([]byte, 16), srt.Imm(0)))
			y.Done = func(_ *srt.Shard, y *srt.Syslet) { done <- y.Result() }
			require.Equal(t, srt.Queued, s.Submit(y))
		}
	})
	for range reads {
		require.EqualValues(t, 16, await(t, done))
	}
	run(t, v, srt.NewSyslet(
		srt.Pread(imm(fd), make([]byte, 16), srt.Imm(1<<40)).To(0).With(srt.StopOnNonPositive),
		srt.Pread(imm(fd), make([]byte, 16), srt.Imm(0)).To(1)))
	var e early
	on(t, v, func(*srt.Shard) { e = d.syslets.early })
	require.Positive(t, e.off)
	require.Zero(t, e.flying)
}
