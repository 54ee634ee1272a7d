package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/syslet/syslet/lab"
	"github.com/syslet/syslet/lab/plan"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/lab/yardstick"
)

// choose gives the experiments of a plan's file, or the built-in ones of those names.
func choose(file string, names []string, quick bool) ([]plan.Experiment, error) {
	if file == "" {
		return plan.Select(names, quick)
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("--plan and --experiment: want one of them; all experiments of the file run")
	}
	return plan.Load(file, quick)
}

func newLabList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the experiments that are built in",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			for _, e := range plan.BuiltIn(false) {
				only := ""
				if e.OptIn {
					only = "; runs only if named"
				}
				fmt.Printf("%-16s %s\n%-16s workload %s, models %s, %d rounds, %d trials, about %v%s\n", e.Name, e.Question, "",
					e.Workload, strings.Join(e.Models, " "), e.Rounds, e.Count(), e.Total().Round(time.Second), only)
			}
			return nil
		},
	}
}

func newLabShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Print a built-in experiment as a plan to start from",
		Long: `Print a built-in experiment in YAML. Change it as you like, and run it with

  syslet lab run --plan FILE

` + plan.Reference(),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("lab show wants the name of an experiment; see syslet lab list")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := plan.Text(args[0])
			if err != nil {
				return exitErr{exitUsage, err}
			}
			_, err = fmt.Fprint(os.Stdout, text)
			return err
		},
	}
}

// printPlan lists the trials, what the first of each experiment and model starts, and
// the time that all of them take.
func printPlan(p *lab.Prepared, es []plan.Experiment) {
	trials := p.Trials()
	for i := range trials {
		s := &trials[i]
		fmt.Printf("%3d  round %d  %-14s %-16s %s\n", i+1, s.Round, s.Experiment, s.Model, s.Factors)
	}
	seen := map[string]bool{}
	for i := range trials {
		if s := &trials[i]; !seen[s.Experiment+" "+s.Model] {
			seen[s.Experiment+" "+s.Model] = true
			printCommands(i+1, s)
		}
	}
	for i := range es {
		for _, t := range es[i].Thresholds {
			fmt.Printf("threshold of %s: %s, of each model's median over the rounds\n", es[i].Name, t)
		}
	}
	fmt.Printf("%d trials, about %v%s\n", len(trials), p.Estimate.Round(time.Second), atMost(p, es))
}

// atMost says how long it takes if nothing becomes steady.
func atMost(p *lab.Prepared, es []plan.Experiment) string {
	var more time.Duration
	for i := range es {
		more += es[i].WarmupMost()
	}
	if more == 0 {
		return ""
	}
	return fmt.Sprintf("; %v if every warm-up takes its longest", (p.Estimate + more).Round(time.Second))
}

func printCommands(number int, s *trial.Spec) {
	fmt.Printf("\n%s, %s (trial %d)\n", s.Experiment, s.Model, number)
	server, load := s.Commands()
	switch {
	case s.Variant == nil && s.Program == nil && yardstick.Known(s.Model):
		fmt.Printf("  server: %s: %s; made and started as lab/yardstick says\n", s.Model, yardstick.Describe(s.Model))
	case s.Program != nil:
		fmt.Printf("  program: %s\n", strings.Join(server, " "))
	default:
		fmt.Printf("  server: %s\n", strings.Join(server, " "))
	}
	if load != nil {
		fmt.Printf("  load: %s\n", strings.Join(load, " "))
	}
}
