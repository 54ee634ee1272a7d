package sensor

import "github.com/syslet/syslet/lab/result"

// kind is what is known of a sensor before there is a process to look at.
type kind struct {
	name   string
	source string
	// quantities are what Stop gives, in that order.
	quantities []quantity
	// also is one that comes several times, under names that are known afterwards.
	also quantity
	// tail sensors make what the server does dearer: they measure in a time of their
	// own after the window.
	tail bool
	// perEvent names what becomes dearer while it measures; "" if it costs something
	// at the two ends of the window only.
	perEvent string
	open     func(Target) Sensor
}

// quantity is one reading of a sensor; perOp if it is a total, so that the metric's
// name has "_per_op" behind it.
type quantity struct {
	name, unit string
	perOp      bool
}

func (q quantity) metric() string {
	if q.perOp {
		return q.name + "_per_op"
	}
	return q.name
}

// Target is what a set of sensors looks at.
type Target struct {
	// PID is the server. It is up: counters are opened on every thread that it has now.
	PID int
	// ServerCPUs and LoadCPUs are those that the two run on; none means all.
	ServerCPUs, LoadCPUs []int
}

// kinds are all sensors of a Set, the cheapest to stop first.
var kinds = []kind{
	{name: "cpu", source: sourceCPUClock, quantities: totals("us", "cpu", "cpu_user", "cpu_system"),
		open: func(t Target) Sensor { return NewCPUTime(t.PID) }},
	{name: "switches", source: result.SourceProc, quantities: totals("1",
		"switches_loop_voluntary", "switches_loop_involuntary", "switches_helper_voluntary", "switches_helper_involuntary",
		"switches_go_voluntary", "switches_go_involuntary", "switches_voluntary", "switches_involuntary"),
		open: func(t Target) Sensor { return NewSwitches(t.PID) }},
	{name: "runqueue-wait", source: result.SourceProc, quantities: totals("us", "runqueue_wait"),
		open: func(t Target) Sensor { return NewRunQueueWait(t.PID) }},
	{name: "pmu", source: result.SourcePMU, quantities: totals("1", "cycles", "instructions", "cache_references", "cache_misses"),
		perEvent: perSwitch, open: func(t Target) Sensor { return NewPMU(t.PID) }},
	{name: "steal", source: result.SourceProc, quantities: states("%", "steal", "cpu_busy"),
		open: func(t Target) Sensor { return NewSteal(t.ServerCPUs) }},
	{name: "steal_load", source: result.SourceProc, quantities: states("%", "steal_load", "cpu_busy_load"),
		open: func(t Target) Sensor { return NewLoadSteal(t.LoadCPUs) }},
	{name: "pressure", source: result.SourceProc, quantities: states("%", "psi_cpu_some", "psi_io_some", "psi_memory_some"),
		open: func(Target) Sensor { return NewPressure() }},
	{name: "throttle", source: sourceCgroup, quantities: states("us", "throttled_us"),
		open: func(t Target) Sensor { return NewThrottle(t.PID) }},
	{name: "frequency", source: sourceSysfs, quantities: append(states("MHz", "frequency_min", "frequency_mean"), states("1", "thermal_throttles")...),
		open: func(t Target) Sensor { return NewFrequency(t.ServerCPUs) }},
	{name: "resctrl", source: result.SourceResctrl, quantities: append(states("bytes", "llc_occupancy"), states("bytes/s", "mem_bandwidth")...),
		open: func(t Target) Sensor { return NewResctrl(t.PID) }},
	{name: "memory", source: result.SourceProc, quantities: append(append(states("bytes", result.RSS, "rss_growth"), states("1", result.Threads)...),
		states("1", "open_files", "open_files_growth")...),
		open: func(t Target) Sensor { return NewMemory(t.PID) }},

	{name: "syscalls", source: result.SourceKernel, quantities: totals("1", "syscalls_kernel"), also: quantity{"syscall:NAME", "1", true},
		tail: true, perEvent: perCall, open: func(t Target) Sensor { return NewSyscalls(t.PID) }},
	{name: "scheduling", source: result.SourceBPF, quantities: append(append(append(states("us", "runqueue_p50", "runqueue_p99", "runqueue_max"),
		totals("us", "offcpu")...), states("us", "offcpu_p99")...), totals("1", "switches_preempted")...),
		tail: true, perEvent: perSwitch, open: func(t Target) Sensor { return NewScheduling(t.PID) }},
	{name: "switches-perf", source: result.SourcePerf, quantities: totals("1", "switches_perf"),
		tail: true, perEvent: perSwitch, open: func(t Target) Sensor { return NewPerfSwitches(t.PID) }},
	{name: "pmu-detail", source: result.SourcePMU, quantities: totals("1", "l1d_misses", "llc_misses", "dtlb_misses", "itlb_misses", "branches", "branch_misses"),
		tail: true, perEvent: perSwitch, open: func(t Target) Sensor { return NewPMUDetail(t.PID) }},
}

// What a sensor can make dearer.
const (
	perSwitch = "context switch"
	perCall   = "system call"
)

func totals(unit string, names ...string) (q []quantity) {
	for _, name := range names {
		q = append(q, quantity{name, unit, true})
	}
	return q
}

func states(unit string, names ...string) (q []quantity) {
	for _, name := range names {
		q = append(q, quantity{name, unit, false})
	}
	return q
}

// ForProcess makes the sensors that look at a process from outside and do not
// disturb it: those of the window.
func ForProcess(t Target) *Set { return newSet(t, false) }

// ForTail makes those that make its system calls and context switches dearer. They
// belong into a time of their own, whose CPU and latency nobody looks at.
func ForTail(t Target) *Set { return newSet(t, true) }

func newSet(t Target, tail bool) *Set {
	s := &Set{}
	for _, k := range kinds {
		if k.tail == tail {
			s.sensors = append(s.sensors, k.open(t))
		}
	}
	return s
}

// TailMissing are the metrics of the tail's sensors where there was no tail.
func TailMissing(why string) map[string]result.Metric {
	metrics := map[string]result.Metric{}
	for _, k := range kinds {
		if !k.tail {
			continue
		}
		for _, q := range k.quantities {
			metrics[q.metric()] = result.Missing(why, q.unit, k.source)
		}
	}
	return metrics
}
