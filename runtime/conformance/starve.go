package conformance

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// opsStarve: however many syslets wait for a peer, and however few threads there
// are, what ends by itself gets its turn.
func (s suite) opsStarve(t *testing.T) {
	v := s.serve(t, runtime.Options{Helpers: 1, Standbys: 1}, echoApp())
	const waiting = 20
	var pairs [waiting][2]int
	done := make(chan int, waiting)
	for i := range pairs {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		pairs[i] = pair
		// The first half waits at once, the other half behind an op that may block.
		y := runtime.NewSyslet(runtime.Recv(runtime.Imm(int64(pair[0])), make([]byte, 8), 0))
		if i%2 == 1 {
			y = runtime.NewSyslet(runtime.Call(func(*runtime.Syslet) int64 { return 0 }), y.Ops[0])
		}
		y.Done = func(_ *runtime.Shard, y *runtime.Syslet) { done <- int(y.Result()) }
		on(t, v, func(s *runtime.Shard) {
			if s.Submit(y) != runtime.Queued {
				t.Error("did not wait")
			}
		})
	}
	name := runtime.CPath(filepath.Join(t.TempDir(), "f"))
	for range 20 {
		y := run(t, v, runtime.Openat(runtime.AtCwd, name, unix.O_CREAT|unix.O_RDWR, 0o600).To(0).With(runtime.StopOnNegative),
			runtime.Pwrite(runtime.Reg(0), []byte("hello"), runtime.Imm(0)).With(runtime.Async), runtime.Fsync(runtime.Reg(0)),
			runtime.Call(func(*runtime.Syslet) int64 { return 0 }), runtime.Close(runtime.Reg(0)))
		require.Zero(t, y.Result())
	}
	require.Empty(t, done)
	for i := range pairs {
		_, err := unix.Write(pairs[i][1], []byte("x"))
		require.NoError(t, err)
	}
	for range pairs {
		require.Equal(t, 1, await(t, done))
	}
	for i := range pairs {
		require.NoError(t, unix.Close(pairs[i][0]))
		require.NoError(t, unix.Close(pairs[i][1]))
	}
}
