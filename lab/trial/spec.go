// Package trial runs one trial: a server in one process, the load in another, on
// CPUs of their own, sensors read at the two ends of the measured window.
//
// The two processes are this same binary, run as "syslet serve" and "syslet
// load"; what they print is the contract in this file. A server that is not ours
// (Foreign) keeps the same contract or says nothing at all. A trial of the other
// kind (Program) is one process that measures itself and prints what it found.
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

// LoadLine is a line of syslet load --json: idle connections that are open, a
// phase that begins, or what was found.
type LoadLine struct {
	Idle   *load.IdleReport `json:"idle,omitempty"`
	Phase  *load.Phase      `json:"phase,omitempty"`
	Report *load.Report     `json:"report,omitempty"`
	// SLO is what --slo found, Capacity what --calibrate did.
	SLO      *load.SLOReport      `json:"slo,omitempty"`
	Capacity *result.LoadCapacity `json:"capacity,omitempty"`
}

// Spec is what a trial is to do.
type Spec struct {
	Experiment, Workload string
	// Model is the name that the trial's figures stand under.
	Model string
	// Variant, if set, is what Model stands for, where it is not itself the name of a
	// model or program.
	Variant *Variant
	Round   int
	Seed    uint64
	Factors result.Factors

	Conns          int
	Rate           float64 // requests/s, open loop
	Warmup, Window time.Duration
	// Shape is how the open loop differs from a steady stream.
	Shape load.Shape
	// Capacity, if above 0, is what the load can do by itself, in requests/s (Calibrate):
	// a trial near it is suspect.
	Capacity float64
	// SLO, if set, is searched after the window: the highest rate that keeps it.
	SLO *SLO
	// ProbeFor, if set, is how long the cache probe samples, between warm-up and
	// window and under the same load: it disturbs what it measures.
	ProbeFor time.Duration
	// Saturate, if set, is the length of a second, closed-loop run against the
	// same server, with Outstanding requests on each connection.
	Saturate    time.Duration
	Outstanding int
	// Speakers are the connections that ask in the closed loop; 0: all.
	Speakers int
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

	// ServeFlags and LoadFlags are further flags of syslet serve and syslet load.
	// Names in braces stand in them for what the trial knows: see Foreign.
	ServeFlags, LoadFlags []string
	// Files are written into WorkDir before the start: name to text, in which names
	// in braces are replaced.
	Files map[string]string
	// SiteBytes, if set, is the length of SiteFile, text that a file server serves.
	SiteBytes int64
	// CountFor, if set, is how long the load goes on after the window, with the
	// kernel counting the server's system calls: that makes each of them dearer.
	CountFor time.Duration
	// NeedsGC: a window in which the server ended no collection answers nothing.
	NeedsGC bool
	// DiskBytes is the size of DiskFile; 0: 64 MiB.
	DiskBytes int64

	// Overhead is what the trial takes beside its phases, for Estimate.
	Overhead time.Duration

	// Idle, if set, are connections that are held beside those of the load, and on
	// which nothing happens.
	Idle *Idle
	// Foreign, if set, is the server in place of syslet serve. The lab sets it for
	// names that package yardstick knows.
	Foreign *Foreign
	// Program, if set, runs in place of server and load.
	Program *Program
}

// SLO is a bound on latency: Quantile (0.99) of the requests within Bound of their
// intended send time. A rate is found to Precision (0.05: within 5 %); each that is
// tried takes For.
type SLO struct {
	Quantile, Precision float64
	Bound, For          time.Duration
}

// Variant is a name in a plan for a model with flags of its own, or for a server of
// the user's. Exactly one of Model and Command is set.
type Variant struct {
	// Model is one of package models, Flags are further flags of syslet serve.
	Model string
	Flags []string
	// Command starts any server that listens on {addr} or {port} of loopback, with Env
	// added to the lab's own environment: see Foreign.
	Command []string
	Env     map[string]string
}

// Foreign is how a server of the user's is run; nil if v is a model of ours. Nothing
// is asked of it but to accept connections: what only it could count is missing.
func (v *Variant) Foreign() *Foreign {
	if len(v.Command) == 0 {
		return nil
	}
	return &Foreign{Argv: v.Command, Env: v.Env, Silent: true, NoCounters: "a server of the plan's own does not say what it allocates"}
}

// Under is the model of ours that serves; for other programs Model itself.
func (s *Spec) Under() string {
	if s.Variant != nil && s.Variant.Model != "" {
		return s.Variant.Model
	}
	return s.Model
}

// ID is the trial's ID within its run.
func (s *Spec) ID() string { return result.TrialID(s.Experiment, s.Model, s.Round, s.Factors) }

// Estimate is about how long the trial takes, if the warm-up takes no longer than
// it must.
func (s *Spec) Estimate() time.Duration {
	d := s.Warmup + s.Window + s.CountFor + s.Overhead
	if s.ProbeFor > 0 {
		d += s.ProbeFor + probeGap
	}
	if s.SLO != nil {
		d += sloTries * (s.SLO.For + s.SLO.For/4)
	}
	return d + s.Saturate + s.Saturate/4
}

// Mix is how many of a game's requests are of each kind, by weight.
type Mix struct{ Moves, Chats, Pings, Saves, Rankings int }

// startTimeout bounds how long a process may take to say that it is ready, and
// stopTimeout how long an orderly end may take.
const (
	startTimeout = 20 * time.Second
	stopTimeout  = 20 * time.Second
	// readFor is enough to read sensors and counters at the begin, of which the server's
	// own take the longest: some milliseconds.
	readFor = 40 * time.Millisecond
	// probeGap lets the loop fill its caches again after the probe.
	probeGap = 100 * time.Millisecond
	drainFor = 2 * time.Second
	// sloTries is about how many tries a search makes, two for most rates, each with a
	// warm-up.
	sloTries = 20
)
