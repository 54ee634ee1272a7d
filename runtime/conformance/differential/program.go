package differential

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// Program is a syslet that does not depend on any run: descriptors, paths and
// buffers are by name, and each run puts its own in their place.
type Program struct {
	Ops  []Op
	Regs [runtime.RegCount]Val // as its maker leaves them
	// Again submits the same syslet a second time when it has ended, with the
	// descriptor registers set to -1 and the others as they are then.
	Again bool
	// Cold puts a file out of the page cache, or a part of it, where there is one:
	// f2, whose nonblocking reads are then refused, or short.
	Cold Cold
	// Endless programs may run into MaxSteps; others are dropped if they do.
	Endless bool
}

// Cold says what of f2 is not in the page cache.
type Cold uint8

const (
	coldNothing Cold = iota
	coldTail         // all but the first page
	coldAll
)

// Op is one op of a Program. Which fields mean anything depends on Code.
type Op struct {
	Code  runtime.OpCode
	Flags runtime.Flags
	Dst   int // register, or none
	Next  int // index, or follow, or end

	FD, FD2     Val // descriptors, the op's or directories; splice's two
	Path, Path2 Path
	Bits, Mode  int    // the call's flags; the mode, or statx's mask. poll: events in Bits
	A, B, C     Val    // numbers: offset; offset and length; both offsets and the length of splice
	Limit       *Val   // the argument of Len, if it is used
	Buf         Slice  // data
	Fn          Fn     // of call
	To          Target // of connect
}

// Values of Op.Dst and Op.Next that are no index.
const (
	none   = -1
	follow = -1
	end    = -2
)

// Registers have types, which makes a random program safe to run: a number is
// used as a descriptor only if an op that makes descriptors gave it, or if it
// is bad on purpose; lengths that allocate memory, and offsets that make files
// large, are small whatever happens.
const (
	regFile0  = 0 // results of openat, or bad
	regFile1  = 1
	regSocket = 2 // results of accept, a socket of the program's own, or bad
	regCount  = 3 // a loop's counter
	regSmall0 = 4 // results of calls: -4095 to a few thousand
	regSmall1 = 5
	regAny0   = 6 // anything
	regAny1   = 7

	fdRegs = 3 // registers below are for descriptors
)

// Val is an argument: a constant, a register, or one of the world's descriptors.
type Val struct {
	kind valKind
	n    int64
}

type valKind uint8

const (
	valImm valKind = iota
	valReg
	valProp
)

func imm(n int64) Val    { return Val{valImm, n} }
func reg(i int) Val      { return Val{valReg, int64(i)} }
func own(p Prop) Val     { return Val{valProp, int64(p)} }
func (v Val) prop() Prop { return Prop(v.n) }

// isReg reports whether v is register i.
func (v Val) isReg(i int) bool { return v.kind == valReg && v.n == int64(i) }

// The descriptors that are bad on purpose. -1 is not AT_FDCWD, and no process
// here has a million files.
const (
	badFD    = -1
	hugeFD   = 1 << 20
	cwd      = unix.AT_FDCWD // with absolute paths only
	fdMarker = 1 << 40       // what a register that holds an open descriptor is compared as
)

// Path is a file's name: in the world's directory, absolute, or whatever a
// buffer holds when the op runs.
type Path struct {
	Kind pathKind
	Name string
}

type pathKind uint8

const (
	pathRel pathKind = iota
	pathAbs
	pathBuf // buffer pathBuffer, which always ends with NUL
)

// Slice is a part of one of a world's buffers.
type Slice struct{ Index, From, To int }

// Sizes of a world's buffers. Ops share them, so that what one op reads another
// writes. The third is a path; its last byte stays NUL. big is constant, and
// longer than any socket's buffer.
var bufferSizes = [...]int{64, 256, 1024, 16}

const (
	pathBuffer = 3
	bigBuffer  = 4
	bigBytes   = 600 << 10
)

// Target is where a connect goes.
type Target uint8

const (
	toUnix        Target = iota // a listener that has room
	toUnixNobody                // no such listener
	toTCP                       // a listener that has room
	toTCPNobody                 // a port that is bound, and not listened on
	toShort                     // an address of two bytes
	toWrongFamily               // an address that no socket here takes
	targetCount
)

// Fn is a Go function for call. It sees registers and buffers, as
// runtime.Call's does through its Syslet.
type Fn uint8

const (
	fnSum   Fn = iota // of the registers that are no descriptors
	fnErrno           // fails
	fnPoke            // writes a register
	fnFill            // writes a buffer
	fnBlock           // blocks in a system call that nobody announced
	fnPanic           // the first time
	fnCount
)

// panicked is what a register is set to, so that fnPanic returns after that.
const panicked = 77

// blockFor is short: it is there to be noticed, not to wait.
const blockFor = 50 * time.Microsecond

func (f Fn) run(regs *[runtime.RegCount]int64, bufs [][]byte) int64 {
	switch f {
	case fnSum:
		var sum int64
		for _, r := range regs[regCount:] {
			sum += r
		}
		return sum
	case fnErrno:
		return -int64(unix.EIO)
	case fnPoke:
		regs[regSmall1] += 3
		if regs[regSmall1] > 300 {
			regs[regSmall1] = 0
		}
		return regs[regSmall1]
	case fnFill:
		for i := range bufs[0] {
			bufs[0][i] = 'A' + byte(i%26)
		}
		return int64(len(bufs[0]))
	case fnBlock:
		nanosleep(blockFor)
		return 0
	}
	if regs[regSmall0] == panicked {
		return 0
	}
	regs[regSmall0] = panicked
	panic("planned")
}

// needs gives what the world of p must have, as bits by Prop.
func (p *Program) needs() (props uint64) {
	add := func(v Val) {
		if v.kind == valProp {
			props |= 1 << v.prop()
		}
	}
	for _, r := range p.Regs {
		add(r)
	}
	for i := range p.Ops {
		op := &p.Ops[i]
		add(op.FD)
		add(op.FD2)
		if op.Code != runtime.OpConnect {
			continue
		}
		switch op.To {
		case toUnix:
			props |= 1 << unixTarget
		case toTCP:
			props |= 1 << tcpTarget
		case toTCPNobody:
			props |= 1 << tcpNobody
		}
	}
	return props | 1<<dirFD
}

// bigSend and spliceOut are ops that end only as long as there are few of them.
func (op *Op) bigSend() bool { return op.Code == runtime.OpSend && op.Buf.Index == bigBuffer }
func (op *Op) spliceOut() bool {
	return op.Code == runtime.OpSplice && op.FD2 == own(pipeOut)
}
