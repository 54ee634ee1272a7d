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
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/reports"
)

func newLab() *cobra.Command {
	c := &cobra.Command{Use: "lab", Short: "Run experiments, and read what they gave"}
	c.Args = noArgs
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.AddCommand(newLabRun(), newLabResume(), newLabList(), newLabShow(), newLabSim(), newLabClaims(), newLabCompare(), newLabCheck(), newBusyWork())
	return c
}

// labFlags are the flags of syslet lab run.
type labFlags struct {
	experiments []string
	plan        string
	models, out string
	levels      string
	quick, dry  bool
	rounds      int
	seed        uint64
	precision   string
	precisionOf []string
	budget      time.Duration
}

func newLabRun() *cobra.Command {
	var f labFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Run experiments under every model and write a report",
		Long: `Run experiments, interleaved and in random order, each trial with a server and a load process on CPUs of
their own. Each finished trial is a line in OUT/trials.jsonl. A run that is interrupted (Ctrl-C or SIGTERM once; twice
ends at once) or killed is reported with what it has, and goes on with syslet lab resume OUT.

--precision ends an experiment when the medians of all its models and levels are known so well, after seven rounds at
the earliest; --budget begins no round that would end too late. Both end after whole rounds only, so that what is compared
stays interleaved, and the report says what was left out.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return labRun(c.Context(), &f) },
	}
	fl := c.Flags()
	fl.StringArrayVar(&f.experiments, "experiment", nil, "run this one only (may be repeated); see syslet lab list")
	fl.StringVar(&f.plan, "plan", "", "run the experiments of this file (YAML) instead; see syslet lab show --help")
	fl.BoolVar(&f.quick, "quick", false, "fewer and shorter rounds, under a minute: for a look, not for a conclusion")
	fl.StringVar(&f.models, "models", "", "run these only, e.g. nonblock,threadlet")
	fl.StringVar(&f.levels, "levels", "", "these levels of the experiment's factor only, e.g. 64,1000 of peers-echo (see --dry-run); empty: all")
	fl.IntVar(&f.rounds, "rounds", 0, "rounds of each experiment; 0: its own number")
	fl.StringVar(&f.out, "out", "", "folder of the run; default results/DATE-TIME")
	fl.Uint64Var(&f.seed, "seed", 0, "of arrivals, requests and the order of trials; 0: from the clock")
	fl.StringVar(&f.precision, "precision", "", "end an experiment when half the 95 % interval of every median is within this, e.g. 2%")
	fl.StringSliceVar(&f.precisionOf, "precision-of", lab.DefaultPrecisionOf(), "metrics that --precision looks at, where there are")
	fl.DurationVar(&f.budget, "budget", 0, "end the run in this time, e.g. 10m; 0: no bound")
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
	es, err := choose(f.plan, f.experiments, f.quick)
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
	stopping, err := f.stopping()
	if err != nil {
		return err
	}
	prog := newProgress(os.Stderr)
	p, err := lab.Prepare(lab.Options{Experiments: es, Models: names, Levels: levels, Rounds: f.rounds, Seed: f.seed, Out: f.out,
		Binary: binary, CommandLine: commandLine(f), Stopping: stopping, On: prog.on})
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
		printPlan(p, p.Experiments())
		return nil
	}
	fmt.Fprintf(os.Stderr, "%d trials, about %v, into %s (seed %d)\n", len(p.Trials()), p.Estimate.Round(time.Second), f.out, f.seed)
	return runAndReport(ctx, p, prog, f.out)
}

// runAndReport runs what is to come, and reports what there is then.
func runAndReport(ctx context.Context, p *lab.Prepared, prog *progress, dir string) error {
	runErr := p.Run(ctx)
	prog.end()
	if runErr != nil && !errors.Is(runErr, context.Canceled) {
		return runErr
	}
	if runErr != nil {
		fmt.Fprintln(os.Stderr, "interrupted: what is finished is reported; a second signal ends at once")
	}
	return finish(dir, runErr)
}

// stopping are the rules by which experiments end early.
func (f *labFlags) stopping() (result.Stopping, error) {
	if f.budget < 0 {
		return result.Stopping{}, usage("--budget %v: it is a time from now on", f.budget)
	}
	s := result.Stopping{BudgetS: f.budget.Seconds()}
	if f.precision == "" {
		return s, nil
	}
	var err error
	s.Precision, err = parseShare(f.precision)
	if err != nil || s.Precision <= 0 || s.Precision >= 1 {
		return s, usage("--precision %q: want a share above 0 %% and below 100 %%, such as 2%% or 0.02", f.precision)
	}
	s.Of = f.precisionOf
	return s, nil
}

func newLabResume() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "resume DIR",
		Short: "Go on with a run that was interrupted or killed",
		Long: `Run the trials of DIR that are not finished, in the order of its plan (DIR/plan.json); a trial that was running when
the run ended is run again from its start. It wants the machine and the build of syslet that the run was begun with,
because trials of others do not compare. The report says that the run was interrupted. Of a run that is finished it only
writes the report anew.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("lab resume wants one folder, that of the run")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return labResume(c.Context(), args[0], force) },
	}
	c.Flags().BoolVar(&force, "force", false, "go on also on another machine or with another build; the report says so")
	return c
}

func labResume(ctx context.Context, dir string, force bool) error {
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program's own file: %w", err)
	}
	prog := newProgress(os.Stderr)
	p, err := lab.Resume(lab.ResumeOptions{Dir: dir, Binary: binary, Force: force, On: prog.on})
	if err != nil {
		return err
	}
	defer p.Close()
	done, of, left := p.Progress()
	if done == of {
		fmt.Fprintf(os.Stderr, "the run is finished: all %d trials are there; its report is written anew\n", of)
		return finish(dir, nil)
	}
	fmt.Fprintf(os.Stderr, "resumed: %d of %d trials are there, the others take about %v, into %s\n", done, of, left.Round(time.Second), dir)
	return runAndReport(ctx, p, prog, dir)
}

// finish writes the report of a run, whole or interrupted.
func finish(dir string, interrupted error) error {
	run, err := result.Read(dir)
	if err != nil {
		return err
	}
	goOn := ""
	if interrupted != nil {
		goOn = "; go on with: syslet lab resume " + dir
	}
	if len(run.Trials) == 0 {
		return exitErr{exitInvalid, fmt.Errorf("no trial was finished; nothing to report in %s%s", dir, goOn)}
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
		return fmt.Errorf("interrupted; %d finished trials are reported%s", len(run.Trials), goOn)
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
	if f.plan != "" {
		a = append(a, "--plan", f.plan)
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
	if f.precision != "" {
		a = append(a, "--precision", f.precision, "--precision-of", strings.Join(f.precisionOf, ","))
	}
	if f.budget > 0 {
		a = append(a, "--budget", f.budget.String())
	}
	return append(a, "--seed", strconv.FormatUint(f.seed, 10))
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
