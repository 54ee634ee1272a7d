package result

import "time"

// Capability is what the kernel offers of something, in words if not.
type Capability struct {
	Available bool   `json:"available"`
	Detail    string `json:"detail,omitempty"`
}

// Cache is one cache of the server's CPU, as sysfs describes it.
type Cache struct {
	Level int `json:"level"`
	// Type is Data, Instruction or Unified.
	Type       string `json:"type"`
	SizeBytes  int64  `json:"size_bytes"`
	SharedCPUs string `json:"shared_cpus,omitempty"`
}

// Refusal is a model that this machine or kernel cannot run.
type Refusal struct {
	Model  string `json:"model"`
	Reason string `json:"reason"`
}

// Planned is what a run set out to do for one experiment, so that a reader can
// tell an interrupted run from a small one.
type Planned struct {
	Experiment string   `json:"experiment"`
	Workload   string   `json:"workload"`
	Question   string   `json:"question,omitempty"`
	Models     []string `json:"models"`
	Rounds     int      `json:"rounds"`
	// Trials is the number of lines in trials.jsonl when all is done; those that are
	// left out no longer count.
	Trials int `json:"trials"`
	// TrialS is about how long one of them takes in all, as it was planned, in seconds.
	TrialS float64 `json:"trial_s,omitempty"`
	// Thresholds are bounds that each model's median is to keep, as a plan has them
	// (package plan): "latency_p99 <= 2ms".
	Thresholds []string `json:"thresholds,omitempty"`
	// Stopped says why the experiment ended before its last round; empty if it did
	// not. Then LastRound is the last one that was run and LeftOut the number of trials
	// of those after it. Only whole rounds are left out.
	Stopped   string `json:"stopped,omitempty"`
	LastRound int    `json:"last_round,omitempty"`
	LeftOut   int    `json:"left_out,omitempty"`
}

// Stopping is what may end a run, or an experiment of it, before its last round.
type Stopping struct {
	// Precision, if above 0, is the half-width of the 95 % interval of the median,
	// relative to the median (0.02: 2 %), at which a cell is known well enough, and Of
	// the metrics that must be known so. An experiment stops when all its cells are.
	Precision float64  `json:"precision,omitempty"`
	Of        []string `json:"precision_of,omitempty"`
	// BudgetS, if above 0, is the time for all sittings together, in seconds. A round
	// that would take longer is not begun.
	BudgetS float64 `json:"budget_s,omitempty"`
}

// Sitting is a stretch of time in which a run went on: a run that was interrupted
// and resumed has several.
type Sitting struct {
	Start time.Time `json:"start"`
	// End is zero while the sitting goes on, and if it was killed and the run not
	// resumed yet. Of one that was killed it is when its last trial was written.
	End time.Time `json:"end,omitzero"`
	// Trials were finished in it.
	Trials int `json:"trials"`
	// Ended says how: SittingFinished, SittingInterrupted, SittingKilled, or the
	// error that ended it.
	Ended string `json:"ended,omitempty"`
}

// How a sitting can end.
const (
	SittingFinished    = "finished"
	SittingInterrupted = "interrupted"
	SittingKilled      = "killed"
)

// Environment is environment.json: the machine and the plan of a run. What is
// not known is left empty and shown as "unknown".
type Environment struct {
	// Schema is set by Writer.WriteEnvironment.
	Schema  int    `json:"schema"`
	Version string `json:"version,omitempty"`
	// Commit is what the program was built from, as far as the build knows; "+" at its
	// end says that the tree had changes.
	Commit string `json:"commit,omitempty"`
	// BinarySHA256 is of the program's file, in hexadecimal: two builds of one commit
	// may differ.
	BinarySHA256 string `json:"binary_sha256,omitempty"`
	// Start is that of the first sitting.
	Start time.Time `json:"start"`
	// CommandLine runs the same again: argv, with the seed spelled out.
	CommandLine []string `json:"command_line"`
	Seed        uint64   `json:"seed"`

	OS       string `json:"os,omitempty"`
	Arch     string `json:"arch,omitempty"`
	Kernel   string `json:"kernel,omitempty"`
	CPUModel string `json:"cpu_model,omitempty"`
	CPUCount int    `json:"cpu_count,omitempty"`
	// Virtual names the hypervisor; empty on bare metal or if unknown.
	Virtual     string  `json:"virtual,omitempty"`
	Governor    string  `json:"governor,omitempty"`
	MemoryBytes uint64  `json:"memory_bytes,omitempty"`
	Caches      []Cache `json:"caches,omitempty"`
	// OutFilesystem is the type and mount options below the out folder,
	// DataFilesystem those below the files that the server reads and writes.
	OutFilesystem  string `json:"out_filesystem,omitempty"`
	DataFilesystem string `json:"data_filesystem,omitempty"`

	GoVersion  string `json:"go_version,omitempty"`
	GOMAXPROCS int    `json:"gomaxprocs,omitempty"`
	UID        int    `json:"uid"`

	IOUring Capability `json:"io_uring"`
	Perf    Capability `json:"perf"`

	// ServerCPUs and LoadCPUs are CPU lists as taskset writes them: "0", "1-3".
	ServerCPUs string `json:"server_cpus,omitempty"`
	LoadCPUs   string `json:"load_cpus,omitempty"`

	// Sensors are those that were tried, with what they cost.
	Sensors []SensorInfo `json:"sensors,omitempty"`
	// LoadCapacity is what the load could have done by itself, by workload.
	LoadCapacity []LoadCapacity `json:"load_capacity,omitempty"`

	Plan     []Planned `json:"plan,omitempty"`
	Stopping *Stopping `json:"stopping,omitempty"`
	// Sittings are in order of time; runs of schema 1 have none.
	Sittings []Sitting `json:"sittings,omitempty"`
	Refused  []Refusal `json:"refused,omitempty"`
	Warnings []string  `json:"warnings,omitempty"`
}

// SensorInfo describes a sensor of a run.
type SensorInfo struct {
	Name string `json:"name"`
	// Quantities are the metrics that come from it, by name; Units their units, in
	// the same order.
	Quantities []string `json:"quantities"`
	Units      []string `json:"units"`
	Source     string   `json:"source"`
	// OverheadNs is what it costs, measured when the run began: the CPU time of one
	// reading (both ends of a window), or what each event becomes dearer by if PerEvent
	// names one ("system call", "context switch"). NaN is written as absent.
	OverheadNs *float64 `json:"overhead_ns,omitempty"`
	PerEvent   string   `json:"per_event,omitempty"`
	// Unavailable says why it cannot be used here.
	Unavailable string `json:"unavailable,omitempty"`
}

// LoadCapacity is the most that the load generator could do on its CPUs, measured
// against a server that is not the limit.
type LoadCapacity struct {
	Workload string `json:"workload"`
	// Load says what it asked, in words: trials of the same have this capacity.
	Load    string `json:"load"`
	Threads int    `json:"threads"`
	// PerS is in requests per second. AtLeast: the peer may have been the limit, so
	// that the load can do this and perhaps more. PeerIdle is the share of the time that
	// the peer had to spare.
	PerS     float64 `json:"per_s"`
	AtLeast  bool    `json:"at_least,omitempty"`
	PeerIdle float64 `json:"peer_idle"`
	// ByBusyTimePerS is PerS by the time in which the load had something to do: a
	// cross-check, no measurement.
	ByBusyTimePerS float64 `json:"by_busy_time_per_s"`
	// PacingP99Us is how late it came to its arrivals at PacingRate requests/s.
	PacingP99Us float64 `json:"pacing_p99_us"`
	PacingRate  float64 `json:"pacing_rate"`
	Unavailable string  `json:"unavailable,omitempty"`
}
