package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/syslet/syslet/lab"
	"github.com/syslet/syslet/lab/claims"
	"github.com/syslet/syslet/lab/plan"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/reports"
)

func newLab() *cobra.Command {
	c := &cobra.Command{Use: "lab", Short: "Run experiments, and read what they gave"}
	c.Args = noArgs
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.AddCommand(newLabRun(), newLabList(), newLabClaims(), newLabCompare())
	return c
}

// labFlags are the flags of syslet lab run.
type labFlags struct {
	experiments []string
	models, out string
	levels      string
	quick, dry  bool
	rounds      int
	seed        uint64
}

func newLabRun() *cobra.Command {
	var f labFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Run experiments under every model and write a report",
		Long: `Run experiments, interleaved and in random order, each trial with a server and a load process on CPUs of
their own. Each finished trial is a line in OUT/trials.jsonl; an interrupted run is reported with what it has.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return labRun(c.Context(), &f) },
	}
	fl := c.Flags()
	fl.StringArrayVar(&f.experiments, "experiment", nil, "run this one only (may be repeated); see syslet lab list")
	fl.BoolVar(&f.quick, "quick", false, "fewer and shorter rounds, under a minute: for a look, not for a conclusion")
	fl.StringVar(&f.models, "models", "", "run these only, e.g. nonblock,threadlet")
	fl.StringVar(&f.levels, "levels", "", "these levels of the experiment's factor only, e.g. 64,1000 of peers-echo (see --dry-run); empty: all")
	fl.IntVar(&f.rounds, "rounds", 0, "rounds of each experiment; 0: its own number")
	fl.StringVar(&f.out, "out", "", "folder of the run; default results/DATE-TIME")
	fl.Uint64Var(&f.seed, "seed", 0, "of arrivals, requests and the order of trials; 0: from the clock")
	fl.BoolVar(&f.dry, "dry-run", false, "print the trials and the time they take, run none")
	return c
}

func labRun(ctx context.Context, f *labFlags) error {
	if f.seed == 0 {
		f.seed = uint64(time.Now().UnixNano()) % 1e9
	}
	if f.out == "" {
		f.out = filepath.Join("results", time.Now().Format("20060102-150405"))
	}
	es, err := plan.Select(f.experiments, f.quick)
	if err != nil {
		return exitErr{exitUsage, err}
	}
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program's own file: %w", err)
	}
	var names, levels []string
	if f.models != "" {
		names = strings.Split(f.models, ",")
	}
	if f.levels != "" {
		levels = strings.Split(f.levels, ",")
	}
	prog := newProgress(os.Stderr)
	p, err := lab.Prepare(lab.Options{Experiments: es, Models: names, Levels: levels, Rounds: f.rounds, Seed: f.seed, Out: f.out,
		Binary: binary, CommandLine: commandLine(f), OnTrial: prog.onTrial})
	if err != nil {
		return exitErr{exitUsage, err}
	}
	if !f.dry {
		if err := p.Make(ctx); err != nil {
			return err
		}
	}
	for _, r := range p.Refused {
		fmt.Fprintf(os.Stderr, "not run: %s: %s\n", r.Model, r.Reason)
	}
	if f.dry {
		return printPlan(p)
	}
	fmt.Fprintf(os.Stderr, "%d trials, about %v, into %s (seed %d)\n", len(p.Trials()), p.Estimate.Round(time.Second), f.out, f.seed)
	runErr := p.Run(ctx)
	prog.end()
	if runErr != nil && !errors.Is(runErr, context.Canceled) {
		return runErr
	}
	return finish(f.out, runErr)
}

// finish writes the report of a run, whole or interrupted.
func finish(dir string, interrupted error) error {
	run, err := result.Read(dir)
	if err != nil {
		return err
	}
	if len(run.Trials) == 0 {
		return exitErr{exitInvalid, fmt.Errorf("no trial was finished; nothing to report in %s", dir)}
	}
	if err := reports.Write(run, dir); err != nil {
		return err
	}
	summary, err := os.ReadFile(filepath.Join(dir, "summary.md"))
	if err != nil {
		return err
	}
	fmt.Print(string(summary))
	fmt.Printf("\nreport: %s\n", filepath.Join(dir, "report.html"))
	if interrupted != nil {
		return fmt.Errorf("interrupted; %d finished trials are reported", len(run.Trials))
	}
	for i := range run.Trials {
		if run.Trials[i].Counted() {
			return nil
		}
	}
	return exitErr{exitInvalid, errors.New("every trial is invalid; the report says why")}
}

func commandLine(f *labFlags) []string {
	a := []string{"syslet", "lab", "run"}
	for _, e := range f.experiments {
		a = append(a, "--experiment", e)
	}
	if f.quick {
		a = append(a, "--quick")
	}
	if f.models != "" {
		a = append(a, "--models", f.models)
	}
	if f.levels != "" {
		a = append(a, "--levels", f.levels)
	}
	if f.rounds > 0 {
		a = append(a, "--rounds", strconv.Itoa(f.rounds))
	}
	return append(a, "--seed", strconv.FormatUint(f.seed, 10))
}

func printPlan(p *lab.Prepared) error {
	for i, s := range p.Trials() {
		fmt.Printf("%3d  round %d  %-14s %-16s %s\n", i+1, s.Round, s.Experiment, s.Model, s.Factors)
	}
	fmt.Printf("%d trials, about %v\n", len(p.Trials()), p.Estimate.Round(time.Second))
	return nil
}

func newLabList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the experiments",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			for _, e := range plan.BuiltIn(false) {
				only := ""
				if e.OptIn {
					only = "; runs only if named"
				}
				fmt.Printf("%-16s %s\n%-16s workload %s, models %s, %d rounds, %d trials, about %v%s\n", e.Name, e.Question, "",
					e.Workload, strings.Join(e.Models, " "), e.Rounds, e.Count(), (time.Duration(e.Count()) * e.Duration()).Round(time.Second), only)
			}
			return nil
		},
	}
}

func newLabClaims() *cobra.Command {
	return &cobra.Command{
		Use: "claims [DIR]", Short: "List the claims of the literature, with the verdicts of the run in DIR",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var run *result.Run
			if len(args) == 1 {
				var err error
				if run, err = result.Read(args[0]); err != nil {
					return err
				}
			}
			return printClaims(run)
		},
	}
}

func printClaims(run *result.Run) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "id\tverdict\tclaim\twhy")
	for _, c := range claims.All() {
		verdict, why := claims.NotTested, "give a run's folder: syslet lab claims DIR"
		if run != nil || c.Experiment == "" {
			verdict, why = c.Judge(run)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.ID, verdict, c.Text, why)
	}
	return w.Flush()
}

func newReport() *cobra.Command {
	var readme bool
	c := &cobra.Command{
		Use: "report DIR", Short: "Write the report of a run's folder anew",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("report wants one folder")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if readme {
				return printReadme(args[0])
			}
			return finish(args[0], nil)
		},
	}
	c.Flags().BoolVar(&readme, "readme", false, "only print the tables of servers and the targets, as Markdown for a README")
	return c
}

func printReadme(dir string) error {
	run, err := result.Read(dir)
	if err != nil {
		return err
	}
	return reports.Readme(os.Stdout, run)
}
