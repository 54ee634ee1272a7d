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

// A program of the test: registers 0 and 1 take descriptors, 6 and 7 say whether
// the two descriptors that it may close are closed, the rest is for results.
type program struct {
	dir    string
	files  [2]*os.File // open from the start
	closes [2]int      // closed by the program, or after it
	bufs   [][]byte
	stats  []*unix.Statx_t
	y      *srt.Syslet
}

const notRun = 99

// newProgram makes a random program in a fresh folder; the same seed, the same
// program.
func newProgram(t *testing.T, dir string, seed uint64) *program {
	require.NoError(t, os.Mkdir(dir, 0o755))
	p := &program{dir: dir}
	for i := range p.files {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("open%d", i)))
		require.NoError(t, err)
		_, err = f.WriteString("0123456789abcdef"[:8*(i+1)])
		require.NoError(t, err)
		p.files[i] = f
		p.closes[i], err = unix.Dup(int(f.Fd()))
		require.NoError(t, err)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	ops := make([]srt.Op, 2+rng.IntN(11))
	opens, closes := 0, 0
	for i := range ops {
		ops[i] = p.op(rng, &opens, &closes)
		p.direct(rng, &ops[i], i, len(ops))
	}
	p.y = srt.NewSyslet(ops...)
	p.y.Regs = [srt.RegCount]int64{-1, -1, 0, 1, 2, 3, notRun, notRun}
	return p
}

func (p *program) path(rng *rand.Rand) []byte {
	names := []string{"a", "b", "d", "d/a", "open0", "none/x"}
	return srt.CPath(filepath.Join(p.dir, names[rng.IntN(len(names))]))
}

func (p *program) fd(rng *rand.Rand) srt.Arg {
	switch k := rng.IntN(8); {
	case k < 2:
		return srt.Reg(k)
	case k == 2:
		return srt.Imm(-1)
	default:
		return srt.Imm(int64(p.files[k&1].Fd()))
	}
}

func value(rng *rand.Rand) srt.Arg {
	if rng.IntN(3) == 0 {
		return srt.Reg(2 + rng.IntN(4))
	}
	return srt.Imm(int64(rng.IntN(20)) - 1)
}

// op is a random op with its result's register.
func (p *program) op(rng *rand.Rand, opens, closes *int) srt.Op {
	at := srt.AtCwd
	to := 2 + rng.IntN(4)
	var op srt.Op
	switch k := rng.IntN(14); {
	case k == 0 && *opens < 2:
		flags := []int{unix.O_RDONLY, unix.O_RDWR | unix.O_CREAT, unix.O_RDWR | unix.O_CREAT | unix.O_EXCL, unix.O_WRONLY | unix.O_TRUNC}
		*opens++
		return srt.Openat(at, p.path(rng), flags[rng.IntN(len(flags))], 0o644).To(*opens - 1)
	case k == 1 && *closes < 2:
		*closes++
		return srt.Close(srt.Imm(int64(p.closes[*closes-1]))).To(6 + *closes - 1)
	case k <= 3:
		p.bufs = append(p.bufs, make([]byte, 1+rng.IntN(12)))
		op = srt.Pread(p.fd(rng), p.bufs[len(p.bufs)-1], value(rng))
	case k <= 6:
		b := []byte("ABCDEFGHIJKLMNOP")[:1+rng.IntN(16)]
		if n := len(p.bufs); n > 0 && rng.IntN(2) == 0 {
			b = p.bufs[n-1] // what an earlier op of the chain may have read
		}
		op = srt.Pwrite(p.fd(rng), b, value(rng))
	case k == 7:
		op = srt.Fsync(p.fd(rng))
	case k == 8:
		p.stats = append(p.stats, &unix.Statx_t{})
		op = srt.Statx(at, p.path(rng), 0, unix.STATX_TYPE|unix.STATX_SIZE, p.stats[len(p.stats)-1])
	case k == 9:
		op = srt.Renameat(at, p.path(rng), at, p.path(rng), []int{0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE, 1 << 20}[rng.IntN(4)])
	case k == 10:
		op = srt.Unlinkat(at, p.path(rng), []int{0, unix.AT_REMOVEDIR, 1 << 20}[rng.IntN(3)])
	case k == 11:
		op = srt.Mkdirat(at, p.path(rng), 0o755)
	case k == 12:
		op = srt.Fallocate(p.fd(rng), 0, value(rng), value(rng))
	default:
		op = []srt.Op{srt.Add(value(rng), value(rng)), srt.Nop(value(rng)), srt.Fdatasync(p.fd(rng)),
			srt.Call(func(*srt.Syslet) int64 { return 5 }), srt.Sleep(srt.Imm(1000)),
			srt.Splice(p.fd(rng), srt.Imm(0), p.fd(rng), srt.Imm(0), value(rng), 0)}[rng.IntN(6)]
	}
	if rng.IntN(3) > 0 {
		op = op.To(to)
	}
	return op
}

// direct gives op at i of n random flags and a place to go on at, forward only.
func (p *program) direct(rng *rand.Rand, op *srt.Op, i, n int) {
	stops := []srt.Flags{0, 0, srt.StopOnNegative, srt.StopOnNegative, srt.StopOnNonzero, srt.StopOnZero, srt.StopOnNonPositive}
	*op = op.With(stops[rng.IntN(len(stops))])
	if rng.IntN(3) == 0 {
		*op = op.With(srt.SkipToNextOnStop)
	}
	switch rng.IntN(12) {
	case 0:
		*op = op.With(srt.Async)
	case 1:
		*op = op.With(srt.Sync)
	case 2:
		*op = op.Then(srt.End)
	case 3, 4:
		if i+1 < n {
			*op = op.Then(srt.Goto(i + 1 + rng.IntN(n-i-1)))
		}
	}
}

// outcome is everything that can be seen of a program that has run.
func (p *program) outcome(t *testing.T) string {
	y := p.y
	regs := y.Regs
	for i := range 2 {
		if regs[i] >= 0 { // another number in each run
			require.NoError(t, unix.Close(int(regs[i])))
			regs[i] = 1
		}
		if regs[6+i] == notRun {
			require.NoError(t, unix.Close(p.closes[i]))
		}
	}
	last, res := y.Last()
	if y.Ops[last].Code == srt.OpOpenat {
		res = min(res, 0)
	}
	out := fmt.Sprintf("registers %d, last op %d: %d, err %v\nbuffers %q\n", regs, last, res, y.Err(), p.bufs)
	for _, st := range p.stats {
		size := st.Size
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			size = 0
		}
		out += fmt.Sprintf("mode %o size %d\n", st.Mode, size)
	}
	require.NoError(t, filepath.WalkDir(p.dir, func(path string, e os.DirEntry, err error) error {
		require.NoError(t, err)
		name, err := filepath.Rel(p.dir, path)
		require.NoError(t, err)
		out += name + e.Type().String()
		if e.Type().IsRegular() {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			out += fmt.Sprintf(" %q", b)
		}
		out += "\n"
		return nil
	}))
	for _, f := range p.files {
		require.NoError(t, f.Close())
	}
	return out
}

func (p *program) String() string {
	var s string
	for i, op := range p.y.Ops {
		s += fmt.Sprintf("%d: %s args %v flags %#x dst %d next %d path %s %s len %d\n", i, op.Code, op.Args, op.Flags, op.Dst, op.Next, op.Path, op.Path2, len(op.Buf))
	}
	return s
}

// TestChainsEqualPlainCalls runs random programs by the ring and, in a twin
// folder, by plain calls.
func TestChainsEqualPlainCalls(t *testing.T) {
	conformance.CheckLeaks(t)
	programs := 400
	if testing.Short() {
		programs = 100
	}
	for _, entries := range []int{0, 2} {
		t.Run(fmt.Sprintf("entries=%d", entries), func(t *testing.T) {
			v, d := serve(t, srt.Options{RingEntries: entries}, echo())
			dir, seed := t.TempDir(), rand.Uint64()
			for i := range uint64(programs) {
				want := newProgram(t, filepath.Join(dir, fmt.Sprintf("w%d", i)), seed+i)
				want.y.RunBlocking()
				got := newProgram(t, filepath.Join(dir, fmt.Sprintf("g%d", i)), seed+i)
				run(t, v, got.y)
				require.Equal(t, want.outcome(t), got.outcome(t), "seed %d\n%s", seed+i, got)
			}
			on(t, v, func(*srt.Shard) {
				t.Logf("%d of %d entries were linked", d.syslets.linked, d.ring.Stats.Submitted)
				require.NotZero(t, d.syslets.linked)
			})
		})
	}
}
