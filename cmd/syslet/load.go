package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/workloads"
)

// loadFlags are the flags of syslet load.
type loadFlags struct {
	workload, cpus string
	closed, json   bool
	cfg            load.Config
	work           workloads.LoadConfig
}

func newLoad() *cobra.Command {
	var f loadFlags
	c := &cobra.Command{
		Use:   "load",
		Short: "Drive a server and say how it answered",
		Long: `Drive a server with scripted clients at a rate that does not wait for answers (open loop: seeded Poisson
arrivals; latency counts from the intended send time), or with --closed with a fixed number of requests outstanding.

  syslet load --workload game --target 127.0.0.1:7777 --rate 5000 --conns 500 --duration 10s --cpus 1 --json

With --json, lines of JSON: one as each phase begins, and the report last.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return drive(c.Context(), &f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.workload, "workload", workloads.Game, "one of "+strings.Join(workloads.Names(), ", ")+"; echo is for a server with --disk-file or a plain one")
	fl.StringVar(&f.cfg.Target, "target", "127.0.0.1:7777", "the server")
	fl.IntVar(&f.cfg.Conns, "conns", 500, "connections")
	fl.Float64Var(&f.cfg.Rate, "rate", 5000, "requests per second over all connections")
	fl.DurationVar(&f.cfg.Duration, "duration", 10*time.Second, "length of the measured window")
	fl.DurationVar(&f.cfg.Warmup, "warmup", time.Second, "length of the warm-up before it")
	fl.DurationVar(&f.cfg.Drain, "drain", 5*time.Second, "longest wait for the last answers")
	fl.Uint64Var(&f.cfg.Seed, "seed", 1, "decides arrivals and requests")
	fl.BoolVar(&f.closed, "closed", false, "closed loop: --outstanding requests on each connection, --rate is ignored")
	fl.IntVar(&f.cfg.Outstanding, "outstanding", 1, "with --closed")
	fl.StringVar(&f.cpus, "cpus", "", "CPUs of the load, e.g. 1")
	fl.Float64Var(&f.work.DiskShare, "disk-share", 0, "echo: share of requests that read from disk, 0 to 1")
	fl.StringVar(&f.work.Game.Prefix, "prefix", "bot", "game: what the players' names begin with")
	fl.IntVar(&f.work.Game.Move, "moves", 0, "game: weight of moves; all weights 0: the default mix")
	fl.IntVar(&f.work.Game.Chat, "chats", 0, "game: weight of chat lines")
	fl.IntVar(&f.work.Game.Ping, "pings", 0, "game: weight of pings")
	fl.IntVar(&f.work.Game.Save, "saves", 0, "game: weight of saves")
	fl.IntVar(&f.work.Game.Rank, "rankings", 0, "game: weight of rankings, for a server with --ledger")
	fl.BoolVar(&f.json, "json", false, "phases and the report as lines of JSON")
	return c
}

func drive(ctx context.Context, f *loadFlags) error {
	cpus, err := parseCPUs(f.cpus)
	if err != nil {
		return err
	}
	if err := bindProcess(cpus); err != nil {
		return err
	}
	f.cfg.CPUs = cpus
	if f.closed {
		f.cfg.Mode = load.Closed
	}
	f.work.Game.Population = f.cfg.Conns
	if f.cfg.Load, err = workloads.Load(f.workload, f.work); err != nil {
		return exitErr{exitUsage, err}
	}
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	f.cfg.OnPhase = func(p load.Phase) {
		mu.Lock()
		defer mu.Unlock()
		if f.json {
			_ = out.Encode(trial.LoadLine{Phase: &p})
		} else {
			fmt.Fprintf(os.Stderr, "%s\n", p.Name)
		}
	}
	rep, err := load.Run(ctx, f.cfg)
	if rep != nil {
		mu.Lock()
		defer mu.Unlock()
		if f.json {
			_ = out.Encode(trial.LoadLine{Report: rep})
		} else {
			printReport(rep)
		}
	}
	return err
}

func printReport(r *load.Report) {
	fmt.Printf("%s loop, %d connections, %.2f s: offered %.0f/s, answered %.0f/s, errors %d, disconnects %d\n",
		r.Mode, r.Conns, r.DurationS, r.Offered, r.Throughput, r.Counts.Errors(), r.Counts.Disconnects)
	fmt.Printf("%-10s %9s %10s %10s %10s %10s %10s\n", "latency us", "count", "p50", "p90", "p99", "p99.9", "max")
	for _, k := range append(r.Kinds[:len(r.Kinds):len(r.Kinds)], r.All) {
		l := k.Latency
		fmt.Printf("%-10s %9d %10.1f %10.1f %10.1f %10.1f %10.1f\n", k.Name, l.Count, l.P50Us, l.P90Us, l.P99Us, l.P999Us, l.MaxUs)
	}
	for _, s := range r.Suspicions {
		fmt.Println("suspect:", s)
	}
	if r.LastFailure != "" {
		fmt.Println("last failure:", r.LastFailure)
	}
}
