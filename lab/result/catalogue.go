package result

import "strings"

// Direction says which way is better.
type Direction int

const (
	// Neither way is better by itself.
	Neither Direction = iota
	// Lower is better.
	Lower
	// Higher is better.
	Higher
)

// Info is what a reader is told of a metric.
type Info struct {
	Name, Label, Unit string
	Better            Direction
}

// catalogue is in the order of the report's tables.
var catalogue = []Info{
	{LatencyP50, "median latency", "us", Lower},
	{LatencyP90, "p90 latency", "us", Lower},
	{LatencyP99, "p99 latency", "us", Lower},
	{LatencyP999, "p99.9 latency", "us", Lower},
	{LatencyMax, "maximum latency", "us", Lower},
	{LatencyMean, "mean latency", "us", Lower},
	{SliceMaxP50, "typical maximum latency of a slice", "us", Lower},
	{ServiceP50, "median service time", "us", Lower},
	{ServiceP99, "p99 service time", "us", Lower},
	{SendLagP99, "p99 send lag of the load", "us", Neither},
	{BlockedP50, "median latency of requests that block", "us", Lower},
	{BlockedP99, "p99 latency of requests that block", "us", Lower},
	{BlockedP999, "p99.9 latency of requests that block", "us", Lower},
	{UnblockedP50, "median latency of requests that do not block", "us", Lower},
	{UnblockedP99, "p99 latency of requests that do not block", "us", Lower},
	{UnblockedP999, "p99.9 latency of requests that do not block", "us", Lower},
	{RankingP50, "median latency of rankings", "us", Lower},
	{RankingP99, "p99 latency of rankings", "us", Lower},
	{QueryMean, "mean time of a query", "us", Lower},
	{Throughput, "throughput", "1/s", Higher},
	{Offered, "offered load", "1/s", Neither},
	{SaturationThroughput, "throughput at saturation", "1/s", Higher},
	{SaturationP50, "median latency at saturation", "us", Lower},
	{SaturationP99, "p99 latency at saturation", "us", Lower},
	{SaturationP999, "p99.9 latency at saturation", "us", Lower},
	{SaturationCPUPerOp, "CPU per request at saturation", "us", Lower},
	{SaturationSwitchesPerOp, "context switches per request at saturation", "1", Lower},
	{SaturationDeliveries, "messages delivered at saturation", "1/s", Higher},
	{SaturationCPUPerDelivery, "CPU per delivered message at saturation", "us", Lower},
	{SaturationServerBusy, "CPU that the server used at saturation", "%", Neither},
	{SaturationLoadBusy, "time that the load was busy at saturation", "%", Neither},
	{SLORate, "highest rate within the bound of latency", "1/s", Higher},
	{Operations, "requests answered", "1", Neither},
	{Deliveries, "messages delivered", "1/s", Higher},
	{CPUPerDelivery, "CPU per delivered message", "us", Lower},
	{SwitchesVoluntaryPerDelivery, "voluntary context switches per delivered message", "1", Lower},
	{SwitchesInvoluntaryPerDelivery, "involuntary context switches per delivered message", "1", Lower},
	{SyscallsPerDelivery, "system calls per delivered message (own counters)", "1", Lower},
	{SyscallsKernelPerDelivery, "system calls per delivered message (kernel's count)", "1", Lower},
	{AllocsPerDelivery, "allocations per delivered message", "1", Lower},
	{CPUPerOp, "CPU per request", "us", Lower},
	{"cpu_user_per_op", "CPU per request, in user space", "us", Lower},
	{"cpu_system_per_op", "CPU per request, in the kernel", "us", Lower},
	{CPULoadPerOp, "CPU of the load per request", "us", Neither},
	{SwitchesVoluntaryPerOp, "voluntary context switches per request", "1", Lower},
	{SwitchesInvoluntaryPerOp, "involuntary context switches per request", "1", Lower},
	{SwitchesGoVoluntaryPerOp, "voluntary switches of Go's own threads per request", "1", Lower},
	{SwitchesGoInvoluntaryPerOp, "involuntary switches of Go's own threads per request", "1", Lower},
	{SyscallsPerOp, "system calls per request (own counters)", "1", Lower},
	{SyscallsKernelPerOp, "system calls per request (kernel's count)", "1", Lower},
	{SwitchesPerfPerOp, "context switches per request (perf's count)", "1", Lower},
	{SwitchesPreemptedPerOp, "preemptions per request (perf's switch records)", "1", Lower},
	{RunqueueWaitPerOp, "wait for a CPU per request", "us", Lower},
	{RunqueueP50, "median wait for a CPU", "us", Lower},
	{RunqueueP99, "p99 wait for a CPU", "us", Lower},
	{RunqueueMax, "longest wait for a CPU", "us", Lower},
	{OffCPUPerOp, "time off the CPU per request", "us", Neither},
	{OffCPUP99, "p99 time off the CPU", "us", Neither},
	{CacheMissesPerOp, "cache misses per request", "1", Lower},
	{CacheReferencesPerOp, "cache references per request", "1", Lower},
	{L1DMissesPerOp, "L1 data cache misses per request", "1", Lower},
	{LLCMissesPerOp, "last-level cache misses per request", "1", Lower},
	{DTLBMissesPerOp, "data TLB misses per request", "1", Lower},
	{ITLBMissesPerOp, "instruction TLB misses per request", "1", Lower},
	{CyclesPerOp, "CPU cycles per request", "1", Lower},
	{InstructionsPerOp, "instructions per request", "1", Lower},
	{BranchesPerOp, "branches per request", "1", Neither},
	{BranchMissesPerOp, "branch misses per request", "1", Lower},
	{L1DisplacedPerOp, "L1 cache lines displaced per request", "1", Lower},
	{L2DisplacedPerOp, "L2 cache lines displaced per request", "1", Lower},
	{L3DisplacedPerOp, "L3 cache lines displaced per request", "1", Lower},
	{SimInstructionsPerOp, "simulated instructions per request", "1", Lower},
	{SimI1MissesPerOp, "simulated I1 misses per request", "1", Lower},
	{SimD1MissesPerOp, "simulated D1 misses per request", "1", Lower},
	{SimLLMissesPerOp, "simulated LL misses per request", "1", Lower},
	{LLCOccupancy, "last-level cache occupied", "bytes", Neither},
	{MemBandwidth, "memory bandwidth", "bytes/s", Neither},
	{IdleRSS, "resident memory per idle connection", "B", Lower},
	{IdleHeap, "Go heap and stacks per idle connection", "B", Lower},
	{IdleKernel, "kernel memory per idle connection, both ends", "B", Lower},
	{ConnectRate, "connections accepted per second", "1/s", Higher},
	{CPUPerConnect, "CPU per connection accepted", "us", Lower},
	{IdleServers, "server processes that hold idle connections", "1", Neither},
	{RSS, "resident memory", "bytes", Lower},
	{"rss_growth", "growth of resident memory in the measured time", "bytes", Neither},
	{"open_files", "open descriptors", "1", Neither},
	{"open_files_growth", "growth of open descriptors in the measured time", "1", Neither},
	{Threads, "threads", "1", Neither},
	{TakeoversAnnounced, "takeovers, announced", "1", Neither},
	{TakeoversDetected, "takeovers, detected", "1", Neither},
	{TakeoversAtBound, "blocks at the bound of the pool", "1", Lower},
	{TakeoversFalse, "takeovers, false alarms", "1", Lower},
	{TakeoverP50, "median latency of detected takeovers", "us", Lower},
	{TakeoverP99, "p99 latency of detected takeovers", "us", Lower},
	{TakeoverAnnouncedP50, "median latency of announced takeovers", "us", Lower},
	{TakeoverAnnouncedP99, "p99 latency of announced takeovers", "us", Lower},
	{GCCycles, "garbage collections", "1", Neither},
	{GCPauseTotal, "garbage collection pauses, total", "us", Lower},
	{GCPauseMax, "garbage collection pause, longest", "us", Lower},
	{AllocsPerOp, "allocations per request", "1", Lower},
	{GCCPU, "CPU of the garbage collector", "%", Lower},
	{SchedLatencyP99, "p99 wait of goroutines for a P", "us", Lower},
	{GoThreads, "threads of the Go runtime", "1", Neither},
	{Goroutines, "goroutines", "1", Neither},
	{PSICPUSome, "pressure stall: some task waited for a CPU", "%", Neither},
	{PSIIOSome, "pressure stall: some task waited for a device", "%", Neither},
	{PSIMemorySome, "pressure stall: some task waited for memory", "%", Neither},
	{CPUBusy, "CPUs of the server, busy", "%", Neither},
	{Steal, "CPUs of the server, stolen by the host", "%", Neither},
	{CPUBusyLoad, "CPUs of the load, busy", "%", Neither},
	{StealLoad, "CPUs of the load, stolen by the host", "%", Neither},
	{ThrottledUs, "server throttled by its control group", "us", Neither},
	{FrequencyMin, "lowest frequency of the server's CPUs", "MHz", Neither},
	{FrequencyMean, "mean frequency of the server's CPUs", "MHz", Neither},
	{"thermal_throttles", "times that heat slowed the server's CPUs", "1", Neither},
	{LoadBusy, "time that the load was busy", "%", Neither},
	{LoadCapacityRate, "rate that the load could have made", "1/s", Neither},
	{MeanInFlight, "requests in flight, mean", "1", Neither},
	{Errors, "errors", "1", Lower},
	{TimedOut, "requests timed out", "1", Lower},
	{LateSends, "late sends", "1", Lower},
	{Disconnects, "disconnects", "1", Lower},
}

// families are metrics whose names are made of a part that the trial knows: %
// stands for it in the pattern and in the label.
var families = []Info{
	{syscallPrefix + "%" + perOpSuffix, "system call % per request", "1", Neither}, // one instead of another is no gain,
	{"latency_%_p50", "median latency of %", "us", Lower},
	{"latency_%_p99", "p99 latency of %", "us", Lower},
	{"latency_%_p999", "p99.9 latency of %", "us", Lower},
	{"takeovers_by_%", "takeovers, found by %", "1", Neither},
	{"switches_%_voluntary_per_op", "voluntary switches of % threads per request", "1", Neither},
	{"switches_%_involuntary_per_op", "involuntary switches of % threads per request", "1", Neither},
}

// member is what is known of a name that belongs to the family.
func (f Info) member(name string) (Info, bool) {
	prefix, suffix, _ := strings.Cut(f.Name, "%")
	if len(name) <= len(prefix)+len(suffix) || !strings.HasPrefix(name, prefix) || !strings.HasSuffix(name, suffix) {
		return Info{}, false
	}
	part := name[len(prefix) : len(name)-len(suffix)]
	return Info{Name: name, Label: strings.Replace(f.Label, "%", part, 1), Unit: f.Unit, Better: f.Better}, true
}

// Describe is what is known of a metric, by its name or that of its family; for a
// name that neither has, its label is the name and neither way is better.
func Describe(name string) Info {
	for _, info := range catalogue {
		if info.Name == name {
			return info
		}
	}
	for _, f := range families {
		if info, ok := f.member(name); ok {
			return info
		}
	}
	return Info{Name: name, Label: name}
}

// Names are the names of the catalogue, in the order of the report's tables.
func Names() []string {
	names := make([]string, len(catalogue))
	for i, info := range catalogue {
		names[i] = info.Name
	}
	return names
}
