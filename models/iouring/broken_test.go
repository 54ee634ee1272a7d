package iouring

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
)

// Tests that break chains of one file's ops, at every place and with all flags,
// and compare what is left with what plain calls leave.

// target is a file for such a program, with what goes wrong with it.
type target struct {
	what, path string
	flags      int
	bytes      int // to read; the file has 4
}

func targets(dir string) []target {
	name := filepath.Join(dir, "f")
	return []target{
		{"all goes well", name, unix.O_RDWR, 4},
		{"a short read", name, unix.O_RDWR, 16},
		{"no file", name + "/none", unix.O_RDWR, 4},
		{"a folder", dir, unix.O_RDONLY, 4},
		{"not for reading", name, unix.O_WRONLY, 4},
		{"not for writing", name, unix.O_RDONLY, 4},
		{"a full device, no sync", "/dev/full", unix.O_RDWR, 4},
		{"nothing to read, no sync", "/dev/null", unix.O_RDWR, 4},
		{"neither", name, unix.O_PATH, 4},
	}
}

// flagSets are all that an op may have, but for Async and Sync.
func flagSets() (all []srt.Flags) {
	for _, stop := range []srt.Flags{0, srt.StopOnNonzero, srt.StopOnZero, srt.StopOnNegative, srt.StopOnNonPositive} {
		all = append(all, stop, stop|srt.SkipToNextOnStop)
	}
	return all
}

const fileOps = 5

// fileProgram opens, reads, writes, syncs and closes; results go to registers 0 to 4.
func fileProgram(to target, change func(i int, op srt.Op) srt.Op) *srt.Syslet {
	buf, fd := make([]byte, to.bytes), srt.Reg(0)
	ops := []srt.Op{
		srt.Openat(srt.AtCwd, srt.CPath(to.path), to.flags, 0),
		srt.Pread(fd, buf, srt.Imm(0)),
		srt.Pwrite(fd, []byte("WX"), srt.Imm(1)),
		srt.Fsync(fd),
		srt.Close(fd),
	}
	for i := range ops {
		ops[i] = change(i, ops[i].To(i))
	}
	y := srt.NewSyslet(ops...)
	for i := range y.Regs {
		y.Regs[i] = -int64(unix.EBADF) // what has not run
	}
	return y
}

// left is all that can be seen of a program that has run, whose first registers
// are for descriptors. It closes what is open.
func left(t *testing.T, y *srt.Syslet, descriptors int, name string) string {
	t.Helper()
	last, res := y.Last()
	// A file that gets its descriptor late may get the number of one that was closed
	// meanwhile, so: how many are open, not which.
	state, open := "", 0
	for _, fd := range y.Regs[:descriptors] {
		if fd >= 0 && closeOpen(fd, name, filepath.Dir(name), "/dev/full", "/dev/null") {
			open++
		}
		state += fmt.Sprint(min(fd, 0), ", ")
	}
	if y.Ops[last].Code == srt.OpOpenat {
		res = min(res, 0)
	}
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, []byte("abcd"), 0o644))
	return fmt.Sprintf("%s%d open, %d, last %d: %d, buffer %q, file %q", state, open, y.Regs[descriptors:], last, res, y.Ops[1].Buf, got)
}

func TestBrokenChains(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := slots(t)
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(name, []byte("abcd"), 0o644))
	for _, to := range targets(dir) {
		for at := range fileOps {
			for _, f := range flagSets() {
				for _, next := range []srt.Target{0, srt.End, srt.Goto(fileOps - 1)} {
					for _, others := range []srt.Flags{0, stopNeg} {
						change := func(i int, op srt.Op) srt.Op {
							if i != at {
								return op.With(others)
							}
							if next == srt.Goto(fileOps-1) && i == fileOps-1 {
								next = 0 // for ever
							}
							return op.With(f).Then(next)
						}
						want, got := fileProgram(to, change), fileProgram(to, change)
						want.RunBlocking()
						expected := left(t, want, 1, name)
						run(t, v, got)
						require.Equal(t, expected, left(t, got, 1, name), "%s; op %d has flags %#x and goes on at %d, the others have %#x", to.what, at, f, next, others)
					}
				}
			}
		}
	}
	on(t, v, func(*srt.Shard) {
		c := d.counters()
		t.Logf("%+v", c)
		require.NotZero(t, c.linked)
		require.NotZero(t, c.slotted)
		require.NotZero(t, c.named)
	})
}

// TestRandomFilePrograms has two files, other orders, more ops, and every flag.
func TestRandomFilePrograms(t *testing.T) {
	conformance.CheckLeaks(t)
	v, d := slots(t)
	dir, seed := t.TempDir(), rand.Uint64()
	name := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(name, []byte("abcd"), 0o644))
	programs := uint64(2000)
	if testing.Short() {
		programs = 500
	}
	for i := range programs {
		want, got := randomFile(seed+i, dir), randomFile(seed+i, dir)
		want.RunBlocking()
		expected := left(t, want, 2, name)
		run(t, v, got)
		require.Equal(t, expected, left(t, got, 2, name), "seed %d\n%s", seed+i, (&program{y: got}).String())
	}
	on(t, v, func(*srt.Shard) {
		c := d.counters()
		t.Logf("%+v", c)
		require.NotZero(t, c.slotted)
		require.NotZero(t, c.named)
	})
}

// randomFile is a program of one or two opens and what may be done with them. A
// descriptor is closed once at most: the number may be another's by then.
func randomFile(seed uint64, dir string) *srt.Syslet {
	rng := rand.New(rand.NewPCG(seed, 2))
	all, flags := targets(dir), flagSets()
	open := func(r int) srt.Op {
		to := all[rng.IntN(len(all))*rng.IntN(2)]
		return srt.Openat(srt.AtCwd, srt.CPath(to.path), to.flags, 0).To(r)
	}
	ops := []srt.Op{open(0), srt.Pread(srt.Reg(0), make([]byte, 1+rng.IntN(6)), srt.Imm(0)).To(2)}
	two := rng.IntN(2) == 0
	if two {
		ops = append(ops, open(1))
	}
	for range rng.IntN(6) {
		ops = append(ops, randomUse(rng, srt.Reg(rng.IntN(2)), dir))
	}
	ops = append(ops, srt.Close(srt.Reg(0)))
	if two {
		ops = append(ops, srt.Close(srt.Reg(1)).To(6))
	}
	for range rng.IntN(3) {
		ops = append(ops, randomUse(rng, srt.Imm(-1), dir))
	}
	for i := range ops {
		if rng.IntN(3) == 0 {
			ops[i] = ops[i].With(flags[rng.IntN(len(flags))])
		} else {
			ops[i] = ops[i].With([]srt.Flags{0, stopNeg}[rng.IntN(2)])
		}
		if rng.IntN(8) == 0 {
			ops[i] = ops[i].Then(srt.Goto(min(i+1+rng.IntN(3), len(ops)-1)))
		}
		if i == len(ops)-1 {
			ops[i].Next = 0
		}
		if rng.IntN(20) == 0 {
			ops[i] = ops[i].With([]srt.Flags{srt.Async, srt.Sync}[rng.IntN(2)])
		}
	}
	y := srt.NewSyslet(ops...)
	for i := range y.Regs {
		y.Regs[i] = -1
	}
	return y
}

func randomUse(rng *rand.Rand, fd srt.Arg, dir string) srt.Op {
	n := []srt.Arg{srt.Imm(0), srt.Imm(2), srt.Reg(2), srt.Reg(3)}[rng.IntN(4)]
	var op srt.Op
	switch rng.IntN(12) {
	case 0, 1:
		op = srt.Pread(fd, make([]byte, 1+rng.IntN(5)), n)
	case 2, 3:
		op = srt.Pwrite(fd, []byte("WXYZ"), srt.Imm(int64(rng.IntN(3)))).Len(n)
	case 4:
		op = srt.Fsync(fd)
	case 5:
		op = srt.Fdatasync(fd)
	case 6:
		op = srt.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, srt.Imm(0), n)
	case 7:
		op = srt.Add(n, srt.Imm(int64(rng.IntN(3))-2))
	case 8:
		op = srt.Statx(srt.AtCwd, srt.CPath(dir), 0, unix.STATX_TYPE, &unix.Statx_t{})
	case 9:
		op = srt.Statx(fd, nil, unix.AT_EMPTY_PATH, unix.STATX_TYPE, &unix.Statx_t{})
	case 10:
		op = srt.Mkdirat(srt.AtCwd, srt.CPath(dir), 0)
	default:
		op = srt.Call(func(*srt.Syslet) int64 { return 2 })
	}
	return op.To(2 + rng.IntN(4))
}
