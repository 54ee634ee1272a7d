package runtime_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
)

// The ops of BenchmarkOp, each in a state in which it does not block. A name
// that ends in -mem is of a file in memory, without a device under it.

var opCases = []struct {
	name                string
	open                func(b *testing.B) *opCase
	announced, detected func(b *testing.B) *blockCase
}{
	{name: "nop", open: openNop},
	{name: "add", open: openAdd},
	{name: "openat+close", open: openOpenat},
	{name: "close", open: openClose},
	{name: "pread", open: func(b *testing.B) *opCase { return openPread(file(b, b.TempDir())) }, announced: directPread, detected: directPreadUnsaid},
	{name: "pread-mem", open: func(b *testing.B) *opCase { return openPread(file(b, memDir(b))) }},
	{name: "pwrite", open: func(b *testing.B) *opCase { return openPwrite(file(b, b.TempDir())) }},
	{name: "pwrite-mem", open: func(b *testing.B) *opCase { return openPwrite(file(b, memDir(b))) }},
	{name: "fsync", detected: fsyncDisk},
	{name: "fsync-mem", open: openFsync},
	{name: "fdatasync-mem", open: openFdatasync},
	{name: "statx", open: openStatx},
	{name: "statx-path", open: openStatxPath},
	{name: "renameat-mem", open: openRenameat},
	{name: "unlinkat-mem", open: openUnlinkat},
	{name: "mkdirat-mem", open: openMkdirat},
	{name: "fallocate-mem", open: openFallocate},
	{name: "recv", open: openRecv, announced: recvEmpty},
	{name: "send", open: openSend},
	{name: "connect", open: openConnect},
	{name: "accept", open: openAccept, announced: acceptNobody},
	{name: "poll", open: openPoll, announced: pollEmpty},
	{name: "sleep", open: openSleep, announced: sleepLong},
	{name: "splice", open: openSplice},
	{name: "call", open: openCall, detected: callRead},
	{name: "call-nanosleep", detected: callNanosleep},
}

func imm(fd int) srt.Arg { return srt.Imm(int64(fd)) }

// must is for what a chunk prepares: a system call without x/sys's allocations.
func must(nr, a, b, c, d uintptr) int {
	r, _, errno := unix.Syscall6(nr, a, b, c, d, 0, 0)
	if errno != 0 {
		panic(fmt.Sprintf("system call %d: %v", nr, errno))
	}
	return int(r)
}

func cstr(p []byte) uintptr { return uintptr(unsafe.Pointer(&p[0])) }

// memDir is a directory on tmpfs, if the system has one in the usual place.
func memDir(b *testing.B) string {
	var st unix.Statfs_t
	if unix.Statfs("/dev/shm", &st) != nil || st.Type != unix.TMPFS_MAGIC {
		b.Log("/dev/shm is not tmpfs: measured in the temporary directory")
		return b.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "syslet")
	check(b, err)
	b.Cleanup(func() { check(b, os.RemoveAll(dir)) })
	return dir
}

// file is a new file of 4 KiB.
func file(b *testing.B, dir string) int {
	f, err := os.CreateTemp(dir, "")
	check(b, err)
	b.Cleanup(func() { f.Close() })
	_, err = f.Write(make([]byte, 4096))
	check(b, err)
	return int(f.Fd())
}

func directory(b *testing.B, path string) int {
	fd, err := unix.Open(path, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	check(b, err)
	b.Cleanup(func() { check(b, unix.Close(fd)) })
	return fd
}

func socketpair(b *testing.B) (here, there int) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	check(b, err)
	b.Cleanup(func() { check(b, unix.Close(p[0])); check(b, unix.Close(p[1])) })
	return p[0], p[1]
}

func pipe(b *testing.B) (r, w int) {
	var p [2]int
	check(b, unix.Pipe2(p[:], unix.O_CLOEXEC))
	b.Cleanup(func() { check(b, unix.Close(p[0])); check(b, unix.Close(p[1])) })
	return p[0], p[1]
}

func openNop(*testing.B) *opCase {
	return &opCase{ops: []srt.Op{srt.Nop(srt.Imm(0))}, bare: func() error { return nil }}
}

func openAdd(*testing.B) *opCase {
	return &opCase{ops: []srt.Op{srt.Add(srt.Reg(0), srt.Imm(1)).To(0)}, bare: func() error { return nil }}
}

func openOpenat(b *testing.B) *opCase {
	name := filepath.Join(b.TempDir(), "f")
	check(b, os.WriteFile(name, nil, 0o600))
	c := &opCase{
		ops: []srt.Op{srt.Openat(srt.AtCwd, srt.CPath(name), unix.O_RDONLY, 0).To(0).With(srt.StopOnNegative), srt.Close(srt.Reg(0))},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			var fd int
			if fd, err = unix.Openat(unix.AT_FDCWD, name, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
				err = unix.Close(fd)
			}
		}
		return err
	}
	return c
}

func openClose(b *testing.B) *opCase {
	fd := uintptr(file(b, b.TempDir()))
	var fds [chunkMax]int
	c := &opCase{
		ops: []srt.Op{srt.Close(srt.Reg(0))},
		set: func(y *srt.Syslet, i int) { y.Regs[0] = int64(fds[i]) },
		prepare: func(n int) {
			for i := range n {
				fds[i] = must(unix.SYS_FCNTL, fd, unix.F_DUPFD_CLOEXEC, 0, 0)
			}
		},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			err = unix.Close(fds[c.i])
		}
		return err
	}
	return c
}

func openPread(fd int) *opCase {
	p := make([]byte, 4096)
	c := &opCase{
		ops: []srt.Op{srt.Pread(imm(fd), p, srt.Imm(0))},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			_, err = unix.Pread(fd, p, 0)
		}
		return err
	}
	return c
}

func openPwrite(fd int) *opCase {
	p := make([]byte, 4096)
	c := &opCase{
		ops: []srt.Op{srt.Pwrite(imm(fd), p, srt.Imm(0))},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			_, err = unix.Pwrite(fd, p, 0)
		}
		return err
	}
	return c
}

func openFsync(b *testing.B) *opCase {
	fd := file(b, memDir(b))
	c := &opCase{
		ops: []srt.Op{srt.Fsync(imm(fd))},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			err = unix.Fsync(fd)
		}
		return err
	}
	return c
}

func openFdatasync(b *testing.B) *opCase {
	fd := file(b, memDir(b))
	c := &opCase{
		ops: []srt.Op{srt.Fdatasync(imm(fd))},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			err = unix.Fdatasync(fd)
		}
		return err
	}
	return c
}

func openStatx(b *testing.B) *opCase {
	fd, st := file(b, b.TempDir()), &unix.Statx_t{}
	c := &opCase{
		ops: []srt.Op{srt.Statx(imm(fd), nil, unix.AT_EMPTY_PATH, unix.STATX_SIZE, st)},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			err = unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_SIZE, st)
		}
		return err
	}
	return c
}

func openStatxPath(b *testing.B) *opCase {
	name, st := filepath.Join(b.TempDir(), "f"), &unix.Statx_t{}
	check(b, os.WriteFile(name, nil, 0o600))
	c := &opCase{
		ops: []srt.Op{srt.Statx(srt.AtCwd, srt.CPath(name), 0, unix.STATX_SIZE, st)},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			err = unix.Statx(unix.AT_FDCWD, name, 0, unix.STATX_SIZE, st)
		}
		return err
	}
	return c
}

// Two files change names, so that each call has the same to do.
func openRenameat(b *testing.B) *opCase {
	dir := directory(b, memDir(b))
	for _, name := range []string{"a", "b"} {
		fd, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		check(b, err)
		check(b, unix.Close(fd))
	}
	c := &opCase{
		ops: []srt.Op{srt.Renameat(imm(dir), srt.CPath("a"), imm(dir), srt.CPath("b"), unix.RENAME_EXCHANGE)},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			err = unix.Renameat2(dir, "a", dir, "b", unix.RENAME_EXCHANGE)
		}
		return err
	}
	return c
}

// names are those of a chunk's files.
func names() (s [chunkMax]string, c [chunkMax][]byte) {
	for i := range s {
		s[i] = fmt.Sprintf("f%02d", i)
		c[i] = srt.CPath(s[i])
	}
	return s, c
}

func openUnlinkat(b *testing.B) *opCase {
	dir := directory(b, memDir(b))
	plain, paths := names()
	c := &opCase{
		ops: []srt.Op{srt.Unlinkat(imm(dir), paths[0], 0)},
		set: func(y *srt.Syslet, i int) { y.Ops[0].Path = paths[i] },
		prepare: func(n int) {
			for i := range n {
				fd := must(unix.SYS_OPENAT, uintptr(dir), cstr(paths[i]), unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
				must(unix.SYS_CLOSE, uintptr(fd), 0, 0, 0)
			}
		},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			err = unix.Unlinkat(dir, plain[c.i], 0)
		}
		return err
	}
	return c
}

func openMkdirat(b *testing.B) *opCase {
	dir := directory(b, memDir(b))
	plain, paths := names()
	c := &opCase{
		ops: []srt.Op{srt.Mkdirat(imm(dir), paths[0], 0o700)},
		set: func(y *srt.Syslet, i int) { y.Ops[0].Path = paths[i] },
		cleanup: func(n int) {
			for i := range n {
				must(unix.SYS_UNLINKAT, uintptr(dir), cstr(paths[i]), unix.AT_REMOVEDIR, 0)
			}
		},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			err = unix.Mkdirat(dir, plain[c.i], 0o700)
		}
		return err
	}
	return c
}

func openFallocate(b *testing.B) *opCase {
	fd := file(b, memDir(b))
	c := &opCase{
		ops: []srt.Op{srt.Fallocate(imm(fd), 0, srt.Imm(0), srt.Imm(4096))},
	}
	c.bare = func() (err error) {
		for ; c.i < c.to && err == nil; c.i++ {
			err = unix.Fallocate(fd, 0, 0, 4096)
		}
		return err
	}
	return c
}
