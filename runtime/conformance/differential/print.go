package differential

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// String prints p as Go-like text: the constructors of package runtime, with the
// world's descriptors by name.
func (p *Program) String() string {
	var b strings.Builder
	var flags []string
	if p.Again {
		flags = append(flags, "submitted twice")
	}
	if p.Cold != coldNothing {
		flags = append(flags, [...]string{coldTail: "the end of f2 is not cached", coldAll: "f2 is not cached"}[p.Cold])
	}
	if p.Endless {
		flags = append(flags, "endless")
	}
	for i, r := range p.Regs {
		if r != imm(0) {
			flags = append(flags, fmt.Sprintf("Regs[%d] = %s", i, r))
		}
	}
	if len(flags) > 0 {
		fmt.Fprintf(&b, "    // %s\n", strings.Join(flags, ", "))
	}
	for i := range p.Ops {
		fmt.Fprintf(&b, "%3d %s,\n", i, p.Ops[i].String())
	}
	return b.String()
}

func (v Val) String() string {
	switch v.kind {
	case valReg:
		return fmt.Sprintf("Reg(%d)", v.n)
	case valProp:
		return v.prop().String()
	}
	if v.n == cwd {
		return "AtCwd"
	}
	return fmt.Sprintf("%d", v.n)
}

func (p Path) String() string {
	switch p.Kind {
	case pathAbs:
		return fmt.Sprintf("abs(%q)", p.Name)
	case pathBuf:
		return fmt.Sprintf("buf%d", pathBuffer)
	}
	if len(p.Name) > 40 {
		return fmt.Sprintf("long(%d)", len(p.Name))
	}
	return fmt.Sprintf("%q", p.Name)
}

func (s Slice) String() string {
	if s.Index == bigBuffer {
		return "big"
	}
	return fmt.Sprintf("buf%d[%d:%d]", s.Index, s.From, s.To)
}

// String prints the op as its constructor with what modifies it.
func (op *Op) String() string {
	var b strings.Builder
	b.WriteString(op.call())
	if op.Limit != nil {
		fmt.Fprintf(&b, ".Len(%s)", *op.Limit)
	}
	if op.Dst >= 0 {
		fmt.Fprintf(&b, ".To(%d)", op.Dst)
	}
	if op.Flags != 0 {
		fmt.Fprintf(&b, ".With(%s)", names(int(op.Flags), sysletFlags))
	}
	switch {
	case op.Next == end:
		b.WriteString(".Then(End)")
	case op.Next >= 0:
		fmt.Fprintf(&b, ".Then(Goto(%d))", op.Next)
	}
	return b.String()
}

func (op *Op) call() string {
	switch op.Code {
	case runtime.OpNop:
		return fmt.Sprintf("Nop(%s)", op.A)
	case runtime.OpAdd:
		return fmt.Sprintf("Add(%s, %s)", op.A, op.B)
	case runtime.OpOpenat:
		return fmt.Sprintf("Openat(%s, %s, %s, %#o)", op.FD, op.Path, openNames(op.Bits), op.Mode)
	case runtime.OpClose, runtime.OpFsync, runtime.OpFdatasync:
		return fmt.Sprintf("%s(%s)", title(op.Code), op.FD)
	case runtime.OpPread, runtime.OpPwrite:
		return fmt.Sprintf("%s(%s, %s, %s)", title(op.Code), op.FD, op.Buf, op.A)
	case runtime.OpStatx:
		return fmt.Sprintf("Statx(%s, %s, %s, %#x, &stat)", op.FD, op.Path, names(op.Bits, atFlags), op.Mode)
	case runtime.OpRenameat:
		return fmt.Sprintf("Renameat(%s, %s, %s, %s, %s)", op.FD, op.Path, op.FD2, op.Path2, names(op.Bits, renameFlags))
	case runtime.OpUnlinkat:
		return fmt.Sprintf("Unlinkat(%s, %s, %s)", op.FD, op.Path, names(op.Bits, []flagName{{unix.AT_REMOVEDIR, "AT_REMOVEDIR"}}))
	case runtime.OpMkdirat:
		return fmt.Sprintf("Mkdirat(%s, %s, %#o)", op.FD, op.Path, op.Mode)
	case runtime.OpFallocate:
		return fmt.Sprintf("Fallocate(%s, %#x, %s, %s)", op.FD, op.Bits, op.A, op.B)
	case runtime.OpRecv, runtime.OpSend:
		return fmt.Sprintf("%s(%s, %s, %s)", title(op.Code), op.FD, op.Buf, names(op.Bits, msgFlags))
	case runtime.OpConnect:
		return fmt.Sprintf("Connect(%s, %s)", op.FD, op.To)
	case runtime.OpAccept:
		return fmt.Sprintf("Accept(%s, %s)", op.FD, names(op.Bits, sockFlags))
	case runtime.OpPoll:
		return fmt.Sprintf("Poll(%s, %s)", op.FD, names(op.Bits, pollFlags))
	case runtime.OpSleep:
		return fmt.Sprintf("Sleep(%s)", op.A)
	case runtime.OpSplice:
		return fmt.Sprintf("Splice(%s, %s, %s, %s, %s, %#x)", op.FD, op.A, op.FD2, op.B, op.C, op.Bits)
	}
	return fmt.Sprintf("Call(%s)", op.Fn)
}

func title(c runtime.OpCode) string { s := c.String(); return strings.ToUpper(s[:1]) + s[1:] }

type flagName struct {
	bit  int
	name string
}

func names(bits int, all []flagName) string {
	var has []string
	for _, f := range all {
		if bits&f.bit != 0 {
			has = append(has, f.name)
			bits &^= f.bit
		}
	}
	if bits != 0 || len(has) == 0 {
		has = append(has, fmt.Sprintf("%#x", bits))
	}
	return strings.Join(has, "|")
}

var sysletFlags = []flagName{
	{int(runtime.Async), "Async"}, {int(runtime.Sync), "Sync"}, {int(runtime.NoComplete), "NoComplete"},
	{int(runtime.StopOnNonzero), "StopOnNonzero"}, {int(runtime.StopOnZero), "StopOnZero"}, {int(runtime.StopOnNegative), "StopOnNegative"},
	{int(runtime.StopOnNonPositive), "StopOnNonPositive"}, {int(runtime.SkipToNextOnStop), "SkipToNextOnStop"}, {int(runtime.Direct), "Direct"},
}

var (
	atFlags     = []flagName{{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"}, {unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"}}
	renameFlags = []flagName{{unix.RENAME_NOREPLACE, "RENAME_NOREPLACE"}, {unix.RENAME_EXCHANGE, "RENAME_EXCHANGE"}}
	msgFlags    = []flagName{{unix.MSG_DONTWAIT, "MSG_DONTWAIT"}, {unix.MSG_PEEK, "MSG_PEEK"}, {unix.MSG_WAITALL, "MSG_WAITALL"}}
	sockFlags   = []flagName{{unix.SOCK_CLOEXEC, "SOCK_CLOEXEC"}, {unix.SOCK_NONBLOCK, "SOCK_NONBLOCK"}}
	pollFlags   = []flagName{{unix.POLLIN, "POLLIN"}, {unix.POLLOUT, "POLLOUT"}, {unix.POLLRDHUP, "POLLRDHUP"}}
	openFlags   = []flagName{{unix.O_RDWR, "O_RDWR"}, {unix.O_WRONLY, "O_WRONLY"}, {unix.O_CREAT, "O_CREAT"}, {unix.O_EXCL, "O_EXCL"},
		{unix.O_TRUNC, "O_TRUNC"}, {unix.O_APPEND, "O_APPEND"}, {unix.O_DIRECTORY, "O_DIRECTORY"}, {unix.O_NOFOLLOW, "O_NOFOLLOW"},
		{unix.O_PATH, "O_PATH"}, {unix.O_NONBLOCK, "O_NONBLOCK"}}
)

func openNames(bits int) string {
	if bits&unix.O_ACCMODE == 0 {
		return strings.TrimSuffix("O_RDONLY|"+names(bits, openFlags), "|0x0")
	}
	return names(bits, openFlags)
}

func (t Target) String() string {
	return [...]string{"toUnix", "toUnixNobody", "toTCP", "toTCPNobody", "toShort", "toWrongFamily"}[t]
}

func (f Fn) String() string {
	return [...]string{"sum", "errno", "poke", "fill", "block", "panic"}[f]
}
