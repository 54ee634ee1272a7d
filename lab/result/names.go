package result

import "strings"

// The names of metrics. Latency counts from the intended send time, service
// from the actual one. "Per op" is per request answered.
const (
	LatencyP50  = "latency_p50"
	LatencyP90  = "latency_p90"
	LatencyP99  = "latency_p99"
	LatencyP999 = "latency_p999"
	LatencyMax  = "latency_max"
	LatencyMean = "latency_mean"
	// SliceMaxP50 is the median over the window's slices of each slice's maximum: what
	// is late in most slices moves it, a rare stall of the machine does not.
	SliceMaxP50 = "slice_max_p50"
	ServiceP50  = "service_p50"
	ServiceP99  = "service_p99"
	SendLagP99  = "send_lag_p99"

	// Requests that block and requests that do not, apart (blocking curve).
	BlockedP50    = "blocked_p50"
	BlockedP99    = "blocked_p99"
	BlockedP999   = "blocked_p999"
	UnblockedP50  = "unblocked_p50"
	UnblockedP99  = "unblocked_p99"
	UnblockedP999 = "unblocked_p999"

	// Of the game's rankings, apart (bodies); QueryMean is the query alone, on the
	// server's clock.
	RankingP50 = "latency_ranking_p50"
	RankingP99 = "latency_ranking_p99"
	QueryMean  = "query_mean"

	Throughput           = "throughput"
	Offered              = "offered"
	SaturationThroughput = "saturation_throughput"
	Operations           = "operations"

	// At saturation, which is a closed loop: latency counts from the send. Busy is
	// the share of its CPUs that the server used, and of its time that the load had
	// something to do: where the load's is near 100 and the server's is not, the
	// server could do more.
	SaturationP50            = "saturation_p50"
	SaturationP99            = "saturation_p99"
	SaturationP999           = "saturation_p999"
	SaturationCPUPerOp       = "saturation_cpu_per_op"
	SaturationSwitchesPerOp  = "saturation_switches_per_op"
	SaturationDeliveries     = "saturation_deliveries"
	SaturationCPUPerDelivery = "saturation_cpu_per_delivery"
	SaturationServerBusy     = "saturation_server_busy"
	SaturationLoadBusy       = "saturation_load_busy"

	// Of a fan-out: messages received by all clients. The metrics per delivery are
	// those per op, divided by them.
	Deliveries                     = "deliveries"
	CPUPerDelivery                 = "cpu_per_delivery"
	SwitchesVoluntaryPerDelivery   = "switches_voluntary_per_delivery"
	SwitchesInvoluntaryPerDelivery = "switches_involuntary_per_delivery"
	SyscallsPerDelivery            = "syscalls_per_delivery"
	SyscallsKernelPerDelivery      = "syscalls_kernel_per_delivery"
	AllocsPerDelivery              = "allocs_per_delivery"

	CPUPerOp                 = "cpu_per_op"
	CPULoadPerOp             = "cpu_load_per_op"
	SwitchesVoluntaryPerOp   = "switches_voluntary_per_op"
	SwitchesInvoluntaryPerOp = "switches_involuntary_per_op"
	// The same, of the Go runtime's own threads (not the loops).
	SwitchesGoVoluntaryPerOp   = "switches_go_voluntary_per_op"
	SwitchesGoInvoluntaryPerOp = "switches_go_involuntary_per_op"
	// SyscallsPerOp is from the server's own counters, SyscallsKernelPerOp from
	// the kernel's tracepoint.
	SyscallsPerOp       = "syscalls_per_op"
	SyscallsKernelPerOp = "syscalls_kernel_per_op"

	CacheMissesPerOp = "cache_misses_per_op"

	// Of connections on which nothing happens (idle), each: resident memory and Go's
	// heap and stacks of the server; memory of the kernel, both ends of the
	// connection together.
	IdleRSS    = "idle_rss"
	IdleHeap   = "idle_heap"
	IdleKernel = "idle_kernel"
	// ConnectRate is connections per second, one after another as fast as they come.
	ConnectRate   = "connect_rate"
	CPUPerConnect = "cpu_per_connect"
	// IdleServers is the number of server processes that hold them.
	IdleServers = "idle_servers"

	RSS     = "rss"
	Threads = "threads"

	TakeoversAnnounced = "takeovers_announced"
	TakeoversDetected  = "takeovers_detected"
	// TakeoversAtBound are blocks that found no standby: the head ran them itself.
	TakeoversAtBound = "takeovers_at_bound"
	TakeoversFalse   = "takeovers_false"
	// Of detected takeovers: from the block to the loop going on.
	TakeoverP50 = "takeover_p50"
	TakeoverP99 = "takeover_p99"
	// The same of announced ones: announcement to loop going on.
	TakeoverAnnouncedP50 = "takeover_announced_p50"
	TakeoverAnnouncedP99 = "takeover_announced_p99"

	GCCycles     = "gc_cycles"
	GCPauseTotal = "gc_pause_total"
	GCPauseMax   = "gc_pause_max"
	AllocsPerOp  = "allocs_per_op"

	Errors      = "errors"
	LateSends   = "late_sends"
	Disconnects = "disconnects"
	// TimedOut are requests that the load gave up.
	TimedOut = "timed_out"
	// MeanInFlight is the number of requests without answer, from their intended
	// send time on, as a mean over the window.
	MeanInFlight = "mean_in_flight"
	// SLORate is the highest rate that kept the plan's bound of latency.
	SLORate = "slo_rate"
	// LoadBusy is the share of its time in which the load had something to do (of
	// the busiest thread), LoadCapacityRate the rate that it could have made.
	LoadBusy         = "load_busy"
	LoadCapacityRate = "load_capacity"
)

// What sensors measure. "Per op" is per request answered; of the server's process
// unless a name says otherwise.
const (
	CyclesPerOp          = "cycles_per_op"
	InstructionsPerOp    = "instructions_per_op"
	CacheReferencesPerOp = "cache_references_per_op"
	L1DMissesPerOp       = "l1d_misses_per_op"
	LLCMissesPerOp       = "llc_misses_per_op"
	DTLBMissesPerOp      = "dtlb_misses_per_op"
	ITLBMissesPerOp      = "itlb_misses_per_op"
	BranchesPerOp        = "branches_per_op"
	BranchMissesPerOp    = "branch_misses_per_op"

	// Lines of each cache that the server displaced (prime and probe).
	L1DisplacedPerOp = "l1_displaced_per_op"
	L2DisplacedPerOp = "l2_displaced_per_op"
	L3DisplacedPerOp = "l3_displaced_per_op"

	// Instructions, and misses of a simulated cache, on a recorded trace: user space, one shard.
	SimInstructionsPerOp = "sim_instructions_per_op"
	SimI1MissesPerOp     = "sim_i1_misses_per_op"
	SimD1MissesPerOp     = "sim_d1_misses_per_op"
	SimLLMissesPerOp     = "sim_ll_misses_per_op"

	// Both kinds of switches together, by perf's software event, and those alone in
	// which the thread could have gone on, by perf's switch records.
	SwitchesPerfPerOp      = "switches_perf_per_op"
	SwitchesPreemptedPerOp = "switches_preempted_per_op"

	// RunqueueWaitPerOp is the time for which threads were ready and had no CPU; the
	// percentiles are of single waits. OffCPUPerOp counts all time off the CPU.
	RunqueueWaitPerOp = "runqueue_wait_per_op"
	RunqueueP50       = "runqueue_p50"
	RunqueueP99       = "runqueue_p99"
	RunqueueMax       = "runqueue_max"
	OffCPUPerOp       = "offcpu_per_op"
	OffCPUP99         = "offcpu_p99"

	LLCOccupancy = "llc_occupancy"
	MemBandwidth = "mem_bandwidth"

	// Pressure stall: the share of time in which some task of the machine waited.
	PSICPUSome    = "psi_cpu_some"
	PSIIOSome     = "psi_io_some"
	PSIMemorySome = "psi_memory_some"

	// Of the server's CPUs, and of the load's.
	Steal       = "steal"
	CPUBusy     = "cpu_busy"
	StealLoad   = "steal_load"
	CPUBusyLoad = "cpu_busy_load"

	FrequencyMin  = "frequency_min"
	FrequencyMean = "frequency_mean"
	// ThrottledUs is for how long the server's control group had used up its share.
	ThrottledUs = "throttled_us"

	// Of the server's Go runtime.
	SchedLatencyP99 = "sched_latency_p99"
	GCCPU           = "gc_cpu"
	GoThreads       = "go_threads"
	Goroutines      = "goroutines"
)

// SyscallPerOp is the name of the metric that counts one system call, by its name
// ("epoll_wait"), per request.
func SyscallPerOp(call string) string { return syscallPrefix + call + perOpSuffix }

// SyscallOf is the system call that a metric's name counts, if it does.
func SyscallOf(name string) (call string, ok bool) {
	call, found := strings.CutPrefix(name, syscallPrefix)
	call, per := strings.CutSuffix(call, perOpSuffix)
	return call, found && per && call != ""
}

const (
	syscallPrefix = "syscall:"
	perOpSuffix   = "_per_op"
)

// Experiments beside servers that are not ours, and their factor.
const (
	PeersEcho   = "peers-echo"
	PeersFiles  = "peers-files"
	PeersFanout = "peers-fanout"
	// Files is random reads of a file, FilesSync writes with a sync behind each.
	Files     = "files"
	FilesSync = "files-sync"
	// Conns is the number of connections.
	Conns = "conns"
)

// Sources. Any other text may be used; these are those that reports know.
const (
	SourcePMU     = "pmu"     // hardware counter
	SourceSim     = "sim"     // simulated cache (cachegrind): user space only
	SourceProbe   = "probe"   // prime and probe: cache displaced, kernel included
	SourceLoad    = "load"    // the load process
	SourceServer  = "server"  // the server's own counters
	SourceRusage  = "rusage"  // getrusage(2)
	SourceProc    = "procfs"  // /proc/PID/task/TID/status and the like
	SourceKernel  = "kernel"  // tracepoint raw_syscalls:sys_enter, sched:sched_switch
	SourceGo      = "go"      // Go's runtime/metrics
	SourcePerf    = "perf"    // software event or switch records of perf_event_open(2)
	SourceBPF     = "bpf"     // eBPF program in the kernel
	SourceResctrl = "resctrl" // resctrl file system: cache occupancy, memory bandwidth
	SourceCgroup  = "cgroup"  // the control group's cpu.stat
	SourceSysfs   = "sysfs"   // /sys/devices/system/cpu
	SourceDerived = "derived" // computed from other metrics of the trial
)

// BodyDelayMaxUs is the rule of the experiment bodies: by less than this may a
// query in a threadlet's body delay the p99 of those who did not ask.
const BodyDelayMaxUs = 300.0
