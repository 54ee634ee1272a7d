// Package claims holds the sentences of the literature that the lab puts to the
// test, and the rules by which a run decides them. The rules are code and were
// written before the data.
package claims

import (
	"fmt"

	"github.com/syslet/syslet/lab/plan"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// Verdict on a claim.
type Verdict string

// Verdicts.
const (
	Reproduced   Verdict = "reproduced"
	Refuted      Verdict = "refuted"
	Partly       Verdict = "partly"
	Inconclusive Verdict = "inconclusive"
	// NotTested: this run, or this version, has no experiment for it.
	NotTested Verdict = "not tested"
)

// Claim is a sentence that somebody published, or that this project promises.
type Claim struct {
	ID, Who, Text string
	// Experiment that decides it; empty: none is built yet.
	Experiment string
	judge      func(r *result.Run) (Verdict, string)
}

const (
	molnar   = "I. Molnar, linux-kernel, 23 February 2007"
	pfeifer  = "H. P. Pfeifer, Mass Parallel Network Processing Architecture"
	vara     = "M. Vara, TORO kernel"
	rom      = "CatchChallenger wiki, server on ROM"
	baccala  = "B. Baccala, Hurd list, January 2018"
	ours     = "this project"
	modelTL  = "threadlet"
	modelNB  = "nonblock"
	modelRaw = "nonblock-inline"
)

// All lists the claims in the order of the literature.
func All() []Claim {
	return []Claim{
		{ID: "S1", Who: molnar, Text: "Blocking less than 10 to 20 % of the time costs next to nothing against an event loop that never blocks.", Experiment: plan.BlockingCurve, judge: judgeS1},
		{ID: "S2", Who: molnar, Text: "Block once in a loop that must never block and performance goes down the drain.", Experiment: plan.BlockingCurve, judge: judgeS2},
		{ID: "S3", Who: molnar, Text: "Even a naive server that blocks on every request is close to an event-driven one.", Experiment: plan.BlockingCurve, judge: judgeS3},
		{ID: "S4", Who: molnar, Text: "Socket buffers are a work cache: with 16 KiB or more, sends all but never block."},
		{ID: "S5", Who: molnar, Text: "State machines only save context switches and memory; they do not change fundamental scaling."},
		{ID: "S6", Who: molnar, Text: "Nonblocking code is fragile about forward progress: an unexpected block holds everyone up."},
		{ID: "S7", Who: molnar, Text: "A thread that blocks keeps its state in one place; a state machine pays in cache misses."},
		{ID: "P1", Who: pfeifer, Text: "All threads wait on the shared listening socket; the kernel decides how many wake in vain."},
		{ID: "P2", Who: pfeifer, Text: "Without active balancing, load still evens out."},
		{ID: "T1", Who: vara, Text: "A matrix of slots passes messages between processors without lock instructions."},
		{ID: "T2", Who: vara, Text: "A resource dedicated to one processor beats a shared one behind a lock."},
		{ID: "T3", Who: vara, Text: "Memory local to the processor is faster; cooperative scheduling needs no locks."},
		{ID: "R1", Who: rom, Text: "Each further process or listener makes the kernel's routing of events slower."},
		{ID: "R2", Who: rom, Text: "Lists and trees for events scatter in memory and miss the cache."},
		{ID: "R3", Who: rom, Text: "A minimal image whose only process is the server switches less."},
		{ID: "N1", Who: baccala, Text: "One TCP session for all messages between two nodes serializes them."},
		{ID: "N2", Who: baccala, Text: "The network's speed is not the limit: the context switches between components are."},
		{ID: "N3", Who: baccala, Text: "One pager must serve many clients of the same object before a cluster is of use."},
		{ID: "B1", Who: ours, Text: "A database query of 5 ms in a threadlet's body delays the p99 of 1,000 other players' pings by less than 0.3 ms.", Experiment: plan.Bodies, judge: judgeB1},
	}
}

// Judge decides the claim by a run.
func (c Claim) Judge(r *result.Run) (v Verdict, why string) {
	if c.judge == nil {
		return NotTested, "no experiment is built for it yet"
	}
	if v, why = c.judge(r); v != NotTested {
		why += "; " + alone
	}
	return v, why
}

// alone is said of each verdict: a rule is a bound that stood before the data, and each
// is held against its own interval. Corrected for a family it would depend on which other
// experiments a run has.
const alone = "decided by its own intervals, not corrected for the number of claims"

// Bounds of the rules: what "next to nothing", "down the drain" and "close" mean.
const (
	nextToNothing = 0.9 // of the throughput without blocking
	drain         = 0.5
	closeTo       = 0.8
)

// curve gives the throughput at saturation of a model at a share of blocking
// requests, one value per round.
func curve(r *result.Run, model, share string) (v []float64) {
	for i := range r.Trials {
		t := &r.Trials[i]
		if t.Experiment == plan.BlockingCurve && t.Model == model && t.Factors[plan.BlockingShare] == share && t.Counted() {
			if x, ok := t.Value(result.SaturationThroughput); ok {
				v = append(v, x)
			}
		}
	}
	return v
}

// relate compares two cells; ok is false if one of them has no rounds.
func relate(a, b []float64) (c stats.Comparison, text string, ok bool) {
	if len(a) == 0 || len(b) == 0 {
		return c, "the run has no trials for it", false
	}
	c = stats.Compare(a, b)
	return c, fmt.Sprintf("%.2f [%.2f, %.2f] at %s confidence", c.Ratio, c.Lo, c.Hi, stats.Percent(c.Reached)), true
}

// above says on which side of a bound a ratio lies, whole interval.
func above(c stats.Comparison, bound float64) Verdict {
	switch {
	case c.Reached == 0:
		return Inconclusive
	case c.Lo >= bound:
		return Reproduced
	case c.Hi < bound:
		return Refuted
	}
	return Inconclusive
}

// judgeS1: threadlets at 5 and at 20 % against the loop that never blocks
// (nonblock at 0 %).
func judgeS1(r *result.Run) (Verdict, string) {
	at5, text5, ok5 := relate(curve(r, modelTL, "5"), curve(r, modelNB, "0"))
	at20, text20, ok20 := relate(curve(r, modelTL, "20"), curve(r, modelNB, "0"))
	if !ok20 {
		return NotTested, text20
	}
	v20 := above(at20, nextToNothing)
	why := "threadlet at 20 % blocking has " + text20 + " of the throughput of nonblock at 0 %"
	if !ok5 {
		return v20, why
	}
	why += "; at 5 %, " + text5
	if v5 := above(at5, nextToNothing); v5 != v20 && v5 != Inconclusive && v20 != Inconclusive {
		return Partly, why
	}
	return v20, why
}

// judgeS2: the pure form at the smallest share that was run, against itself at 0.
func judgeS2(r *result.Run) (Verdict, string) {
	for _, share := range []string{"5", "20"} {
		c, text, ok := relate(curve(r, modelRaw, share), curve(r, modelRaw, "0"))
		if !ok {
			continue
		}
		why := fmt.Sprintf("nonblock-inline at %s %% blocking has %s of its throughput at 0 %%", share, text)
		switch above(c, drain) {
		case Refuted: // of "stays above the bound"
			return Reproduced, why
		case Reproduced:
			return Refuted, why
		}
		return Inconclusive, why
	}
	return NotTested, "the run has no trials for it"
}

// judgeS3: threadlets at 100 % against nonblock with helpers at 100 %.
func judgeS3(r *result.Run) (Verdict, string) {
	c, text, ok := relate(curve(r, modelTL, "100"), curve(r, modelNB, "100"))
	if !ok {
		return NotTested, text
	}
	return above(c, closeTo), "threadlet at 100 % blocking has " + text + " of the throughput of nonblock with helpers"
}

// judgeB1: the pings' p99 with rankings against without, under threadlet.
func judgeB1(r *result.Run) (Verdict, string) {
	p99 := map[bool][]float64{}
	for i := range r.Trials {
		t := &r.Trials[i]
		if t.Experiment == plan.Bodies && t.Model == modelTL && t.Counted() {
			if x, ok := t.Value(result.LatencyP99); ok {
				queries := t.Factors[plan.Rankings] != "0"
				p99[queries] = append(p99[queries], x)
			}
		}
	}
	s := stats.ShiftOf(p99[true], p99[false])
	if s.NA == 0 || s.NB == 0 {
		return NotTested, "the run has no trials for it"
	}
	why := fmt.Sprintf("under threadlet the pings' p99 is %+.0f us [%+.0f, %+.0f] at %s confidence with rankings", s.By, s.Lo, s.Hi, stats.Percent(s.Reached))
	switch s.Against(result.BodyDelayMaxUs) {
	case stats.Below:
		return Reproduced, why
	case stats.Above:
		return Refuted, why
	}
	return Inconclusive, why
}
