package differential

import "github.com/syslet/syslet/runtime"

// What a program may not do, on any path, so that its results follow from it and
// its world alone.

const stopFlags = runtime.StopOnNonzero | runtime.StopOnZero | runtime.StopOnNegative | runtime.StopOnNonPositive

// successors calls f with each op that may run after op i, whatever its result.
func (p *Program) successors(i int, f func(int)) {
	op := &p.Ops[i]
	skips := op.Flags&stopFlags != 0 && op.Flags&runtime.SkipToNextOnStop != 0
	if (skips || op.Next == follow) && i+1 < len(p.Ops) {
		f(i + 1)
	}
	if op.Next >= 0 {
		f(op.Next)
	}
}

// What a descriptor register may hold, as bits.
const (
	holdsBad = 1 << iota
	holdsOpen
	holdsStale // the number of a closed descriptor, which may be anybody's now
)

// safe reports whether no path through p, likely or not, uses a descriptor that
// it has closed: that number may belong to another program, or to the driver,
// by then. So even a driver that branches wrongly closes nobody else's files.
func (p *Program) safe() bool {
	at := make([][fdRegs]uint8, len(p.Ops))
	if len(p.Ops) == 0 {
		return true
	}
	for r := range fdRegs {
		at[0][r] = holdsBad
		if p.Regs[r].kind == valProp {
			at[0][r] = holdsOpen
		}
	}
	for todo := []int{0}; len(todo) > 0; {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		after, ok := p.Ops[i].flow(at[i])
		if !ok {
			return false
		}
		p.successors(i, func(next int) {
			merged := at[next]
			for r := range fdRegs {
				merged[r] |= after[r]
			}
			if merged != at[next] {
				at[next] = merged
				todo = append(todo, next)
			}
		})
	}
	return true
}

// defined reports whether p's results follow from p and its world alone.
func (p *Program) defined() bool { return p.safe() && p.connectsOnce() }

// connectsOnce reports whether no path connects a TCP socket twice: after a
// refusal it is in no defined state (connect(2)), and the second one's error
// depends on whether the first was waited for inside the call.
func (p *Program) connectsOnce() bool {
	for i := range p.Ops {
		if !p.Ops[i].connectsTCP() {
			continue
		}
		seen := make([]bool, len(p.Ops))
		var reach func(int)
		reach = func(at int) {
			p.successors(at, func(next int) {
				if !seen[next] {
					seen[next] = true
					reach(next)
				}
			})
		}
		reach(i)
		for j, yes := range seen {
			if yes && p.Ops[j].connectsTCP() && p.Ops[j].FD == p.Ops[i].FD {
				return false
			}
		}
	}
	return true
}

func (op *Op) connectsTCP() bool {
	return op.Code == runtime.OpConnect && (op.FD == own(tcpClient) || op.FD == own(tcpClientN))
}

// flow gives what the registers may hold after op, and whether op may run.
func (op *Op) flow(regs [fdRegs]uint8) (after [fdRegs]uint8, ok bool) {
	for r := range fdRegs {
		if uses := op.FD.isReg(r) || op.FD2.isReg(r); uses && regs[r]&holdsStale != 0 {
			return regs, false
		}
	}
	if op.Code == runtime.OpClose {
		for r := range fdRegs {
			if op.FD.isReg(r) {
				regs[r] = holdsStale
			}
		}
	}
	if op.Dst >= 0 && op.Dst < fdRegs {
		switch op.Code {
		case runtime.OpOpenat, runtime.OpAccept:
			regs[op.Dst] = holdsOpen | holdsBad
		case runtime.OpNop:
			regs[op.Dst] = holdsBad
		default:
			return regs, false
		}
	}
	return regs, true
}
