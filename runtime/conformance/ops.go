package conformance

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// submit runs y on the server's first shard to its end and says whether a
// completion was delivered.
func submit(t *testing.T, v *runtime.Server, y *runtime.Syslet) (delivered bool) {
	t.Helper()
	done := make(chan bool, 2)
	y.Done = func(s *runtime.Shard, got *runtime.Syslet) {
		if got != y || s != v.Shards()[0] {
			t.Error("completion of another syslet or on another shard")
		}
		done <- true
	}
	on(t, v, func(s *runtime.Shard) {
		switch s.Submit(y) {
		case runtime.Completed:
			done <- false
		case runtime.Busy:
			t.Error("busy")
			done <- false
		}
	})
	delivered = await(t, done)
	on(t, v, func(*runtime.Shard) {
		if len(done) > 0 {
			t.Error("completed twice")
		}
	})
	return delivered
}

func run(t *testing.T, v *runtime.Server, ops ...runtime.Op) *runtime.Syslet {
	t.Helper()
	y := runtime.NewSyslet(ops...)
	submit(t, v, y)
	return y
}

// opsFiles is the game's save and load, with everything between.
func (s suite) opsFiles(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	dir := t.TempDir()
	path := func(n string) []byte { return runtime.CPath(filepath.Join(dir, n)) }
	y := run(t, v, runtime.Mkdirat(runtime.AtCwd, path("d"), 0o755).With(runtime.StopOnNegative),
		runtime.Openat(runtime.AtCwd, path("d/tmp"), unix.O_CREAT|unix.O_RDWR|unix.O_TRUNC, 0o644).To(0).With(runtime.StopOnNegative),
		runtime.Fallocate(runtime.Reg(0), 0, runtime.Imm(0), runtime.Imm(100)).To(1),
		runtime.Pwrite(runtime.Reg(0), []byte("hello, world"), runtime.Imm(3)).To(2),
		runtime.Fdatasync(runtime.Reg(0)).To(3),
		runtime.Fsync(runtime.Reg(0)).To(4),
		runtime.Close(runtime.Reg(0)).To(5),
		runtime.Renameat(runtime.AtCwd, path("d/tmp"), runtime.AtCwd, path("d/file"), 0).To(6))
	require.Equal(t, [7]int64{y.Regs[0], 0, 12, 0, 0, 0, 0}, [7]int64(y.Regs[:7]), "%+v", y.Regs)
	last, res := y.Last()
	require.Equal(t, 7, last)
	require.Zero(t, res)

	var st unix.Statx_t
	buf := make([]byte, 200)
	y = run(t, v, runtime.Openat(runtime.AtCwd, path("d/file"), unix.O_RDONLY, 0).To(0).With(runtime.StopOnNegative),
		runtime.Statx(runtime.Reg(0), nil, unix.AT_EMPTY_PATH, unix.STATX_SIZE, &st).To(1),
		runtime.Pread(runtime.Reg(0), buf, runtime.Imm(3)).Len(runtime.Imm(12)).To(2),
		runtime.Pread(runtime.Reg(0), buf[100:], runtime.Imm(1000)).To(3),
		runtime.Close(runtime.Reg(0)).To(4))
	require.Equal(t, [4]int64{0, 12, 0, 0}, [4]int64(y.Regs[1:5]))
	require.EqualValues(t, 100, st.Size)
	require.Equal(t, "hello, world", string(buf[:12]))

	y = run(t, v, runtime.Statx(runtime.AtCwd, path("d/file"), 0, unix.STATX_SIZE, &st).To(0),
		runtime.Unlinkat(runtime.AtCwd, path("d/file"), 0).To(1), runtime.Unlinkat(runtime.AtCwd, path("d"), unix.AT_REMOVEDIR).To(2))
	require.Equal(t, [3]int64{0, 0, 0}, [3]int64(y.Regs[:3]))
	require.NoDirExists(t, filepath.Join(dir, "d"))
}

// opsErrors: errno is preserved.
func (s suite) opsErrors(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644))
	bad, no := runtime.Imm(-1), runtime.CPath(filepath.Join(dir, "no/such"))
	file := runtime.CPath(filepath.Join(dir, "f"))
	var st unix.Statx_t
	addr := make([]byte, 16)
	for name, c := range map[string]struct {
		op   runtime.Op
		want unix.Errno
	}{
		"openat":          {runtime.Openat(runtime.AtCwd, no, unix.O_RDONLY, 0), unix.ENOENT},
		"openat-excl":     {runtime.Openat(runtime.AtCwd, file, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o600), unix.EEXIST},
		"openat-notdir":   {runtime.Openat(runtime.AtCwd, file, unix.O_DIRECTORY, 0), unix.ENOTDIR},
		"close":           {runtime.Close(bad), unix.EBADF},
		"pread":           {runtime.Pread(bad, addr, runtime.Imm(0)), unix.EBADF},
		"pwrite":          {runtime.Pwrite(bad, addr, runtime.Imm(0)), unix.EBADF},
		"fsync":           {runtime.Fsync(bad), unix.EBADF},
		"fdatasync":       {runtime.Fdatasync(bad), unix.EBADF},
		"statx":           {runtime.Statx(runtime.AtCwd, no, 0, unix.STATX_SIZE, &st), unix.ENOENT},
		"renameat":        {runtime.Renameat(runtime.AtCwd, no, runtime.AtCwd, file, 0), unix.ENOENT},
		"renameat-exists": {runtime.Renameat(runtime.AtCwd, file, runtime.AtCwd, file, unix.RENAME_NOREPLACE), unix.EEXIST},
		"unlinkat":        {runtime.Unlinkat(runtime.AtCwd, no, 0), unix.ENOENT},
		"unlinkat-dir":    {runtime.Unlinkat(runtime.AtCwd, runtime.CPath(dir), 0), unix.EISDIR},
		"mkdirat":         {runtime.Mkdirat(runtime.AtCwd, file, 0o755), unix.EEXIST},
		"fallocate":       {runtime.Fallocate(bad, 0, runtime.Imm(0), runtime.Imm(1)), unix.EBADF},
		"recv":            {runtime.Recv(bad, addr, 0), unix.EBADF},
		"send":            {runtime.Send(bad, addr, 0), unix.EBADF},
		"accept":          {runtime.Accept(bad, 0), unix.EBADF},
		"connect":         {runtime.Connect(bad, addr), unix.EBADF},
		"poll":            {runtime.Poll(runtime.Imm(1<<20), unix.POLLIN), unix.EBADF},
		"splice":          {runtime.Splice(bad, runtime.Imm(-1), bad, runtime.Imm(-1), runtime.Imm(1), 0), unix.EBADF},
	} {
		require.Equal(t, c.want, run(t, v, c.op).Errno(), name)
	}
}

// opsFlags: stops, branches, loops.
func (s suite) opsFlags(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	lastOf := func(ops ...runtime.Op) int { last, _ := run(t, v, ops...).Last(); return last }
	val := func(x int64) runtime.Op { return runtime.Nop(runtime.Imm(x)) }
	for _, c := range []struct {
		flag  runtime.Flags
		stops []int64
		not   []int64
	}{
		{runtime.StopOnNonzero, []int64{1, -1}, []int64{0}},
		{runtime.StopOnZero, []int64{0}, []int64{1, -1}},
		{runtime.StopOnNegative, []int64{-1}, []int64{0, 1}},
		{runtime.StopOnNonPositive, []int64{-1, 0}, []int64{1}},
	} {
		for _, x := range c.stops {
			require.Equal(t, 0, lastOf(val(x).With(c.flag), val(7)))
			// With skip, a stop branches to the next op in memory; no stop goes to Next.
			require.Equal(t, 1, lastOf(val(x).With(c.flag|runtime.SkipToNextOnStop).Then(runtime.Goto(2)), val(7).Then(runtime.End), val(8)))
		}
		for _, x := range c.not {
			require.Equal(t, 1, lastOf(val(x).With(c.flag), val(7)))
			require.Equal(t, 2, lastOf(val(x).With(c.flag|runtime.SkipToNextOnStop).Then(runtime.Goto(2)), val(7).Then(runtime.End), val(8)))
		}
	}
	// A loop that counts to 1000 through a shared register, with a call in it.
	calls := 0
	y := run(t, v,
		runtime.Call(func(*runtime.Syslet) int64 { calls++; return 0 }),
		runtime.Add(runtime.Reg(0), runtime.Imm(1)).To(0),
		runtime.Add(runtime.Reg(0), runtime.Imm(-1000)).With(runtime.StopOnZero).Then(runtime.Goto(0)))
	require.EqualValues(t, 1000, y.Regs[0])
	require.Equal(t, 1000, calls)
	// A loop without an exit ends with ELOOP.
	y = run(t, v, val(0).Then(runtime.Goto(0)))
	require.Equal(t, unix.ELOOP, y.Errno())
	// Async and Sync change where an op runs, not what it gives.
	for _, f := range []runtime.Flags{runtime.Async, runtime.Sync} {
		y = run(t, v, runtime.Sleep(runtime.Imm(1000)).With(f), val(5).With(f).To(1))
		require.EqualValues(t, 5, y.Regs[1])
	}
	// The empty program is done at once.
	require.Zero(t, run(t, v).Result())
}

func (s suite) opsNet(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(l)
	require.NoError(t, unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(l, 1))
	sa, err := unix.Getsockname(l)
	require.NoError(t, err)
	port := sa.(*unix.SockaddrInet4).Port
	raw := []byte{unix.AF_INET, 0, byte(port >> 8), byte(port), 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	for _, kind := range []int{0, unix.SOCK_NONBLOCK} {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|kind, 0)
		require.NoError(t, err)
		// The acceptor waits before there is anyone to accept.
		acc := runtime.NewSyslet(runtime.Accept(runtime.Imm(int64(l)), unix.SOCK_CLOEXEC|kind).To(0).With(runtime.StopOnNegative),
			runtime.Recv(runtime.Reg(0), make([]byte, 8), 0).To(1).With(runtime.StopOnNonPositive),
			runtime.Send(runtime.Reg(0), []byte("pong"), 0).To(2),
			runtime.Close(runtime.Reg(0)).To(3))
		done := make(chan struct{}, 1)
		acc.Done = func(*runtime.Shard, *runtime.Syslet) { done <- struct{}{} }
		on(t, v, func(s *runtime.Shard) { require.Equal(t, runtime.Queued, s.Submit(acc)) })
		buf := make([]byte, 8)
		y := run(t, v, runtime.Connect(runtime.Imm(int64(c)), raw).To(0).With(runtime.StopOnNegative),
			runtime.Send(runtime.Imm(int64(c)), []byte("ping"), 0).To(1),
			runtime.Poll(runtime.Imm(int64(c)), unix.POLLIN).To(2),
			runtime.Recv(runtime.Imm(int64(c)), buf, 0).To(3),
			runtime.Recv(runtime.Imm(int64(c)), buf[4:], 0).To(4),
			runtime.Close(runtime.Imm(int64(c))).To(5))
		require.Equal(t, []int64{0, 4}, y.Regs[:2])
		require.NotZero(t, y.Regs[2]&unix.POLLIN)
		require.Equal(t, []int64{4, 0, 0}, y.Regs[3:6])
		require.Equal(t, "pong", string(buf[:4]))
		await(t, done)
		require.Equal(t, []int64{4, 4, 0}, acc.Regs[1:4])
	}
}

func (s suite) opsPipes(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteString("0123456789")
	require.NoError(t, err)
	var p [2]int
	require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	fd, r, w := runtime.Imm(int64(f.Fd())), runtime.Imm(int64(p[0])), runtime.Imm(int64(p[1]))
	none := runtime.Imm(-1)
	y := run(t, v, runtime.Splice(fd, runtime.Imm(2), w, none, runtime.Imm(5), 0).To(0).With(runtime.StopOnNonPositive),
		runtime.Splice(r, none, fd, runtime.Imm(20), runtime.Reg(0), 0).To(1))
	require.Equal(t, []int64{5, 5}, y.Regs[:2])
	got, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	require.Equal(t, "23456", string(got[20:]))
}

func (s suite) opsBad(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	for name, op := range map[string]runtime.Op{
		"code": {Code: 200}, "target": runtime.Nop(runtime.Imm(0)).Then(runtime.Goto(1)), "register": runtime.Nop(runtime.Reg(runtime.RegCount)),
		"result": runtime.Nop(runtime.Imm(0)).To(runtime.RegCount), "call": runtime.Call(nil), "stat": runtime.Statx(runtime.AtCwd, nil, 0, 0, nil),
		"path": runtime.Openat(runtime.AtCwd, []byte("no-nul"), 0, 0),
	} {
		y := run(t, v, op)
		require.ErrorIs(t, y.Err(), runtime.ErrBadSyslet, name)
		require.Equal(t, unix.EINVAL, y.Errno(), name)
	}
}

// opsBusy: at the limit nothing is begun, and room comes back.
func (s suite) opsBusy(t *testing.T) {
	v := s.serve(t, runtime.Options{MaxInFlight: 2}, echoApp())
	needsAsync(t, v)
	gate := make(chan struct{})
	done := make(chan error, 2)
	block := func() error { <-gate; return nil }
	on(t, v, func(s *runtime.Shard) {
		for range 2 {
			require.Equal(t, runtime.Queued, s.Threadlet(block, func(err error) { done <- err }))
		}
		require.Equal(t, runtime.Busy, s.Threadlet(block, func(error) { t.Error("refused, yet done") }))
		require.Equal(t, runtime.Busy, s.Submit(runtime.NewSyslet(runtime.Nop(runtime.Imm(1)))))
	})
	close(gate)
	require.NoError(t, await(t, done))
	require.NoError(t, await(t, done))
	require.EqualValues(t, 3, run(t, v, runtime.Nop(runtime.Imm(3))).Result())
	require.EqualValues(t, 2, statsOf(t, v).OpsBusy)
}

func (s suite) opsNoComplete(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	y := runtime.NewSyslet(runtime.Sleep(runtime.Imm(1000)).With(runtime.NoComplete))
	y.Done = func(*runtime.Shard, *runtime.Syslet) { t.Error("a completion that was not asked for") }
	on(t, v, func(s *runtime.Shard) { s.Submit(y) })
	for busy := true; busy; {
		on(t, v, func(*runtime.Shard) { busy = y.InFlight() })
	}
}

// cancel: the completion follows in any case, and soon where the op can be interrupted.
func (s suite) cancel(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	done := make(chan unix.Errno, 1)
	y := runtime.NewSyslet(runtime.Sleep(runtime.Imm(int64(20*time.Millisecond))), runtime.Sleep(runtime.Imm(int64(time.Hour))))
	y.Done = func(_ *runtime.Shard, y *runtime.Syslet) { done <- y.Errno() }
	on(t, v, func(s *runtime.Shard) { require.Equal(t, runtime.Queued, s.Submit(y)); s.Cancel(y) })
	require.Equal(t, unix.ECANCELED, await(t, done))
	on(t, v, func(s *runtime.Shard) { s.Cancel(y) }) // of what is not in flight: nothing
	require.Empty(t, done)
}

func (s suite) threadlet(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	done := make(chan error, 1)
	for _, want := range []error{nil, os.ErrNotExist} {
		on(t, v, func(s *runtime.Shard) {
			in := true
			require.Equal(t, runtime.Queued, s.Threadlet(
				func() error { time.Sleep(time.Millisecond); return want },
				func(err error) {
					if in {
						t.Error("done was called inside Threadlet")
					}
					done <- err
				}))
			in = false
		})
		require.ErrorIs(t, await(t, done), want)
	}
}

func (s suite) threadletPanic(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	done := make(chan error, 1)
	on(t, v, func(s *runtime.Shard) {
		s.Threadlet(func() error { panic("ouch") }, func(err error) { done <- err })
	})
	var p *runtime.PanicError
	require.ErrorAs(t, await(t, done), &p)
	require.Equal(t, "ouch", p.Value)
	require.Contains(t, string(p.Stack), "threadletPanic")
}

// needsAsync skips what the pure form cannot do, as it says of itself.
func needsAsync(t *testing.T, v *runtime.Server) {
	t.Helper()
	if v.Options().Files == runtime.FilesInline {
		t.Skip("nonblock-inline: what blocks blocks the loop, by definition")
	}
}

// loopGoesOn: what blocks does not hold up the shard.
func (s suite) loopGoesOn(t *testing.T) {
	gate, done := make(chan struct{}), make(chan error, 1)
	v := s.serve(t, runtime.Options{}, echoApp())
	needsAsync(t, v)
	c := dial(t, v)
	ping(t, c)
	on(t, v, func(s *runtime.Shard) {
		s.Threadlet(func() error { <-gate; return nil }, func(err error) { done <- err })
	})
	for range 100 {
		ping(t, c)
	}
	require.Empty(t, done)
	close(gate)
	require.NoError(t, await(t, done))
}

// connGoneInFlight: a syslet outlives the connection that asked for it.
func (s suite) connGoneInFlight(t *testing.T) {
	gate, closed, answered := make(chan struct{}), make(chan struct{}), make(chan bool, 1)
	v := s.serve(t, runtime.Options{}, &app{
		data: func(c *runtime.Conn, p []byte) int {
			id, sh := c.ID(), c.Shard()
			sh.Threadlet(func() error { <-gate; return nil }, func(error) { answered <- sh.Conn(id) != nil })
			return len(p)
		},
		closed: func(*runtime.Conn, error) { close(closed) },
	})
	needsAsync(t, v)
	c := dial(t, v)
	_, err := c.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, c.Close())
	await(t, closed)
	close(gate)
	require.False(t, await(t, answered))
}
