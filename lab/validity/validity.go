// Package validity says whether a trial's figures can be believed, by rules that are
// one table: Rules. Each looks at one figure and compares it with one bound; what a
// rule needs and the trial has not (a sensor that the machine lacks, a load without
// series) it passes over. So a verdict says what was found, and Known what was looked at.
//
// The bounds were set on a virtual machine with nothing else to do, so that there few
// trials are in doubt, and above what its host does to it unasked: a thread that only
// spins finds 4 % of its time gone, in gaps of up to 12 ms, that no counter of steal
// shows. A test of significance alone never makes a trial suspect: with enough slices
// everything is significant.
package validity

import (
	"fmt"
	"math"
	"strconv"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
)

// Evidence is what the rules look at. The zero value is a trial of which nothing is
// known.
type Evidence struct {
	// Operations are what the figures are of: requests answered, or, of a fan-out,
	// messages delivered.
	Operations int64
	// Errors of the load, in all its runs against this server.
	Errors      int64
	Interrupted bool
	LastFailure string
	// Report is of the measured run; nil: there was no load (trial.Program).
	Report *load.Report
	// Shape is what the load was asked for: what it changes on purpose is no drift.
	Shape load.Shape
	// Metrics are the trial's; the rules of the machine look for names among them.
	Metrics map[string]result.Metric
	// OthersServer and OthersLoad are what processes beside ours used of the CPUs of
	// server and load, in percent; NaN or nil: not known.
	OthersServer, OthersLoad *float64
	// Flaws of the measuring itself, in words. Each makes the trial suspect.
	Flaws []string
}

// Load takes what the load says.
func (e *Evidence) Load(r *load.Report) {
	e.Report = r
	e.Operations = max(r.Counts.AnsweredInWindow, int64(r.Counts.Delivered))
	e.Errors += r.Counts.Errors()
	e.Interrupted, e.LastFailure = r.Interrupted, r.LastFailure
}

// Rule is one reason to doubt a trial: a figure beyond a bound.
type Rule struct {
	Name string `json:"name"`
	// Looks is what figure it looks at, in words.
	Looks string `json:"looks_at"`
	// Bound is in Unit. A figure above it fires, or, if Least, one below it.
	Bound float64 `json:"bound"`
	Least bool    `json:"least,omitempty"`
	Unit  string  `json:"unit"`
	// Verdict is what the trial becomes: suspect or invalid; or valid, where the rule
	// speaks of single figures, and what it says is a note.
	Verdict result.Verdict `json:"verdict"`
	// Advice is what to do about it.
	Advice string `json:"advice"`

	// words say what was found, with the figure as %s.
	words string
	// figure is what was found, in Unit, and what more there is to say of it. NaN: the
	// trial has no such figure.
	figure func(e *Evidence) (figure float64, more string)
}

// Rules are all rules, invalid before suspect, in the order in which they are applied.
func Rules() []Rule {
	var all []Rule
	for _, of := range [][]Rule{fatal, achieved, loadsOwn, within, machine} {
		all = append(all, of...)
	}
	return all
}

// Fires reports whether the rule holds against the trial, and why in words with the
// figure, the bound and the advice. Known is false if the trial has no such figure.
func (r *Rule) Fires(e *Evidence) (fires, known bool, why string) {
	v, more := r.figure(e)
	if math.IsNaN(v) {
		return false, false, ""
	}
	if r.Least && v >= r.Bound || !r.Least && v <= r.Bound {
		return false, true, ""
	}
	if more != "" {
		more = ", " + more
	}
	return true, true, fmt.Sprintf(r.words, shown(v, r.Unit)) + fmt.Sprintf("%s (rule %q: %s); %s", more, r.Name, r.Allowed(), r.Advice)
}

// Allowed is the bound in words: "at most 2 %", "at least 100", "none".
func (r *Rule) Allowed() string {
	switch {
	case r.Least:
		return "at least " + shown(r.Bound, r.Unit)
	case r.Bound > 0:
		return "at most " + shown(r.Bound, r.Unit)
	}
	return "none"
}

// Judge gives the verdict and its reasons, the worst first, and what is to be known of
// single figures.
func Judge(e Evidence) (verdict result.Verdict, why, notes []string) {
	verdict = result.Valid
	reasons := map[result.Verdict][]string{}
	for _, rule := range Rules() {
		if fires, _, why := rule.Fires(&e); fires {
			reasons[rule.Verdict] = append(reasons[rule.Verdict], why)
		}
	}
	reasons[result.Suspect] = append(reasons[result.Suspect], e.Flaws...)
	switch {
	case len(reasons[result.Invalid]) > 0:
		verdict = result.Invalid
	case len(reasons[result.Suspect]) > 0:
		verdict = result.Suspect
	}
	return verdict, append(reasons[result.Invalid], reasons[result.Suspect]...), reasons[result.Valid]
}

// Known are the names of the rules that had a figure to look at.
func Known(e Evidence) (names []string) {
	for _, rule := range Rules() {
		if _, known, _ := rule.Fires(&e); known {
			names = append(names, rule.Name)
		}
	}
	return names
}

// shown writes a figure with its unit.
func shown(v float64, unit string) string {
	if v >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64) + of(unit)
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + of(unit)
}

func of(unit string) string {
	if unit == "1" {
		return ""
	}
	return " " + unit
}

var unknown = math.NaN()

// fatal rules make a trial invalid: its figures are of nothing.
var fatal = []Rule{
	{
		Name: "interrupted", Looks: "runs that were ended before their time", Bound: 0, Unit: "1", Verdict: result.Invalid,
		words: "interrupted%.0s", Advice: "run it again",
		figure: func(e *Evidence) (float64, string) {
			if e.Interrupted {
				return 1, ""
			}
			return 0, ""
		},
	}, {
		Name: "operations", Looks: "requests answered or messages delivered", Bound: 100, Least: true, Unit: "1", Verdict: result.Invalid,
		words: "only %s operations: percentiles mean nothing", Advice: "take a longer window or a higher rate",
		figure: func(e *Evidence) (float64, string) { return float64(e.Operations), "" },
	}, {
		Name: "many errors", Looks: "requests that failed, of the operations", Bound: 1, Unit: "%", Verdict: result.Invalid,
		words: "%s of the operations failed", Advice: "look at the server's last words, and at limits of connections and memory",
		figure: func(e *Evidence) (float64, string) {
			return 100 * float64(e.Errors) / max(float64(e.Operations), 1), e.errors()
		},
	},
}

func (e *Evidence) errors() string {
	if e.LastFailure == "" {
		return fmt.Sprintf("%d errors", e.Errors)
	}
	return fmt.Sprintf("%d errors, the last failure: %q", e.Errors, e.LastFailure)
}
