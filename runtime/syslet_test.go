package runtime

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// run runs a program with blocking calls, without a shard.
func run(t *testing.T, ops ...Op) *Syslet {
	t.Helper()
	y := NewSyslet(ops...)
	require.NoError(t, y.check())
	y.begin(bareShard(t, Options{}))
	y.RunBlocking()
	require.Nil(t, y.Op())
	require.Equal(t, -1, y.PC())
	return y
}

// Each stop flag against each kind of result, with and without the skip flag.
func TestStopAndSkipFlags(t *testing.T) {
	results := []int64{-5, 0, 7}
	for flag, stops := range map[Flags][3]bool{
		0: {}, StopOnNonzero: {true, false, true}, StopOnZero: {false, true, false},
		StopOnNegative: {true, false, false}, StopOnNonPositive: {true, true, false},
		StopOnZero | StopOnNegative: {true, true, false}, StopOnNonzero | StopOnZero: {true, true, true},
	} {
		for i, res := range results {
			// 0 tests; 1 lies next in memory; 2 is its Next.
			ops := []Op{Nop(Imm(res)).With(flag).Then(Goto(2)), Add(Reg(1), Imm(1)).To(1), Add(Reg(2), Imm(1)).To(2)}
			y := run(t, ops...)
			require.Equal(t, !stops[i], y.Regs[2] == 1, "flag %#x, result %d", flag, res)
			require.Zero(t, y.Regs[1])
			last, got := y.Last()
			if stops[i] {
				require.Equal(t, 0, last)
				require.Equal(t, res, got)
			}
			ops[0] = ops[0].With(SkipToNextOnStop)
			y = run(t, ops...)
			require.Equal(t, stops[i], y.Regs[1] == 1, "skip, flag %#x, result %d", flag, res)
			require.EqualValues(t, 1, y.Regs[2])
		}
	}
}

func TestTargets(t *testing.T) {
	y := run(t, Add(Reg(0), Imm(1)).To(0).Then(Goto(2)), Add(Reg(0), Imm(100)).To(0), Add(Reg(0), Imm(10)).To(0).Then(End), Add(Reg(0), Imm(100)).To(0))
	require.EqualValues(t, 11, y.Regs[0])
	last, _ := y.Last()
	require.Equal(t, 2, last)
	// A skip on the last op is the end.
	y = run(t, Nop(Imm(0)).With(StopOnZero|SkipToNextOnStop).Then(Goto(0)))
	require.EqualValues(t, 0, y.Result())
	// A loop: 5, 4, 3, 2, 1, 0.
	y = NewSyslet(Add(Reg(3), Imm(-1)).To(3).With(StopOnZero).Then(Goto(0)))
	y.Regs[3] = 5
	y.begin(bareShard(t, Options{}))
	y.RunBlocking()
	require.EqualValues(t, 5, y.steps)
	require.Empty(t, run(t).Ops)
}

func TestMaxSteps(t *testing.T) {
	y := run(t, Nop(Imm(1)).Then(Goto(0)))
	require.Equal(t, unix.ELOOP, y.Errno())
	require.EqualValues(t, MaxSteps, y.steps)
}

// Registers are read when the op starts and written when it ends.
func TestRegisterAliasing(t *testing.T) {
	y := NewSyslet(Add(Reg(0), Reg(0)).To(0), Add(Reg(0), Reg(1)).To(1), Add(Reg(1), Reg(0)).To(RegCount-1))
	y.Regs[0], y.Regs[1] = 3, 10
	y.begin(bareShard(t, Options{}))
	require.True(t, y.RunNonblocking())
	require.Equal(t, [RegCount]int64{6, 16, 0, 0, 0, 0, 0, 22}, y.Regs)
}

func TestSilentOnlyAtItsEnd(t *testing.T) {
	require.True(t, run(t, Nop(Imm(0)).With(NoComplete)).silent)
	require.False(t, run(t, Nop(Imm(0)).With(NoComplete), Nop(Imm(0))).silent)
	require.True(t, run(t, Nop(Imm(0)).With(NoComplete|StopOnZero), Nop(Imm(0))).silent)
	y := NewSyslet(Nop(Imm(0)).With(NoComplete).Then(Goto(0)))
	y.begin(bareShard(t, Options{}))
	y.cancelled.Store(true)
	y.RunBlocking()
	require.Equal(t, unix.ECANCELED, y.Errno())
	require.False(t, y.silent, "a cancelled program ends with a completion")
}

func TestAsyncAndSyncFlags(t *testing.T) {
	y := NewSyslet(Add(Reg(0), Imm(1)).To(0), Nop(Imm(0)).With(Async), Sleep(Imm(1)).With(Sync))
	y.begin(bareShard(t, Options{}))
	require.False(t, y.RunNonblocking())
	require.Equal(t, 1, y.PC())
	require.False(t, y.RunNonblocking(), "twice makes no difference")
	require.EqualValues(t, 1, y.Regs[0])
	y.Apply(y.Exec())
	require.True(t, y.RunNonblocking(), "a Sync op is made here")
	require.EqualValues(t, 1, y.syncs)
}

// Data is clamped: an errno in a length register must not send a whole buffer.
func TestDataLength(t *testing.T) {
	buf := make([]byte, 10)
	y := NewSyslet()
	for _, c := range []struct {
		n    Arg
		want int
	}{{Imm(-1), 0}, {Imm(0), 0}, {Imm(4), 4}, {Imm(99), 10}, {Reg(0), 0}, {Reg(1), 3}} {
		y.Regs[0], y.Regs[1] = -int64(unix.EIO), 3
		op := Pread(Imm(0), buf, Imm(0)).Len(c.n)
		require.Len(t, y.Data(&op), c.want, "%+v", c.n)
	}
	op := Pread(Imm(0), buf, Imm(0))
	require.Len(t, y.Data(&op), 10)
}

func TestBadPrograms(t *testing.T) {
	for what, op := range map[string]Op{
		"code 200": {Code: 200}, "goes on at op 5": Nop(Imm(0)).Then(Goto(5)), "writes register": Nop(Imm(0)).To(RegCount),
		"reads register": Nop(Reg(RegCount)), "nil function": Call(nil), "NUL": Openat(AtCwd, []byte("x"), 0, 0),
		"renameat": Renameat(AtCwd, CPath("a"), AtCwd, []byte("b"), 0), "no Stat": Statx(AtCwd, CPath("a"), 0, 0, nil),
	} {
		err := NewSyslet(Nop(Imm(0)), op).check()
		require.ErrorIs(t, err, ErrBadSyslet, what)
		require.ErrorContains(t, err, what)
		require.ErrorContains(t, err, "op 1")
	}
}

func TestCallPanics(t *testing.T) {
	y := run(t, Call(func(*Syslet) int64 { panic("boom") }).With(StopOnNegative), Nop(Imm(0)))
	require.Equal(t, PanicResult, y.Result())
	var p *PanicError
	require.ErrorAs(t, y.Err(), &p)
	require.Equal(t, "boom", p.Value)
	require.Contains(t, string(p.Stack), "syslet_test")
}

// tree fills dir by a program of every file op; the same in any interpreter.
func tree(dir string) (*Syslet, *unix.Statx_t, []byte) {
	st, buf := &unix.Statx_t{}, make([]byte, 32)
	path := func(name string) []byte { return CPath(filepath.Join(dir, name)) }
	return NewSyslet(
		Mkdirat(AtCwd, path("d"), 0o755).With(StopOnNegative),
		Openat(AtCwd, path("d/tmp"), unix.O_CREAT|unix.O_RDWR, 0o600).To(0).With(StopOnNegative),
		Fallocate(Reg(0), 0, Imm(0), Imm(16)).With(StopOnNegative),
		Pwrite(Reg(0), []byte("hello, file"), Imm(2)).To(1).With(StopOnNegative),
		Fdatasync(Reg(0)).With(StopOnNegative),
		Fsync(Reg(0)).With(StopOnNegative),
		Close(Reg(0)).With(StopOnNegative),
		Renameat(AtCwd, path("d/tmp"), AtCwd, path("d/f"), 0).With(StopOnNegative),
		Mkdirat(AtCwd, path("d"), 0o755).To(2), // EEXIST
		Unlinkat(AtCwd, path("none"), 0).To(3), // ENOENT
		Openat(AtCwd, path("d/f"), unix.O_RDONLY, 0).To(0).With(StopOnNegative),
		Statx(Reg(0), nil, unix.AT_EMPTY_PATH, unix.STATX_SIZE, st).With(StopOnNegative),
		Pread(Reg(0), buf, Imm(2)).Len(Reg(1)).To(4).With(StopOnNegative),
		Close(Reg(0)).To(5),
		Nop(Imm(0)).To(0),
	), st, buf
}

// The nonblocking interpreter, helped over each op that it cannot do, and the
// blocking one have the same results, files and registers.
func TestNonblockingEqualsBlocking(t *testing.T) {
	var got [2]*Syslet
	for i := range got {
		dir := t.TempDir()
		y, st, buf := tree(dir)
		require.NoError(t, y.check())
		y.begin(bareShard(t, Options{}))
		if i == 0 {
			y.RunBlocking()
		}
		for !y.RunNonblocking() {
			y.Apply(y.Exec())
		}
		require.EqualValues(t, 16, st.Size)
		require.Equal(t, "hello, file", string(buf[:11]))
		b, err := os.ReadFile(filepath.Join(dir, "d/f"))
		require.NoError(t, err)
		require.Equal(t, "\x00\x00hello, file\x00\x00\x00", string(b))
		got[i] = y
	}
	require.Equal(t, got[0].Regs, got[1].Regs)
	require.Equal(t, [RegCount]int64{0, 11, -int64(unix.EEXIST), -int64(unix.ENOENT), 11}, got[0].Regs)
	require.EqualValues(t, len(got[0].Ops)-1, got[0].last)
}
