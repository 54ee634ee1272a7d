// Package trial runs one trial: a server in one process, the load in another, on
// CPUs of their own, sensors read at the two ends of the measured window.
//
// The two processes are this same binary, run as "syslet serve" and "syslet
// load"; what they print is the contract in this file.
package trial

import (
	"time"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
)

// Ready is the line of JSON with which syslet serve --json says that it serves.
type Ready struct {
	Listen string `json:"listen"`
	Admin  string `json:"admin,omitempty"`
	PID    int    `json:"pid"`
}

// LoadLine is a line of syslet load --json: a phase that begins, or the report.
type LoadLine struct {
	Phase  *load.Phase  `json:"phase,omitempty"`
	Report *load.Report `json:"report,omitempty"`
}

// Spec is what a trial is to do.
type Spec struct {
	Experiment, Workload, Model string
	Round                       int
	Seed                        uint64
	Factors                     result.Factors

	Conns          int
	Rate           float64 // requests/s, open loop
	Warmup, Window time.Duration
	// ProbeFor, if set, is how long the cache probe samples, between warm-up and
	// window and under the same load: it disturbs what it measures.
	ProbeFor time.Duration
	// Saturate, if set, is the length of a second, closed-loop run against the
	// same server, with Outstanding requests on each connection.
	Saturate    time.Duration
	Outstanding int
	// Mix is the weights of the game's requests; the zero value: the bots' own.
	Mix Mix
	// KillServer ends the server without ado: an orderly end would write every
	// player to disk, which takes as long as the trial and disturbs the next one.
	KillServer bool
	// DiskShare is the share of echo's requests that read from disk.
	DiskShare float64

	ServerCPUs, LoadCPUs []int
	// Binary is the syslet executable.
	Binary string
	// WorkDir is a folder for the server's files, made and removed by the trial.
	WorkDir string
	// DiskFile is what echo reads from, made by the lab if NeedsDiskFile.
	DiskFile      string
	NeedsDiskFile bool
	// Ledger is the folder of the game's ledger, made by the lab if LedgerQuery is
	// set: a ranking of it uses so much CPU time.
	Ledger      string
	LedgerQuery time.Duration
	// LatencyOf is the kind of request that latency and service are of; empty: all.
	LatencyOf string
}

// Mix is how many of a game's requests are of each kind, by weight.
type Mix struct{ Moves, Chats, Pings, Saves, Rankings int }

// startTimeout bounds how long a process may take to say that it is ready, and
// stopTimeout how long an orderly end may take.
const (
	startTimeout = 20 * time.Second
	stopTimeout  = 20 * time.Second
	// probeGap lets the loop fill its caches again after the probe.
	probeGap = 100 * time.Millisecond
	drainFor = 2 * time.Second
)
