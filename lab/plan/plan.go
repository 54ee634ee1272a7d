// Package plan says what a run will do: experiments, which are data, become a
// list of trials in an order that chance cannot favour.
//
// An experiment is written in YAML: those that are built in lie in builtin/, a
// user's own in any file (Load). Its fields are of two kinds. What an experiment is
// (name, workload, models, servers, rounds, factors, thresholds and so on) is read in
// parse.go. How a trial runs is a setting, and all settings are in one table
// (settings.go): each may stand for the whole experiment, most may be a factor, which
// varies over levels, and a level may bring further settings of its own. Every
// combination of levels is a cell; each round runs every model once in every cell.
//
// Whatever is wrong with a file is said at once, with its line (problems.go). A file
// that loads can be run: cell by cell, with what a level overrides, it was checked.
package plan

import (
	"math/rand/v2"
	"time"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/trial"
)

// Experiment is a plan of rounds that answers a question. It is data: it can be
// written as JSON and read again.
type Experiment struct {
	Name, Question, Workload string
	// Models are names of models, programs (package yardstick) or Variants.
	Models []string
	// Variants are names of the plan's own, "servers" in a file.
	Variants map[string]trial.Variant
	Rounds   int
	// Factors vary within each round, each over its levels: the trials of a round
	// are all combinations. None: one trial per model.
	Factors []Factor
	// Labels are written into every result line beside the levels.
	Labels map[string]string
	// Thresholds are looked at after the run: see Unmet.
	Thresholds []Threshold
	// Together experiments run all models of a cell one after another, in an order
	// of chance: what is compared is then close in time.
	Together bool
	// OptIn experiments run only if they are asked for by name.
	OptIn bool

	// What follows are settings, which levels may override.

	Conns          int
	Rate           float64 // requests/s over all connections
	Mix            trial.Mix
	Warmup, Window time.Duration
	// Shape is how the load differs from a steady Poisson stream.
	Shape load.Shape
	// SLO, if its Bound is set, is searched after the window.
	SLO         trial.SLO
	ProbeFor    time.Duration
	Saturate    time.Duration
	Outstanding int // 0: 1
	Speakers    int // 0: all
	// DiskShare of echo's requests read from disk, 0 to 1, from a file that is made
	// if NeedsDiskFile: DiskBytes of it, 0: 64 MiB.
	DiskShare     float64
	NeedsDiskFile bool
	DiskBytes     int64
	KillServer    bool
	// Size of echo's frames and of a fan-out's messages in bytes; 0: the load's own.
	Size int64
	// Shards of a model's server; 0: 1.
	Shards int
	// FileBytes is the length of the file that a file server is asked for.
	FileBytes int64
	// FileWork is what syslet files does: see fileWorkFlags.
	FileWork string
	// Simulate has no load and no window: syslet lab sim counts, that many starts.
	Simulate int
	// LedgerQuery, if set, has the game keep a ledger in which a ranking uses so
	// much CPU time. Rankings are asked for per second, beside Rate.
	LedgerQuery time.Duration
	Rankings    float64
	// LatencyOf, if set, is the one kind of request that latency is of.
	LatencyOf string
	// CountFor is how long the kernel counts system calls after the window.
	CountFor time.Duration
	// Idle, if set, are connections beside those of the load.
	Idle *trial.Idle
	// Ballast is live heap in bytes beside the server, Garbage bytes made per second,
	// GOGC the collector's setting, 0: as it is. NeedsGC: a window in which no
	// collection ended is in doubt.
	Ballast, Garbage int64
	GOGC             int
	NeedsGC          bool
	// Realtime gives the loops' threads a real-time class.
	Realtime bool
	// ServeFlags and LoadFlags are further flags of syslet serve (of our own servers
	// only) and syslet load.
	ServeFlags, LoadFlags []string
	// Overhead is what a trial takes beside its phases, for the estimate.
	Overhead time.Duration
}

// Factor is a setting that varies.
type Factor struct {
	// Name is that of a setting, or Case.
	Name   string
	Levels []Level
}

// Over is a factor whose levels bring nothing along, of values as a file has them.
func Over(name string, levels ...string) Factor {
	f := Factor{Name: name}
	for _, text := range levels {
		f.Levels = append(f.Levels, Level{Text: text})
	}
	return f
}

// Level is a value of a factor.
type Level struct {
	// Text is the value as result lines have it.
	Text string
	// Set are further settings that go with it, by name.
	Set map[string]Value `json:",omitempty"`
}

// Case is a factor that is no setting: its levels have names of the user's, and are
// what their overrides say.
const Case = "case"

// Names that other packages look for in results.
const (
	GameMix       = "game-mix"
	BlockingCurve = "blocking-curve"
	// BlockingShare is the curve's factor: percent of the requests that block.
	BlockingShare = "blocking_share"
	// Bodies is the experiment on what a threadlet's body costs others, Rankings its
	// factor: queries of the ledger per second.
	Bodies   = "bodies"
	Rankings = "rankings"
)

// Trials lists the trials of all experiments, round by round: in each round
// every model in every cell once, shuffled by the seed (Together experiments cell
// by cell, the models within a cell). The experiments must have passed Check.
func Trials(es []Experiment, seed uint64) []trial.Spec {
	rng := rand.New(rand.NewPCG(seed, 0x5157))
	cells := make([][]cell, len(es))
	for i := range es {
		cells[i] = es[i].cells()
	}
	var specs []trial.Spec
	for round := 1; ; round++ {
		var now [][]trial.Spec
		for i := range es {
			if round <= es[i].Rounds {
				now = append(now, es[i].round(cells[i], round, seed)...)
			}
		}
		if len(now) == 0 {
			return specs
		}
		rng.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
		for _, group := range now {
			if len(group) > 1 {
				rng.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
			}
			specs = append(specs, group...)
		}
	}
}

// round is one round of an experiment, in groups that stay together. All models of
// a round get the same seed, and so the same arrivals and requests.
func (e *Experiment) round(cells []cell, round int, seed uint64) [][]trial.Spec {
	var groups [][]trial.Spec
	for _, model := range e.Models {
		for i := range cells {
			s := cells[i].spec(model, round, seed)
			if e.Together && len(groups) > i {
				groups[i] = append(groups[i], s)
				continue
			}
			groups = append(groups, []trial.Spec{s})
		}
	}
	return groups
}

// Count is the number of trials.
func (e *Experiment) Count() int {
	n := e.Rounds * len(e.Models)
	for i := range e.Factors {
		n *= len(e.Factors[i].Levels)
	}
	return n
}

// Total is about how long all trials take, if warm-ups take no longer than they
// must.
func (e *Experiment) Total() time.Duration {
	var d time.Duration
	for _, c := range e.cells() {
		d += c.takes()
	}
	return d * time.Duration(e.Rounds*len(e.Models))
}

// WarmupMost is what all trials take more if every warm-up takes its longest.
func (e *Experiment) WarmupMost() time.Duration {
	var d time.Duration
	for _, c := range e.cells() {
		d += max(0, c.Shape.WarmupMost-c.Warmup)
	}
	return d * time.Duration(e.Rounds*len(e.Models))
}

// Duration is about how long a trial takes, on average over the cells.
func (e *Experiment) Duration() time.Duration {
	if n := e.Count(); n > 0 {
		return e.Total() / time.Duration(n)
	}
	return 0
}
