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
	// Trials is the number of lines in trials.jsonl when all is done.
	Trials int `json:"trials"`
}

// Environment is environment.json: the machine and the plan of a run. What is
// not known is left empty and shown as "unknown".
type Environment struct {
	// Schema is set by Writer.WriteEnvironment.
	Schema  int       `json:"schema"`
	Version string    `json:"version,omitempty"`
	Commit  string    `json:"commit,omitempty"`
	Start   time.Time `json:"start"`
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
	Threads  int    `json:"threads"`
	// PerS is in requests per second.
	PerS float64 `json:"per_s"`
	// PacingP99Us is how late it came to its arrivals at PacingRate requests/s.
	PacingP99Us float64 `json:"pacing_p99_us"`
	PacingRate  float64 `json:"pacing_rate"`
	Unavailable string  `json:"unavailable,omitempty"`
}
