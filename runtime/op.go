package runtime

import (
	"golang.org/x/sys/unix"
)

// OpCode names a system call, or a Go function, that an Op makes.
type OpCode uint8

// The operations. Arguments are listed as the constructors of the same name
// take them. A result is what the system call returns, or the negated errno;
// where several arguments are wrong, models may name different ones.
const (
	OpNop OpCode = iota
	OpAdd
	OpOpenat
	OpClose
	OpPread
	OpPwrite
	OpFsync
	OpFdatasync
	OpStatx
	OpRenameat
	OpUnlinkat
	OpMkdirat
	OpFallocate
	OpRecv
	OpSend
	OpConnect
	OpAccept
	OpPoll
	OpSleep
	OpSplice
	OpCall
	opCount
)

var opNames = [opCount]string{
	"nop", "add", "openat", "close", "pread", "pwrite", "fsync", "fdatasync", "statx", "renameat",
	"unlinkat", "mkdirat", "fallocate", "recv", "send", "connect", "accept", "poll", "sleep", "splice", "call",
}

// String gives the op's name in lower case.
func (o OpCode) String() string {
	if o < opCount {
		return opNames[o]
	}
	return "invalid"
}

// Flags say when a syslet stops or branches after an op, and how the op is
// tried. Values and meaning of the low byte are those of the 2007 syslet
// patches (SYSLET_STOP_ON_NONZERO and so on); the higher bits are ours.
type Flags uint16

const (
	// Async: do not try this op without blocking first; it is expected to block.
	Async Flags = 1 << iota
	// Sync: make the call here even if it blocks the shard. Blocks so made are counted.
	Sync
	// NoComplete: when the syslet ends at this op, deliver no completion.
	NoComplete
	StopOnNonzero
	StopOnZero
	StopOnNegative
	StopOnNonPositive
	// SkipToNextOnStop turns each stop of this op into a branch to the op that
	// lies next in memory; without a stop the syslet goes on at Next.
	SkipToNextOnStop
	// Direct: the descriptor bypasses the page cache (O_DIRECT), so that the
	// op has no nonblocking form: RWF_NOWAIT would still wait for the device.
	Direct
)

// RegCount is the number of a syslet's registers.
const RegCount = 8

// Arg is an op's argument: a constant, or the value that a register has when
// the op starts.
type Arg struct {
	val int64
	reg uint8 // 0: constant; otherwise the register's index plus one
}

// Imm is a constant argument.
func Imm(v int64) Arg { return Arg{val: v} }

// Reg is the argument in register i, 0 <= i < RegCount.
func Reg(i int) Arg { return Arg{reg: uint8(i) + 1} }

// IsReg reports whether the argument is a register, and which.
func (a Arg) IsReg() (int, bool) { return int(a.reg) - 1, a.reg != 0 }

// AtCwd is the directory argument for paths relative to the working directory.
var AtCwd = Imm(unix.AT_FDCWD)

// Target is the place at which a syslet goes on after an op: the zero value is
// the op that follows, End ends it, Goto names an op by its index.
type Target int

// End as an Op's Next ends the syslet after the op.
const End Target = -1

// Goto is the op with index i.
func Goto(i int) Target { return Target(i + 1) }

// Op is one operation of a syslet, as data: a system call or a Go function with
// its arguments. Make it with the constructor of its name. What Buf, Path,
// Path2 and Stat point to must not be touched from Submit to the completion.
type Op struct {
	Code  OpCode
	Flags Flags
	Dst   uint8  // index of the register that takes the result, plus one; 0: none
	Next  Target // where to go on unless a stop flag says otherwise
	Args  [6]Arg // by position, as the constructor lists them
	Buf   []byte // data in or out; a raw socket address for connect
	Path  []byte // ends with NUL
	Path2 []byte // ends with NUL
	Stat  *unix.Statx_t
	Call  func(y *Syslet) int64
}

// To makes the result go to register i.
func (o Op) To(i int) Op { o.Dst = uint8(i) + 1; return o }

// With adds flags.
func (o Op) With(f Flags) Op { o.Flags |= f; return o }

// Then sets the place to go on at.
func (o Op) Then(t Target) Op { o.Next = t; return o }

// CPath is s as the kernel wants it, for reuse in many ops.
func CPath(s string) []byte { return append(append(make([]byte, 0, len(s)+1), s...), 0) }

// Nop does nothing; its result is v.
func Nop(v Arg) Op { return Op{Code: OpNop, Args: [6]Arg{v}} }

// Add adds a and b: with To(r) and a = Reg(r) it is a loop counter, as the
// umem_add call was in 2007.
func Add(a, b Arg) Op { return Op{Code: OpAdd, Args: [6]Arg{a, b}} }

// Openat opens path (see CPath); flags and mode as openat(2). O_CLOEXEC is
// added. Result: the descriptor; of one that the program itself closes perhaps
// only a number that stood for it: not negative, and nobody's descriptor.
func Openat(dir Arg, path []byte, flags, mode int) Op {
	return Op{Code: OpOpenat, Args: [6]Arg{dir, Imm(int64(flags | unix.O_CLOEXEC)), Imm(int64(mode))}, Path: path}
}

// Resolve makes an Openat obey the RESOLVE_* flags of openat2(2) (Linux 5.6), such
// as RESOLVE_BENEATH; mode must be 0 unless the file may be created. A rename
// meanwhile can make it fail with -EAGAIN: try again.
func (o Op) Resolve(flags int) Op { o.Args[3] = Imm(int64(flags)); return o }

// Close closes fd.
func Close(fd Arg) Op { return Op{Code: OpClose, Args: [6]Arg{fd}} }

// Pread reads up to len(buf) bytes at offset. Result: bytes read, 0 at the end.
// Here and in Pwrite fd is a file's: of a pipe or a socket most models say
// -ESPIPE, iouring reads and writes it.
func Pread(fd Arg, buf []byte, offset Arg) Op {
	return Op{Code: OpPread, Args: [6]Arg{fd, offset, Imm(-1)}, Buf: buf}
}

// Pwrite writes buf at offset. Result: bytes written.
func Pwrite(fd Arg, buf []byte, offset Arg) Op {
	return Op{Code: OpPwrite, Args: [6]Arg{fd, offset, Imm(-1)}, Buf: buf}
}

// Len limits a pread, pwrite, recv or send to n bytes of its buffer; n is
// clamped to 0..len(Buf).
func (o Op) Len(n Arg) Op {
	n.val = max(n.val, 0) // below 0 as a constant: no Len was given
	o.Args[2] = n
	return o
}

// Fsync flushes the file of fd to its device, Fdatasync without the metadata
// that reading back does not need.
func Fsync(fd Arg) Op     { return Op{Code: OpFsync, Args: [6]Arg{fd}} }
func Fdatasync(fd Arg) Op { return Op{Code: OpFdatasync, Args: [6]Arg{fd}} }

// Statx fills st for path, or for dir itself when path is empty and flags has
// AT_EMPTY_PATH.
func Statx(dir Arg, path []byte, flags, mask int, st *unix.Statx_t) Op {
	if len(path) == 0 {
		path = emptyPath
	}
	return Op{Code: OpStatx, Args: [6]Arg{dir, Imm(int64(flags)), Imm(int64(mask))}, Path: path, Stat: st}
}

var emptyPath = []byte{0}

// Renameat renames old to path; flags as renameat2(2).
func Renameat(oldDir Arg, old []byte, newDir Arg, path []byte, flags int) Op {
	return Op{Code: OpRenameat, Args: [6]Arg{oldDir, newDir, Imm(int64(flags))}, Path: old, Path2: path}
}

// Unlinkat removes path; flags as unlinkat(2) (AT_REMOVEDIR).
func Unlinkat(dir Arg, path []byte, flags int) Op {
	return Op{Code: OpUnlinkat, Args: [6]Arg{dir, Imm(int64(flags))}, Path: path}
}

// Mkdirat makes the directory path.
func Mkdirat(dir Arg, path []byte, mode int) Op {
	return Op{Code: OpMkdirat, Args: [6]Arg{dir, Imm(int64(mode))}, Path: path}
}

// Fallocate reserves length bytes from offset; mode as fallocate(2).
func Fallocate(fd Arg, mode int, offset, length Arg) Op {
	return Op{Code: OpFallocate, Args: [6]Arg{fd, Imm(int64(mode)), offset, length}}
}

// Recv receives up to len(buf) bytes from the socket fd; flags as recv(2). It
// waits, whether or not the socket is nonblocking, unless flags has
// MSG_DONTWAIT; with MSG_WAITALL until buf is full or the stream ends.
func Recv(fd Arg, buf []byte, flags int) Op {
	return Op{Code: OpRecv, Args: [6]Arg{fd, Imm(int64(flags)), Imm(-1)}, Buf: buf}
}

// Send sends buf on the socket fd; flags as send(2). MSG_NOSIGNAL is added. It
// waits, whether or not the socket is nonblocking, until all is sent, unless
// flags has MSG_DONTWAIT; a result below that is what was sent before an error.
func Send(fd Arg, buf []byte, flags int) Op {
	return Op{Code: OpSend, Args: [6]Arg{fd, Imm(int64(flags | unix.MSG_NOSIGNAL)), Imm(-1)}, Buf: buf}
}

// Connect connects the socket fd to a raw socket address (struct sockaddr) and
// waits until it is connected, whether or not the socket is nonblocking. Close a
// socket that was refused: what a second connect gives differs between models.
func Connect(fd Arg, sockaddr []byte) Op {
	return Op{Code: OpConnect, Args: [6]Arg{fd}, Buf: sockaddr}
}

// Accept takes a connection from the listening socket fd; flags as accept4(2).
// It waits, whether or not the socket is nonblocking.
func Accept(fd Arg, flags int) Op {
	return Op{Code: OpAccept, Args: [6]Arg{fd, Imm(int64(flags))}}
}

// Poll waits until one of events (POLLIN, ...) holds for fd. Result: the events
// that hold; for an fd below 0, too, -EBADF.
func Poll(fd Arg, events int) Op { return Op{Code: OpPoll, Args: [6]Arg{fd, Imm(int64(events))}} }

// Sleep waits for ns nanoseconds. Result: 0.
func Sleep(ns Arg) Op { return Op{Code: OpSleep, Args: [6]Arg{ns}} }

// Splice moves up to length bytes between two descriptors of which one is a
// pipe; an offset of -1 means the descriptor's own position. As splice(2).
func Splice(in, inOffset, out, outOffset, length Arg, flags int) Op {
	return Op{Code: OpSplice, Args: [6]Arg{in, inOffset, out, outOffset, length, Imm(int64(flags))}}
}

// Call runs fn, which may block. It runs off the shard or on it, so it may
// touch only what it owns and the registers and buffers of y. A panic in fn
// ends the op with PanicResult; the syslet's Err tells what it was.
func Call(fn func(y *Syslet) int64) Op { return Op{Code: OpCall, Call: fn} }

// PanicResult is the result of a call that panicked: -ENOTRECOVERABLE.
const PanicResult = -int64(unix.ENOTRECOVERABLE)
