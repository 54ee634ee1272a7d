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

// TestWaitIsInterrupted: a collection ends the waits of a locked goroutine, again and
// again until it lets go, and then goes on. (epoll_wait, as a read would be restarted.)
func TestWaitIsInterrupted(t *testing.T) {
	var p [2]int
	require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	defer unix.Close(p[0])
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(epfd)
	require.NoError(t, unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, p[0], &unix.EpollEvent{Events: unix.EPOLLIN}))
	type result struct {
		n           uintptr
		errno       unix.Errno
		interrupted int
	}
	done, about := make(chan result), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var r result
		events := make([]unix.EpollEvent, 1)
		close(about)
		for r.errno = unix.EINTR; r.errno == unix.EINTR; {
			wait := Wait6
			if r.interrupted%3 == 2 { // as package nap has it
				wait = Syscall6
			}
			r.n, r.errno = wait(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(&events[0])), 1, ^uintptr(0), 0, 0)
			if r.errno == unix.EINTR {
				r.interrupted++
			}
		}
		done <- r
	}()
	<-about
	for range 10 {
		runtime.GC() // hangs for ever if the wait does not end
	}
	require.NoError(t, unix.Close(p[1]))
	r := <-done
	require.Zero(t, r.errno)
	require.EqualValues(t, 1, r.n, "the pipe's end")
	require.Positive(t, r.interrupted)
}
