// Package check puts the lab itself to the test: that it claims no difference where
// there is none (aa), and finds one that was built in (ab); that its load agrees with
// other clients (load), hides no stall (stall) and keeps its moments (pacing); that its
// sensors agree with other tools (sensors, probe) and its simulator with itself (sim).
//
// A check is a value in a table: its name, what it shows, and a function that runs
// it. The trials of aa and ab are kept as a run's folder, like any other.
package check

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/syslet/syslet/lab"
)

// Check is one test of the lab.
type Check struct {
	Name string
	// Shows is what it shows when it holds, in a sentence.
	Shows string
	// Uses are the options that it heeds beside Quick: any other is to be refused.
	Uses []Option
	// Takes is about how long it takes on two CPUs, quick or not.
	Takes func(quick bool) time.Duration
	// Run prints to Options.Print what it measures and returns what came of it. An
	// error means that there is no verdict; one that does not hold is no error.
	Run func(ctx context.Context, o Options) (Verdict, error)
}

// Option is the name of one of Options that not every check heeds: that of its flag.
type Option string

// The options that not every check heeds.
const (
	OptionSeed   Option = "seed"
	OptionModels Option = "models"
	OptionTries  Option = "tries"
	OptionRounds Option = "rounds"
)

// Options are for all checks.
type Options struct {
	// Binary is the syslet executable.
	Binary string
	// Worker is the command of a program that does sensor.BusyWork of the kind that is
	// appended to it.
	Worker []string
	// Out is the folder of the run; it must not hold a run.
	Out  string
	Seed uint64
	// Quick is for a look: the verdict of so few trials means little.
	Quick bool
	// Models, if not empty, are those that are used.
	Models []string
	// Tries and Rounds, if not 0, replace the check's own numbers.
	Tries, Rounds int
	// Print takes the lines as they come.
	Print io.Writer
	// CommandLine runs the same again.
	CommandLine []string
	// On, if set, is told how the trials go on.
	On func(lab.Event)
}

func (o *Options) printf(format string, a ...any) { fmt.Fprintf(o.Print, format, a...) }

// Verdict is what came of a check.
type Verdict struct {
	Held bool
	// Why is the sum in a sentence or two, with the figures that decide.
	Why string
	// NotChecked are parts that could not be checked here, and why. With any, Held is only
	// of what was checked.
	NotChecked []string
}

// Passed reports whether all of the check was checked, and held.
func (v *Verdict) Passed() bool { return v.Held && len(v.NotChecked) == 0 }

// Word is the verdict in a word or two.
func (v *Verdict) Word() string {
	switch {
	case !v.Held:
		return "NOT held"
	case len(v.NotChecked) > 0:
		return "NOT CHECKED in part"
	}
	return "held"
}

func (v *Verdict) String() string {
	s := v.Word()
	if v.Why != "" {
		s += ": " + v.Why
	}
	for _, part := range v.NotChecked {
		s += "; not checked: " + part
	}
	return s
}

// All lists the checks.
func All() []Check {
	return []Check{aa, ab, loadCheck, stall, pacing, probe, sensors, simulator}
}

// Select gives the checks of those names in that order, all for none or "all".
func Select(names []string) ([]Check, error) {
	if len(names) == 0 || len(names) == 1 && names[0] == "all" {
		return All(), nil
	}
	var chosen []Check
	for _, name := range names {
		c := find(name)
		if c == nil {
			return nil, fmt.Errorf("check: there is no check %q; there are %s, and all", name, strings.Join(Names(), ", "))
		}
		chosen = append(chosen, *c)
	}
	return chosen, nil
}

// Names lists the checks' names.
func Names() (names []string) {
	for _, c := range All() {
		names = append(names, c.Name)
	}
	return names
}

// Heeds reports whether the check heeds an option.
func (c *Check) Heeds(o Option) bool { return slices.Contains(c.Uses, o) }

func find(name string) *Check {
	for _, c := range All() {
		if c.Name == name {
			return &c
		}
	}
	return nil
}
