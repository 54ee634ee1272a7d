package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/syslet/syslet/lab/sim"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads"
)

// simFlags are the flags of syslet lab sim.
type simFlags struct {
	models, model, i1, d1, ll string
	record, replay            string
	functions                 int
	machineSets, json         bool
	cfg                       sim.Config
}

func newLabSim() *cobra.Command {
	var f simFlags
	c := &cobra.Command{
		Use:   "sim",
		Short: "Count instructions and cache misses per request in a simulator",
		Long: `Serve a workload in valgrind's cache simulator, replay a recorded trace in lock step, and count instructions and
misses of I1, D1 and LL per request: user space only, one shard, the same again each time.

  syslet lab sim --models nonblock,goroutine --workload echo

With --json, one model: its result in a line that a plan's program trial reads, and all of it in the line before.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return labSim(c.Context(), &f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.models, "models", strings.Join(models.Names(), ","), "models to run, e.g. nonblock,threadlet")
	fl.StringVar(&f.model, "model", "", "run this one")
	fl.StringVar(&f.cfg.Workload, "workload", workloads.Echo, "echo or fileserver")
	fl.IntVar(&f.cfg.Conns, "conns", 0, "connections; 0: the default")
	fl.IntVar(&f.cfg.Requests, "requests", 0, "requests that are counted; 0: the default")
	fl.IntVar(&f.cfg.Warmup, "warmup", 0, "requests before; 0: the default")
	fl.IntVar(&f.cfg.Repeat, "repeat", 0, "starts of the server; 0: the default")
	fl.Uint64Var(&f.cfg.Seed, "seed", 1, "of what the clients ask")
	fl.StringVar(&f.i1, "I1", "", "simulated cache as SIZE,WAYS,LINE in bytes; empty: the machine's, fully associative")
	fl.StringVar(&f.d1, "D1", "", "the same")
	fl.StringVar(&f.ll, "LL", "", "the same, with the machine's ways")
	fl.BoolVar(&f.machineSets, "machine-sets", false, "the machine's associativity: closer to the machine, and misses that depend on where things lie in this start")
	fl.StringVar(&f.record, "record", "", "write the trace to this file")
	fl.StringVar(&f.replay, "replay", "", "replay the trace in this file (fileserver: of the folder that sim makes)")
	fl.IntVar(&f.functions, "functions", 12, "functions to list, those with most D1 misses first")
	fl.BoolVar(&f.json, "json", false, "as JSON")
	c.MarkFlagsMutuallyExclusive("record", "replay")
	c.MarkFlagsMutuallyExclusive("model", "models")
	return c
}

func (f *simFlags) check(ctx context.Context) (err error) {
	if f.cfg.Binary, err = os.Executable(); err != nil {
		return fmt.Errorf("cannot find this program's own file: %w", err)
	}
	if f.model != "" {
		f.models = f.model
	}
	caches := sim.MachineCaches()
	if !f.machineSets {
		caches = caches.FullyAssociative()
	}
	for _, x := range []struct {
		name, text string
		to         *sim.Cache
	}{{"I1", f.i1, &caches.I1}, {"D1", f.d1, &caches.D1}, {"LL", f.ll, &caches.LL}} {
		if x.text == "" {
			continue
		}
		if *x.to, err = sim.ParseCache(x.text); err != nil {
			return usage("--%s: %v", x.name, err)
		}
		caches.From = "given"
	}
	f.cfg.Caches = caches
	if f.json && strings.Contains(f.models, ",") {
		return usage("--json prints one model's result: --models %q has several", f.models)
	}
	return f.trace(ctx)
}

// trace reads or writes the trace's file.
func (f *simFlags) trace(ctx context.Context) error {
	switch {
	case f.replay != "":
		in, err := os.Open(f.replay)
		if err != nil {
			return usage("--replay: %v", err)
		}
		f.cfg.Trace, err = sim.ReadTrace(in)
		return errors.Join(err, in.Close())
	case f.record != "":
		t, err := f.cfg.RecordTrace(ctx)
		if err != nil {
			return err
		}
		out, err := os.Create(f.record)
		if err != nil {
			return usage("--record: %v", err)
		}
		_, err = t.WriteTo(out)
		f.cfg.Trace = t
		return errors.Join(err, out.Close())
	}
	return nil
}

func labSim(ctx context.Context, f *simFlags) error {
	if err := f.check(ctx); err != nil {
		return err
	}
	for model := range strings.SplitSeq(f.models, ",") {
		if models.Describe(model) == "" {
			return usage("--models: no model %q; there are %s", model, strings.Join(models.AllNames(), ", "))
		}
		cfg := f.cfg
		cfg.Model = model
		cfg.OnRepeat = func(i int, c sim.Counts) {
			fmt.Fprintf(os.Stderr, "%s: repeat %d: per request %.2f instructions, %.4f I1, %.4f D1, %.4f LL misses\n",
				model, i+1, c.Instructions, c.I1Misses, c.D1Misses, c.LLMisses)
		}
		r, err := sim.Run(ctx, cfg)
		if r == nil {
			return err
		}
		if f.json {
			out := json.NewEncoder(os.Stdout)
			return errors.Join(err, out.Encode(r), out.Encode(r.Printed()))
		}
		if err := errors.Join(err, r.WriteText(os.Stdout, f.functions)); err != nil {
			return err
		}
		fmt.Println()
	}
	return nil
}
