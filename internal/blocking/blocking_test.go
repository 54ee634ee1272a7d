package blocking

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A blocked call holds no P: with a single one, who ends the block still runs.
func TestBlockedCallHoldsNoP(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var p [2]int
	require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	type result struct {
		n     uintptr
		errno unix.Errno
		got   byte
	}
	for _, locked := range []bool{false, true} {
		done := make(chan result)
		about := make(chan struct{})
		go func() {
			if locked {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
			}
			r, b := result{}, new(byte)
			close(about)
			r.n, r.errno = Syscall6(unix.SYS_READ, uintptr(p[0]), uintptr(unsafe.Pointer(b)), 1, 0, 0, 0)
			r.got = *b
			done <- r
		}()
		<-about
		_, err := unix.Write(p[1], []byte{42})
		require.NoError(t, err)
		require.Equal(t, result{n: 1, got: 42}, <-done, "locked %v", locked)
	}
}

func TestErrorsAndAllocations(t *testing.T) {
	_, errno := Syscall6(unix.SYS_CLOSE, ^uintptr(0), 0, 0, 0, 0, 0)
	require.Equal(t, unix.EBADF, errno)
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = Syscall6(unix.SYS_GETPPID, 0, 0, 0, 0, 0, 0) }))
}
