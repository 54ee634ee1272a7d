package iouring

import (
	"fmt"
	"testing"
	"time"

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

// TestCancelEndsWaits: every op that may wait for ever is interrupted, whether or
// not its descriptor is nonblocking.
func TestCancelEndsWaits(t *testing.T) {
	conformance.CheckLeaks(t)
	v, _ := serve(t, srt.Options{}, echo())
	for _, kind := range []int{0, unix.SOCK_NONBLOCK} {
		p := pair(t, kind)
		full := make([]byte, 16<<20)
		l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|kind, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Listen(l, 1))
		var pipe [2]int
		require.NoError(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
		for name, op := range map[string]srt.Op{
			"recv":   srt.Recv(imm(p[0]), make([]byte, 8), 0),
			"send":   srt.Send(imm(p[0]), full, 0),
			"accept": srt.Accept(imm(l), 0),
			"poll":   srt.Poll(imm(p[0]), unix.POLLIN),
			"sleep":  srt.Sleep(srt.Imm(int64(time.Hour))),
			"splice": srt.Splice(imm(pipe[0]), srt.Imm(-1), imm(p[0]), srt.Imm(-1), srt.Imm(10), 0),
		} {
			for _, f := range []srt.Flags{0, srt.Async} {
				y := srt.NewSyslet(op.With(f), srt.Call(func(*srt.Syslet) int64 { t.Errorf("%s: an op was begun after the cancellation", name); return 0 }))
				done := make(chan unix.Errno, 1)
				y.Done = func(_ *srt.Shard, y *srt.Syslet) { done <- y.Errno() }
				on(t, v, func(s *srt.Shard) { require.Equal(t, srt.Queued, s.Submit(y)) })
				on(t, v, func(s *srt.Shard) { s.Cancel(y) })
				require.Equal(t, unix.ECANCELED, await(t, done), "%s, flags %d, kind %d", name, f, kind)
			}
		}
		for _, fd := range []int{l, pipe[0], pipe[1]} {
			require.NoError(t, unix.Close(fd))
		}
	}
}

// TestAnswersArePlainOnes has arguments for which the ring's own answer differs
// from the plain call's.
func TestAnswersArePlainOnes(t *testing.T) {
	conformance.CheckLeaks(t)
	v, _ := serve(t, srt.Options{}, echo())
	p := pair(t, unix.SOCK_NONBLOCK)
	half := pair(t, 0)
	require.NoError(t, unix.Shutdown(half[1], unix.SHUT_WR))
	buf := make([]byte, 8)
	file, err := unix.Open("/proc/self/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(file)
	for name, c := range map[string]struct {
		op   srt.Op
		want int64
	}{
		"pread at -1":       {srt.Pread(imm(file), buf, srt.Imm(-1)), -int64(unix.EINVAL)},
		"recv dontwait":     {srt.Recv(imm(p[0]), buf, unix.MSG_DONTWAIT), -int64(unix.EAGAIN)},
		"poll half-closed":  {srt.Poll(imm(half[0]), unix.POLLOUT), unix.POLLOUT},
		"splice of nothing": {srt.Splice(srt.Imm(-1), srt.Imm(0), srt.Imm(-1), srt.Imm(0), srt.Imm(0), 0), 0},
		"sleep of nothing":  {srt.Sleep(srt.Imm(-5)), 0},
		"recv of a file":    {srt.Recv(imm(file), buf, 0), -int64(unix.ENOTSOCK)},
	} {
		y := srt.NewSyslet(c.op)
		run(t, v, y)
		require.Equal(t, c.want, y.Result(), name)
	}
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
