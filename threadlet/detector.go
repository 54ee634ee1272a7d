package threadlet

import (
	"errors"
	"fmt"
	"strings"
)

// detector is how a pool learns that its head is blocked. The pool asks; a detector never changes the ownership word
// itself. A new detector is one file with one of these and a line in candidates.
type detector interface {
	name() string
	// probe says why this detector cannot work for a pool on processor cpu (-1: any), or nil. Any thread; leaves nothing open.
	probe(cpu int) error
	// attach prepares thread t to be observed, on t's own thread, before it is ever head. Not watched yet.
	attach(t *thread, g *gate) error
	// start is called when all threads are attached, before there is a head; stop when all threads of the pool are out. If stop says
	// false, something of the detector's is still to leave, and what it touches, gate and rings, must stay for ever.
	start(p *Pool) error
	stop() bool
	// watch begins to observe t, which is head and in a body; on its thread. It may be called again.
	watch(t *thread)
	// unwatch ends what of that is t's own. t's thread, which may be head no more: another one may be watched already.
	unwatch(t *thread)
	// freed is called when there is a free standby again. Any thread.
	freed()
	// home is called on a thread that has come home, before it stands by.
	home(t *thread)
	// blocked says whether t, which was head in a body when the caller read w, is blocked, and since when
	// (CLOCK_MONOTONIC, 0 if unknown). Any standby. It may err towards "no".
	blocked(t *thread, w word, why causes) (sinceNs int64, yes bool)
	// mark and blockedSince tell whether t blocked since the mark was taken. t's own thread, while watched.
	mark(t *thread) uint64
	blockedSince(t *thread, mark uint64) bool
	// claimedAtNs is when the head that this detector claimed had blocked. The standby that has just accepted the claim.
	claimedAtNs() int64
	// reason is what the takeover from old is booked under.
	reason(old *thread, why causes) Reason
	// periodNs is the interval at which a standby looks at a busy head unasked; 0 for never.
	periodNs() int64
	// detach releases what attach acquired, when all threads of the pool are out.
	detach(t *thread)
}

// DetectorAuto and so on are the values of Config.Detector.
const (
	DetectorAuto     = "auto"     // the first in this list that the kernel permits
	DetectorIdle     = "idle"     // a watcher thread gets the processor when the head leaves it
	DetectorSwitch   = "switch"   // perf context-switch records wake a standby
	DetectorTimer    = "timer"    // a standby samples the head's state
	DetectorExplicit = "explicit" // only HandOver
)

func candidates() []detector {
	return append(idleDetectors(), &switchDetector{}, &timerDetector{}, explicitDetector{})
}

// noWatcher is for detectors that have no thread of their own and so claim for nobody.
type noWatcher struct{}

func (noWatcher) start(*Pool) error  { return nil }
func (noWatcher) stop() bool         { return true }
func (noWatcher) claimedAtNs() int64 { return 0 }
func (noWatcher) freed()             {}
func (noWatcher) home(*thread)       {}

// Candidate is a detector and why it cannot be had; Refused is nil if it can.
type Candidate struct {
	Name    string
	Refused error
}

// Candidates are all detectors, best first, and what a pool on processor cpu (-1: any) would hear of each. Any thread; it opens
// and closes what the detectors need.
func Candidates(cpu int) []Candidate {
	var list []Candidate
	for _, d := range candidates() {
		list = append(list, Candidate{Name: d.name(), Refused: d.probe(cpu)})
	}
	return list
}

// chooseDetector returns the detector and, as text, why it and not another.
func chooseDetector(wanted string, cpu int) (detector, string, error) {
	if wanted == "" {
		wanted = DetectorAuto
	}
	var refused []error
	var names []string
	for _, d := range candidates() {
		names = append(names, d.name())
		if wanted != DetectorAuto && wanted != d.name() {
			continue
		}
		err := d.probe(cpu)
		if err == nil {
			return d, whyChosen(wanted, refused), nil
		}
		refused = append(refused, fmt.Errorf("%s: %w", d.name(), err))
	}
	if len(refused) == 0 {
		return nil, "", fmt.Errorf("threadlet: Config.Detector %q is unknown (auto, %s)", wanted, strings.Join(names, ", "))
	}
	return nil, "", fmt.Errorf("threadlet: Config.Detector %q: %w", wanted, errors.Join(refused...))
}

func whyChosen(wanted string, refused []error) string {
	switch {
	case wanted != DetectorAuto:
		return "asked for"
	case len(refused) == 0:
		return "the best that is permitted"
	}
	return "refused before it: " + errors.Join(refused...).Error()
}
