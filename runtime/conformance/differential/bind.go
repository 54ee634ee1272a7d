package differential

import "github.com/syslet/syslet/runtime"

// bind makes the syslet that runs p in w.
func (w *world) bind(p *Program) *runtime.Syslet {
	y := &runtime.Syslet{Ops: make([]runtime.Op, len(p.Ops)), Regs: w.regs(p)}
	for i := range p.Ops {
		op := &p.Ops[i]
		o := w.construct(i, op)
		if op.Limit != nil {
			o = o.Len(w.arg(*op.Limit))
		}
		if op.Dst != none {
			o = o.To(op.Dst)
		}
		switch op.Next {
		case follow:
		case end:
			o = o.Then(runtime.End)
		default:
			o = o.Then(runtime.Goto(op.Next))
		}
		y.Ops[i] = o.With(op.Flags)
	}
	return y
}

func (w *world) arg(v Val) runtime.Arg {
	if v.kind == valReg {
		return runtime.Reg(int(v.n))
	}
	return runtime.Imm(w.value(v))
}

func (w *world) cpath(p Path) []byte {
	switch p.Kind {
	case pathAbs:
		return runtime.CPath(w.dir + "/" + p.Name)
	case pathBuf:
		return w.bufs[pathBuffer]
	}
	return runtime.CPath(p.Name)
}

func (w *world) construct(i int, op *Op) runtime.Op {
	fd, a := w.arg(op.FD), w.arg(op.A)
	switch op.Code {
	case runtime.OpNop:
		return runtime.Nop(a)
	case runtime.OpAdd:
		return runtime.Add(a, w.arg(op.B))
	case runtime.OpOpenat:
		return runtime.Openat(fd, w.cpath(op.Path), op.Bits, op.Mode)
	case runtime.OpClose:
		return runtime.Close(fd)
	case runtime.OpPread:
		return runtime.Pread(fd, w.data(op.Buf), a)
	case runtime.OpPwrite:
		return runtime.Pwrite(fd, w.data(op.Buf), a)
	case runtime.OpFsync:
		return runtime.Fsync(fd)
	case runtime.OpFdatasync:
		return runtime.Fdatasync(fd)
	case runtime.OpStatx:
		var path []byte // Statx takes none for the empty one
		if op.Path != (Path{}) {
			path = w.cpath(op.Path)
		}
		return runtime.Statx(fd, path, op.Bits, op.Mode, &w.stats[i])
	case runtime.OpRenameat:
		return runtime.Renameat(fd, w.cpath(op.Path), w.arg(op.FD2), w.cpath(op.Path2), op.Bits)
	case runtime.OpUnlinkat:
		return runtime.Unlinkat(fd, w.cpath(op.Path), op.Bits)
	case runtime.OpMkdirat:
		return runtime.Mkdirat(fd, w.cpath(op.Path), op.Mode)
	case runtime.OpFallocate:
		return runtime.Fallocate(fd, op.Bits, a, w.arg(op.B))
	case runtime.OpRecv:
		return runtime.Recv(fd, w.data(op.Buf), op.Bits)
	case runtime.OpSend:
		return runtime.Send(fd, w.data(op.Buf), op.Bits)
	case runtime.OpConnect:
		return runtime.Connect(fd, w.sockaddr(op.To))
	case runtime.OpAccept:
		return runtime.Accept(fd, op.Bits)
	case runtime.OpPoll:
		return runtime.Poll(fd, op.Bits)
	case runtime.OpSleep:
		return runtime.Sleep(a)
	case runtime.OpSplice:
		return runtime.Splice(fd, a, w.arg(op.FD2), w.arg(op.B), w.arg(op.C), op.Bits)
	}
	fn, bufs := op.Fn, w.bufs
	return runtime.Call(func(y *runtime.Syslet) int64 { return fn.run(&y.Regs, bufs) })
}
