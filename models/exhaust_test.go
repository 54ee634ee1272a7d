package models_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/echo"
)

// When descriptors run out, those that are connected go on, the others wait in
// the backlog, and they are served when there are descriptors again.
func TestAcceptWithoutDescriptors(t *testing.T) {
	const clients, room = 12, 4
	for _, name := range models.Names() {
		t.Run(name, func(t *testing.T) {
			if err := models.Refused(name); err != nil {
				t.Skip(err)
			}
			defer boundDescriptors(t, 200)()
			srv, err := models.Open(name, runtime.Options{Listen: "127.0.0.1:0"})
			require.NoError(t, err)
			require.NoError(t, srv.Start(echo.Config{}.NewApp))
			defer stopServer(t, srv)
			h := newIdlers(t, srv.Addr().String())
			defer h.close()
			h.open(1)
			h.echo(100) // whatever the server opens late is open now
			for range clients {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				require.NoError(t, err)
				h.fds = append(h.fds, fd)
			}
			free := leaveDescriptors(t, room)
			defer free()
			for _, fd := range h.fds[1:] {
				require.NoError(t, unix.Connect(fd, h.to))
			}
			accepted := func(n uint64) func() bool {
				return func() bool {
					st, err := srv.Stats(context.Background())
					return err == nil && st.Accepted == n
				}
			}
			require.Eventually(t, accepted(1+room), 10*time.Second, time.Millisecond)
			some := *h
			some.fds = h.fds[:1+room]
			for range 50 {
				some.echo(1000)
			}
			require.True(t, accepted(1+room)(), "there is no descriptor for more")
			free()
			require.Eventually(t, accepted(1+clients), 10*time.Second, time.Millisecond)
			h.echo(1000)
		})
	}
}

// boundDescriptors lowers the limit until n more files can be opened. It must be
// done first: a multishot accept goes by the limit of when it was armed.
func boundDescriptors(t *testing.T, n int) (undo func()) {
	var was unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	fd := openNull(t)
	require.NoError(t, unix.Close(fd))
	low := was
	low.Cur = uint64(fd + n)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	return func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &was)) }
}

// leaveDescriptors opens files until n more can be opened, and free closes them.
func leaveDescriptors(t *testing.T, n int) (free func()) {
	var fds []int
	for fd := openNull(t); fd >= 0; fd = openNull(t) {
		fds = append(fds, fd)
	}
	closeLast := func(n int) {
		for range n {
			require.NoError(t, unix.Close(fds[len(fds)-1]))
			fds = fds[:len(fds)-1]
		}
	}
	closeLast(n)
	return func() { closeLast(len(fds)) }
}

// openNull gives -1 when there is no descriptor left.
func openNull(t *testing.T) int {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		require.ErrorIs(t, err, unix.EMFILE)
		return -1
	}
	return fd
}

func stopServer(t *testing.T, srv *runtime.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, srv.Stop(ctx))
}
