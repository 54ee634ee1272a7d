package sensor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Programs inside the kernel (bpf(2)) that look at one process. They are assembled
// here, so that neither compiler nor object file is needed.
//
// The kernel knows a process by its number in the first pid namespace, which we may
// not see. So a program asks, until it met the process once as the running one, by
// namespace and number in there (bpf_get_ns_current_pid_tgid, Linux 5.7), and
// from then on compares the kernel's own number, which costs next to nothing.

// identity is a process as bpf_get_ns_current_pid_tgid knows it.
type identity struct {
	dev, inode uint64 // of its pid namespace; dev as the kernel writes it
	tgid       uint32 // its number there
}

func identityOf(pid int) (identity, error) {
	var st unix.Stat_t
	if err := unix.Stat(procPath(pid, "ns/pid"), &st); err != nil {
		return identity{}, fmt.Errorf("pid namespace of process %d: %w", pid, err)
	}
	text, err := os.ReadFile(procPath(pid, "status"))
	if err != nil {
		return identity{}, err
	}
	tgid, err := parseInnermostPID(text)
	// The kernel's dev_t has 20 bits of minor number.
	return identity{uint64(unix.Major(st.Dev))<<20 | uint64(unix.Minor(st.Dev)), st.Ino, tgid}, err
}

// parseInnermostPID returns the last number of NSpid in /proc/PID/status (Linux 4.1).
func parseInnermostPID(text []byte) (uint32, error) {
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "NSpid:"); ok {
			numbers := strings.Fields(rest)
			if len(numbers) == 0 {
				break
			}
			n, err := parseCount([]byte(numbers[len(numbers)-1]))
			if err != nil || n == 0 || n > 1<<30 {
				return 0, fmt.Errorf("status: NSpid is %q", rest)
			}
			return uint32(n), nil
		}
	}
	return 0, errors.New("status: no NSpid")
}

// kernelTypes keeps the kernel's type information: to read it takes 20 ms of CPU,
// which the first one pays.
var kernelTypes = btf.NewCache()

// tracer is programs that are attached, and what they share.
type tracer struct {
	who identity
	// known holds one number: the process' in the kernel, 0 until it was met.
	known *ebpf.Map
	// totals holds one value of words for each CPU, so that nobody waits for anybody.
	totals   *ebpf.Map
	words    int
	programs []*ebpf.Program
	links    []link.Link
}

// newTracer makes the maps for a process. words is the number of 64-bit totals.
func newTracer(pid, words int) (*tracer, error) {
	who, err := identityOf(pid)
	if err != nil {
		return nil, err
	}
	t := &tracer{who: who, words: words}
	if t.known, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}); err != nil {
		return nil, err
	}
	t.totals, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: uint32(8 * words), MaxEntries: 1})
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// attach loads a program and hangs it on a tracepoint: one with types (BTF) if
// typed, which may look into the kernel's structures.
func (t *tracer) attach(tracepoint string, typed bool, code asm.Instructions) error {
	spec := ebpf.ProgramSpec{
		Name: "syslet_" + strings.TrimPrefix(tracepoint, "sched_"), Instructions: code,
		Type: ebpf.RawTracepoint, License: "Dual BSD/GPL",
	}
	if len(spec.Name) > 15 {
		spec.Name = spec.Name[:15]
	}
	if typed {
		spec.Type, spec.AttachType, spec.AttachTo = ebpf.Tracing, ebpf.AttachTraceRawTp, tracepoint
	}
	// A collection, because only to that the cache can be given.
	all, err := ebpf.NewCollectionWithOptions(&ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{spec.Name: &spec}},
		ebpf.CollectionOptions{Cache: kernelTypes})
	if err != nil {
		return fmt.Errorf("program for %s: %w", tracepoint, err)
	}
	program := all.DetachProgram(spec.Name)
	all.Close()
	t.programs = append(t.programs, program)
	var l link.Link
	if typed {
		l, err = link.AttachTracing(link.TracingOptions{Program: program, AttachType: ebpf.AttachTraceRawTp})
	} else {
		l, err = link.AttachRawTracepoint(link.RawTracepointOptions{Name: tracepoint, Program: program})
	}
	if err != nil {
		return fmt.Errorf("tracepoint %s: %w", tracepoint, err)
	}
	t.links = append(t.links, l)
	return nil
}

// read returns the totals, summed over all CPUs.
func (t *tracer) read() ([]uint64, error) {
	var perCPU [][]byte
	if err := t.totals.Lookup(uint32(0), &perCPU); err != nil {
		return nil, fmt.Errorf("read the totals of a bpf program: %w", err)
	}
	sums := make([]uint64, t.words)
	for _, b := range perCPU {
		for i := range sums {
			sums[i] += binary.NativeEndian.Uint64(b[8*i:])
		}
	}
	return sums, nil
}

// missed is how often a program did not run because another one did on that CPU.
func (t *tracer) missed() (n uint64) {
	for _, p := range t.programs {
		if stats, err := p.Stats(); err == nil {
			n += stats.RecursionMisses
		}
	}
	return n
}

func (t *tracer) close() {
	for _, l := range t.links {
		l.Close()
	}
	for _, p := range t.programs {
		p.Close()
	}
	if t.totals != nil {
		t.totals.Close()
	}
	t.known.Close()
}

// The registers that a program keeps over calls are R6 to R9; R10 is the top of
// its stack. These places of the stack are used by the pieces below.
const (
	stackPIDs = -8  // struct bpf_pidns_info: pid, tgid
	stackKey  = -12 // a map's key of 32 bits
)

// meet leaves the process' number in the kernel in R8. It jumps to "exit" if the
// process was not met yet and does not run now. It loses R0 to R5.
func (t *tracer) meet() asm.Instructions {
	return asm.Instructions{
		asm.LoadMapValue(asm.R9, t.known.FD(), 0),
		asm.LoadMem(asm.R8, asm.R9, 0, asm.Word),
		asm.JNE.Imm(asm.R8, 0, "met"),
		asm.LoadImm(asm.R1, int64(t.who.dev), asm.DWord),
		asm.LoadImm(asm.R2, int64(t.who.inode), asm.DWord),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, stackPIDs),
		asm.Mov.Imm(asm.R4, 8),
		asm.FnGetNsCurrentPidTgid.Call(),
		asm.JNE.Imm(asm.R0, 0, "exit"),
		asm.LoadMem(asm.R1, asm.RFP, stackPIDs+4, asm.Word),
		asm.JNE.Imm(asm.R1, int32(t.who.tgid), "exit"),
		asm.FnGetCurrentPidTgid.Call(),
		asm.RSh.Imm(asm.R0, 32),
		asm.Mov.Reg(asm.R8, asm.R0),
		asm.StoreMem(asm.R9, 0, asm.R8, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R8).WithSymbol("met"),
	}
}

// own leaves the address of this CPU's totals in R0. It loses R1 to R5.
func (t *tracer) own() asm.Instructions {
	return asm.Instructions{
		asm.StoreImm(asm.RFP, stackKey, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, t.totals.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackKey),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "exit"),
	}
}

// count adds one to a total; base holds the totals' address. It loses R1.
// Atomically, because an interrupt may come in between on the same CPU.
func count1(base asm.Register, word int) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R1, 1),
		asm.AddAtomic.Mem(base, asm.R1, asm.DWord, int16(8*word)),
	}
}

func exit() asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, 0).WithSymbol("exit"), asm.Return()}
}

func concat(parts ...asm.Instructions) (all asm.Instructions) {
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

// bpfReason says in words why no program can be had, and what to change.
func bpfReason(pid int, err error) string {
	lockdown := readTrimmed("/sys/kernel/security/lockdown")
	var verifier *ebpf.VerifierError
	switch {
	case forbidden(err) && strings.Contains(lockdown, "[confidentiality]"):
		return "the kernel is locked down (/sys/kernel/security/lockdown: confidentiality): bpf may not look into it; boot with lockdown=integrity or none"
	case forbidden(err):
		return fmt.Sprintf("bpf is not permitted (%v; kernel.unprivileged_bpf_disabled is %s): run as root, or grant CAP_BPF and CAP_PERFMON, "+
			"in a container too; before Linux 5.11 also raise `ulimit -l`", unix.ErrnoName(errnoOf(err)), settingOf("/proc/sys/kernel/unprivileged_bpf_disabled"))
	case errors.Is(err, unix.ENOSYS):
		return "the kernel has no bpf (CONFIG_BPF_SYSCALL), or seccomp hides it"
	case errors.As(err, &verifier):
		return fmt.Sprintf("this kernel's verifier refuses our program (Linux 5.7 and later is needed): %v", verifier)
	}
	return "bpf: " + reason(pid, err)
}

func settingOf(path string) string {
	if text := readTrimmed(path); text != "" {
		return text
	}
	return "unknown"
}
