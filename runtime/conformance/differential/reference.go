package differential

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// machine is the reference: it runs a Program with plain calls, one after
// another, as the doc comments of package runtime say. It shares no code with
// the interpreter there.
type machine struct {
	p    *Program
	w    *world
	regs [runtime.RegCount]int64

	ending
	silent bool // ended at an op with NoComplete
	steps  int

	// Of what could wait for ever, were there more of it.
	spliced, bigSends int
}

// Bounds of what is worth comparing. A program beyond them is dropped.
const (
	stepsMax    = 100 // of a program that is not Endless
	splicedMax  = 4   // splices into pipeOut, at most 4 pages each: it has 16
	bigSendsMax = 3
)

// run runs the program and reports whether it kept within the bounds. It ends:
// after the last op, at End, at a stop; after MaxSteps ops with ELOOP.
func (m *machine) run() (ok bool) {
	m.last, m.res, m.err, m.silent, m.steps = 0, 0, "", false, 0
	for pc := 0; pc >= 0 && pc < len(m.p.Ops); {
		op := &m.p.Ops[pc]
		if m.steps == runtime.MaxSteps {
			m.res, m.silent = -int64(unix.ELOOP), false
			break
		}
		if !m.mayRun(op) {
			return false
		}
		m.steps++
		m.last, m.res = pc, m.do(pc, op)
		if op.Dst != none {
			m.regs[op.Dst] = m.res
		}
		pc = next(op, pc, m.res)
		m.silent = op.Flags&runtime.NoComplete != 0
	}
	m.ending.regs = m.regs
	return true
}

// next gives the op to go on at. What a stop does, and to which results, is
// that of the 2007 patches' SYSLET_STOP_ON_NONZERO and so on.
func next(op *Op, pc int, res int64) int {
	stop := false
	switch {
	case res > 0:
		stop = op.Flags&runtime.StopOnNonzero != 0
	case res == 0:
		stop = op.Flags&(runtime.StopOnZero|runtime.StopOnNonPositive) != 0
	default:
		stop = op.Flags&(runtime.StopOnNonzero|runtime.StopOnNegative|runtime.StopOnNonPositive) != 0
	}
	switch {
	case stop && op.Flags&runtime.SkipToNextOnStop != 0:
		return pc + 1
	case stop, op.Next == end:
		return -1
	case op.Next == follow:
		return pc + 1
	}
	return op.Next
}

func (m *machine) mayRun(op *Op) bool {
	if op.spliceOut() {
		m.spliced++
	}
	if op.bigSend() {
		m.bigSends++
	}
	return (m.p.Endless || m.steps < stepsMax) && m.spliced <= splicedMax && m.bigSends <= bigSendsMax
}

func (m *machine) val(v Val) int64 {
	if v.kind == valReg {
		return m.regs[v.n]
	}
	return m.w.value(v)
}

// path is the name as the kernel sees it: up to the NUL.
func (m *machine) path(p Path) string {
	switch p.Kind {
	case pathAbs:
		return m.w.dir + "/" + p.Name
	case pathBuf:
		return unix.ByteSliceToString(m.w.bufs[pathBuffer])
	}
	return p.Name
}

// buf is the op's buffer, cut to what Len says: clamped to 0..len(Buf).
func (m *machine) buf(op *Op) []byte {
	b := m.w.data(op.Buf)
	if op.Limit == nil {
		return b
	}
	return b[:min(max(m.val(*op.Limit), 0), int64(len(b)))]
}

// res is a call's result: what it returned, or the negated errno.
func res(n int, err error) int64 {
	if err == nil {
		return int64(n)
	}
	return -int64(err.(unix.Errno))
}

// again makes a call until no signal interrupts it.
func again(call func() (int, error)) int64 {
	for {
		n, err := call()
		if err != unix.EINTR {
			return res(n, err)
		}
	}
}

func zero(call func() error) int64 { return again(func() (int, error) { return 0, call() }) }

// do makes the op's call.
func (m *machine) do(pc int, op *Op) int64 {
	fd := int(m.val(op.FD))
	switch op.Code {
	case runtime.OpNop:
		return m.val(op.A)
	case runtime.OpAdd:
		return m.val(op.A) + m.val(op.B)
	case runtime.OpOpenat:
		return again(func() (int, error) { return unix.Openat(fd, m.path(op.Path), op.Bits|unix.O_CLOEXEC, uint32(op.Mode)) })
	case runtime.OpClose:
		return res(0, unix.Close(fd))
	case runtime.OpPread:
		return again(func() (int, error) { return unix.Pread(fd, m.buf(op), m.val(op.A)) })
	case runtime.OpPwrite:
		return again(func() (int, error) { return unix.Pwrite(fd, m.buf(op), m.val(op.A)) })
	case runtime.OpFsync:
		return zero(func() error { return unix.Fsync(fd) })
	case runtime.OpFdatasync:
		return zero(func() error { return unix.Fdatasync(fd) })
	case runtime.OpStatx:
		return zero(func() error { return unix.Statx(fd, m.path(op.Path), op.Bits, op.Mode, &m.w.stats[pc]) })
	case runtime.OpRenameat:
		return zero(func() error {
			return unix.Renameat2(fd, m.path(op.Path), int(m.val(op.FD2)), m.path(op.Path2), uint(op.Bits))
		})
	case runtime.OpUnlinkat:
		return zero(func() error { return unix.Unlinkat(fd, m.path(op.Path), op.Bits) })
	case runtime.OpMkdirat:
		return zero(func() error { return unix.Mkdirat(fd, m.path(op.Path), uint32(op.Mode)) })
	case runtime.OpFallocate:
		return zero(func() error { return unix.Fallocate(fd, uint32(op.Bits), m.val(op.A), m.val(op.B)) })
	case runtime.OpSleep:
		time.Sleep(time.Duration(m.val(op.A)))
		return 0
	case runtime.OpCall:
		return m.call(op)
	}
	return m.doNet(op, fd)
}

func (m *machine) call(op *Op) (res int64) {
	defer func() {
		if recover() != nil {
			m.err, res = "planned", runtime.PanicResult
		}
	}()
	return op.Fn.run(&m.regs, m.w.bufs)
}

// doNet makes the calls that may have to wait. They wait on nonblocking
// descriptors, too, except for MSG_DONTWAIT.
func (m *machine) doNet(op *Op, fd int) int64 {
	patient := op.Bits&unix.MSG_DONTWAIT == 0
	switch op.Code {
	case runtime.OpRecv:
		all := op.Bits&(unix.MSG_WAITALL|unix.MSG_DONTWAIT|unix.MSG_PEEK) == unix.MSG_WAITALL
		return moving(fd, unix.POLLIN, patient, all, m.buf(op), func(p []byte) (int, error) {
			n, _, err := unix.Recvfrom(fd, p, op.Bits)
			return n, err
		})
	case runtime.OpSend:
		return moving(fd, unix.POLLOUT, patient, patient, m.buf(op), func(p []byte) (int, error) {
			return unix.SendmsgN(fd, p, nil, nil, op.Bits|unix.MSG_NOSIGNAL)
		})
	case runtime.OpAccept:
		return waiting(fd, unix.POLLIN, true, func() (int, error) {
			n, _, err := unix.Accept4(fd, op.Bits)
			return n, err
		})
	case runtime.OpConnect:
		return m.connect(fd, op.To)
	case runtime.OpPoll:
		return poll(fd, op.Bits)
	}
	var inOffset, outOffset *int64
	if off := m.val(op.A); off >= 0 {
		inOffset = &off
	}
	if off := m.val(op.B); off >= 0 {
		outOffset = &off
	}
	return again(func() (int, error) {
		n, err := unix.Splice(fd, inOffset, int(m.val(op.FD2)), outOffset, int(m.val(op.C)), op.Bits)
		return int(n), err
	})
}

// moving is waiting for calls that move bytes; all: they go on until all are.
func moving(fd, events int, patient, all bool, p []byte, call func([]byte) (int, error)) int64 {
	moved := 0
	for {
		r := waiting(fd, events, patient, func() (int, error) { return call(p[moved:]) })
		if r > 0 {
			if moved += int(r); all && moved < len(p) {
				continue
			}
		}
		if moved == 0 {
			return r
		}
		return int64(moved)
	}
}

func waiting(fd, events int, patient bool, call func() (int, error)) int64 {
	for {
		r := again(call)
		if r != -int64(unix.EAGAIN) || !patient {
			return r
		}
		if r := poll(fd, events); r < 0 {
			return r
		}
	}
}

// poll gives EBADF for what is no descriptor, as Poll's comment says; poll(2)
// ignores an entry whose descriptor is negative, and would wait for ever.
func poll(fd, events int) int64 {
	if fd < 0 {
		return -int64(unix.EBADF)
	}
	fds := []unix.PollFd{{Fd: int32(fd), Events: int16(events)}}
	r := again(func() (int, error) { return unix.Poll(fds, -1) })
	switch {
	case r < 0:
		return r
	case fds[0].Revents&unix.POLLNVAL != 0:
		return -int64(unix.EBADF)
	}
	return int64(fds[0].Revents)
}

func (m *machine) connect(fd int, to Target) int64 {
	addr := m.w.sockaddr(to)
	_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&addr[0])), uintptr(len(addr)))
	if e != unix.EINPROGRESS && e != unix.EINTR {
		return -int64(e)
	}
	if r := poll(fd, unix.POLLOUT); r < 0 {
		return r
	}
	soerr, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return res(0, err)
	}
	return -int64(soerr)
}
