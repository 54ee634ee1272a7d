package iouring

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
	"github.com/syslet/syslet/uring"
)

const stopNeg = srt.StopOnNegative

// slots serves, for tests of the file table, and gives the driver; the test fails
// if slots are not given back.
func slots(t testing.TB) (*srt.Server, *Driver) {
	t.Helper()
	v, d := serve(t, srt.Options{}, echo())
	if err := uring.Probe().Require(uring.SparseFiles, uring.OpFdInstall); err != nil {
		t.Skip(err)
	}
	var size int
	on(t, v, func(*srt.Shard) { size = len(d.syslets.table.free) })
	require.NotZero(t, size)
	pending := 0
	on(t, v, func(*srt.Shard) { pending = d.pending() })
	t.Cleanup(func() {
		on(t, v, func(*srt.Shard) {
			require.Len(t, d.syslets.table.free, size)
			require.Equal(t, pending, d.pending())
		})
	})
	return v, d
}

// pending are the entries in the kernel, but for the timeout that may stand there.
func (d *Driver) pending() int {
	if d.alarmNs != 0 {
		return d.ring.Pending() - 1
	}
	return d.ring.Pending()
}

// counters of a driver, of which tests look at differences.
type counters struct{ enters, submitted, heard, linked, slotted, named uint64 }

func (d *Driver) counters() counters {
	st, q := &d.ring.Stats, &d.syslets
	return counters{st.Enters, st.Submitted, q.heard, q.linked, q.slotted, q.named}
}

func (c counters) since(b counters) counters {
	return counters{c.enters - b.enters, c.submitted - b.submitted, c.heard - b.heard, c.linked - b.linked, c.slotted - b.slotted, c.named - b.named}
}

// counted runs y and gives what it cost.
func counted(t testing.TB, v *srt.Server, d *Driver, y *srt.Syslet) (c counters) {
	t.Helper()
	done := make(chan struct{})
	var before counters
	y.Done = func(*srt.Shard, *srt.Syslet) { c = d.counters().since(before); close(done) }
	on(t, v, func(s *srt.Shard) {
		before = d.counters()
		require.Equal(t, srt.Queued, s.Submit(y))
	})
	await(t, done)
	return c
}

func file(t testing.TB, content string) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	return name
}

// isOpen reports whether fd is a descriptor of the file of that name. Only to ask
// whether it is one would not do: a closed one's number may be the runtime's by
// now, which opens a file of its own now and then.
func isOpen(fd int64, name string) bool {
	var here, there unix.Stat_t
	return unix.Fstat(int(fd), &here) == nil && unix.Stat(name, &there) == nil && here.Ino == there.Ino && here.Dev == there.Dev
}

// readFile is the program that the file table is for.
func readFile(name string, buf []byte) *srt.Syslet {
	return srt.NewSyslet(
		srt.Openat(srt.AtCwd, srt.CPath(name), unix.O_RDONLY, 0).To(0).With(stopNeg),
		srt.Pread(srt.Reg(0), buf, srt.Imm(0)).To(1),
		srt.Close(srt.Reg(0)).To(2))
}

// TestOpenReadCloseIsOneSubmission: three entries, one enter.
func TestOpenReadCloseIsOneSubmission(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := slots(t)
	buf := make([]byte, 16)
	name := file(t, "0123456789")
	y := readFile(name, buf)
	atOnce := false
	for range 50 {
		clear(buf)
		c := counted(t, v, d, y)
		require.Equal(t, "0123456789\x00", string(buf[:11]))
		require.Equal(t, []int64{10, 0}, y.Regs[1:3])
		require.Positive(t, y.Regs[0], "an open that did not fail")
		require.False(t, isOpen(y.Regs[0], name), "closed, so EBADF")
		// The kernel may have had to look the path up in a worker: then it is woken later.
		atOnce = atOnce || c.enters == 1
		c.enters = 0
		require.Equal(t, counters{submitted: 3, heard: 2, linked: 2, slotted: 1}, c, "an open that succeeds says nothing")
	}
	require.True(t, atOnce)
}

// TestSaveIsOneSubmission has a result that a later op uses, and a branch on it:
// as long as all is written, both are known before.
func TestSaveIsOneSubmission(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := slots(t)
	dir, data := t.TempDir(), []byte("saved")
	tmp, name := srt.CPath(dir+"/tmp"), srt.CPath(dir+"/name")
	y := srt.NewSyslet(
		srt.Openat(srt.AtCwd, tmp, unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, 0o644).To(0).With(stopNeg),
		srt.Pwrite(srt.Reg(0), data, srt.Imm(0)).To(1),
		srt.Add(srt.Reg(1), srt.Imm(-int64(len(data)))).To(2).With(srt.StopOnNonzero|srt.SkipToNextOnStop).Then(srt.Goto(4)),
		srt.Nop(srt.Imm(0)).Then(srt.Goto(7)),
		srt.Fsync(srt.Reg(0)).To(3),
		srt.Close(srt.Reg(0)).To(4),
		srt.Renameat(srt.AtCwd, tmp, srt.AtCwd, name, 0).To(5).Then(srt.End),
		srt.Close(srt.Reg(0)))
	for range 3 {
		c := counted(t, v, d, y)
		require.Equal(t, []int64{5, 0, 0, 0, 0}, y.Regs[1:6])
		require.EqualValues(t, 5, c.submitted)
		require.EqualValues(t, 4, c.linked)
		got, err := os.ReadFile(dir + "/name")
		require.NoError(t, err)
		require.Equal(t, data, got)
	}
	// What is not there as a whole does not go on: the branch is another, and the
	// close of what is not synced needs a descriptor.
	full := srt.NewSyslet(append([]srt.Op{}, y.Ops...)...)
	full.Ops[0] = srt.Openat(srt.AtCwd, srt.CPath("/dev/full"), unix.O_WRONLY, 0).To(0).With(stopNeg)
	c := counted(t, v, d, full)
	require.Equal(t, []int64{-int64(unix.ENOSPC), -int64(unix.ENOSPC) - 5}, full.Regs[1:3])
	require.EqualValues(t, 1, c.slotted)
	last, res := full.Last()
	require.Equal(t, []int64{7, 0}, []int64{int64(last), res})
}

// TestCopyUsesWhatWasRead: the length of the write is the result of the read.
func TestCopyUsesWhatWasRead(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := slots(t)
	for n, linked := range map[int]uint64{16: 6, 10: 5} { // 10: short, so the chain is in two
		from, to, buf := file(t, "0123456789abcdef"[:n]), filepath.Join(t.TempDir(), "to"), make([]byte, 16)
		y := srt.NewSyslet(
			srt.Openat(srt.AtCwd, srt.CPath(from), unix.O_RDONLY, 0).To(0).With(stopNeg),
			srt.Openat(srt.AtCwd, srt.CPath(to), unix.O_CREAT|unix.O_RDWR, 0o600).To(1).With(stopNeg),
			srt.Pread(srt.Reg(0), buf, srt.Imm(0)).To(2),
			srt.Pwrite(srt.Reg(1), buf, srt.Imm(0)).Len(srt.Reg(2)).To(3),
			srt.Fdatasync(srt.Reg(1)).To(4),
			srt.Close(srt.Reg(0)).To(5),
			srt.Close(srt.Reg(1)).To(6))
		c := counted(t, v, d, y)
		got, err := os.ReadFile(to)
		require.NoError(t, err)
		require.Equal(t, "0123456789abcdef"[:n], string(got))
		require.Equal(t, []int64{int64(n), int64(n), 0, 0, 0}, y.Regs[2:7])
		require.EqualValues(t, 2, c.slotted)
		require.GreaterOrEqual(t, c.linked, linked)
	}
}

// TestPathsInWhatIsRead: a path that an earlier op brings is read when it is there.
func TestPathsInWhatIsRead(t *testing.T) {
	conformance.CheckLeaks(t)
	v, _ := slots(t)
	dir := t.TempDir()
	path := srt.CPath(filepath.Join(dir, "AAAA"))
	name := path[len(path)-5 : len(path)-1]
	y := readFile(file(t, "BBBB"), name)
	y.Ops = append(y.Ops, srt.Mkdirat(srt.AtCwd, path, 0o700).To(3))
	run(t, v, y)
	require.Equal(t, []int64{4, 0, 0}, y.Regs[1:4])
	require.DirExists(t, filepath.Join(dir, "BBBB"))
	require.NoDirExists(t, filepath.Join(dir, "AAAA"))
}

// TestFullTable: without a slot a program runs with descriptors, to the same end.
func TestFullTable(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := slots(t)
	var free []int32
	on(t, v, func(*srt.Shard) { free, d.syslets.table.free = d.syslets.table.free, nil })
	buf := make([]byte, 4)
	y := readFile(file(t, "full"), buf)
	c := counted(t, v, d, y)
	require.Equal(t, "full", string(buf))
	require.Equal(t, []int64{4, 0}, y.Regs[1:3])
	require.Zero(t, c.slotted)
	require.EqualValues(t, 1, c.linked, "the read and the close")
	// One slot, two files: the first gets it.
	on(t, v, func(*srt.Shard) { d.syslets.table.free = free[:1:1] })
	both := srt.NewSyslet(append(append([]srt.Op{}, y.Ops[0].To(5)), append(y.Ops, srt.Close(srt.Reg(5)).To(6))...)...)
	c = counted(t, v, d, both)
	require.Equal(t, []int64{4, 0}, both.Regs[1:3])
	require.Zero(t, both.Regs[6])
	require.EqualValues(t, 1, c.slotted)
	on(t, v, func(*srt.Shard) {
		require.Len(t, d.syslets.table.free, 1)
		d.syslets.table.free = free
	})
}

// shows is a program that ends with its file open if the read fails.
func shows(name string) *srt.Syslet {
	y := readFile(name, make([]byte, 4))
	y.Ops[1] = y.Ops[1].With(stopNeg)
	return y
}

// TestShownDescriptor: who ends early leaves a descriptor, as the plain calls do.
func TestShownDescriptor(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := slots(t)
	dir := t.TempDir()
	y := shows(dir)
	c := counted(t, v, d, y)
	require.Equal(t, unix.EISDIR, y.Errno())
	require.EqualValues(t, 1, c.slotted)
	require.EqualValues(t, 1, c.named)
	require.True(t, isOpen(y.Regs[0], dir))
	require.NoError(t, unix.Close(int(y.Regs[0])))

	// No descriptor is left for it: the file is closed, and the register tells.
	var was unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: was.Max}))
	c = counted(t, v, d, y)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &was))
	require.Equal(t, unix.EISDIR, y.Errno())
	require.Equal(t, -int64(unix.EMFILE), y.Regs[0])
	require.EqualValues(t, 1, c.named)
}

// TestUnsyncedClose: where a program closes what it wrote unsynced, which it would
// not do had all gone well, it closes a descriptor, so that the close can report.
func TestUnsyncedClose(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := slots(t)
	fd, name := srt.Reg(0), file(t, "")
	y := srt.NewSyslet(
		srt.Openat(srt.AtCwd, srt.CPath(name), unix.O_RDWR, 0).To(0).With(stopNeg),
		srt.Pwrite(fd, []byte("abcd"), srt.Imm(0)).To(1),
		srt.Pread(fd, make([]byte, 4), srt.Imm(0)).To(2).With(srt.StopOnZero|srt.SkipToNextOnStop).Then(srt.Goto(4)),
		srt.Close(fd).To(3).Then(srt.End),
		srt.Fsync(fd).To(4),
		srt.Close(fd).To(5))
	c := counted(t, v, d, y)
	require.Equal(t, []int64{4, 4, 0, 0, 0}, y.Regs[1:6])
	require.Equal(t, []uint64{1, 0}, []uint64{c.slotted, c.named})
	y.Ops[2].Args[1] = srt.Imm(4) // the end of the file
	y.Regs = [srt.RegCount]int64{3: -1, 5: -1}
	c = counted(t, v, d, y)
	require.Equal(t, []int64{4, 0, 0, 0, -1}, y.Regs[1:6])
	require.Equal(t, []uint64{1, 1}, []uint64{c.slotted, c.named})
	require.False(t, isOpen(y.Regs[0], name))
}

// TestKernelWithoutInstall: where a file in a slot cannot get a descriptor (before
// Linux 6.8), only programs that never need one use slots.
func TestKernelWithoutInstall(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := slots(t)
	on(t, v, func(*srt.Shard) { d.syslets.table.numbers = false })
	dir := t.TempDir()
	y := shows(dir)
	require.Zero(t, counted(t, v, d, y).slotted)
	require.True(t, isOpen(y.Regs[0], dir))
	require.NoError(t, unix.Close(int(y.Regs[0])))
	y = readFile(dir, make([]byte, 4))
	c := counted(t, v, d, y)
	require.EqualValues(t, 1, c.slotted)
	require.EqualValues(t, 2, c.linked)
	require.Equal(t, []int64{-int64(unix.EISDIR), 0}, y.Regs[1:3])
	require.False(t, isOpen(y.Regs[0], dir))
}

// TestSlotsOnlyIfNobodyCanTell: what an open needs to get a slot.
func TestSlotsOnlyIfNobodyCanTell(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := slots(t)
	name := file(t, "01234567")
	buf, fd, zero := make([]byte, 4), srt.Reg(0), srt.Imm(0)
	st := &unix.Statx_t{}
	open := func(flags int) srt.Op { return srt.Openat(srt.AtCwd, srt.CPath(name), flags, 0).To(0).With(stopNeg) }
	ro, rw := open(unix.O_RDONLY), open(unix.O_RDWR)
	read, write, end := srt.Pread(fd, buf, zero), srt.Pwrite(fd, buf, zero), srt.Close(fd)
	for what, c := range map[string]struct {
		ops  []srt.Op
		want uint64
	}{
		"read":                   {[]srt.Op{ro, read, end}, 1},
		"nothing":                {[]srt.Op{ro, end}, 1},
		"the close's result":     {[]srt.Op{ro, read, end.To(0)}, 1},
		"write, sync":            {[]srt.Op{rw, write, srt.Fdatasync(fd), end}, 1},
		"fallocate, sync":        {[]srt.Op{rw, srt.Fallocate(fd, 0, zero, srt.Imm(8)), srt.Fsync(fd), end}, 1},
		"write":                  {[]srt.Op{rw, write, end}, 0},
		"sync, write":            {[]srt.Op{rw, srt.Fsync(fd), write, end}, 0},
		"for reading, though":    {[]srt.Op{ro, write, end}, 1},
		"not closed":             {[]srt.Op{ro, read}, 0},
		"copied":                 {[]srt.Op{ro, srt.Add(fd, zero).To(1), srt.Close(srt.Reg(1))}, 0},
		"as a number":            {[]srt.Op{ro, srt.Pread(fd, buf, fd), end}, 0},
		"a function":             {[]srt.Op{ro, srt.Call(func(y *srt.Syslet) int64 { return y.Regs[0] }), end}, 0},
		"a function after":       {[]srt.Op{ro, end, srt.Call(func(y *srt.Syslet) int64 { return y.Regs[0] })}, 1},
		"a folder":               {[]srt.Op{ro, srt.Openat(fd, srt.CPath("x"), unix.O_RDONLY, 0).To(1), end}, 0},
		"statx":                  {[]srt.Op{ro, srt.Statx(fd, nil, unix.AT_EMPTY_PATH, unix.STATX_SIZE, st), end}, 0},
		"poll":                   {[]srt.Op{ro, srt.Poll(fd, unix.POLLIN), end}, 0},
		"sync flag":              {[]srt.Op{ro, read.With(srt.Sync), end}, 0},
		"sync flag, other":       {[]srt.Op{ro, srt.Fsync(srt.Imm(-1)).With(srt.Sync), end}, 1},
		"O_PATH":                 {[]srt.Op{open(unix.O_PATH), end}, 0},
		"may copy if it fails":   {[]srt.Op{ro, read.With(srt.StopOnNegative | srt.SkipToNextOnStop).Then(srt.Goto(3)), srt.Nop(fd).To(1), end}, 0},
		"may not close":          {[]srt.Op{ro, read.With(srt.StopOnNonPositive), end}, 1},
		"closes if it stops":     {[]srt.Op{ro, read.With(srt.StopOnZero | srt.SkipToNextOnStop).Then(srt.End), end}, 0},
		"a loop":                 {[]srt.Op{ro, read.To(1).With(srt.StopOnZero | srt.SkipToNextOnStop).Then(srt.Goto(3)), end.Then(srt.End), srt.Nop(zero).Then(srt.Goto(2))}, 1},
		"another file meanwhile": {[]srt.Op{ro, ro.To(1), srt.Pread(srt.Reg(1), buf, zero), end, srt.Close(srt.Reg(1))}, 2},
		"waits":                  {[]srt.Op{ro, srt.Sleep(srt.Imm(1)), read, end}, 1},
	} {
		plain, y := srt.NewSyslet(c.ops...), srt.NewSyslet(c.ops...)
		plain.RunBlocking()
		require.Equal(t, c.want, counted(t, v, d, y).slotted, what)
		for i := 1; i < srt.RegCount; i++ {
			y.Regs[i], plain.Regs[i] = min(y.Regs[i], 3), min(plain.Regs[i], 3) // descriptors are other numbers
		}
		require.Equal(t, plain.Regs[1:], y.Regs[1:], what)
		closeOpen(plain.Regs[0], name)
		closeOpen(y.Regs[0], name)
	}
}

// TestLostDescriptors are not run: they close what is not theirs.
func TestLostDescriptors(t *testing.T) {
	open, end := srt.Openat(srt.AtCwd, srt.CPath("x"), unix.O_RDONLY, 0).To(0).With(stopNeg), srt.Close(srt.Reg(0))
	require.NotZero(t, planOf(srt.NewSyslet(open, end)).steps[0].traits&slotted)
	for what, op := range map[string]srt.Op{
		"overwritten":      srt.Nop(srt.Imm(-1)).To(0),
		"by its own bytes": srt.Pread(srt.Reg(0), make([]byte, 4), srt.Imm(0)).To(0),
		"by another":       open,
	} {
		require.Zero(t, planOf(srt.NewSyslet(open, op, end)).steps[0].traits&slotted, what)
	}
}

// closeOpen closes fd if it is a descriptor of one of the files, and says whether.
func closeOpen(fd int64, names ...string) bool {
	for _, name := range names {
		if isOpen(fd, name) {
			return unix.Close(int(fd)) == nil
		}
	}
	return false
}

// TestPlanIsKept: a program is looked at once, another in its place again.
func TestPlanIsKept(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := slots(t)
	y := readFile(file(t, "x"), make([]byte, 1))
	run(t, v, y)
	first := y.Plan
	require.NotNil(t, first)
	run(t, v, y)
	require.Same(t, first, y.Plan)
	y.Ops = []srt.Op{srt.Mkdirat(srt.AtCwd, srt.CPath(t.TempDir()), 0), y.Ops[0], y.Ops[2]}
	c := counted(t, v, d, y)
	require.NotSame(t, first, y.Plan)
	require.EqualValues(t, 2, c.linked)
}

// TestMaxStepsInChains: a program without an end does exactly as much as by plain
// calls.
func TestMaxStepsInChains(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := slots(t)
	var got [2][srt.RegCount]int64
	for i := range got {
		f, err := unix.Open(file(t, ""), unix.O_RDWR|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		data := []byte("x")
		y := srt.NewSyslet(srt.Nop(srt.Imm(0)),
			srt.Pwrite(imm(f), data, srt.Reg(0)),
			srt.Pwrite(imm(f), data, srt.Reg(1)),
			srt.Add(srt.Reg(0), srt.Imm(1)).To(0),
			srt.Nop(srt.Imm(0)), // so that the end falls into a chain
			srt.Add(srt.Reg(0), srt.Imm(1000000)).To(1).Then(srt.Goto(1)))
		if i == 0 {
			y.RunBlocking()
		} else {
			run(t, v, y)
			on(t, v, func(*srt.Shard) { require.Greater(t, d.syslets.linked, uint64(srt.MaxSteps/4)) })
		}
		require.Equal(t, unix.ELOOP, y.Errno())
		st := unix.Stat_t{}
		require.NoError(t, unix.Fstat(f, &st))
		require.NoError(t, unix.Close(f))
		got[i] = y.Regs
		got[i][7] = st.Size
	}
	require.Equal(t, fmt.Sprint(got[0]), fmt.Sprint(got[1]))
}
