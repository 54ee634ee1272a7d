package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/syslet/syslet/lab/check"
	"github.com/syslet/syslet/lab/sensor"
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
  syslet lab check load stall pacing   does the load find what it should, when it should?
  syslet lab check sensors probe sim   do the sensors agree with other tools, and with themselves?
  syslet lab check all --quick         a look at all of them, of which the verdicts mean little

The handicaps of ab are flags of syslet serve: --handicap-cpu-ns with a tenth of the CPU time that a request was
found to cost without it, and --handicap-delay 1ms --handicap-share 0.01. Each check has a folder of its own below
--out, with what it printed (check.txt) and for aa and ab its run, which lab compare and report read. A flag that a
named check does not heed is refused; with all, one that none heeds. What cannot be checked here, for want of a tool
or a right, is said. Exit code 0: every check was made, and held; 4: one was not, or did not; 1: one ended in an error.`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listChecks()
			}
			var given []check.Option
			for _, o := range []check.Option{check.OptionSeed, check.OptionModels, check.OptionTries, check.OptionRounds} {
				if c.Flags().Changed(string(o)) {
					given = append(given, o)
				}
			}
			return labCheck(c.Context(), args, given, &f)
		},
	}
	fl := c.Flags()
	fl.BoolVar(&f.quick, "quick", false, "few and short trials: for a look, not for a verdict")
	fl.IntVar(&f.tries, "tries", 0, "ab: independent comparisons of each handicap; probe: rankings; 0: 10")
	fl.IntVar(&f.rounds, "rounds", 0, "aa, ab, load: rounds of each comparison; pacing: runs; sim: starts of the server; 0: the check's own number")
	fl.StringVar(&f.models, "models", "", "aa, ab, sim: these only, e.g. nonblock,threadlet; empty: every model (aa), nonblock and iouring in turn (ab), nonblock (sim)")
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

func labCheck(ctx context.Context, names []string, given []check.Option, f *checkFlags) error {
	checks, err := check.Select(names)
	if err != nil {
		return exitErr{exitUsage, err}
	}
	if f.tries < 0 || f.rounds < 0 {
		return usage("--tries %d, --rounds %d: must not be negative", f.tries, f.rounds)
	}
	if err := unheeded(checks, given, names[0] == "all"); err != nil {
		return err
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
	o := check.Options{Binary: binary, Worker: []string{binary, "lab", busyWork}, Seed: f.seed, Quick: f.quick, Tries: f.tries, Rounds: f.rounds}
	if f.models != "" {
		o.Models = strings.Split(f.models, ",")
	}
	var all []outcome
	for i := range checks {
		c := &checks[i]
		o.Out, o.CommandLine = filepath.Join(f.out, c.Name), checkLine(c, f)
		v, err := runCheck(ctx, c, o)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		all = append(all, outcome{c.Name, v, err})
	}
	return conclude(all)
}

// unheeded is an error if an option was given that a check does not heed: of all of
// them, none.
func unheeded(checks []check.Check, given []check.Option, all bool) error {
	for _, o := range given {
		var deaf []string
		for i := range checks {
			if !checks[i].Heeds(o) {
				deaf = append(deaf, checks[i].Name)
			}
		}
		if len(deaf) > 0 && (!all || len(deaf) == len(checks)) {
			return usage("--%s: check %s does not heed it", o, strings.Join(deaf, ", "))
		}
	}
	return nil
}

// outcome is what came of a check: an error is no verdict.
type outcome struct {
	name    string
	verdict check.Verdict
	err     error
}

func (o *outcome) String() string {
	if o.err != nil {
		return "ERROR: " + o.err.Error()
	}
	return o.verdict.String()
}

// conclude prints a table of several checks, and is an error unless all have passed.
func conclude(all []outcome) error {
	var failed, broken []string
	if len(all) > 1 {
		fmt.Println()
	}
	for i := range all {
		o := &all[i]
		if len(all) > 1 {
			fmt.Printf("%-9s %s\n", o.name, o)
		}
		switch {
		case o.err != nil:
			broken = append(broken, fmt.Sprintf("%s: %v", o.name, o.err))
		case !o.verdict.Passed():
			failed = append(failed, o.name)
		}
	}
	switch {
	case len(broken) > 0:
		return fmt.Errorf("%d of %d checks ended in an error: %s", len(broken), len(all), strings.Join(broken, "; "))
	case len(failed) > 0:
		return exitErr{exitInvalid, fmt.Errorf("%d of %d checks did not hold, or not all of them could be checked: %s", len(failed), len(all), strings.Join(failed, ", "))}
	}
	return nil
}

// runCheck runs one, and leaves what it printed in its folder.
func runCheck(ctx context.Context, c *check.Check, o check.Options) (v check.Verdict, err error) {
	var kept bytes.Buffer
	o.Print = io.MultiWriter(os.Stdout, &kept)
	fmt.Fprintf(o.Print, "%s: %s\n", c.Name, c.Shows)
	if c.Heeds(check.OptionSeed) {
		fmt.Fprintf(o.Print, "seed %d, ", o.Seed)
	}
	fmt.Fprintf(o.Print, "about %v, into %s\n", c.Takes(o.Quick).Round(time.Second), o.Out)
	prog := newProgress(os.Stderr)
	o.On = prog.on
	v, err = c.Run(ctx, o)
	prog.end()
	end := outcome{c.Name, v, err}
	fmt.Fprintf(o.Print, "%s: %s\n", c.Name, &end)
	if e := os.MkdirAll(o.Out, 0o755); e != nil {
		return v, errors.Join(err, e)
	}
	return v, errors.Join(err, os.WriteFile(filepath.Join(o.Out, "check.txt"), kept.Bytes(), 0o644))
}

// busyWork is the name of a command that is not for people: check sensors counts it.
const busyWork = "busy-work"

func newBusyWork() *cobra.Command {
	return &cobra.Command{
		Use: busyWork + " KIND", Short: "Do known work, for lab check sensors", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return sensor.BusyWork(args[0], os.Stdin, os.Stdout) },
	}
}

// checkLine runs the same check again.
func checkLine(c *check.Check, f *checkFlags) []string {
	a := []string{"syslet", "lab", "check", c.Name}
	if c.Heeds(check.OptionSeed) {
		a = append(a, "--seed", strconv.FormatUint(f.seed, 10))
	}
	if f.quick {
		a = append(a, "--quick")
	}
	if f.models != "" && c.Heeds(check.OptionModels) {
		a = append(a, "--models", f.models)
	}
	if f.tries > 0 && c.Heeds(check.OptionTries) {
		a = append(a, "--tries", strconv.Itoa(f.tries))
	}
	if f.rounds > 0 && c.Heeds(check.OptionRounds) {
		a = append(a, "--rounds", strconv.Itoa(f.rounds))
	}
	return a
}
