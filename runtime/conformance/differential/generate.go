package differential

import (
	"math"
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// generator draws programs. All that it draws is defined: no op waits for ever,
// no closed descriptor is used again (Program.safe), and each result follows
// from the program and its world alone (Program.defined).
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator {
	return generator{rand.New(rand.NewPCG(seed, 0x5e7))}
}

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

// program draws programs until one is defined.
func (g generator) program() *Program {
	for {
		var p *Program
		if g.IntN(400) == 0 {
			p = g.endless()
		} else {
			p = g.ordinary()
		}
		if p.defined() {
			return p
		}
	}
}

func (g generator) ordinary() *Program {
	p := &Program{Regs: g.regs(), Again: g.chance(8)}
	if g.IntN(16) == 0 {
		p.Cold = pick(g, coldTail, coldAll)
	}
	theme := pick(g, anyOps, anyOps, fileOps, fileOps, openFileOps, socketOps)
	n := 1 + g.IntN(14)
	if g.chance(60) {
		p.Ops = append(p.Ops, g.flagged(g.openOp(regFile0, true)))
	}
	if p.Again && g.chance(15) { // the second run must not have the first one's panic
		op := blank(runtime.OpCall)
		op.Fn = fnPanic
		p.Ops = append(p.Ops, g.flagged(op))
	}
	if p.Cold != coldNothing {
		p.Ops = append(p.Ops, g.coldRead()...)
	}
	for len(p.Ops) < n {
		switch g.IntN(20) {
		case 0:
			p.Ops = append(p.Ops, g.loop(theme, len(p.Ops))...)
		case 1, 2:
			p.Ops = append(p.Ops, g.closing()...)
		case 3, 4:
			p.Ops = append(p.Ops, g.session()...)
		default:
			p.Ops = append(p.Ops, g.flagged(g.op(theme)))
		}
	}
	g.branch(p)
	if p.Again && p.needs()&(1<<tcpClient|1<<tcpClientN) != 0 {
		p.Again = false // see connectsOnce
	}
	return p
}

func (g generator) regs() (regs [runtime.RegCount]Val) {
	regs[regFile0], regs[regFile1] = imm(g.bad()), imm(g.bad())
	regs[regSocket] = imm(g.bad())
	if g.chance(30) {
		regs[regSocket] = own(ownSocket)
	}
	for _, i := range []int{regSmall0, regSmall1} {
		regs[i] = imm(pick[int64](g, 0, 0, 1, -1, 5, 100, -2, 300))
	}
	for _, i := range []int{regAny0, regAny1} {
		regs[i] = imm(pick[int64](g, 0, 1, -1, 7, 4000, math.MaxInt64, math.MinInt64, 1<<32))
	}
	return regs
}

func (g generator) bad() int64 { return pick[int64](g, badFD, badFD, hugeFD) }

// flagged adds flags and a place for the result.
func (g generator) flagged(op Op) Op {
	if g.chance(25) {
		op.Flags |= pick(g, runtime.StopOnNonzero, runtime.StopOnZero, runtime.StopOnNegative, runtime.StopOnNonPositive)
		if g.chance(20) {
			op.Flags |= pick(g, runtime.StopOnNonzero, runtime.StopOnZero, runtime.StopOnNegative, runtime.StopOnNonPositive)
		}
		if g.chance(60) {
			op.Flags |= runtime.SkipToNextOnStop
		}
	}
	if g.chance(4) {
		op.Flags |= runtime.SkipToNextOnStop // without a stop it does nothing
	}
	if g.chance(8) {
		op.Flags |= runtime.NoComplete
	}
	if g.chance(10) {
		op.Flags |= runtime.Async
	}
	if g.chance(8) {
		op.Flags |= runtime.Sync
	}
	if g.chance(8) && (op.Code == runtime.OpPread || op.Code == runtime.OpPwrite) {
		op.Flags |= runtime.Direct // a hint of how to try; these files are not opened with O_DIRECT
	}
	if op.Dst == none && g.chance(60) && op.Code != runtime.OpOpenat && op.Code != runtime.OpAccept {
		op.Dst = g.resultRegister(op)
	}
	return op
}

// resultRegister is one whose type op's result has.
func (g generator) resultRegister(op Op) int {
	if op.bigSend() || op.Code == runtime.OpAdd || op.Code == runtime.OpCall || op.Code == runtime.OpNop || g.chance(20) {
		return pick(g, regAny0, regAny1)
	}
	return pick(g, regSmall0, regSmall1)
}

// branch adds places to go on at. Backward ones are rare: most of those loops
// have no end.
func (g generator) branch(p *Program) {
	for i := range p.Ops {
		if p.Ops[i].Next != follow {
			continue
		}
		switch r := g.IntN(100); {
		case r < 10 && i+1 < len(p.Ops):
			p.Ops[i].Next = i + 1 + g.IntN(len(p.Ops)-i-1)
		case r < 12:
			p.Ops[i].Next = end
		case r < 13:
			p.Ops[i].Next = g.IntN(i + 1)
		}
	}
}

// loop is a few ops that run a few times, counted in a register.
func (g generator) loop(theme theme, at int) []Op {
	ops := []Op{blank(runtime.OpNop)}
	ops[0].Dst = regCount
	for range 1 + g.IntN(4) {
		ops = append(ops, g.flagged(g.op(theme)))
	}
	count, test := blank(runtime.OpAdd), blank(runtime.OpAdd)
	count.A, count.B, count.Dst = reg(regCount), imm(1), regCount
	test.A, test.B = reg(regCount), imm(int64(-1-g.IntN(5)))
	test.Flags, test.Next = runtime.StopOnZero|runtime.SkipToNextOnStop, at+1
	return append(ops, count, test)
}

// closing closes a register's descriptor, most often with care for what comes after.
func (g generator) closing() []Op {
	r := pick(g, regFile0, regFile0, regFile1, regSocket)
	op := g.flagged(Op{Code: runtime.OpClose, FD: reg(r), Dst: none, Next: follow})
	if g.chance(40) {
		return []Op{op} // fine if nothing uses r any more
	}
	forget := blank(runtime.OpNop)
	forget.A, forget.Dst = imm(g.bad()), r
	return []Op{op, forget}
}

// session opens a file, uses it, closes it, and may rename it: what programs do,
// and what drivers make chains of.
func (g generator) session() []Op {
	r := pick(g, regFile0, regFile1)
	ops := []Op{g.openOp(r, true)}
	ops[0].Dst = r
	for range g.IntN(6) {
		op := g.opOf(pick(g, runtime.OpPread, runtime.OpPread, runtime.OpPwrite, runtime.OpPwrite, runtime.OpStatx, runtime.OpFallocate, runtime.OpAdd))
		if op.Code != runtime.OpAdd {
			op.FD = reg(r)
		}
		if op.Code == runtime.OpStatx {
			op.Path, op.Bits, op.Mode = Path{}, unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS
		}
		ops = append(ops, op)
	}
	if g.chance(20) {
		ops = append(ops, g.named(r)...)
	}
	last := blank(runtime.OpClose)
	last.FD = reg(r)
	ops = append(ops, last)
	if g.chance(40) {
		ops = append(ops, g.opOf(runtime.OpRenameat))
	}
	for i := range ops {
		switch {
		case g.chance(50):
			ops[i].Flags |= runtime.StopOnNegative
		case g.chance(30):
			ops[i] = g.flagged(ops[i])
		}
		if ops[i].Dst == none && g.chance(40) {
			ops[i].Dst = g.resultRegister(ops[i])
		}
	}
	if g.chance(50) {
		forget := blank(runtime.OpNop)
		forget.A, forget.Dst = imm(badFD), r
		ops = append(ops, forget)
	}
	return ops
}

// coldRead reads f2 across the end of its first page, perhaps in vain.
func (g generator) coldRead() []Op {
	open, read := blank(runtime.OpOpenat), blank(runtime.OpPread)
	open.FD, open.Path, open.Bits, open.Dst = own(dirFD), Path{Name: "f2"}, unix.O_RDWR, regFile0
	read.FD, read.Buf, read.A = reg(regFile0), Slice{2, 0, bufferSizes[2]}, imm(pick[int64](g, 4000, 4090, 4500))
	return []Op{open, g.flagged(read)}
}

// named reads a path out of the file in register r, and uses it: an op whose
// name is not known before another one is done.
func (g generator) named(r int) []Op {
	read := blank(runtime.OpPread)
	read.FD, read.A = reg(r), g.small(0, 0, 3, 290)
	read.Buf = Slice{pathBuffer, 0, bufferSizes[pathBuffer] - 1}
	op := g.opOf(pick(g, runtime.OpOpenat, runtime.OpMkdirat, runtime.OpUnlinkat, runtime.OpStatx, runtime.OpRenameat))
	op.FD, op.Path = own(dirFD), Path{Kind: pathBuf}
	switch op.Code {
	case runtime.OpOpenat:
		op.Dst = regFile0 + regFile1 - r
		op.Bits = pick(g, unix.O_RDWR|unix.O_CREAT, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, unix.O_RDONLY)
	case runtime.OpRenameat: // the name may be empty: no other mistake then, as in pathOp
		op.FD2, op.Path2, op.Bits = own(dirFD), Path{Name: pick(g, names0...)}, 0
	case runtime.OpStatx, runtime.OpUnlinkat:
		op.Bits, op.Mode = 0, unix.STATX_BASIC_STATS
	}
	return []Op{read, op}
}

// endless programs end with ELOOP. They are of what is quick.
func (g generator) endless() *Program {
	p := &Program{Endless: true, Regs: g.regs()}
	for range 1 + g.IntN(3) {
		op := blank(pick(g, runtime.OpNop, runtime.OpAdd, runtime.OpCall))
		op.Fn = pick(g, fnSum, fnPoke, fnErrno)
		if op.Code != runtime.OpCall {
			op.A, op.B = g.number(), g.number()
		}
		op.Dst = pick(g, regAny0, regAny1, none)
		p.Ops = append(p.Ops, op)
	}
	if g.chance(20) {
		op := blank(runtime.OpStatx)
		op.FD, op.Bits, op.Mode = own(dirFD), unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS
		p.Ops = append(p.Ops, op)
	}
	p.Ops[len(p.Ops)-1].Next = 0
	p.Ops[len(p.Ops)-1].Flags |= pick[runtime.Flags](g, 0, runtime.NoComplete)
	return p
}

func blank(code runtime.OpCode) Op {
	return Op{Code: code, Dst: none, Next: follow, FD: imm(badFD), FD2: imm(badFD)}
}

// theme is a table of ops by weight. A program's ops are drawn from one, so that
// there are runs of ops that a driver may link.
type theme []weighted

type weighted struct {
	code   runtime.OpCode
	weight int
}

var (
	anyOps = theme{{runtime.OpNop, 4}, {runtime.OpAdd, 6}, {runtime.OpOpenat, 12}, {runtime.OpPread, 10}, {runtime.OpPwrite, 10},
		{runtime.OpFsync, 1}, {runtime.OpFdatasync, 1}, {runtime.OpStatx, 8}, {runtime.OpRenameat, 6}, {runtime.OpUnlinkat, 6},
		{runtime.OpMkdirat, 4}, {runtime.OpFallocate, 4}, {runtime.OpRecv, 8}, {runtime.OpSend, 8}, {runtime.OpConnect, 3},
		{runtime.OpAccept, 5}, {runtime.OpPoll, 6}, {runtime.OpSleep, 3}, {runtime.OpSplice, 6}, {runtime.OpCall, 6}, {runtime.OpClose, 1}}
	fileOps = theme{{runtime.OpOpenat, 14}, {runtime.OpPread, 10}, {runtime.OpPwrite, 10}, {runtime.OpStatx, 10}, {runtime.OpRenameat, 10},
		{runtime.OpUnlinkat, 10}, {runtime.OpMkdirat, 8}, {runtime.OpFallocate, 5}, {runtime.OpFsync, 1}, {runtime.OpAdd, 2}}
	openFileOps = theme{{runtime.OpPread, 20}, {runtime.OpPwrite, 20}, {runtime.OpStatx, 5}, {runtime.OpFallocate, 5}, {runtime.OpFdatasync, 1},
		{runtime.OpOpenat, 4}, {runtime.OpSplice, 5}, {runtime.OpAdd, 4}}
	socketOps = theme{{runtime.OpRecv, 20}, {runtime.OpSend, 20}, {runtime.OpPoll, 10}, {runtime.OpAccept, 10}, {runtime.OpConnect, 6},
		{runtime.OpSleep, 3}, {runtime.OpNop, 3}, {runtime.OpCall, 5}, {runtime.OpSplice, 6}, {runtime.OpClose, 1}}
)

func (g generator) op(t theme) Op {
	total := 0
	for _, w := range t {
		total += w.weight
	}
	n := g.IntN(total)
	for _, w := range t {
		if n -= w.weight; n < 0 {
			return g.opOf(w.code)
		}
	}
	panic("unreachable")
}

func (g generator) opOf(code runtime.OpCode) Op {
	op := blank(code)
	switch code {
	case runtime.OpOpenat:
		return g.openOp(pick(g, regFile0, regFile0, regFile1), false)
	case runtime.OpPread, runtime.OpPwrite, runtime.OpFsync, runtime.OpFdatasync, runtime.OpFallocate, runtime.OpSplice:
		return g.fileOp(op)
	case runtime.OpStatx, runtime.OpRenameat, runtime.OpUnlinkat, runtime.OpMkdirat:
		return g.pathOp(op)
	case runtime.OpRecv, runtime.OpSend, runtime.OpConnect, runtime.OpAccept, runtime.OpPoll:
		return g.socketOp(op)
	case runtime.OpClose:
		op.FD = imm(g.bad())
	case runtime.OpNop:
		op.A = g.number()
	case runtime.OpAdd:
		op.A, op.B = g.number(), g.number()
	case runtime.OpSleep: // not long
		op.A = pick(g, imm(0), imm(-5), imm(math.MinInt64), imm(1), imm(20_000), imm(50_000), reg(regSmall0), reg(regCount))
	case runtime.OpCall:
		op.Fn = Fn(g.IntN(int(fnCount)))
	}
	return op
}

// number is any register that is no descriptor, or a constant.
func (g generator) number() Val {
	if g.chance(60) {
		return reg(regCount + g.IntN(runtime.RegCount-regCount))
	}
	return imm(pick[int64](g, 0, 0, 1, -1, 2, 17, 255, -300, math.MaxInt64, math.MinInt64))
}

// small is a number that stays below a few thousand.
func (g generator) small(from ...int64) Val {
	if g.chance(30) {
		return reg(pick(g, regCount, regSmall0, regSmall1))
	}
	return imm(pick[int64](g, from...))
}
