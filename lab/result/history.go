package result

import (
	"fmt"
	"time"
)

// PlannedTrials is the number of lines in trials.jsonl when all is done.
func (e *Environment) PlannedTrials() (n int) {
	for i := range e.Plan {
		n += e.Plan[i].Trials
	}
	return n
}

// history says in words what a reader should know of how a run with so many trials
// went; nothing if it went through.
func (e *Environment) history(trials int) (notes []string) {
	for i := range e.Plan {
		if p := &e.Plan[i]; p.Stopped != "" {
			notes = append(notes, fmt.Sprintf("%s stopped early: %s; its last round is %d, and %d planned trials were left out", p.Experiment, p.Stopped, p.LastRound, p.LeftOut))
		}
	}
	n := len(e.Sittings)
	if n == 0 {
		return notes
	}
	if n > 1 {
		var away time.Duration
		for i := 1; i < n; i++ {
			away += max(0, e.Sittings[i].Start.Sub(e.Sittings[i-1].End))
		}
		notes = append(notes, fmt.Sprintf("the run was interrupted and resumed: %d sittings from %s on, with %v between them; rounds of different sittings are further apart than others",
			n, e.Sittings[0].Start.Format(time.DateTime), away.Round(time.Second)))
	}
	if last := e.Sittings[n-1]; last.Ended != SittingFinished && trials < e.PlannedTrials() {
		how := last.Ended
		if how == "" {
			how = "killed, or it goes on still"
		}
		notes = append(notes, fmt.Sprintf("the run is not finished (%s): %d of %d trials are there; syslet lab resume goes on with it", how, trials, e.PlannedTrials()))
	}
	return notes
}
