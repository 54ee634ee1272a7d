package iouring

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
)

func imm(fd int) srt.Arg { return srt.Imm(int64(fd)) }

// pair gives two connected sockets.
func pair(t testing.TB, kind int) [2]int {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|kind, 0)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, unix.Close(p[0]))
		require.NoError(t, unix.Close(p[1]))
	})
	return p
}

// TestPollWaitsForWhatWasAsked: the end of the peer's stream alone, which the ring
// reports unasked, does not end a poll for urgent data.
func TestPollWaitsForWhatWasAsked(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := serve(t, srt.Options{}, echo())
	p := pair(t, 0)
	require.NoError(t, unix.Shutdown(p[1], unix.SHUT_WR))
	y := srt.NewSyslet(srt.Poll(imm(p[0]), unix.POLLPRI))
	done := make(chan int64, 1)
	y.Done = func(_ *srt.Shard, y *srt.Syslet) { done <- y.Result() }
	on(t, v, func(s *srt.Shard) { require.Equal(t, srt.Queued, s.Submit(y)) })
	for helped := uint64(0); helped == 0; {
		on(t, v, func(*srt.Shard) { helped = d.helperOps })
	}
	require.Empty(t, done)
	require.NoError(t, unix.Shutdown(p[0], unix.SHUT_RDWR)) // both directions: POLLHUP
	require.EqualValues(t, unix.POLLHUP, await(t, done))
}

// TestFilesLink: the ops of a save are submitted as few chains, not one by one.
func TestFilesLink(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := serve(t, srt.Options{}, echo())
	dir := t.TempDir()
	tmp, name := srt.CPath(dir+"/tmp"), srt.CPath(dir+"/name")
	fd, err := unix.Open(dir+"/tmp", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	require.NoError(t, err)
	y := srt.NewSyslet(
		srt.Pwrite(imm(fd), []byte("saved"), srt.Imm(0)).To(0).With(srt.StopOnNegative),
		srt.Fdatasync(imm(fd)).To(1).With(srt.StopOnNegative),
		srt.Close(imm(fd)).To(2).With(srt.StopOnNegative),
		srt.Renameat(srt.AtCwd, tmp, srt.AtCwd, name, 0).To(3).With(srt.StopOnNegative))
	run(t, v, y)
	require.Equal(t, []int64{5, 0, 0, 0}, y.Regs[:4])
	on(t, v, func(*srt.Shard) { require.EqualValues(t, 2, d.syslets.linked) })
}

// BenchmarkSyslet runs a syslet of one cached read, which the ring completes
// inside the enter.
func BenchmarkSyslet(b *testing.B) {
	v, _ := serve(b, srt.Options{}, echo())
	fd, err := unix.Open("/proc/self/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(b, err)
	defer unix.Close(fd)
	for _, depth := range []int{1, 2, 8, 64} {
		b.Run(fmt.Sprintf("depth=%d", depth), func(b *testing.B) {
			b.ReportAllocs()
			left := b.N
			end := make(chan struct{})
			flying := 0
			var again func(s *srt.Shard, y *srt.Syslet)
			again = func(s *srt.Shard, y *srt.Syslet) {
				flying--
				if left > 0 {
					left--
					flying++
					s.Submit(y)
				} else if flying == 0 {
					close(end)
				}
			}
			on(b, v, func(s *srt.Shard) {
				for range min(depth, b.N) {
					y := srt.NewSyslet(srt.Pread(imm(fd), make([]byte, 4096), srt.Imm(0)))
					y.Done = again
					flying++
					left--
					s.Submit(y)
				}
			})
			await(b, end)
		})
	}
}
