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

	Plan     []Planned `json:"plan,omitempty"`
	Refused  []Refusal `json:"refused,omitempty"`
	Warnings []string  `json:"warnings,omitempty"`
}
