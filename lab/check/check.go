// Package check puts the lab itself to the test: that it claims no difference where
// there is none (aa), and finds one that was built in (ab).
//
// A check is a value in a table: its name, what it shows, and a function that runs
// it. What is measured is kept as a run's folder, like any other.
package check

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/syslet/syslet/lab"
)

// Check is one test of the lab.
type Check struct {
	Name string
	// Shows is what it shows when it holds, in a sentence.
	Shows string
	// Takes is about how long it takes on two CPUs, quick or not.
	Takes func(quick bool) time.Duration
	// Run prints to Options.Print what it measures and returns what came of it. An
	// error means that there is no verdict; one that does not hold is no error.
	Run func(ctx context.Context, o Options) (Verdict, error)
}

// Options are for all checks.
type Options struct {
	// Binary is the syslet executable.
	Binary string
	// Out is the folder of the run; it must not hold a run.
	Out  string
	Seed uint64
	// Quick is for a look: the verdict of so few trials means little.
	Quick bool
	// Models, if not empty, are those that are used.
	Models []string
	// Tries (ab) and Rounds, if not 0, replace the check's own numbers.
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
}

// All lists the checks.
func All() []Check { return []Check{aa, ab} }

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

func find(name string) *Check {
	for _, c := range All() {
		if c.Name == name {
			return &c
		}
	}
	return nil
}
