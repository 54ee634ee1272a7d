package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/syslet/syslet/lab/check"
)

// checkFlags are the flags of syslet lab check.
type checkFlags struct {
	out, models   string
	quick         bool
	tries, rounds int
	seed          uint64
}

func newLabCheck() *cobra.Command {
	var f checkFlags
	c := &cobra.Command{
		Use:   "check [NAME]...",
		Short: "Put the lab itself to the test; exit 4 if it fails",
		Long: `Put the lab itself to the test. Without a name, list the checks; all runs every one.

  syslet lab check aa                  does it claim differences where there are none?
  syslet lab check ab --tries 10       does it find a server that is worse by a known amount?
  syslet lab check all --quick         a look at all of them, of which the verdicts mean little

The handicaps of ab are flags of syslet serve: --handicap-cpu-ns with a tenth of the CPU time that a request was
found to cost without it, and --handicap-delay 1ms --handicap-share 0.01. Each check is a run in a folder of its own
below --out; lab compare and report read it. Exit code 0: every check held; 4: one did not.`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listChecks()
			}
			return labCheck(c.Context(), args, &f)
		},
	}
	fl := c.Flags()
	fl.BoolVar(&f.quick, "quick", false, "few and short trials: for a look, not for a verdict")
	fl.IntVar(&f.tries, "tries", 0, "ab: independent comparisons of each handicap; 0: 10")
	fl.IntVar(&f.rounds, "rounds", 0, "aa, ab: rounds of each comparison; 0: the check's own number")
	fl.StringVar(&f.models, "models", "", "aa, ab: these only, e.g. nonblock,threadlet; empty: every model (aa), nonblock and iouring in turn (ab)")
	fl.StringVar(&f.out, "out", "", "folder, in which each check makes one; default results/check-DATE-TIME")
	fl.Uint64Var(&f.seed, "seed", 0, "of arrivals, handicaps and the order of trials; 0: from the clock")
	return c
}

func listChecks() error {
	for _, c := range check.All() {
		fmt.Printf("%-9s %s\n%-9s about %v; %v with --quick\n", c.Name, c.Shows, "", c.Takes(false).Round(time.Second), c.Takes(true).Round(time.Second))
	}
	return nil
}

func labCheck(ctx context.Context, names []string, f *checkFlags) error {
	checks, err := check.Select(names)
	if err != nil {
		return exitErr{exitUsage, err}
	}
	if f.tries < 0 || f.rounds < 0 {
		return usage("--tries %d, --rounds %d: must not be negative", f.tries, f.rounds)
	}
	if f.seed == 0 {
		f.seed = uint64(time.Now().UnixNano()) % 1e9
	}
	if f.out == "" {
		f.out = filepath.Join("results", "check-"+time.Now().Format("20060102-150405"))
	}
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program's own file: %w", err)
	}
	o := check.Options{Binary: binary, Seed: f.seed, Quick: f.quick, Tries: f.tries, Rounds: f.rounds, Print: os.Stdout}
	if f.models != "" {
		o.Models = strings.Split(f.models, ",")
	}
	failed := 0
	for _, c := range checks {
		o.Out, o.CommandLine = filepath.Join(f.out, c.Name), checkLine(c.Name, f)
		held, err := runCheck(ctx, c, o)
		if err != nil {
			return err
		}
		if !held {
			failed++
		}
	}
	if failed > 0 {
		return exitErr{exitInvalid, fmt.Errorf("%d of %d checks did not hold", failed, len(checks))}
	}
	return nil
}

func runCheck(ctx context.Context, c check.Check, o check.Options) (held bool, err error) {
	fmt.Printf("%s: %s\nseed %d, about %v, into %s\n", c.Name, c.Shows, o.Seed, c.Takes(o.Quick).Round(time.Second), o.Out)
	prog := newProgress(os.Stderr)
	o.On = prog.on
	v, err := c.Run(ctx, o)
	prog.end()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return false, errors.New("interrupted")
		}
		return false, err
	}
	word := "held"
	if !v.Held {
		word = "NOT held"
	}
	fmt.Printf("%s: %s: %s\n", c.Name, word, v.Why)
	return v.Held, nil
}

// checkLine runs the same check again.
func checkLine(name string, f *checkFlags) []string {
	a := []string{"syslet", "lab", "check", name, "--seed", strconv.FormatUint(f.seed, 10)}
	if f.quick {
		a = append(a, "--quick")
	}
	if f.models != "" {
		a = append(a, "--models", f.models)
	}
	if f.tries > 0 {
		a = append(a, "--tries", strconv.Itoa(f.tries))
	}
	if f.rounds > 0 {
		a = append(a, "--rounds", strconv.Itoa(f.rounds))
	}
	return a
}
