package iouring

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
)

// world is what one op gets to see: made anew for each run of it.
type world struct {
	t   *testing.T
	dir string
	fds []int // to be closed

	file, readOnly, writeOnly, appending, folder int
	pipe, full, filled                           [2]int // the second and third: nothing goes in; bytes to come out
	sockets, dgrams                              [2]int // connected, with bytes to come on both ends
	quiet, half, gone                            [2]int // connected: nothing to come; end of stream to come; peer closed
	listener, empty                              int    // with a connection waiting; without
	client                                       int    // not connected
	addr, nobody                                 []byte // socket addresses: a listener's; nobody listens there

	stat unix.Statx_t
	buf  []byte
}

// kinds of descriptors: blocking and nonblocking sockets and pipes.
var kinds = []int{0, unix.SOCK_NONBLOCK}

// newWorld makes a world in dir, which may be that of an earlier one whose op could
// change no name: to make files takes long.
func newWorld(t *testing.T, dir string, kind int) *world {
	w := &world{t: t, dir: dir, buf: make([]byte, 8)}
	if os.Mkdir(dir, 0o755) == nil {
		require.NoError(t, os.Symlink("f", w.at("link")))
		require.NoError(t, os.Mkdir(w.at("d"), 0o755))
		require.NoError(t, os.Mkdir(w.at("e"), 0o755))
		require.NoError(t, os.WriteFile(w.at("d/g"), []byte("g"), 0o644))
	}
	require.NoError(t, os.WriteFile(w.at("f"), []byte("0123456789"), 0o644))
	w.file, w.readOnly = w.fd(unix.Open(w.at("f"), unix.O_RDWR|unix.O_CLOEXEC, 0)), w.fd(unix.Open(w.at("f"), unix.O_CLOEXEC, 0))
	w.writeOnly = w.fd(unix.Open(w.at("f"), unix.O_WRONLY|unix.O_CLOEXEC, 0))
	w.appending = w.fd(unix.Open(w.at("f"), unix.O_WRONLY|unix.O_APPEND|unix.O_CLOEXEC, 0))
	w.folder = w.fd(unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
	for _, p := range []*[2]int{&w.pipe, &w.full, &w.filled} {
		require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC|kind))
		w.fds = append(w.fds, p[:]...)
	}
	w.fill(w.full[1])
	w.write(w.filled[1], "piped")
	for _, p := range []*[2]int{&w.sockets, &w.quiet, &w.half, &w.gone} {
		w.pair(p, unix.SOCK_STREAM|kind)
	}
	w.pair(&w.dgrams, unix.SOCK_DGRAM|kind)
	for _, fd := range []int{w.sockets[0], w.sockets[1], w.dgrams[0], w.dgrams[1]} {
		w.write(fd, "socket")
	}
	require.NoError(t, unix.Shutdown(w.half[1], unix.SHUT_WR))
	require.NoError(t, unix.Shutdown(w.gone[1], unix.SHUT_RDWR))
	w.listeners(kind)
	return w
}

func (w *world) listeners(kind int) {
	var closed int
	for _, fd := range []*int{&w.listener, &w.empty, &closed, &w.client} {
		*fd = w.fd(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|kind, 0))
		if fd != &w.client {
			require.NoError(w.t, unix.Bind(*fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		}
	}
	require.NoError(w.t, unix.Listen(w.listener, 4))
	require.NoError(w.t, unix.Listen(w.empty, 4))
	w.addr, w.nobody = rawAddr(w.t, w.listener), rawAddr(w.t, closed) // bound, but nobody listens
	first := w.fd(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	sa, err := unix.Getsockname(w.listener)
	require.NoError(w.t, err)
	require.NoError(w.t, unix.Connect(first, sa))
}

// rawAddr is a bound socket's address as connect takes it.
func rawAddr(t *testing.T, fd int) []byte {
	sa, err := unix.Getsockname(fd)
	require.NoError(t, err)
	port := sa.(*unix.SockaddrInet4).Port
	return []byte{unix.AF_INET, 0, byte(port >> 8), byte(port), 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
}

func (w *world) at(name string) string   { return filepath.Join(w.dir, name) }
func (w *world) path(name string) []byte { return srt.CPath(w.at(name)) }

func (w *world) fd(fd int, err error) int {
	require.NoError(w.t, err)
	w.fds = append(w.fds, fd)
	return fd
}

func (w *world) pair(p *[2]int, kind int) {
	var err error
	*p, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_CLOEXEC|kind, 0)
	require.NoError(w.t, err)
	w.fds = append(w.fds, p[:]...)
}

func (w *world) write(fd int, s string) {
	n, err := unix.Write(fd, []byte(s))
	require.NoError(w.t, err)
	require.Equal(w.t, len(s), n)
}

// fill makes a pipe full.
func (w *world) fill(fd int) {
	size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	require.NoError(w.t, err)
	w.write(fd, string(make([]byte, size)))
}

// end says what can be seen of an op that has run, and closes all.
func (w *world) end(y *srt.Syslet) string {
	last, res := y.Last()
	out := ""
	if code := y.Ops[last].Code; res >= 0 && (code == srt.OpOpenat || code == srt.OpAccept) {
		flags, err := unix.FcntlInt(uintptr(res), unix.F_GETFL, 0)
		require.NoError(w.t, err)
		exec, err := unix.FcntlInt(uintptr(res), unix.F_GETFD, 0)
		require.NoError(w.t, err)
		var st unix.Stat_t
		require.NoError(w.t, unix.Fstat(int(res), &st))
		out = fmt.Sprintf("descriptor %#x %d mode %#o, ", flags, exec, st.Mode)
		require.NoError(w.t, unix.Close(int(res)))
		res = 0
	}
	out += fmt.Sprintf("op %d: %d, panicked %t, buffer %q, statx %#x %#o %d; ", last, res, y.Err() != nil, w.buf, w.stat.Mask, w.stat.Mode, w.stat.Nlink)
	if w.stat.Mode&unix.S_IFMT == unix.S_IFREG {
		out += fmt.Sprintf("size %d; ", w.stat.Size)
	}
	for _, name := range []string{"", "f", "g", "new", "d", "d/g", "e", "link"} {
		var st unix.Stat_t
		err := unix.Lstat(w.at(name), &st)
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			st.Size = 0
		}
		out += fmt.Sprintf("%s %v %#o %d %d; ", name, err, st.Mode, st.Size, st.Nlink)
	}
	got, _ := os.ReadFile(w.at("f")) // may be gone
	out += fmt.Sprintf("%q; ", got)
	position, err := unix.Seek(w.file, 0, 1)
	out += fmt.Sprintf("at %d %v; ", position, err)
	for _, fd := range []int{w.pipe[0], w.filled[0], w.sockets[0], w.sockets[1], w.dgrams[0], w.dgrams[1], w.quiet[0], w.quiet[1]} {
		out += fmt.Sprint(waiting(fd), " ")
	}
	for _, fd := range w.fds {
		_ = unix.Close(fd) // the op may have done so
	}
	return out
}

// waiting is how many bytes wait to be read.
func waiting(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return -1
	}
	return n
}

// answers are ops of every kind, by name, which end without anybody's help; those
// for which it matters if a nonblocking descriptor is meant, or those that have none.
func answers(w *world, kind int) map[string]srt.Op {
	all := map[string]srt.Op{}
	groups := []func(*world) map[string]srt.Op{sockets, connects, waits, splices}
	if kind == 0 {
		groups = append(groups, opens, reads, paths, sizes)
	}
	for _, group := range groups {
		for name, op := range group(w) {
			if _, twice := all[name]; twice {
				w.t.Errorf("two cases are named %s", name)
			}
			all[name] = op
		}
	}
	return all
}

const badFd = 1 << 20

func opens(w *world) map[string]srt.Op {
	at := srt.AtCwd
	all := map[string]srt.Op{
		"open new":             srt.Openat(at, w.path("new"), unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o7654),
		"open in folder":       srt.Openat(imm(w.folder), srt.CPath("f"), unix.O_RDONLY, 0),
		"open in file":         srt.Openat(imm(w.file), srt.CPath("f"), unix.O_RDONLY, 0),
		"open in bad":          srt.Openat(imm(badFd), srt.CPath("f"), unix.O_RDONLY, 0),
		"open absolute in bad": srt.Openat(imm(badFd), w.path("f"), unix.O_RDONLY, 0),
		"open empty":           srt.Openat(at, srt.CPath(""), unix.O_RDONLY, 0),
		"open link":            srt.Openat(at, w.path("link"), unix.O_NOFOLLOW, 0),
		"open folder to write": srt.Openat(at, w.path("d"), unix.O_WRONLY, 0),
		"open below file":      srt.Openat(at, w.path("f/x"), unix.O_RDONLY, 0),
		"open too long":        srt.Openat(at, srt.CPath(longName), unix.O_RDONLY, 0),
		"close":                srt.Close(imm(w.file)),
		"close bad":            srt.Close(imm(badFd)),
		"close -1":             srt.Close(srt.Imm(-1)),
		"close huge":           srt.Close(srt.Imm(1<<32 + badFd)),
	}
	for _, flags := range []int{unix.O_RDONLY, unix.O_RDWR, unix.O_WRONLY | unix.O_TRUNC, unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY, unix.O_CREAT | unix.O_WRONLY,
		unix.O_DIRECTORY, unix.O_NONBLOCK | unix.O_NOFOLLOW, unix.O_APPEND | unix.O_WRONLY, unix.O_PATH, unix.O_NOATIME, unix.O_SYNC, unix.O_ACCMODE, 1 << 30} {
		all[fmt.Sprintf("open file %#x", flags)] = srt.Openat(at, w.path("f"), flags, 0o600)
	}
	for _, flags := range []int{unix.O_DIRECTORY, unix.O_TMPFILE | unix.O_RDWR, unix.O_TMPFILE, unix.O_CREAT | unix.O_DIRECTORY, unix.O_PATH} {
		all[fmt.Sprintf("open folder %#x", flags)] = srt.Openat(at, w.path("d"), flags, 0o600)
	}
	return all
}

var longName = string(srt.CPath(string(bytesOf('x', 5000)))[:5000])

func bytesOf(b byte, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = b
	}
	return p
}

func reads(w *world) map[string]srt.Op {
	all := map[string]srt.Op{}
	for _, off := range []int64{0, 5, 10, 1000, -1, -2, 1 << 62, math.MaxInt64, math.MinInt64} {
		all[fmt.Sprint("pread at ", off)] = srt.Pread(imm(w.file), w.buf, srt.Imm(off))
		all[fmt.Sprint("pread bad at ", off)] = srt.Pread(imm(badFd), w.buf, srt.Imm(off))
		if off <= 1000 || off == math.MaxInt64 {
			all[fmt.Sprint("pwrite at ", off)] = srt.Pwrite(imm(w.file), []byte("WXYZ"), srt.Imm(off))
			all[fmt.Sprint("pwrite appending at ", off)] = srt.Pwrite(imm(w.appending), []byte("WXYZ"), srt.Imm(off))
		}
	}
	null := w.fd(unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0))
	device := w.fd(unix.Open("/dev/full", unix.O_RDWR|unix.O_CLOEXEC, 0))
	for name, fd := range map[string]int{"file": w.file, "folder": w.folder, "reader": w.readOnly, "writer": w.writeOnly, "bad": badFd, "null": null, "full": device} {
		all["pread "+name] = srt.Pread(imm(fd), w.buf, srt.Imm(1)).Len(srt.Imm(3))
		all["pwrite "+name] = srt.Pwrite(imm(fd), []byte("WXYZ"), srt.Imm(1)).Len(srt.Imm(3))
	}
	for name, fd := range map[string]int{"file": w.file, "folder": w.folder, "reader": w.readOnly, "writer": w.writeOnly, "bad": badFd,
		"full": device, "pipe": w.pipe[0], "socket": w.quiet[0]} {
		all["pread nothing "+name] = srt.Pread(imm(fd), nil, srt.Imm(1))
		all["pwrite nothing "+name] = srt.Pwrite(imm(fd), w.buf, srt.Imm(1)).Len(srt.Imm(0))
	}
	for name, fd := range map[string]int{"file": w.file, "folder": w.folder, "pipe": w.pipe[0], "socket": w.quiet[0], "bad": badFd, "device": device} {
		all["fsync "+name], all["fdatasync "+name] = srt.Fsync(imm(fd)), srt.Fdatasync(imm(fd))
	}
	return all
}

func paths(w *world) map[string]srt.Op {
	at, all := srt.AtCwd, map[string]srt.Op{}
	const mask = unix.STATX_TYPE | unix.STATX_MODE | unix.STATX_SIZE | unix.STATX_NLINK
	for _, name := range []string{"f", "d", "link", "none", "f/x", "e"} {
		for _, flags := range []int{0, unix.AT_SYMLINK_NOFOLLOW, unix.AT_STATX_DONT_SYNC, unix.AT_EMPTY_PATH, 1 << 20} {
			all[fmt.Sprintf("statx %s %#x", name, flags)] = srt.Statx(at, w.path(name), flags, mask, &w.stat)
		}
		for _, flags := range []int{0, unix.AT_REMOVEDIR, 1 << 20} {
			all[fmt.Sprintf("unlink %s %#x", name, flags)] = srt.Unlinkat(at, w.path(name), flags)
		}
		all["mkdir "+name] = srt.Mkdirat(at, w.path(name), 0o1732)
	}
	for _, name := range []string{"f", "d", "none"} {
		for _, flags := range []int{0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE, unix.RENAME_EXCHANGE | unix.RENAME_NOREPLACE} {
			for _, to := range []string{"f", "e", "new"} {
				all[fmt.Sprintf("rename %s %s %#x", name, to, flags)] = srt.Renameat(at, w.path(name), at, w.path(to), flags)
			}
		}
	}
	all["rename to nowhere"], all["rename flags"] = srt.Renameat(at, w.path("f"), at, w.path("none/x"), 0), srt.Renameat(at, w.path("f"), at, w.path("g"), 1<<20)
	for name, fd := range map[string]int{"file": w.file, "folder": w.folder, "bad": badFd, "cwd": unix.AT_FDCWD, "pipe": w.pipe[0]} {
		all["statx of "+name] = srt.Statx(imm(fd), nil, unix.AT_EMPTY_PATH, unix.STATX_TYPE, &w.stat)
		all["statx empty "+name] = srt.Statx(imm(fd), nil, 0, unix.STATX_TYPE, &w.stat)
		all["statx in "+name] = srt.Statx(imm(fd), srt.CPath("d"), 0, unix.STATX_TYPE, &w.stat)
		all["unlink in "+name] = srt.Unlinkat(imm(fd), srt.CPath("f"), 0)
		all["mkdir in "+name] = srt.Mkdirat(imm(fd), srt.CPath("d"), 0o700)
		all["rename from "+name] = srt.Renameat(imm(fd), srt.CPath("f"), at, w.path("new"), 0)
		all["rename to "+name] = srt.Renameat(at, w.path("f"), imm(fd), srt.CPath("new"), unix.RENAME_NOREPLACE)
	}
	delete(all, "rename to cwd") // that would be ours
	delete(all, "mkdir in cwd")
	all["statx mask"] = srt.Statx(at, w.path("f"), 0, 1<<31, &w.stat)
	all["mkdir empty"], all["unlink empty"] = srt.Mkdirat(at, srt.CPath(""), 0), srt.Unlinkat(at, srt.CPath(""), 0)
	return all
}

func sizes(w *world) map[string]srt.Op {
	all := map[string]srt.Op{}
	const keep, punch, collapse, zeroes = unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE, unix.FALLOC_FL_COLLAPSE_RANGE, unix.FALLOC_FL_ZERO_RANGE
	for _, mode := range []int{0, keep, punch, punch | keep, collapse, zeroes, zeroes | keep, 1 << 20} {
		for _, r := range [][2]int64{{0, 4}, {8, 100}, {0, 0}, {-1, 4}, {4, -1}, {math.MaxInt64, 1}} {
			all[fmt.Sprintf("fallocate %#x %d", mode, r)] = srt.Fallocate(imm(w.file), mode, srt.Imm(r[0]), srt.Imm(r[1]))
		}
	}
	for name, fd := range map[string]int{"folder": w.folder, "reader": w.readOnly, "pipe": w.pipe[1], "socket": w.quiet[0], "bad": badFd} {
		all["fallocate "+name] = srt.Fallocate(imm(fd), 0, srt.Imm(0), srt.Imm(4))
	}
	return all
}
