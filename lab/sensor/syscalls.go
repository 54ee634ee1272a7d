package sensor

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/cilium/ebpf/asm"
	"github.com/syslet/syslet/lab/result"
)

// Syscalls counts all system calls of a process, those of Go's scheduler included,
// by a bpf program at the kernel's tracepoint sys_enter: "syscalls_kernel" in all,
// and "syscall:NAME" of those that it made most. Every call of every process becomes
// dearer while it counts: it belongs into the tail.
//
// A perf counter at the same tracepoint gives the sum alone, wants tracefs besides,
// and makes each switch of threads dearer: hence bpf only.
type Syscalls struct {
	pid    int
	tracer *tracer
	from   []uint64
	why    string // why there is none
}

// The totals of Syscalls: calls by number, the last one for those beyond; then all.
const (
	syscallNumbers = 512
	syscallsAll    = syscallNumbers
	syscallsWords  = syscallNumbers + 1
	syscallsTop    = 12
)

// NewSyscalls loads and attaches the program. If that is not possible, the reading
// says why.
func NewSyscalls(pid int) *Syscalls {
	s := &Syscalls{pid: pid}
	t, err := newTracer(pid, syscallsWords)
	if err == nil {
		s.tracer = t
		err = t.attach("sys_enter", false, t.countCalls())
	}
	if err != nil {
		s.why = bpfReason(pid, err)
		s.Close()
	}
	return s
}

// countCalls is the program: its context are the registers and the number.
func (t *tracer) countCalls() asm.Instructions {
	return concat(
		asm.Instructions{asm.LoadMem(asm.R6, asm.R1, 8, asm.DWord)},
		t.meet(),
		asm.Instructions{
			asm.FnGetCurrentPidTgid.Call(),
			asm.RSh.Imm(asm.R0, 32),
			asm.JNE.Reg(asm.R0, asm.R8, "exit"),
		},
		t.own(),
		count1(asm.R0, syscallsAll),
		asm.Instructions{
			asm.JLT.Imm(asm.R6, syscallNumbers, "in range"),
			asm.Mov.Imm(asm.R6, syscallNumbers-1),
			asm.LSh.Imm(asm.R6, 3).WithSymbol("in range"),
			asm.Add.Reg(asm.R0, asm.R6),
		},
		count1(asm.R0, 0),
		exit(),
	)
}

// Name implements Sensor.
func (s *Syscalls) Name() string { return "syscalls" }

// Close implements Sensor.
func (s *Syscalls) Close() {
	if s.tracer != nil {
		s.tracer.close()
		s.tracer = nil
	}
}

// Start implements Sensor.
func (s *Syscalls) Start() {
	if s.tracer == nil {
		return
	}
	var err error
	if s.from, err = s.tracer.read(); err != nil {
		s.why = err.Error()
	}
}

// Stop implements Sensor.
func (s *Syscalls) Stop() (readings []Reading, notes []string) {
	var until []uint64
	if s.why == "" && s.from == nil {
		s.why = errNeverStarted.Error()
	}
	if s.why == "" {
		var err error
		if until, err = s.tracer.read(); err != nil {
			s.why = err.Error()
		}
	}
	if s.why != "" {
		return []Reading{total("syscalls_kernel", result.Missing(s.why, "1", result.SourceKernel))}, nil
	}
	if n := s.tracer.missed(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d calls on this machine were missed while another program ran", n))
	}
	return callReadings(s.from, until), notes
}

// callReadings are the sum and the numbers that were called most.
func callReadings(from, until []uint64) []Reading {
	of := func(calls uint64) result.Metric { return result.Of(float64(calls), "1", result.SourceKernel) }
	readings := []Reading{total("syscalls_kernel", of(until[syscallsAll]-from[syscallsAll]))}
	type called struct {
		number int
		times  uint64
	}
	var all []called
	for number := range syscallNumbers {
		if n := until[number] - from[number]; n > 0 {
			all = append(all, called{number, n})
		}
	}
	slices.SortFunc(all, func(a, b called) int { return cmp.Or(-cmp.Compare(a.times, b.times), cmp.Compare(a.number, b.number)) })
	for _, c := range all[:min(len(all), syscallsTop)] {
		readings = append(readings, total("syscall:"+syscallName(c.number), of(c.times)))
	}
	return readings
}

// syscallTable are the names of system calls on each architecture, beginning with
// number 0; "-" where there is none.
var syscallTable = map[string]string{"amd64": syscallsAMD64, "arm64": syscallsARM64}

// syscallName is the name of a number on this architecture, the number itself if
// it has none here.
func syscallName(number int) string {
	names := strings.Fields(syscallTable[runtime.GOARCH])
	switch {
	case number == syscallNumbers-1:
		return "others"
	case number < len(names) && names[number] != "-":
		return names[number]
	}
	return fmt.Sprint(number)
}
