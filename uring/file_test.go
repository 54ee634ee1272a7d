//go:build linux

package uring

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestOpenReadCloseInOneSubmit reads a file through a direct descriptor, as one chain
// and with one completion.
func TestOpenReadCloseInOneSubmit(t *testing.T) {
	r := openTest(t, Config{}, OpOpenat, OpRead, SparseFiles, CQESkip)
	require.NoError(t, r.RegisterFiles(2))
	name := filepath.Join(t.TempDir(), "player")
	require.NoError(t, os.WriteFile(name, []byte("x=1 y=2"), 0o600))
	buf := make([]byte, 7)
	fds := len(openFds())
	for range 3 { // the slot can be used again
		require.NoError(t, r.Reserve(3))
		r.Next(1).PrepOpenatDirect(unix.AT_FDCWD, path(name), unix.O_RDONLY, 0, 1).Link()
		r.Next(2).PrepRead(1, buf, 0).FixedFile().Link()
		r.Next(3).PrepCloseDirect(1)
		require.Equal(t, map[uint64]int32{1: 0, 2: 7, 3: 0}, byUserData(t, collect(t, r, 3)))
		require.Equal(t, "x=1 y=2", string(buf))
	}
	require.Len(t, openFds(), fds)

	// Only the last op of the chain reports.
	require.NoError(t, r.Reserve(3))
	r.SkipSuccess(r.Next(1).PrepOpenatDirect(unix.AT_FDCWD, path(name), unix.O_RDONLY, 0, 1).Link())
	r.SkipSuccess(r.Next(2).PrepRead(1, buf, 0).FixedFile().Link())
	r.Next(3).PrepCloseDirect(1)
	require.Equal(t, map[uint64]int32{3: 0}, byUserData(t, collect(t, r, 1)))
	requireIdle(t, r)

	// Or the first that fails, alone.
	require.NoError(t, r.Reserve(3))
	r.SkipSuccess(r.Next(1).PrepOpenatDirect(unix.AT_FDCWD, path(name+".gone"), unix.O_RDONLY, 0, 1).Link())
	r.SkipSuccess(r.Next(2).PrepRead(1, buf, 0).FixedFile().Link())
	r.Next(3).PrepCloseDirect(1)
	require.Equal(t, map[uint64]int32{1: -int32(unix.ENOENT)}, byUserData(t, collect(t, r, 1)))
	requireIdle(t, r)

	// Behind a failure those are silent that would have reported a success, too.
	require.NoError(t, r.Reserve(3))
	r.SkipSuccess(r.Next(1).PrepOpenatDirect(unix.AT_FDCWD, path(name+".gone"), unix.O_RDONLY, 0, 1).Link())
	r.Next(2).PrepFsync(1).FixedFile().HardLink()
	r.Next(3).PrepCloseDirect(1)
	require.Equal(t, map[uint64]int32{1: -int32(unix.ENOENT)}, byUserData(t, collect(t, r, 1)))
	require.Equal(t, 1, r.Pending())
	r.Forgo(2)
	requireIdle(t, r)
}

// requireIdle shows that nothing more comes, by a barrier: a nop is the next thing.
func requireIdle(t *testing.T, r *Ring) {
	t.Helper()
	require.Zero(t, r.Pending())
	r.Next(99).PrepNop()
	require.Equal(t, map[uint64]int32{99: 0}, byUserData(t, collect(t, r, 1)))
}

// TestFdInstall gives a file that was opened into a slot a number of its own.
func TestFdInstall(t *testing.T) {
	r := openTest(t, Config{}, OpOpenat, SparseFiles, OpFdInstall)
	require.NoError(t, r.RegisterFiles(2))
	name := filepath.Join(t.TempDir(), "player")
	require.NoError(t, os.WriteFile(name, []byte("x=1"), 0o600))
	require.NoError(t, r.Reserve(3))
	r.Next(1).PrepOpenatDirect(unix.AT_FDCWD, path(name), unix.O_RDONLY, 0, 1).Link()
	r.Next(2).PrepFdInstall(1).Link()
	r.Next(3).PrepCloseDirect(1)
	got := byUserData(t, collect(t, r, 3))
	require.Zero(t, got[1])
	require.Zero(t, got[3])
	buf, fd := make([]byte, 8), int(got[2])
	n, err := unix.Pread(fd, buf, 0)
	require.NoError(t, err)
	require.Equal(t, "x=1", string(buf[:n]))
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.Equal(t, unix.FD_CLOEXEC, flags)
	require.NoError(t, unix.Close(fd))
	r.Next(4).PrepFdInstall(1) // the slot is empty
	require.Equal(t, -int32(unix.EBADF), collect(t, r, 1)[0].Res())
}

// TestSaveChain writes a temporary file, syncs it and renames it, linked.
func TestSaveChain(t *testing.T) {
	r := openTest(t, Config{}, OpOpenat, OpWrite, OpFsync, OpRenameat)
	dir := t.TempDir()
	temp, final := filepath.Join(dir, "p.tmp"), filepath.Join(dir, "p")
	r.Next(0).PrepOpenat(unix.AT_FDCWD, path(temp), unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	fd := int(collect(t, r, 1)[0].Res())
	require.Positive(t, fd)
	data := []byte("saved")
	require.NoError(t, r.Reserve(4))
	r.Next(1).PrepWrite(fd, data, 0).Link()
	r.Next(2).PrepFsync(fd).Link()
	r.Next(3).PrepRenameat(unix.AT_FDCWD, path(temp), unix.AT_FDCWD, path(final), 0).Link()
	r.Next(4).PrepClose(fd)
	require.Equal(t, map[uint64]int32{1: 5, 2: 0, 3: 0, 4: 0}, byUserData(t, collect(t, r, 4)))
	got, err := os.ReadFile(final)
	require.NoError(t, err)
	require.Equal(t, "saved", string(got))
	require.NoFileExists(t, temp)
}

func TestFailedLinkCancelsTheRest(t *testing.T) {
	r := openTest(t, Config{}, OpWrite, OpFsync, OpRenameat)
	dir := t.TempDir()
	temp, final := filepath.Join(dir, "p.tmp"), filepath.Join(dir, "p")
	require.NoError(t, os.WriteFile(temp, nil, 0o600))
	f, err := os.Open(temp) // for reading: the write fails
	require.NoError(t, err)
	defer f.Close()
	fd := int(f.Fd())
	data := []byte("never")
	require.NoError(t, r.Reserve(4))
	r.Next(1).PrepWrite(fd, data, 0).Link()
	r.Next(2).PrepFsync(fd).Link()
	r.Next(3).PrepRenameat(unix.AT_FDCWD, path(temp), unix.AT_FDCWD, path(final), 0)
	r.Next(4).PrepNop() // not of the chain
	canceled := -int32(unix.ECANCELED)
	require.Equal(t, map[uint64]int32{1: -int32(unix.EBADF), 2: canceled, 3: canceled, 4: 0},
		byUserData(t, collect(t, r, 4)))
	require.NoFileExists(t, final)

	// A short read fails its chain too; a hard link goes on.
	buf := make([]byte, 10)
	require.NoError(t, r.Reserve(2))
	r.Next(5).PrepRead(fd, buf, 0).Link()
	r.Next(6).PrepNop()
	require.Equal(t, map[uint64]int32{5: 0, 6: canceled}, byUserData(t, collect(t, r, 2)))
	require.NoError(t, r.Reserve(2))
	r.Next(7).PrepWrite(fd, data, 0).HardLink()
	r.Next(8).PrepNop()
	require.Equal(t, map[uint64]int32{7: -int32(unix.EBADF), 8: 0}, byUserData(t, collect(t, r, 2)))
}

func TestFileOps(t *testing.T) {
	r := openTest(t, Config{}, OpMkdirat, OpFallocate, OpStatx, OpUnlinkat, OpFsync)
	dir := filepath.Join(t.TempDir(), "map")
	one := func(s *SQE) int32 {
		t.Helper()
		return collect(t, r, 1)[0].Res()
	}
	require.Zero(t, one(r.Next(1).PrepMkdirat(unix.AT_FDCWD, path(dir), 0o700)))
	require.Equal(t, -int32(unix.EEXIST), one(r.Next(1).PrepMkdirat(unix.AT_FDCWD, path(dir), 0o700)))
	name := filepath.Join(dir, "tiles")
	fd := int(one(r.Next(1).PrepOpenat(unix.AT_FDCWD, path(name), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o640)))
	require.Positive(t, fd)
	require.Zero(t, one(r.Next(1).PrepFallocate(fd, 0, 100, 4000)))
	data := []byte("wall")
	require.Equal(t, int32(4), one(r.Next(1).PrepWrite(fd, data, 50)))
	require.Zero(t, one(r.Next(1).PrepFdatasync(fd)))
	require.Equal(t, int32(4), one(r.Next(1).PrepWrite(fd, data, CurrentOffset)))
	buf := make([]byte, 54)
	require.Equal(t, int32(54), one(r.Next(1).PrepRead(fd, buf, 0).Async()))
	require.Equal(t, "wall", string(buf[50:]))
	require.Equal(t, "wall", string(buf[:4]))
	var st unix.Statx_t
	require.Zero(t, one(r.Next(1).PrepStatx(unix.AT_FDCWD, path(name), 0, unix.STATX_BASIC_STATS, &st)))
	require.Equal(t, uint64(4100), st.Size)
	require.Equal(t, uint16(unix.S_IFREG|0o640), st.Mode)
	require.Zero(t, one(r.Next(1).PrepClose(fd)))
	require.Equal(t, -int32(unix.EBADF), one(r.Next(1).PrepClose(fd)))
	require.Zero(t, one(r.Next(1).PrepUnlinkat(unix.AT_FDCWD, path(name), 0)))
	require.NoFileExists(t, name)
	require.Zero(t, one(r.Next(1).PrepUnlinkat(unix.AT_FDCWD, path(dir), unix.AT_REMOVEDIR)))
	require.NoDirExists(t, dir)
}

func TestSpliceFromFileToPipe(t *testing.T) {
	r := openTest(t, Config{}, OpSplice)
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteString("0123456789")
	require.NoError(t, err)
	var p [2]int
	require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	r.Next(1).PrepSplice(int(f.Fd()), 3, p[1], CurrentOffset, 5, 0)
	require.Equal(t, int32(5), collect(t, r, 1)[0].Res())
	buf := make([]byte, 10)
	n, err := unix.Read(p[0], buf)
	require.NoError(t, err)
	require.Equal(t, "34567", string(buf[:n]))
}

func TestFileTable(t *testing.T) {
	r := openTest(t, Config{}, SparseFiles, OpSend, OpRecv)
	require.NoError(t, r.RegisterFiles(4))
	require.ErrorIs(t, r.RegisterFiles(4), unix.EBUSY)
	a, b := socketpair(t)
	require.NoError(t, r.UpdateFile(2, a))
	require.NoError(t, unix.Close(a)) // the slot keeps it open
	msg, buf := []byte("hello"), make([]byte, 5)
	r.Next(1).PrepSend(2, msg, 0).FixedFile()
	r.Next(2).PrepRecv(b, buf, 0)
	require.Equal(t, map[uint64]int32{1: 5, 2: 5}, byUserData(t, collect(t, r, 2)))
	r.Next(3).PrepRecv(2, buf, 0).FixedFile()
	require.NoError(t, r.Submit())
	r.Next(4).PrepCancelSlot(2)
	require.Equal(t, map[uint64]int32{3: -int32(unix.ECANCELED), 4: 1}, byUserData(t, collect(t, r, 2)))
	require.NoError(t, r.UpdateFile(2, -1))
	r.Next(5).PrepSend(2, msg, 0).FixedFile()
	require.Equal(t, -int32(unix.EBADF), collect(t, r, 1)[0].Res())

	// The kernel picks a slot for a connection.
	ln, addr := listen(t)
	r.Next(6).PrepAcceptDirect(ln, AllocSlot, 0)
	fd := dial(t, r, addr)
	got := byUserData(t, collect(t, r, 2))
	require.Zero(t, got[1000])
	require.GreaterOrEqual(t, got[6], int32(0))
	require.Less(t, got[6], int32(4))
	require.NoError(t, unix.Close(fd))
}
