package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/workloads"
	"github.com/syslet/syslet/workloads/echo"
)

// loadFlags are the flags of syslet load.
type loadFlags struct {
	workload, cpus string
	requests, slo  string
	calibrate      bool
	peerCPUs       string
	precision      string
	sloFor         time.Duration
	closed, json   bool
	cfg            load.Config
	idle           load.IdleConfig
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

Its shape can be another: bursts, a ramp, reconnects, a storm of connects, slow readers, several threads.

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
	fl.DurationVar(&f.cfg.ReadFor, "read-for", 0, "how long the load goes on directly before the window, for reading the server's sensors")
	fl.DurationVar(&f.cfg.ProbeFor, "probe-for", 0, "how long the load goes on unmeasured between warm-up and window, for sensors that disturb")
	fl.IntVar(&f.cfg.Slices, "slices", 20, "slices of the window in the report, each with its own figures")
	fl.StringVar(&f.requests, "requests", "", "file for the times of each request of the window, written when all is over: CSV, in ns since its begin")
	fl.IntVar(&f.cfg.Requests, "requests-most", 1_000_000, "with --requests: the most that are kept, 40 bytes each; how many are left out is reported")
	fl.BoolVar(&f.calibrate, "calibrate", false, "measure what the load can do by itself: it records answers of --target and asks a peer that gives them again")
	fl.StringVar(&f.peerCPUs, "peer-cpus", "", "with --calibrate: CPUs of that peer, e.g. 0")
	fl.Float64Var(&f.cfg.Capacity, "capacity", 0, "what --calibrate found, in requests per second: a run near it is suspect; 0: not known")
	fl.StringVar(&f.slo, "slo", "", "search the highest rate that keeps this, from --rate on, e.g. p99=1ms; in place of --duration each try takes --slo-for")
	fl.StringVar(&f.precision, "slo-precision", "5%", "with --slo: how near the rate is found")
	fl.DurationVar(&f.sloFor, "slo-for", time.Second, "with --slo: length of a try; each rate is tried two or three times")
	shapeFlags(fl, &f.cfg.Shape)
	fl.DurationVar(&f.cfg.Tail, "tail", 0, "how long requests go on after the window, for sensors that disturb")
	fl.DurationVar(&f.cfg.Drain, "drain", 5*time.Second, "longest wait for the last answers")
	fl.Uint64Var(&f.cfg.Seed, "seed", 1, "decides arrivals and requests")
	fl.BoolVar(&f.closed, "closed", false, "closed loop: --outstanding requests on each connection, --rate is ignored")
	fl.IntVar(&f.cfg.Outstanding, "outstanding", 1, "with --closed")
	fl.IntVar(&f.cfg.Speakers, "speakers", 0, "with --closed: connections that ask, the others only listen; 0: all")
	fl.StringVar(&f.cpus, "cpus", "", "CPUs of the load, e.g. 1")
	fl.IntVar(&f.idle.Conns, "idle-conns", 0, "connections opened before all else on which nothing happens; with --conns 0 they are held until interrupted")
	fl.IntVar(&f.idle.SourceAddrs, "source-addrs", 0, "of --idle-conns: loopback addresses that they come from, 127.0.0.2 and up; 0: as many as are needed")
	fl.IntVar(&f.idle.EchoBytes, "idle-echo", 0, "of --idle-conns: bytes that each sends once and must have back before it is idle; for an echo server")
	fl.Float64Var(&f.idle.ConnectRate, "idle-rate", 0, "of --idle-conns: connects per second at most; 0: no limit but 64 at a time")
	fl.IntVar(&f.work.Size, "size", echo.FrameBytes, "echo, fanout: bytes of a message, 16 to 65536, all of which must come back; echo: more than 16 for a plain server only")
	fl.Float64Var(&f.work.DiskShare, "disk-share", 0, "echo: share of requests that read from disk, 0 to 1")
	fl.StringSliceVar(&f.work.Files.Paths, "path", []string{"/"}, "fileserver: what is asked for, at random if there are several")
	fl.StringVar(&f.work.Files.Root, "root", "", "fileserver: the folder that is served, to see what the answers are to be; empty: as the first of each")
	fl.StringVar(&f.work.Game.Prefix, "prefix", "bot", "game: what the players' names begin with")
	fl.IntVar(&f.work.Game.Move, "moves", 0, "game: weight of moves; all weights 0: the default mix")
	fl.IntVar(&f.work.Game.Chat, "chats", 0, "game: weight of chat lines")
	fl.IntVar(&f.work.Game.Ping, "pings", 0, "game: weight of pings")
	fl.IntVar(&f.work.Game.Save, "saves", 0, "game: weight of saves")
	fl.IntVar(&f.work.Game.Rank, "rankings", 0, "game: weight of rankings, for a server with --ledger")
	fl.BoolVar(&f.json, "json", false, "phases and the report as lines of JSON")
	return c
}

// shapeFlags are those of load.Shape.Flags.
func shapeFlags(fl *pflag.FlagSet, s *load.Shape) {
	fl.StringVar(&s.Arrivals, "arrivals", load.ArrivalsPoisson, "poisson, constant (even distances) or bursts")
	fl.IntVar(&s.BurstSize, "burst-size", 0, "with --arrivals bursts: requests at one moment; the moments are at even distances")
	fl.Float64Var(&s.RampFrom, "ramp-from", 0, "requests per second when the window begins: they grow evenly to --rate at its end; 0: no ramp")
	fl.Float64Var(&s.ReconnectPerS, "reconnect-rate", 0, "connections per second that are closed, when nothing is open on them, and made anew")
	fl.IntVar(&s.StormConns, "storm-conns", 0, "connections more that connect at once, --storm-at; they say hello and are asked nothing")
	fl.DurationVar(&s.StormAt, "storm-at", 0, "when, counted from the begin of the window")
	fl.Float64Var(&s.SlowShare, "slow-share", 0, "share of the connections that read slowly, 0 to 1: what is asked on them is counted apart")
	fl.IntVar(&s.SlowBytesPerS, "slow-rate", 0, "of --slow-share: bytes per second that each reads at most")
	fl.DurationVar(&s.Timeout, "timeout", 0, "requests without answer for so long are counted as timed out, and waited for all the same; 0: none")
	fl.IntVar(&s.Threads, "threads", 1, "threads of the load, each with its share of connections and rate, on a CPU each if --cpus has enough")
	fl.DurationVar(&s.WarmupMost, "warmup-most", 0, "longest warm-up: it lasts --warmup at least, and until the answers are steady by test; 0: just --warmup")
}

func drive(ctx context.Context, f *loadFlags) (err error) {
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
	if f.idle.Conns > 0 {
		held, e := openIdle(ctx, f, out)
		if e != nil {
			return e
		}
		defer held.Close()
		if f.cfg.Conns == 0 {
			<-ctx.Done()
			return allThere(held)
		}
		defer func() { err = errors.Join(err, allThere(held)) }()
	}
	switch {
	case f.calibrate:
		return calibrate(ctx, f, out)
	case f.slo != "":
		return searchSLO(ctx, f, out)
	}
	f.cfg.OnPhase = func(p load.Phase) {
		mu.Lock()
		defer mu.Unlock()
		if f.json {
			_ = out.Encode(trial.LoadLine{Phase: &p})
		} else {
			fmt.Fprintf(os.Stderr, "%s\n", p.Name)
		}
	}
	if f.requests == "" {
		f.cfg.Requests = 0
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
		err = errors.Join(err, writeRequests(f.requests, rep.Requests))
	}
	return err
}

// calibrate is --calibrate.
func calibrate(ctx context.Context, f *loadFlags, out *json.Encoder) error {
	peers, err := parseCPUs(f.peerCPUs)
	if err != nil {
		return err
	}
	c, err := load.Calibrate(ctx, load.CalibrateConfig{Workload: f.workload, Load: f.cfg.Load, Target: f.cfg.Target, CPUs: f.cfg.CPUs, PeerCPUs: peers,
		Threads: f.cfg.Shape.Threads, For: time.Second})
	if err != nil {
		return err
	}
	if f.json {
		return out.Encode(trial.LoadLine{Capacity: &c})
	}
	if c.Unavailable != "" {
		fmt.Println("the load's capacity is not known:", c.Unavailable)
		return nil
	}
	atLeast := ""
	if c.AtLeast {
		atLeast = "at least "
	}
	fmt.Printf("the load can do %s%.0f requests/s with %d thread(s); its peer was idle for %.0f %%; by its busy time %.0f/s\npacing p99 %.1f us at %.0f/s\n",
		atLeast, c.PerS, c.Threads, 100*c.PeerIdle, c.ByBusyTimePerS, c.PacingP99Us, c.PacingRate)
	return nil
}

// searchSLO is --slo.
func searchSLO(ctx context.Context, f *loadFlags, out *json.Encoder) error {
	slo, err := load.ParseSLO(f.slo)
	if err != nil {
		return exitErr{exitUsage, err}
	}
	if slo.Precision, err = parseShare(f.precision); err != nil {
		return usage("--slo-precision %q: want a share like 5%% or 0.05", f.precision)
	}
	slo.For, f.cfg.Requests = f.sloFor, 0
	r, err := load.SearchSLO(ctx, f.cfg, slo, func(t load.SLOTry) {
		if !f.json {
			kept := "kept"
			if !t.Kept {
				kept = "not kept: " + t.Why
			}
			fmt.Fprintf(os.Stderr, "%12.0f/s  %s %10.1f us  load busy %3.0f %%  %s\n", t.RatePerS, slo, t.ValueUs, 100*t.LoadBusy, kept)
		}
	})
	if err != nil {
		return err
	}
	if f.json {
		return out.Encode(trial.LoadLine{SLO: r})
	}
	fmt.Printf("%s is kept up to %.0f requests/s; limit: %s (%s)\n", r.SLO, r.RatePerS, r.Limit, r.Why)
	return nil
}

// parseShare reads "5%" or "0.05".
func parseShare(text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	return v, err
}

// writeRequests writes the file of --requests, if there is one.
func writeRequests(path string, r *load.RequestsReport) error {
	if path == "" || r == nil {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("cannot write the requests (--requests): %w", err)
	}
	if err := errors.Join(r.WriteCSV(file), file.Close()); err != nil {
		return fmt.Errorf("cannot write the requests (--requests): %w", err)
	}
	return nil
}

// openIdle opens the idle connections and says so.
func openIdle(ctx context.Context, f *loadFlags, out *json.Encoder) (*load.Idlers, error) {
	f.idle.Target = f.cfg.Target
	held, err := load.OpenIdle(ctx, f.idle)
	if err != nil {
		return nil, err
	}
	r := held.Report()
	if f.json {
		return held, out.Encode(trial.LoadLine{Idle: &r})
	}
	fmt.Fprintf(os.Stderr, "idle: %d connections from %d addresses in %.2f s (%.0f/s)\n", r.Conns, max(r.SourceAddrs, 1), r.ConnectS, r.RatePerS)
	return held, nil
}

// allThere is an error if idle connections have ended.
func allThere(held *load.Idlers) error {
	lost, err := held.Lost()
	if lost > 0 {
		err = fmt.Errorf("%d of %d idle connections were lost", lost, held.Report().Conns)
	}
	return err
}

func printReport(r *load.Report) {
	fmt.Printf("%s loop, %d connections, %.2f s: offered %.0f/s, answered %.0f/s, errors %d, disconnects %d\n",
		r.Mode, r.Conns, r.DurationS, r.Offered, r.Throughput, r.Counts.Errors(), r.Counts.Disconnects)
	if r.Deliveries > 0 {
		fmt.Printf("delivered %.0f messages/s\n", r.Deliveries)
	}
	fmt.Printf("%-10s %9s %10s %10s %10s %10s %10s\n", "latency us", "count", "p50", "p90", "p99", "p99.9", "max")
	for _, k := range append(r.Kinds[:len(r.Kinds):len(r.Kinds)], r.All) {
		l := k.Latency
		fmt.Printf("%-10s %9d %10.1f %10.1f %10.1f %10.1f %10.1f\n", k.Name, l.Count, l.P50Us, l.P90Us, l.P99Us, l.P999Us, l.MaxUs)
	}
	if p := r.Self.Pacing; p.Count > 0 {
		fmt.Printf("%-10s %9d %10.1f %10.1f %10.1f %10.1f %10.1f\n", "pacing us", p.Count, p.P50Us, p.P90Us, p.P99Us, p.P999Us, p.MaxUs)
	}
	steady := "the answers were steady"
	if !r.WarmupSteady {
		steady = "the answers were not found steady"
	}
	fmt.Printf("warm-up %.2f s: %s; in flight on average %.2f; the load was busy for %.0f %%\n", r.WarmupS, steady, r.MeanInFlight, 100*r.Self.Busy)
	printConnects("storm", r.Storm)
	printConnects("reconnects", r.Reconnects)
	if s := r.Slow; s != nil {
		fmt.Printf("slow readers: %d connections, asked %d, answered %d, p50 %.0f us, p99 %.0f us\n", s.Conns, s.Intended, s.Answered, s.Latency.Latency.P50Us, s.Latency.Latency.P99Us)
	}
	for _, s := range r.Suspicions {
		fmt.Println("suspect:", s)
	}
	if r.LastFailure != "" {
		fmt.Println("last failure:", r.LastFailure)
	}
}

func printConnects(what string, r *load.ConnectReport) {
	if r == nil {
		return
	}
	fmt.Printf("%s: %d begun, %d connected, %d failed; connect us p50 %.1f p99 %.1f max %.1f; hello us p50 %.1f p99 %.1f max %.1f\n", what, r.Begun, r.Connected, r.Failed,
		r.Connect.P50Us, r.Connect.P99Us, r.Connect.MaxUs, r.Hello.P50Us, r.Hello.P99Us, r.Hello.MaxUs)
}
