package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/syslet/syslet/lab/admin"
	"github.com/syslet/syslet/lab/ballast"
	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/models/threadlet"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads"
	"github.com/syslet/syslet/workloads/game/ledger"
)

// serveFlags are the flags of syslet serve.
type serveFlags struct {
	model, workload, cpus, admin, files, strategy, ring string
	probe, json                                         bool
	ledgerQuery                                         time.Duration
	stopTimeout                                         time.Duration
	unread, unsent                                      string
	opts                                                runtime.Options
	work                                                workloads.ServerConfig
	ballast                                             ballast.Config
	realtime                                            bool
	handicapCPUNs                                       int64
}

func newServe() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve a workload under a model",
		Long: `Serve a workload under a model until interrupted; then close every connection in good order, save
what there is to save, and end.

With --admin, /debug/blocks says which lines of the server held its loops up, how often and for how long
(curl http://ADDRESS/debug/blocks), /metrics is for Prometheus, /debug/pprof for go tool pprof.

  syslet serve --model threadlet --workload game --dir players --listen 127.0.0.1:7777 --cpus 0 --admin 127.0.0.1:7780`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return serve(c.Context(), &f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.model, "model", "nonblock", "one of "+strings.Join(models.AllNames(), ", "))
	fl.StringVar(&f.workload, "workload", workloads.Game, "one of "+strings.Join(workloads.Names(), ", "))
	fl.StringVar(&f.opts.Listen, "listen", "127.0.0.1:7777", "address to serve on; port 0 takes a free one")
	fl.StringVar(&f.admin, "admin", "", "address for /metrics, /stats, /debug/blocks and /debug/pprof; empty: none")
	fl.StringVar(&f.cpus, "cpus", "", "CPUs of the whole process, e.g. 0 or 0,2-3; shards are bound to them in turn")
	fl.IntVar(&f.opts.Shards, "shards", 1, "number of loops")
	fl.StringVar(&f.files, "files", "helpers", "nonblock only: helpers, or inline (what blocks blocks the loop, functions too)")
	fl.IntVar(&f.opts.Helpers, "helpers", 0, "helper threads per shard (nonblock, iouring); 0: the default")
	fl.StringVar(&f.ring, "ring", "", "iouring: how the ring is used, e.g. direct,quiet-sends=off,spin=20us; one of "+
		strings.Join(runtime.RingSwitches(), ", ")+" (=on, =off), gather=, spin=, kernel=; empty: the defaults")
	fl.IntVar(&f.opts.RingEntries, "ring-entries", 0, "iouring: size of the submission queue; 0: the default")
	fl.IntVar(&f.opts.RingBuffers, "ring-buffers", 0, "iouring: receive buffers, a power of two; 0: the default")
	fl.IntVar(&f.opts.RingBufferBytes, "ring-buffer-bytes", 0, "iouring: size of each; 0: the default")
	fl.IntVar(&f.opts.Standbys, "standbys", 0, "spare threads per shard (threadlet); 0: the default")
	fl.StringVar(&f.opts.Detector, "detector", "auto", "of unannounced blocks (threadlet): auto, idle, switch, timer, explicit; idle needs --cpus")
	fl.StringVar(&f.strategy, "strategy", "auto", "for ops that have a nonblocking form (threadlet): auto, try (and announce), detect (call and see)")
	fl.DurationVar(&f.opts.Overrun, "overrun", 0, "a threadlet's function that computes for longer loses the loop (threadlet); 0: the default, negative: never")
	fl.DurationVar(&f.opts.BlockThreshold, "block-threshold", 0, "look where the loop is held up for longer than that (/debug/blocks); 0: the default, negative: never")
	fl.BoolVar(&f.opts.CountEveryBlock, "count-every-block", false, "count blocks below --block-threshold always, not in spot checks: 2 us of CPU for each sleep of a loop")
	fl.IntVar(&f.opts.MaxConns, "max-conns", 0, "connections per shard; 0: the default")
	fl.IntVar(&f.opts.MaxConnsPerAddr, "max-conns-per-addr", 0, "connections per address and shard; 0: no bound")
	fl.IntVar(&f.opts.MaxUnsent, "max-unsent", 0, "unsent bytes per connection; 0: the default")
	fl.StringVar(&f.unsent, "unsent-policy", "close", "at --max-unsent: close, drop or pause")
	fl.IntVar(&f.opts.MaxUnread, "max-unread", 0, "unconsumed bytes per connection; 0: the default")
	fl.StringVar(&f.unread, "unread-policy", "close", "at --max-unread: close or pause")
	fl.DurationVar(&f.opts.IdleTimeout, "idle-timeout", 0, "close connections that send nothing for so long; 0: never")
	fl.StringVar(&f.work.DiskFile, "disk-file", "", "echo: speak frames, and read from this file past the page cache on request")
	fl.Int64Var(&f.handicapCPUNs, "handicap-cpu-ns", 0, "echo, with requests of 16 bytes: compute for so long more, in ns, for each request (see syslet lab check ab)")
	fl.DurationVar(&f.work.Handicap.Delay, "handicap-delay", 0, "echo, with requests of 16 bytes: answer --handicap-share of them so much later; the loop goes on")
	fl.Float64Var(&f.work.Handicap.Share, "handicap-share", 0, "of --handicap-delay, 0 to 1, e.g. 0.01")
	fl.Uint64Var(&f.work.Handicap.Seed, "handicap-seed", 1, "with --handicap-delay: decides which requests are late")
	fl.StringVar(&f.work.Files.Root, "root", "", "fileserver: the folder that is served")
	fl.DurationVar(&f.work.Files.Valid, "file-valid", 0, "fileserver: for how long an open file is served without a look whether it has changed; 0: 1s, negative: not at all")
	fl.StringVar(&f.work.Game.Dir, "dir", "players", "game: folder of the players' files")
	fl.StringVar(&f.work.Game.Datapack, "datapack", "", "game: folder of the maps; empty: those compiled in")
	fl.IntVar(&f.work.Game.Rate, "max-rate", 0, "game: messages per second that a player may send; 0: the default, negative: any")
	fl.DurationVar(&f.work.Game.SaveEvery, "save-every", 0, "game: period of saving; 0: the default, negative: never")
	fl.StringVar(&f.work.Ledger, "ledger", "", "game: folder of a ledger of what players have done, an SQLite database; empty: none, and RANKING is refused")
	fl.DurationVar(&f.ledgerQuery, "ledger-query", 0, "with --ledger: make up as much of a past as it takes for a ranking to take so long on this machine; 0: leave it as it is")
	fl.BoolVar(&f.probe, "probe", false, "have a cache probe that /probe/start switches on (one shard only)")
	fl.Int64Var(&f.ballast.Bytes, "ballast", 0, "bytes of live heap, of small linked objects, that the collector finds beside the server")
	fl.Int64Var(&f.ballast.GarbagePerS, "garbage", 0, "bytes of garbage per second made beside the server")
	fl.IntVar(&f.ballast.Percent, "gogc", 0, "with --ballast or --garbage: GOGC while the server runs; 0: leave it")
	fl.BoolVar(&f.realtime, "realtime", false, "give the loops' threads a real-time class: a garbage collector on their CPUs does not hold them up (CAP_SYS_NICE)")
	fl.BoolVar(&f.json, "json", false, "say what is served as a line of JSON")
	fl.DurationVar(&f.stopTimeout, "stop-timeout", 10*time.Second, "how long an orderly end may take")
	return c
}

// probeEvery is the requests between filling the probe's buffer and timing it:
// few, because a game's tick between them already displaces most of it.
const probeEvery = 2

func (f *serveFlags) check() error {
	if f.opts.Listen == "" {
		return usage("--listen is empty: want an address, e.g. 127.0.0.1:7777; port 0 takes a free one")
	}
	cpus, err := parseCPUs(f.cpus)
	if err != nil {
		return err
	}
	f.opts.CPUs = cpus
	if f.opts.Strategy, err = runtime.ParseStrategy(f.strategy); err != nil {
		return usage("--strategy: %v", err)
	}
	if f.opts.Ring, err = runtime.ParseRing(f.ring); err != nil {
		return usage("--ring: %v", err)
	}
	switch f.files {
	case "helpers":
	case "inline":
		f.opts.Files = runtime.FilesInline
	default:
		return usage("--files %q: want helpers or inline", f.files)
	}
	policies := map[string]runtime.Policy{"close": runtime.PolicyClose, "drop": runtime.PolicyDrop, "pause": runtime.PolicyPause}
	var ok1, ok2 bool
	f.opts.UnsentPolicy, ok1 = policies[f.unsent]
	f.opts.UnreadPolicy, ok2 = policies[f.unread]
	if !ok1 || !ok2 {
		return usage("--unsent-policy %q, --unread-policy %q: want close, drop or pause", f.unsent, f.unread)
	}
	if f.ledgerQuery < 0 || f.ledgerQuery > 0 && f.work.Ledger == "" {
		return usage("--ledger-query %v: want a duration, and --ledger with it", f.ledgerQuery)
	}
	if f.work.Handicap.CPU = time.Duration(f.handicapCPUNs); f.handicapCPUNs == 0 && f.work.Handicap.Delay == 0 && f.work.Handicap.Share == 0 {
		f.work.Handicap.Seed = 0 // no handicap: no seed either
	}
	if err := f.work.Handicap.Check(); err != nil {
		return usage("--handicap-cpu-ns, --handicap-delay, --handicap-share: %v", err)
	}
	if f.probe && f.opts.Shards > 1 {
		return usage("--probe measures one loop; it goes with --shards 1 only")
	}
	return nil
}

func serve(ctx context.Context, f *serveFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := bindProcess(f.opts.CPUs); err != nil {
		return err
	}
	side := admin.Config{Model: f.model, Workload: f.workload, Detail: detailOf(f)}
	if f.probe {
		// Calibrated on a thread that has the loop's CPU.
		var err error
		if side.Probe, err = sensor.NewCacheProbe(sensor.ProbeConfig{Every: probeEvery}); err != nil {
			side.ProbeRefused = err.Error()
		} else {
			defer side.Probe.Close()
			var seen uint64 // the head's alone
			f.opts.OnTurn = func(_ *runtime.Shard, callbacks uint64) {
				side.Probe.OnTurn(callbacks - seen)
				seen = callbacks
			}
		}
	} else {
		side.ProbeRefused = "serve was not given --probe"
	}
	if err := f.prepareLedger(&side); err != nil {
		return err
	}
	newApp, err := workloads.Server(f.workload, f.work)
	if err != nil {
		return err
	}
	if f.ballast != (ballast.Config{}) {
		b, err := ballast.Start(f.ballast)
		if err != nil {
			return exitErr{exitUsage, err}
		}
		defer b.Stop()
	}
	srv, err := models.Open(f.model, f.opts)
	if err != nil {
		return err
	}
	if err := srv.Start(newApp); err != nil {
		return err
	}
	if f.realtime {
		if _, err := srv.RealtimeLoops(); err != nil {
			return err
		}
	}
	side.Server = srv
	side.Counters = func(ctx context.Context) (map[string]uint64, error) { return workloads.Counters(ctx, f.workload, srv) }
	return serveUntil(ctx, f, srv, side)
}

// prepareLedger gives the ledger a past that costs what was asked for, on the CPUs
// that the server will have, and says what was measured.
func (f *serveFlags) prepareLedger(side *admin.Config) error {
	if f.ledgerQuery == 0 {
		return nil
	}
	l, err := ledger.Open(f.work.Ledger)
	if err != nil {
		return err
	}
	cost, err := l.Calibrate(f.ledgerQuery)
	if err := errors.Join(err, l.Close()); err != nil {
		return err
	}
	side.Detail["ledger"] = cost.String()
	fmt.Fprintf(os.Stderr, "ledger: %s\n", cost)
	return nil
}

// detailOf says what was chosen by probe.
func detailOf(f *serveFlags) map[string]string {
	d := map[string]string{"go": goruntime.Version()}
	if f.model == "threadlet" && f.opts.Detector == "auto" {
		cpu := -1
		if len(f.opts.CPUs) > 0 {
			cpu = f.opts.CPUs[0]
		}
		for _, c := range threadlet.Detectors(cpu) {
			if c.Refused == nil {
				d["detector"] = c.Name
				break
			}
			d["detector_"+c.Name+"_refused"] = c.Refused.Error()
		}
	}
	return d
}

func serveUntil(ctx context.Context, f *serveFlags, srv *runtime.Server, side admin.Config) error {
	ready := trial.Ready{Listen: srv.Addr().String(), PID: os.Getpid()}
	var door *admin.Admin
	if f.admin != "" {
		var err error
		if door, err = admin.Start(f.admin, side); err != nil {
			return err
		}
		ready.Admin = door.Addr().String()
	}
	if f.json {
		if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
			return err
		}
	} else {
		fmt.Printf("serving %s under %s on %s, %d shard(s), CPUs %v", f.workload, f.model, ready.Listen, f.opts.Shards, f.opts.CPUs)
		if door != nil {
			fmt.Printf(", admin on http://%s", ready.Admin)
		}
		fmt.Println("; interrupt to end")
	}
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.Background(), f.stopTimeout)
	defer cancel()
	err := srv.Stop(stop)
	if door != nil {
		_ = door.Stop(stop)
	}
	return err
}
