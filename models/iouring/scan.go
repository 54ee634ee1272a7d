package iouring

import (
	srt "github.com/syslet/syslet/runtime"
)

// An open gets a slot of the ring's file table, not a descriptor, if the program
// cannot tell: from the open until it closes the descriptor it only hands it, as
// a register, to ops that take slots. So no way that it may go is one that copies
// the register, overwrites it, or calls a function, which could look.
//
// If all goes well it must close it, too, or the descriptor is for the program's
// maker, and then a slot were only in the way. Where the program ends with it
// open all the same, since an op failed, the file gets its descriptor then.
//
// And it must sync what it writes, before. To close a slot does not flush the file
// (fput without filp_close), and some file systems report late errors there (NFS,
// FUSE). If it is closed unsynced all the same, since an op failed, the file gets a
// descriptor to be closed by.

// judge gives the traits of the open at index at as to all that.
func (p *plan) judge(y *srt.Syslet, at int) traits {
	ops, st := y.Ops, &p.steps[at]
	if st.traits&linkable == 0 || st.writes == 0 {
		return 0
	}
	s := scan{ops: ops, steps: p.steps, reg: st.writes, seen: make([]bool, 2*len(ops))}
	s.visit(st.next[above], false)
	closed, clean := s.usual(y, st.next[above])
	if s.spoilt || !closed {
		return 0
	}
	t := slotted
	if !clean {
		t |= unsynced
	}
	if s.shown {
		t |= shown
	}
	return t
}

// scan follows a descriptor in register reg through a program.
type scan struct {
	ops   []srt.Op
	steps []step
	reg   regs
	seen  []bool // by op, with nothing unsynced and with something
	// spoilt: there is a way on which it needs to be a number.
	spoilt bool
	// shown: there is one on which it is not closed, or closed unsynced.
	shown bool
}

// visit goes every way that the program may go from op at.
func (s *scan) visit(at int32, dirty bool) {
	if at == ended {
		s.shown = true
		return
	}
	state := 2 * at
	if dirty {
		state++
	}
	if s.spoilt || s.seen[state] {
		return
	}
	s.seen[state] = true
	switch s.use(at) {
	case useBad:
		s.spoilt = true
		return
	case useClose:
		s.shown = s.shown || dirty
		return
	case useWrite:
		dirty = true
	case useSync:
		dirty = false
	}
	for _, next := range s.steps[at].next {
		s.visit(next, dirty)
	}
}

// use is what an op does with the descriptor.
type use uint8

const (
	useNone use = iota
	useRead
	useWrite
	useSync
	useClose
	useBad
)

func (s *scan) use(at int32) use {
	op, st := &s.ops[at], &s.steps[at]
	switch op.Code {
	case srt.OpCall, srt.OpPoll, srt.OpSplice: // helpers may run them
		return useBad
	}
	named := st.reads&s.reg != 0
	if named && (readsOf(op.Args[1:])&s.reg != 0 || st.traits&linkable == 0) {
		return useBad
	}
	if named && op.Code == srt.OpClose {
		return useClose
	}
	if st.writes == s.reg {
		return useBad
	}
	if !named {
		return useNone
	}
	return slotUse(op.Code)
}

// slotUse is what an op does with the file in a slot that is its descriptor.
func slotUse(code srt.OpCode) use {
	switch code {
	case srt.OpPread:
		return useRead
	case srt.OpPwrite, srt.OpFallocate:
		return useWrite
	case srt.OpFsync, srt.OpFdatasync:
		return useSync
	case srt.OpClose:
		return useClose
	}
	return useBad // the ring takes no slot for a folder, nor for statx
}

// usual goes the way that the program goes from op at if nothing fails, and tells
// whether it closes the descriptor, and with all synced.
func (s *scan) usual(y *srt.Syslet, at int32) (closed, clean bool) {
	g := guess{y: y}
	for clean = true; g.left(len(s.ops)) && at != ended; {
		switch s.use(at) {
		case useClose:
			return true, clean
		case useWrite:
			clean = false
		case useSync:
			clean = true
		case useBad:
			return false, false
		}
		if at = g.step(&s.ops[at], &s.steps[at]); at == unsure {
			return false, false
		}
	}
	return false, false
}

// guess is a run of a program in which nothing fails.
type guess struct {
	y      *srt.Syslet // for its constants
	known  regs
	values [srt.RegCount]int64
	steps  int
}

const unsure = -2

func (g *guess) left(ops int) bool {
	g.steps++
	return g.steps <= ops
}

// step gives the next op.
func (g *guess) step(op *srt.Op, st *step) int32 {
	v, known := g.result(op, st)
	if op.Dst != 0 {
		g.known &^= st.writes
		if known {
			g.known |= st.writes
			g.values[op.Dst-1] = v
		}
	}
	switch {
	case known:
		return st.next[signOf(v)]
	case st.certain():
		return st.next[zero]
	case st.traits&computed == 0: // bytes or a descriptor
		return st.next[above]
	}
	return unsure
}

func (g *guess) value(a srt.Arg) (int64, bool) {
	if i, ok := a.IsReg(); ok {
		return g.values[i], g.known&(1<<i) != 0
	}
	return g.y.Value(a), true
}

func (g *guess) result(op *srt.Op, st *step) (v int64, known bool) {
	switch op.Code {
	case srt.OpNop, srt.OpAdd:
		v, known = g.value(op.Args[0])
		if op.Code == srt.OpAdd {
			w, ok := g.value(op.Args[1])
			v, known = v+w, known && ok
		}
		return v, known
	case srt.OpPread, srt.OpPwrite, srt.OpRecv, srt.OpSend:
		n, ok := g.value(op.Args[2])
		if ok && (n < 0 || n > int64(len(op.Buf))) {
			n = int64(len(op.Buf))
		}
		return n, ok
	case srt.OpOpenat, srt.OpAccept:
		return 0, false
	}
	return 0, true
}
