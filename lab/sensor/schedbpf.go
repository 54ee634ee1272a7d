package sensor

import "github.com/cilium/ebpf/asm"

// schedPrograms assembles the programs of Scheduling. A thread's times are in a map
// by its number; what came out of them in the totals.
type schedPrograms struct {
	*tracer
	layout
	threads int // the map's descriptor
}

// More places of the stack, below those of meet and own.
const (
	stackTID    = -16
	stackNow    = -24
	stackTimes  = -40 // off, queued
	stackTotals = -48
)

// onWakeup(p): the thread came into a run queue.
func (p schedPrograms) onWakeup() asm.Instructions {
	return concat(
		asm.Instructions{
			asm.LoadMem(asm.R6, asm.R1, 0, asm.DWord),
			asm.LoadMapValue(asm.R9, p.known.FD(), 0),
			asm.LoadMem(asm.R8, asm.R9, 0, asm.Word),
			asm.JEq.Imm(asm.R8, 0, "exit"),
			asm.LoadMem(asm.R1, asm.R6, p.tgid, asm.Word),
			asm.JNE.Reg(asm.R1, asm.R8, "exit"),
			asm.LoadMem(asm.R1, asm.R6, p.pid, asm.Word),
			asm.StoreMem(asm.RFP, stackTID, asm.R1, asm.Word),
			asm.FnKtimeGetNs.Call(),
			asm.Mov.Reg(asm.R7, asm.R0),
		},
		p.lookup(),
		asm.Instructions{
			asm.JEq.Imm(asm.R0, 0, "unknown"),
			// One that was preempted while it went to sleep is in the queue already.
			asm.LoadMem(asm.R1, asm.R0, timesQueued, asm.DWord),
			asm.JNE.Imm(asm.R1, 0, "exit"),
			asm.StoreMem(asm.R0, timesQueued, asm.R7, asm.DWord),
			asm.Ja.Label("exit"),
			asm.Mov.Imm(asm.R1, 0).WithSymbol("unknown"),
			asm.StoreMem(asm.RFP, stackTimes+timesOff, asm.R1, asm.DWord),
			asm.StoreMem(asm.RFP, stackTimes+timesQueued, asm.R7, asm.DWord),
		},
		p.insert(),
		exit(),
	)
}

// lookup leaves the address of the times of the thread at stackTID in R0, or 0.
func (p schedPrograms) lookup() asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, p.threads),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackTID),
		asm.FnMapLookupElem.Call(),
	}
}

// insert puts the times at stackTimes in. R0 is 0 if there was room.
func (p schedPrograms) insert() asm.Instructions {
	return asm.Instructions{
		asm.LoadMapPtr(asm.R1, p.threads),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackTID),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, stackTimes),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnMapUpdateElem.Call(),
	}
}

// onSwitch(preempt, prev, next, prev_state): prev runs still, next will.
func (p schedPrograms) onSwitch() asm.Instructions {
	return concat(
		asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)},
		p.meet(),
		asm.Instructions{
			asm.LoadMem(asm.R7, asm.R6, 8, asm.DWord),  // prev
			asm.LoadMem(asm.R9, asm.R6, 16, asm.DWord), // next
			asm.LoadMem(asm.R1, asm.R7, p.tgid, asm.Word),
			asm.JEq.Reg(asm.R1, asm.R8, "ours"),
			asm.LoadMem(asm.R1, asm.R9, p.tgid, asm.Word),
			asm.JNE.Reg(asm.R1, asm.R8, "exit"),
			asm.Mov.Reg(asm.R1, asm.R8).WithSymbol("ours"),
		},
		p.own(),
		asm.Instructions{
			asm.StoreMem(asm.RFP, stackTotals, asm.R0, asm.DWord),
			asm.FnKtimeGetNs.Call(),
			asm.StoreMem(asm.RFP, stackNow, asm.R0, asm.DWord),
			asm.LoadMem(asm.R1, asm.R7, p.tgid, asm.Word),
			asm.JNE.Reg(asm.R1, asm.R8, "in"),
		},
		p.switchOut(),
		asm.Instructions{
			asm.LoadMem(asm.R1, asm.R9, p.tgid, asm.Word).WithSymbol("in"),
			asm.JNE.Reg(asm.R1, asm.R8, "exit"),
		},
		p.switchIn(),
		exit(),
	)
}

// switchOut: prev (R7) leaves its CPU. R6 is the context, and stays, as do R8, R9.
func (p schedPrograms) switchOut() asm.Instructions {
	state := asm.LoadMem(asm.R3, asm.R6, 24, asm.DWord)
	if p.state >= 0 {
		state = asm.LoadMem(asm.R3, asm.R7, p.state, asm.Word)
	}
	return concat(
		asm.Instructions{
			asm.LoadMem(asm.R1, asm.R7, p.pid, asm.Word),
			asm.StoreMem(asm.RFP, stackTID, asm.R1, asm.Word),
			asm.LoadMem(asm.R5, asm.RFP, stackTotals, asm.DWord),
		},
		count1(asm.R5, schedSwitches),
		asm.Instructions{
			asm.LoadMem(asm.R4, asm.RFP, stackNow, asm.DWord),
			asm.StoreMem(asm.RFP, stackTimes+timesOff, asm.R4, asm.DWord),
			asm.LoadMem(asm.R2, asm.R6, 0, asm.DWord), // preempt, a bool
			asm.And.Imm(asm.R2, 0xff),
			asm.JNE.Imm(asm.R2, 0, "goes on"),
			state, // unsigned int
			asm.And.Imm32(asm.R3, -1),
			asm.JEq.Imm(asm.R3, 0, "goes on"),
			asm.Mov.Imm(asm.R4, 0), // blocked: in no queue
			asm.Ja.Label("put"),
			asm.Mov.Reg(asm.R1, asm.R5).WithSymbol("goes on"),
		},
		count1(asm.R5, schedPreempted),
		asm.Instructions{asm.StoreMem(asm.RFP, stackTimes+timesQueued, asm.R4, asm.DWord).WithSymbol("put")},
		p.insert(),
		asm.Instructions{
			asm.JEq.Imm(asm.R0, 0, "in"),
			asm.LoadMem(asm.R5, asm.RFP, stackTotals, asm.DWord),
		},
		count1(asm.R5, schedLost),
	)
}

// switchIn: next (R9) gets its CPU. It loses R6 and R7.
func (p schedPrograms) switchIn() asm.Instructions {
	return concat(
		asm.Instructions{
			asm.LoadMem(asm.R1, asm.R9, p.pid, asm.Word),
			asm.StoreMem(asm.RFP, stackTID, asm.R1, asm.Word),
		},
		p.lookup(),
		asm.Instructions{
			asm.JEq.Imm(asm.R0, 0, "exit"),
			asm.Mov.Reg(asm.R6, asm.R0),
			asm.LoadMem(asm.R7, asm.RFP, stackTotals, asm.DWord),
		},
		p.since(timesOff, schedOff, "off"),
		p.since(timesQueued, schedWait, "wait"),
	)
}

// since books the time from a field of the thread's times (R6) until now among the
// totals (R7) from base on, and clears the field. Within a CPU this cannot be
// interrupted: the scheduler runs with interrupts off.
func (p schedPrograms) since(field int16, base int, name string) asm.Instructions {
	word := func(i int) int16 { return int16(8 * (base + i)) }
	return concat(
		asm.Instructions{
			asm.LoadMem(asm.R2, asm.R6, field, asm.DWord),
			asm.JEq.Imm(asm.R2, 0, name+" done"),
			asm.Mov.Imm(asm.R1, 0),
			asm.StoreMem(asm.R6, field, asm.R1, asm.DWord),
			asm.LoadMem(asm.R1, asm.RFP, stackNow, asm.DWord),
			asm.JGT.Reg(asm.R2, asm.R1, name+" done"), // another CPU's clock
			asm.Sub.Reg(asm.R1, asm.R2),
			asm.AddAtomic.Mem(asm.R7, asm.R1, asm.DWord, word(timesSumNs)),
			asm.Mov.Imm(asm.R2, 1),
			asm.AddAtomic.Mem(asm.R7, asm.R2, asm.DWord, word(timesCount)),
			asm.LoadMem(asm.R2, asm.R7, word(timesMaxNs), asm.DWord),
			asm.JLE.Reg(asm.R1, asm.R2, name+" bucket"),
			asm.StoreMem(asm.R7, word(timesMaxNs), asm.R1, asm.DWord),
			asm.Mov.Reg(asm.R2, asm.R1).WithSymbol(name + " bucket"),
		},
		bucketOf(name),
		asm.Instructions{
			asm.LSh.Imm(asm.R2, 3),
			asm.Mov.Reg(asm.R4, asm.R7),
			asm.Add.Reg(asm.R4, asm.R2),
			asm.Mov.Imm(asm.R2, 1),
			asm.AddAtomic.Mem(asm.R4, asm.R2, asm.DWord, word(timesHistogram)),
			asm.Mov.Imm(asm.R1, 0).WithSymbol(name + " done"),
		},
	)
}

// bucketOf turns the nanoseconds in R1 into the bucket's number in R2, as
// histogramBucket does. It loses R1, R3, R4.
func bucketOf(name string) asm.Instructions {
	code := asm.Instructions{
		asm.LoadImm(asm.R3, histogramMaxNs, asm.DWord),
		asm.JLE.Reg(asm.R1, asm.R3, name+" in range"),
		asm.Mov.Reg(asm.R1, asm.R3),
		asm.Mov.Imm(asm.R3, 0).WithSymbol(name + " in range"),
	}
	for i, shift := range []int32{32, 16, 8, 4, 2, 1} {
		next := name + " shift " + string(rune('0'+i))
		code = append(code,
			asm.Mov.Reg(asm.R4, asm.R1),
			asm.RSh.Imm(asm.R4, shift),
			asm.JLT.Imm(asm.R4, histogramSteps, next),
			asm.Mov.Reg(asm.R1, asm.R4),
			asm.Add.Imm(asm.R3, shift),
			asm.Mov.Reg(asm.R4, asm.R1).WithSymbol(next),
		)
	}
	return append(code,
		asm.LSh.Imm(asm.R3, histogramStepBits),
		asm.Mov.Reg(asm.R2, asm.R3),
		asm.Add.Reg(asm.R2, asm.R1),
		asm.And.Imm(asm.R2, histogramBuckets-1), // for the verifier: it is less anyway
	)
}
