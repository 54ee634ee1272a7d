package conformance

import (
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// repeatable is a program that finds all that it asks for, as often as it is run.
type repeatable struct {
	name string
	ops  []runtime.Op
	feed func() // before each run; allocates nothing
}

// repeatables have each op at least once.
func repeatables(t *testing.T) []repeatable {
	return append(repeatableFiles(t), repeatableNet(t)...)
}

func imm(fd int) runtime.Arg { return runtime.Imm(int64(fd)) }

func repeatableFiles(t *testing.T) []repeatable {
	path := memDir(t)
	dir, err := unix.Open(path, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Close(dir)) })
	for _, name := range []string{"a", "b"} {
		require.NoError(t, os.WriteFile(filepath.Join(path, name), make([]byte, 4096), 0o600))
	}
	fd, err := unix.Open(filepath.Join(path, "a"), unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Close(fd)) })
	exe, err := unix.Open("/proc/self/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Close(exe)) })
	buf, st := make([]byte, 4096), &unix.Statx_t{}
	a, b, sub := runtime.CPath("a"), runtime.CPath("b"), runtime.CPath("d")
	stop := func(op runtime.Op) runtime.Op { return op.With(runtime.StopOnNegative) }
	one := func(name string, ops ...runtime.Op) repeatable {
		return repeatable{name: name, ops: ops, feed: func() {}}
	}
	return []repeatable{
		one("nop", runtime.Nop(imm(0))),
		one("add", runtime.Add(runtime.Reg(0), imm(1)).To(0)),
		one("openat+close", stop(runtime.Openat(imm(dir), a, unix.O_RDONLY, 0).To(0)), runtime.Close(runtime.Reg(0))),
		one("pread", runtime.Pread(imm(fd), buf, imm(0))),
		one("pread of a disk's file", runtime.Pread(imm(exe), buf, imm(0))),
		one("pwrite", runtime.Pwrite(imm(fd), buf, imm(0))),
		one("fsync", runtime.Fsync(imm(fd))),
		one("fdatasync", runtime.Fdatasync(imm(fd))),
		one("statx", stop(runtime.Statx(imm(fd), nil, unix.AT_EMPTY_PATH, unix.STATX_SIZE, st)), runtime.Statx(imm(dir), a, 0, unix.STATX_SIZE, st)),
		one("renameat", runtime.Renameat(imm(dir), a, imm(dir), b, unix.RENAME_EXCHANGE)),
		one("mkdirat+unlinkat", stop(runtime.Mkdirat(imm(dir), sub, 0o700)), runtime.Unlinkat(imm(dir), sub, unix.AT_REMOVEDIR)),
		one("fallocate", runtime.Fallocate(imm(fd), 0, imm(0), imm(4096))),
		one("sleep", runtime.Sleep(imm(0))),
		one("call", runtime.Call(func(*runtime.Syslet) int64 { return 0 })),
	}
}

// memDir is a directory in memory, if the system has one in the usual place: what
// waits for a disk is no cached case.
func memDir(t *testing.T) string {
	var st unix.Statfs_t
	if unix.Statfs("/dev/shm", &st) != nil || st.Type != unix.TMPFS_MAGIC {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "syslet")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func repeatableNet(t *testing.T) []repeatable {
	owned := func(fds ...int) {
		for _, fd := range fds {
			t.Cleanup(func() { require.NoError(t, unix.Close(fd)) })
		}
	}
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	udp, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	l, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Bind(l, &unix.SockaddrUnix{})) // the kernel finds a name
	require.NoError(t, unix.Listen(l, 8))
	var pipe [2]int
	require.NoError(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	null, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	owned(p[0], p[1], udp, l, pipe[0], pipe[1], null)

	nobody := make([]byte, unix.SizeofSockaddrInet4)
	*(*unix.RawSockaddrInet4)(unsafe.Pointer(&nobody[0])) = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{127, 0, 0, 1}, Port: 9 << 8}
	var name unix.RawSockaddrUnix
	size := uint32(unsafe.Sizeof(name))
	call(t, unix.SYS_GETSOCKNAME, uintptr(l), uintptr(unsafe.Pointer(&name)), uintptr(unsafe.Pointer(&size)))
	here, there, in, out := imm(p[0]), imm(p[1]), make([]byte, 64), make([]byte, 64)
	stop := func(op runtime.Op) runtime.Op { return op.With(runtime.StopOnNegative) }
	return []repeatable{
		{"send+poll+recv", []runtime.Op{stop(runtime.Send(there, out, 0)), stop(runtime.Poll(here, unix.POLLIN)), runtime.Recv(here, in, 0)}, func() {}},
		{"connect", []runtime.Op{runtime.Connect(imm(udp), nobody)}, func() {}},
		{"accept", []runtime.Op{stop(runtime.Accept(imm(l), unix.SOCK_CLOEXEC).To(0)), runtime.Close(runtime.Reg(0))}, func() {
			fd := call(t, unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			call(t, unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&name)), uintptr(size))
			call(t, unix.SYS_CLOSE, fd, 0, 0)
		}},
		{"splice", []runtime.Op{runtime.Splice(imm(pipe[0]), imm(-1), imm(null), imm(-1), imm(64), 0)}, func() {
			call(t, unix.SYS_WRITE, uintptr(pipe[1]), uintptr(unsafe.Pointer(&out[0])), 64)
		}},
	}
}

// call makes a system call without x/sys's allocations.
func call(t *testing.T, nr, a, b, c uintptr) uintptr {
	r, _, errno := unix.Syscall(nr, a, b, c)
	if errno != 0 {
		t.Errorf("system call %d: %v", nr, errno)
	}
	return r
}
