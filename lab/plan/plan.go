// Package plan says what a run will do: experiments, which are data, become a
// list of trials in an order that chance cannot favour.
package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads"
)

// Experiment is a plan of rounds that answers a question.
type Experiment struct {
	Name, Question, Workload string
	// Models are names of models, programs (package yardstick) or Variants.
	Models []string
	// Variants are names of the plan's own.
	Variants map[string]trial.Variant
	Rounds   int
	// Factor varies over Levels within each round; empty: one trial per model.
	Factor string
	Levels []string

	Conns          int
	Rate           float64
	Mix            trial.Mix
	Warmup, Window time.Duration
	ProbeFor       time.Duration
	Saturate       time.Duration
	Outstanding    int
	NeedsDiskFile  bool
	KillServer     bool
	// LedgerQuery, if set, has the game keep a ledger in which a ranking uses so
	// much CPU time.
	LedgerQuery time.Duration
	// LatencyOf, if set, is the one kind of request that latency is of.
	LatencyOf string
	// CountFor is how long the kernel counts system calls after the window.
	CountFor time.Duration
	// DiskBytes is the size of the file of NeedsDiskFile; 0: 64 MiB.
	DiskBytes int64
	// Together experiments run all models of a level one after another, in an order
	// of chance: what is compared is then close in time.
	Together bool
	// Vary, if set, is the last to change a trial: whatever a level or a model
	// needs that is not said above. s.Factors are its own copy.
	Vary func(s *trial.Spec, level string)
	// OptIn experiments run only if they are asked for by name.
	OptIn bool
	// Overhead is what a trial takes beside its phases, for the estimate.
	Overhead time.Duration
}

// Built-in experiments.
const (
	GameMix       = "game-mix"
	BlockingCurve = "blocking-curve"
	// BlockingShare is the curve's factor: percent of the requests that block.
	BlockingShare = "blocking_share"
)

// BuiltIn gives the experiments by name, in their full or their quick form.
func BuiltIn(quick bool) []Experiment {
	mix := Experiment{
		Name: GameMix, Workload: workloads.Game, Models: models.Names(), Rounds: 5,
		Question: "Which model serves a game of 2,000 players best: moves, chat, pings, saves at a fixed rate?",
		// A line of chat goes to all of a map, here 125 players: one request in a
		// hundred is already more output than all moves of a tick.
		Mix:   trial.Mix{Moves: 88, Chats: 1, Pings: 9, Saves: 2},
		Conns: 2000, Rate: 6000, Warmup: 400 * time.Millisecond, Window: 1800 * time.Millisecond, ProbeFor: 400 * time.Millisecond,
		KillServer: true, CountFor: 200 * time.Millisecond,
		Overhead: 2200 * time.Millisecond, // 2,000 log-ins
	}
	curve := Experiment{
		Name: BlockingCurve, Workload: workloads.Echo, Models: append(models.Names(), models.Inline), Rounds: 3,
		Question: "What does it cost when a share of the requests has to wait for the disk?",
		Factor:   BlockingShare, Levels: []string{"0", "5", "20", "50", "100"},
		Conns: 64, Rate: 6000, Warmup: 150 * time.Millisecond, Window: 500 * time.Millisecond,
		Saturate: 300 * time.Millisecond, Outstanding: 1, NeedsDiskFile: true, CountFor: 150 * time.Millisecond,
		Overhead: 50 * time.Millisecond,
	}
	if quick {
		mix.Question = "Which model serves a game of 1,000 players best: moves, chat, pings, saves at a fixed rate?"
		mix.Conns, mix.Rate, mix.Overhead = 1000, 3000, 1300*time.Millisecond
		mix.Rounds, mix.Window, mix.Warmup, mix.ProbeFor = 2, time.Second, 200*time.Millisecond, 300*time.Millisecond
		curve.Rounds, curve.Levels, curve.Window = 1, []string{"0", "20", "100"}, 400*time.Millisecond
	}
	return slices.Concat([]Experiment{mix, curve, bodies(quick), idle(quick), fileServer(quick)}, gc(quick), fileWork(quick), peers(quick))
}

// Default gives the experiments that run if none is named.
func Default(quick bool) []Experiment {
	return slices.DeleteFunc(BuiltIn(quick), func(e Experiment) bool { return e.OptIn })
}

// Select gives the experiments of those names, the default ones if there are none.
func Select(names []string, quick bool) ([]Experiment, error) {
	if len(names) == 0 {
		return Default(quick), nil
	}
	all := BuiltIn(quick)
	var chosen []Experiment
	for _, name := range expand(names) {
		found := false
		for _, e := range all {
			if e.Name == name {
				chosen, found = append(chosen, e), true
			}
		}
		if !found {
			return nil, fmt.Errorf("plan: no experiment %q (--experiment); there are %s", name, strings.Join(append(namesOf(all), Peers), ", "))
		}
	}
	return chosen, nil
}

func namesOf(es []Experiment) (names []string) {
	for _, e := range es {
		names = append(names, e.Name)
	}
	return names
}

// Trials lists the trials of all experiments, round by round: in each round
// every model at every level once, shuffled by the seed (Together experiments level
// by level, the models within a level).
func Trials(es []Experiment, seed uint64) []trial.Spec {
	rng := rand.New(rand.NewPCG(seed, 0x5157))
	var specs []trial.Spec
	for round := 1; ; round++ {
		var now [][]trial.Spec
		for i := range es {
			if round <= es[i].Rounds {
				now = append(now, es[i].round(round, seed)...)
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
func (e *Experiment) round(round int, seed uint64) [][]trial.Spec {
	levels := e.Levels
	if e.Factor == "" {
		levels = []string{""}
	}
	var groups [][]trial.Spec
	for _, model := range e.Models {
		for i, level := range levels {
			s := e.spec(model, level, round, seed)
			if e.Together && len(groups) > i {
				groups[i] = append(groups[i], s)
				continue
			}
			groups = append(groups, []trial.Spec{s})
		}
	}
	return groups
}

func (e *Experiment) spec(model, level string, round int, seed uint64) trial.Spec {
	s := trial.Spec{
		Experiment: e.Name, Workload: e.Workload, Model: model, Round: round, Seed: seed + uint64(round),
		Conns: e.Conns, Rate: e.Rate, Mix: e.Mix, Warmup: e.Warmup, Window: e.Window,
		ProbeFor: e.ProbeFor, Saturate: e.Saturate, Outstanding: e.Outstanding, KillServer: e.KillServer, NeedsDiskFile: e.NeedsDiskFile,
		LedgerQuery: e.LedgerQuery, LatencyOf: e.LatencyOf, CountFor: e.CountFor, DiskBytes: e.DiskBytes,
		Factors: result.Factors{"rate": strconv.FormatFloat(e.Rate, 'g', -1, 64), "conns": strconv.Itoa(e.Conns)},
	}
	if v, ok := e.Variants[model]; ok {
		s.Variant = &v
	}
	if e.LatencyOf != "" {
		s.Factors["latency_of"] = e.LatencyOf
	}
	if e.Factor != "" {
		s.Factors[e.Factor] = level
	}
	n, _ := strconv.ParseFloat(level, 64) // levels of built-in plans are numbers
	switch e.Factor {
	case BlockingShare:
		s.DiskShare = n / 100
	case Rankings: // beside what is asked anyway
		s.Rate, s.Mix.Rankings = e.Rate+n, int(n)
	}
	if e.Vary != nil {
		e.Vary(&s, level)
	}
	return s
}

// Duration is about how long a trial takes.
func (e *Experiment) Duration() time.Duration {
	d := e.Warmup + e.Window + e.Overhead
	if e.ProbeFor > 0 {
		d += e.ProbeFor + 100*time.Millisecond
	}
	return d + e.CountFor + e.Saturate*5/4
}

// Count is the number of trials.
func (e *Experiment) Count() int { return e.Rounds * len(e.Models) * max(1, len(e.Levels)) }
