package sensor

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/syslet/syslet/lab/result"
)

// Scheduling watches the threads of a process in the scheduler itself, by bpf
// programs at sched_switch, sched_wakeup and sched_wakeup_new: how long each wait
// in a run queue was ("runqueue_p50", "runqueue_p99", "runqueue_max" in us), how long
// threads were off their CPU from one stretch on it to the next, waiting for work
// included ("offcpu" summed, "offcpu_p99", in us), and how many switches took the CPU
// from a thread that would have gone on ("switches_preempted"). Every switch on the
// machine becomes dearer while it watches: it belongs into the tail.
type Scheduling struct {
	pid     int
	tracer  *tracer
	threads *ebpf.Map // thread number to threadTimes
	from    []uint64
	why     string
}

// The totals of Scheduling.
const (
	schedSwitches  = iota // away from a thread of ours
	schedPreempted        // of these, from one that would have gone on
	schedLost             // threads that found no room in the map
	schedWait             // four words and a histogram: schedWait + sumNs and so on
	schedOff       = schedWait + timesWords
	schedWords     = schedOff + timesWords
)

// The totals of a duration.
const (
	timesSumNs = iota
	timesCount
	timesMaxNs // since the programs were attached
	timesHistogram
	timesWords = timesHistogram + histogramBuckets
)

// threadTimes: when a thread left its CPU, and when it came into a run queue; 0 while
// it runs or is unknown.
const (
	timesOff        = 0
	timesQueued     = 8
	timesBytes      = 16
	schedThreadsMax = 8192
)

// layout is what the programs must know of this kernel's structures.
type layout struct {
	tgid, pid int16
	// state is where prev->__state is, for kernels before 5.18, whose sched_switch
	// does not hand it over; else -1.
	state int16
}

// kernelLayout asks the kernel's own type information.
var kernelLayout = sync.OnceValues(func() (layout, error) {
	spec, err := kernelTypes.Kernel()
	if err != nil {
		return layout{}, fmt.Errorf("the kernel has no type information at /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF): %w", err)
	}
	var task *btf.Struct
	if err := spec.TypeByName("task_struct", &task); err != nil {
		return layout{}, fmt.Errorf("the kernel's type information has no task_struct: %w", err)
	}
	l := layout{-1, -1, -1}
	for _, m := range task.Members {
		switch m.Name {
		case "tgid":
			l.tgid = int16(m.Offset.Bytes())
		case "pid":
			l.pid = int16(m.Offset.Bytes())
		case "__state":
			l.state = int16(m.Offset.Bytes())
		}
	}
	if l.tgid < 0 || l.pid < 0 {
		return layout{}, errors.New("the kernel's task_struct has no pid or tgid where we look (CONFIG_RANDSTRUCT?)")
	}
	arguments, err := tracepointArguments(spec, "sched_switch")
	switch {
	case err != nil:
		return layout{}, err
	case arguments >= 4:
		l.state = -1
	case l.state < 0:
		return layout{}, errors.New("this kernel's sched_switch does not tell whether a thread blocks (Linux 5.14 and later do)")
	}
	return l, nil
})

// tracepointArguments counts them: the kernel has a function type for each, whose
// first argument is its own.
func tracepointArguments(spec *btf.Spec, name string) (int, error) {
	var def *btf.Typedef
	if err := spec.TypeByName("btf_trace_"+name, &def); err != nil {
		return 0, fmt.Errorf("the kernel has no tracepoint %s: %w", name, err)
	}
	if pointer, ok := def.Type.(*btf.Pointer); ok {
		if proto, ok := pointer.Target.(*btf.FuncProto); ok {
			return len(proto.Params) - 1, nil
		}
	}
	return 0, fmt.Errorf("the kernel's type of tracepoint %s is not a function's", name)
}

// NewScheduling loads and attaches the programs. If that is not possible, the
// readings say why.
func NewScheduling(pid int) *Scheduling {
	s := &Scheduling{pid: pid}
	if err := s.attach(); err != nil {
		s.why = bpfReason(pid, err)
		s.Close()
	}
	return s
}

func (s *Scheduling) attach() (err error) {
	if s.tracer, err = newTracer(s.pid, schedWords); err != nil {
		return err
	}
	l, err := kernelLayout()
	if err != nil {
		return err
	}
	// Memory is taken beforehand: there is none to be had inside the scheduler.
	s.threads, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: timesBytes, MaxEntries: schedThreadsMax})
	if err != nil {
		return err
	}
	p := schedPrograms{tracer: s.tracer, layout: l, threads: s.threads.FD()}
	for _, at := range []struct {
		tracepoint string
		code       asm.Instructions
	}{{"sched_switch", p.onSwitch()}, {"sched_wakeup", p.onWakeup()}, {"sched_wakeup_new", p.onWakeup()}} {
		if err := s.tracer.attach(at.tracepoint, true, at.code); err != nil {
			return err
		}
	}
	return nil
}

// Name implements Sensor.
func (s *Scheduling) Name() string { return "scheduling" }

// Close implements Sensor.
func (s *Scheduling) Close() {
	if s.tracer != nil {
		s.tracer.close()
		s.tracer = nil
	}
	if s.threads != nil {
		s.threads.Close()
		s.threads = nil
	}
}

// Start implements Sensor.
func (s *Scheduling) Start() {
	if s.tracer == nil {
		return
	}
	var err error
	if s.from, err = s.tracer.read(); err != nil {
		s.why = err.Error()
	}
}

// Stop implements Sensor.
func (s *Scheduling) Stop() ([]Reading, []string) {
	if s.why == "" && s.from == nil {
		s.why = errNeverStarted.Error()
	}
	var until []uint64
	if s.why == "" {
		var err error
		if until, err = s.tracer.read(); err != nil {
			s.why = err.Error()
		}
	}
	if s.why != "" {
		return schedReadings(func(unit string, _ func(d []uint64) float64) result.Metric {
			return result.Missing(s.why, unit, result.SourceBPF)
		}), nil
	}
	d := make([]uint64, schedWords)
	for i := range d {
		d[i] = until[i] - s.from[i]
	}
	var notes []string
	if n := s.tracer.missed(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d switches on this machine were missed while another program ran", n))
	}
	if d[schedLost] > 0 {
		notes = append(notes, fmt.Sprintf("%d times there was no room for another thread (at most %d)", d[schedLost], schedThreadsMax))
	}
	return schedReadings(func(unit string, of func([]uint64) float64) result.Metric {
		v := of(d)
		if v < 0 {
			return result.Missing("no thread of the server was switched in this time", unit, result.SourceBPF)
		}
		return result.Of(v, unit, result.SourceBPF)
	}), notes
}

// schedReadings are the readings, by a function that turns totals into a metric.
func schedReadings(of func(unit string, value func(d []uint64) float64) result.Metric) []Reading {
	at := func(base int, q float64) func([]uint64) float64 {
		return func(d []uint64) float64 {
			return histogramQuantile(d[base+timesHistogram:base+timesWords], q) / 1e3
		}
	}
	sum := func(d []uint64) float64 { return float64(d[schedOff+timesSumNs]) / 1e3 }
	preempted := func(d []uint64) float64 { return float64(d[schedPreempted]) }
	return []Reading{
		state("runqueue_p50", of("us", at(schedWait, 0.5))),
		state("runqueue_p99", of("us", at(schedWait, 0.99))),
		state("runqueue_max", of("us", at(schedWait, 1))),
		total("offcpu", of("us", sum)),
		state("offcpu_p99", of("us", at(schedOff, 0.99))),
		total("switches_preempted", of("1", preempted)),
	}
}
