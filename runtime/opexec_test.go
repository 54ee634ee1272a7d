package runtime

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// openTemp gives the descriptor of a file with content that is in the page cache.
func openTemp(t testing.TB, content []byte) int64 {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "f"), os.O_CREATE|os.O_RDWR, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	_, err = f.Write(content)
	require.NoError(t, err)
	return int64(f.Fd())
}

// Where the nonblocking form has an answer it is the plain one's.
func TestFormsAgree(t *testing.T) {
	fd := openTemp(t, []byte("0123456789"))
	dir, err := unix.Open(t.TempDir(), unix.O_DIRECTORY, 0)
	require.NoError(t, err)
	defer unix.Close(dir)
	var pipe, pair [2]int
	require.NoError(t, unix.Pipe(pipe[:]))
	pair, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	for _, fd := range append(pipe[:], pair[:]...) {
		defer unix.Close(fd)
	}
	const bad = 1 << 29
	buf, st := make([]byte, 4), &unix.Statx_t{}
	for what, op := range map[string]Op{
		"nop": Nop(Imm(-7)), "add": Add(Imm(3), Imm(-5)), "sleep 0": Sleep(Imm(0)), "sleep less": Sleep(Imm(-1)),
		"close bad": Close(Imm(bad)), "close -1": Close(Imm(-1)),
		"pread": Pread(Imm(fd), buf, Imm(3)), "pread end": Pread(Imm(fd), buf, Imm(100)), "pread none": Pread(Imm(fd), nil, Imm(0)),
		"pread bad": Pread(Imm(bad), buf, Imm(0)), "pread -1": Pread(Imm(fd), buf, Imm(-1)), "pread -2": Pread(Imm(fd), buf, Imm(-2)),
		"pread dir": Pread(Imm(int64(dir)), buf, Imm(0)), "pread pipe": Pread(Imm(int64(pipe[0])), buf, Imm(0)),
		"pread write end": Pread(Imm(int64(pipe[1])), buf, Imm(0)),
		"pwrite":          Pwrite(Imm(fd), []byte("x"), Imm(0)), "pwrite -1": Pwrite(Imm(fd), []byte("x"), Imm(-1)),
		"pwrite bad": Pwrite(Imm(bad), []byte("x"), Imm(0)), "pwrite dir": Pwrite(Imm(int64(dir)), []byte("x"), Imm(0)),
		"open none": Openat(AtCwd, CPath("/no/such"), unix.O_RDONLY, 0), "open bad dir": Openat(Imm(bad), CPath("x"), 0, 0),
		"open not dir": Openat(Imm(fd), CPath("x"), 0, 0), "open empty": Openat(AtCwd, CPath(""), 0, 0),
		"open dir for writing": Openat(AtCwd, CPath("/"), unix.O_WRONLY, 0),
		"statx":                Statx(Imm(fd), nil, unix.AT_EMPTY_PATH, unix.STATX_SIZE, st), "statx bad": Statx(Imm(bad), nil, unix.AT_EMPTY_PATH, 0, st),
		"recv no socket": Recv(Imm(fd), buf, 0), "recv bad": Recv(Imm(bad), buf, 0),
		"recv dontwait": Recv(Imm(int64(pair[0])), buf, unix.MSG_DONTWAIT),
		"send":          Send(Imm(int64(pair[1])), nil, 0), "send bad": Send(Imm(bad), buf, 0), "send no socket": Send(Imm(fd), buf, 0),
		"poll file": Poll(Imm(fd), unix.POLLIN), "poll bad": Poll(Imm(bad), unix.POLLIN), "poll out": Poll(Imm(int64(pipe[1])), unix.POLLOUT),
		"accept no socket": Accept(Imm(fd), 0), "accept bad": Accept(Imm(bad), 0), "accept no listener": Accept(Imm(int64(pair[0])), 0),
	} {
		y := NewSyslet(op)
		require.NoError(t, y.check(), what)
		y.begin(nil)
		want := y.Exec()
		ok := y.RunNonblocking()
		if !ok {
			y.RunBlocking() // what a driver does then
		}
		require.Equal(t, want, y.Result(), "%s (tried: %v)", what, ok)
	}
}

// What would block is left alone: nothing happened, and the plain call is to be used.
func TestNonblockingDoesNotBlock(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	fd, y := Imm(int64(pair[0])), (*Syslet)(nil)
	for _, op := range []Op{Recv(fd, make([]byte, 1), 0), Poll(fd, unix.POLLIN), Sleep(Imm(1)), Fsync(fd), Call(func(*Syslet) int64 { return 0 }),
		Openat(AtCwd, CPath(filepath.Join(t.TempDir(), "new")), unix.O_CREAT|unix.O_WRONLY, 0o600), Pread(fd, make([]byte, 1), Imm(0)).With(Direct)} {
		y = NewSyslet(op)
		y.begin(nil)
		require.False(t, y.RunNonblocking(), op.Code.String())
		require.Equal(t, 0, y.PC())
	}
}

// An op whose file has no nonblocking form is not tried in vain each time.
func TestFormless(t *testing.T) {
	fd, err := unix.Open("/proc/self/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	y := NewSyslet(Nop(Imm(0)), Pread(Imm(int64(fd)), make([]byte, 4), Imm(0)))
	require.NoError(t, y.check())
	tries := 0
	for range 1000 {
		y.begin(nil)
		require.False(t, y.Formless(), "a nop")
		require.False(t, y.RunNonblocking())
		require.Equal(t, 1, y.PC())
		require.True(t, y.Formless())
		tries += int(y.calls)
	}
	require.Equal(t, 1+3, tries, "the first one, and each after 255 that were saved")
	y.RunBlocking()
	require.EqualValues(t, 4, y.Result())

	// Another program is another matter.
	y.Ops = []Op{Nop(Imm(0)), Pread(Imm(openTemp(t, []byte("0123"))), make([]byte, 4), Imm(0))}
	require.NoError(t, y.check())
	y.begin(nil)
	ended := y.RunNonblocking()
	require.Equal(t, ended, y.calls == 1 && !y.Formless())
	require.EqualValues(t, 1, y.calls, "tried")
}

func TestSleepForEver(t *testing.T) {
	require.Equal(t, int64(1<<63-1), addNs(5, 1<<63-1))
	require.Equal(t, int64(7), addNs(3, 4))
}

// drv is a driver that runs what does not block and refuses the rest.
type drv struct{ Driver }

func (drv) Submit(y *Syslet) Outcome {
	if y.RunNonblocking() {
		return Completed
	}
	return Busy
}

func cachedPread(t testing.TB) (*Shard, *Syslet) {
	s := bareShard(t, Options{})
	s.drv = drv{}
	y := NewSyslet(Pread(Imm(openTemp(t, make([]byte, 4096))), make([]byte, 4096), Imm(0)).To(0))
	if s.Submit(y) != Completed {
		t.Skip("missing feature: preadv2 with RWF_NOWAIT on the file system of the temporary directory")
	}
	require.EqualValues(t, 4096, y.Regs[0])
	return s, y
}

func TestCachedSysletAllocs(t *testing.T) {
	s, y := cachedPread(t)
	require.Zero(t, testing.AllocsPerRun(1000, func() { s.Submit(y) }))
	require.EqualValues(t, 1002, s.Stats.OpsCompleted)
	require.EqualValues(t, 1002, s.Stats.SysOps)
	require.Zero(t, s.inFlight)
}

type threadletDrv struct{ drv }

func (threadletDrv) Submit(y *Syslet) Outcome { y.RunBlocking(); return Completed }

func TestThreadletAllocs(t *testing.T) {
	s := bareShard(t, Options{})
	s.drv = threadletDrv{}
	n := 0
	fn, done := func() error { n++; return nil }, func(error) { n++ }
	require.Zero(t, testing.AllocsPerRun(1000, func() { s.Threadlet(fn, done); s.takeFinished() }))
	require.Equal(t, 2*1001, n)
}

func BenchmarkThreadlet(b *testing.B) {
	b.ReportAllocs()
	s := bareShard(b, Options{})
	s.drv = threadletDrv{}
	fn, done := func() error { return nil }, func(error) {}
	for b.Loop() {
		s.Threadlet(fn, done)
		s.takeFinished()
	}
}
