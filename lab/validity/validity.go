// Package validity says whether a trial's figures can be believed, by rules that
// are written here and nowhere else.
package validity

import (
	"fmt"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
)

// Evidence is what the rules look at.
type Evidence struct {
	// Operations are what the figures are of: requests answered, or, of a fan-out,
	// messages delivered.
	Operations     int64
	Errors         int64
	Interrupted    bool
	LastFailure    string
	LoadSuspicions []string
	StealPercent   float64 // of the server's CPU time, taken by the hypervisor
	OthersPercent  float64 // of the server's CPU time, used by other processes
	// Flaws of the measuring itself, in words.
	Flaws []string
}

// Load takes what the load says.
func (e *Evidence) Load(r *load.Report) {
	e.Operations = max(r.Counts.AnsweredInWindow, int64(r.Counts.Delivered))
	e.Errors += r.Counts.Errors()
	e.Interrupted, e.LastFailure = r.Interrupted, r.LastFailure
	e.LoadSuspicions = append(e.LoadSuspicions, r.Suspicions...)
}

// Bounds of the rules.
const (
	errorsInvalid   = 0.01 // share of operations that may fail
	stealMost       = 2    // percent
	othersMost      = 15   // percent: ticks of 10 ms tell no better in a window of a second
	operationsLeast = 100
)

// Judge gives the verdict and its reasons. The load's own suspicions make a
// trial suspect: among them, that the server could not keep up with the offered
// rate, so that latencies are those of a growing queue.
func Judge(e Evidence) (result.Verdict, []string) {
	var invalid, suspect []string
	if e.Interrupted {
		invalid = append(invalid, "interrupted")
	}
	if e.Operations < operationsLeast {
		invalid = append(invalid, fmt.Sprintf("only %d operations: percentiles mean nothing", e.Operations))
	}
	switch share := float64(e.Errors) / max(float64(e.Operations), 1); {
	case share > errorsInvalid:
		invalid = append(invalid, fmt.Sprintf("%d errors, %.2g of the operations; last failure: %q", e.Errors, share, e.LastFailure))
	case e.Errors > 0:
		suspect = append(suspect, fmt.Sprintf("%d errors; last failure: %q", e.Errors, e.LastFailure))
	}
	if e.StealPercent > stealMost {
		suspect = append(suspect, fmt.Sprintf("the hypervisor took %.1f %% of the server's CPU time", e.StealPercent))
	}
	if e.OthersPercent > othersMost {
		suspect = append(suspect, fmt.Sprintf("other processes used about %.0f %% of the server's CPU", e.OthersPercent))
	}
	suspect = append(append(suspect, e.LoadSuspicions...), e.Flaws...)
	switch {
	case len(invalid) > 0:
		return result.Invalid, append(invalid, suspect...)
	case len(suspect) > 0:
		return result.Suspect, suspect
	}
	return result.Valid, nil
}
