package result

// The names of metrics. Latency counts from the intended send time, service
// from the actual one. "Per op" is per request answered.
const (
	LatencyP50  = "latency_p50"
	LatencyP90  = "latency_p90"
	LatencyP99  = "latency_p99"
	LatencyP999 = "latency_p999"
	LatencyMax  = "latency_max"
	LatencyMean = "latency_mean"
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
	SourceDerived = "derived" // computed from other metrics of the trial
)

// BodyDelayMaxUs is the rule of the experiment bodies: by less than this may a
// query in a threadlet's body delay the p99 of those who did not ask.
const BodyDelayMaxUs = 300.0

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
	{Operations, "requests answered", "1", Neither},
	{Deliveries, "messages delivered", "1/s", Higher},
	{CPUPerDelivery, "CPU per delivered message", "us", Lower},
	{SwitchesVoluntaryPerDelivery, "voluntary context switches per delivered message", "1", Lower},
	{SwitchesInvoluntaryPerDelivery, "involuntary context switches per delivered message", "1", Lower},
	{SyscallsPerDelivery, "system calls per delivered message (own counters)", "1", Lower},
	{SyscallsKernelPerDelivery, "system calls per delivered message (kernel's count)", "1", Lower},
	{AllocsPerDelivery, "allocations per delivered message", "1", Lower},
	{CPUPerOp, "CPU per request", "us", Lower},
	{CPULoadPerOp, "CPU of the load per request", "us", Neither},
	{SwitchesVoluntaryPerOp, "voluntary context switches per request", "1", Lower},
	{SwitchesInvoluntaryPerOp, "involuntary context switches per request", "1", Lower},
	{SwitchesGoVoluntaryPerOp, "voluntary switches of Go's own threads per request", "1", Lower},
	{SwitchesGoInvoluntaryPerOp, "involuntary switches of Go's own threads per request", "1", Lower},
	{SyscallsPerOp, "system calls per request (own counters)", "1", Lower},
	{SyscallsKernelPerOp, "system calls per request (kernel's count)", "1", Lower},
	{CacheMissesPerOp, "cache misses per request", "1", Lower},
	{IdleRSS, "resident memory per idle connection", "B", Lower},
	{IdleHeap, "Go heap and stacks per idle connection", "B", Lower},
	{IdleKernel, "kernel memory per idle connection, both ends", "B", Lower},
	{ConnectRate, "connections accepted per second", "1/s", Higher},
	{CPUPerConnect, "CPU per connection accepted", "us", Lower},
	{IdleServers, "server processes that hold idle connections", "1", Neither},
	{RSS, "resident memory", "bytes", Lower},
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
	{Errors, "errors", "1", Lower},
	{LateSends, "late sends", "1", Lower},
	{Disconnects, "disconnects", "1", Lower},
}

// Describe is what is known of a metric; for a name that the catalogue does not
// have, its label is the name and neither way is better.
func Describe(name string) Info {
	for _, info := range catalogue {
		if info.Name == name {
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
