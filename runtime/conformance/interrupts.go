package conformance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// RunInterrupts is for models that promise more of Shard.Cancel than the contract:
// that every wait which could last for ever ends, blocking descriptor or not.
func RunInterrupts(t *testing.T, open Open, skip error) {
	if skip != nil {
		t.Skipf("model refused: %v", skip)
	}
	s := suite{open: open}
	for name, kind := range map[string]int{"blocking": 0, "nonblocking": unix.SOCK_NONBLOCK} {
		t.Run(name, func(t *testing.T) {
			CheckLeaks(t)
			s.interrupts(t, kind)
		})
	}
}

func (s suite) interrupts(t *testing.T, kind int) {
	v := s.serve(t, runtime.Options{}, echoApp())
	for name, op := range endless(t, kind) {
		for _, f := range []runtime.Flags{0, runtime.Async} {
			for _, atOnce := range []bool{false, true} { // in the callback that submits it
				y := runtime.NewSyslet(op().With(f), runtime.Call(func(*runtime.Syslet) int64 {
					t.Errorf("%s: an op was begun after the cancellation", name)
					return 0
				}))
				done := make(chan unix.Errno, 1)
				y.Done = func(_ *runtime.Shard, y *runtime.Syslet) { done <- y.Errno() }
				on(t, v, func(s *runtime.Shard) {
					if s.Submit(y) != runtime.Queued {
						t.Errorf("%s: not queued", name)
					}
					if atOnce {
						s.Cancel(y)
					}
				})
				on(t, v, func(s *runtime.Shard) { s.Cancel(y) })
				require.Equal(t, unix.ECANCELED, await(t, done), "%s, flags %d, at once %t", name, f, atOnce)
			}
		}
	}
}

// endless are ops that wait for what does not come.
func endless(t *testing.T, kind int) map[string]func() runtime.Op {
	fds := make([]int, 0, 16)
	t.Cleanup(func() {
		for _, fd := range fds {
			require.NoError(t, unix.Close(fd))
		}
	})
	socket := func(kind int) int {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|kind, 0)
		require.NoError(t, err)
		fds = append(fds, fd)
		return fd
	}
	listen := func(backlog int) int {
		fd := socket(kind)
		require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		require.NoError(t, unix.Listen(fd, backlog))
		return fd
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|kind, 0)
	require.NoError(t, err)
	var pipe [2]int
	require.NoError(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	fds = append(fds, pair[0], pair[1], pipe[0], pipe[1])

	// A backlog of 0 holds one connection; who comes then is not answered.
	full, first := listen(0), socket(0)
	sa, err := unix.Getsockname(full)
	require.NoError(t, err)
	require.NoError(t, unix.Connect(first, sa))
	port := sa.(*unix.SockaddrInet4).Port
	addr := []byte{unix.AF_INET, 0, byte(port >> 8), byte(port), 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}

	imm := func(fd int) runtime.Arg { return runtime.Imm(int64(fd)) }
	always := func(op runtime.Op) func() runtime.Op { return func() runtime.Op { return op } }
	return map[string]func() runtime.Op{
		"recv":        always(runtime.Recv(imm(pair[0]), make([]byte, 8), 0)),
		"recv all":    always(runtime.Recv(imm(pair[0]), make([]byte, 8), unix.MSG_WAITALL)),
		"send":        always(runtime.Send(imm(pair[0]), make([]byte, 16<<20), 0)),
		"accept":      always(runtime.Accept(imm(listen(1)), 0)),
		"connect":     func() runtime.Op { return runtime.Connect(imm(socket(kind)), addr) },
		"poll":        always(runtime.Poll(imm(pipe[0]), unix.POLLIN)),
		"poll urgent": always(runtime.Poll(imm(pair[0]), unix.POLLPRI)),
		"sleep":       always(runtime.Sleep(runtime.Imm(int64(time.Hour)))),
		"splice":      always(runtime.Splice(imm(pipe[0]), runtime.Imm(-1), imm(pair[0]), runtime.Imm(-1), runtime.Imm(10), 0)),
	}
}
