package differential

import (
	"math"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// Ops on files.

// Names of a world's tree, and of what is not in it. None leads out of it.
var (
	names0 = []string{"f0", "f1", "f2", "d0", "d0/x", "d0/y", "d1", "l0", "n0", "n1", "d0/n", "d1/n"}
	odd    = []string{"gone", "gone/n", "l1", "l2", ".", "d0/", "d0/.", "f0/", "f0/x", "", "l0/x", strings.Repeat("n", 300), "d1/n/n"}
)

func (g generator) path() Path {
	switch r := g.IntN(100); {
	case r < 78:
		return Path{Name: pick(g, names0...)}
	case r < 92:
		return Path{Name: pick(g, odd...)}
	}
	return Path{Kind: pathBuf}
}

// at draws a directory and a path in it.
func (g generator) at() (Val, Path) {
	p := g.path()
	switch r := g.IntN(100); {
	case r < 12 && p.Kind == pathRel:
		p.Kind = pathAbs
		return imm(pick[int64](g, cwd, cwd, badFD)), p
	case r < 22:
		return reg(pick(g, regFile0, regFile1, regSocket)), p // a directory, or not
	case r < 26:
		return imm(g.bad()), p
	}
	return own(dirFD), p
}

var openBits = []int{
	unix.O_RDONLY, unix.O_RDWR, unix.O_WRONLY, unix.O_RDONLY | unix.O_DIRECTORY, unix.O_RDWR | unix.O_TRUNC, unix.O_WRONLY | unix.O_TRUNC,
	unix.O_RDWR | unix.O_CREAT, unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL, unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC,
	unix.O_RDWR | unix.O_APPEND, unix.O_RDONLY | unix.O_NOFOLLOW, unix.O_PATH, unix.O_RDWR | unix.O_DIRECTORY,
	unix.O_RDONLY | unix.O_CREAT, unix.O_RDWR | unix.O_NONBLOCK, unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW,
	unix.O_RDWR | unix.O_TMPFILE,
}

// openOp opens into register r; likely: something that can be read and written.
func (g generator) openOp(r int, likely bool) Op {
	op := blank(runtime.OpOpenat)
	op.FD, op.Path = g.at()
	op.Bits, op.Dst = pick(g, openBits...), r
	if likely && g.chance(80) {
		op.FD, op.Path = own(dirFD), Path{Name: pick(g, "f0", "f1", "f2", "d0/x", "n0", "f1")}
		op.Bits = pick(g, unix.O_RDWR, unix.O_RDWR, unix.O_RDWR|unix.O_CREAT, unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC)
	}
	op.Mode = pick(g, 0o644, 0o600, 0o666)
	if g.IntN(50) == 0 {
		op.Dst = none
	}
	return op
}

// file is a descriptor for an op on files. No sockets and pipes: pread and
// pwrite of those differ under io_uring, as the comment at runtime.Pread says.
func (g generator) file() Val {
	switch r := g.IntN(100); {
	case r < 65:
		return reg(regFile0)
	case r < 88:
		return reg(regFile1)
	case r < 94:
		return own(dirFD)
	}
	return imm(g.bad())
}

func (g generator) fileOp(op Op) Op {
	op.FD = g.file()
	switch op.Code {
	case runtime.OpPread, runtime.OpPwrite:
		op.A = g.small(0, 0, 1, 5, 100, 299, 300, 301, 4090, 4999, 5000, 8000)
		if g.IntN(15) == 0 {
			op.A = imm(pick[int64](g, -1, -2, math.MinInt64, math.MaxInt64))
		}
		op.Buf = g.slice(true)
		op.Limit = g.limit()
		if op.Code == runtime.OpPwrite && op.Buf.Index == pathBuffer {
			op.Buf.To = bufferSizes[pathBuffer]
		}
	case runtime.OpFallocate:
		op.Bits = pick(g, 0, 0, unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_KEEP_SIZE|unix.FALLOC_FL_PUNCH_HOLE, unix.FALLOC_FL_PUNCH_HOLE,
			unix.FALLOC_FL_ZERO_RANGE, unix.FALLOC_FL_COLLAPSE_RANGE, 0x800)
		op.A, op.B = g.small(0, 0, 10, 4096, 6000, -1), g.small(1, 100, 4096, 9000, 0, -1)
	case runtime.OpSplice:
		return g.spliceOp(op)
	default:
		op.FD = pick(g, g.file(), reg(regSocket), own(pipeOut))
	}
	return op
}

// slice draws a part of a buffer; written: bytes may be put there, so that the
// path must keep its end.
func (g generator) slice(written bool) Slice {
	s := Slice{Index: pick(g, 0, 0, 1, 1, 2, pathBuffer)}
	n := bufferSizes[s.Index]
	if s.Index == pathBuffer && written {
		return Slice{s.Index, 0, n - 1}
	}
	s.From = g.IntN(n / 2)
	s.To = pick(g, s.From, s.From+1, s.From+min(n-s.From, 20), n, n, n)
	return s
}

func (g generator) limit() *Val {
	if g.chance(60) {
		return nil
	}
	v := pick(g, imm(0), imm(1), imm(3), imm(15), imm(100), imm(5000), imm(-1), imm(-7),
		reg(regSmall0), reg(regSmall1), reg(regCount), reg(regAny0))
	return &v
}

// spliceOp: between a pipe and a file, or what is refused.
func (g generator) spliceOp(op Op) Op {
	pos := func() Val { return pick(g, imm(-1), imm(-1), imm(0), imm(3), imm(290), imm(-9)) }
	op.A, op.B = pos(), pos()
	op.C = g.small(0, 1, 20, 50, 300, 5000)
	if g.IntN(12) == 0 {
		op.C = imm(pick[int64](g, -1, 1<<33, math.MinInt64, math.MaxInt64))
	}
	op.Bits = pick(g, 0, 0, 0, unix.SPLICE_F_MOVE, unix.SPLICE_F_NONBLOCK, unix.SPLICE_F_MORE, 0x80)
	switch g.IntN(8) {
	case 0, 1, 2:
		op.FD2, op.B = own(pipeOut), imm(-1)
	case 3, 4, 5:
		op.FD, op.A, op.FD2 = own(pipeIn), imm(-1), g.file()
	case 6:
		op.FD, op.FD2, op.A, op.B = own(pipeIn), own(pipeOut), imm(-1), imm(-1)
		if g.chance(20) { // an offset in a pipe, and no other mistake: see pathOp
			*pick(g, &op.A, &op.B) = imm(0)
		}
	default:
		op.FD2 = g.file()
	}
	return op
}

func (g generator) pathOp(op Op) Op {
	op.FD, op.Path = g.at()
	switch op.Code {
	case runtime.OpStatx:
		op.Bits = pick(g, 0, 0, unix.AT_SYMLINK_NOFOLLOW, unix.AT_EMPTY_PATH, unix.AT_STATX_DONT_SYNC, refusedBits)
		op.Mode = pick(g, unix.STATX_BASIC_STATS, unix.STATX_BASIC_STATS, unix.STATX_SIZE, 0, 0x80000000)
		if g.chance(40) {
			op.Path, op.FD = Path{}, pick(g, g.file(), reg(regSocket), own(pipeOut), own(eofSocket))
			op.Bits = pick(g, unix.AT_EMPTY_PATH, unix.AT_EMPTY_PATH, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, 0)
		}
	case runtime.OpRenameat:
		op.FD2, op.Path2 = g.at()
		op.Bits = pick(g, 0, 0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE, unix.RENAME_EXCHANGE|unix.RENAME_NOREPLACE, 0x80)
	case runtime.OpUnlinkat:
		op.Bits = pick(g, 0, 0, unix.AT_REMOVEDIR, unix.AT_REMOVEDIR, refusedBits)
	case runtime.OpMkdirat:
		op.Mode = pick(g, 0o755, 0o700, 0o777)
	}
	both := unix.RENAME_EXCHANGE | unix.RENAME_NOREPLACE
	if op.Bits&(refusedBits|0x80) != 0 || op.Mode&0x80000000 != 0 || op.Code == runtime.OpRenameat && op.Bits&both == both {
		// One mistake at a time: of two, a ring may find the other one first.
		op.FD, op.Path = own(dirFD), Path{Name: pick(g, names0...)}
		op.FD2, op.Path2 = own(dirFD), Path{Name: pick(g, names0...)}
	}
	if op.Code == runtime.OpRenameat && (op.Path.mayBeEmpty() || op.Path2.mayBeEmpty()) { // likewise
		op.FD, op.FD2 = own(dirFD), own(dirFD)
		if op.Path2.mayBeEmpty() {
			op.Path = Path{Name: pick(g, names0...)}
		} else {
			op.Path2 = Path{Name: pick(g, names0...)}
		}
	}
	return op
}

func (p Path) mayBeEmpty() bool { return p.Kind == pathBuf || p == Path{} }

// refusedBits are no flag of any call.
const refusedBits = 0x40000000
