package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/syslet/syslet/lab/files"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/filework"
)

// filesFlags are the flags of syslet files.
type filesFlags struct {
	model, fio, pattern, cpus, profile string
	hot, json                          bool
	spec                               files.Spec
	opts                               runtime.Options
}

func newFiles() *cobra.Command {
	var f filesFlags
	c := &cobra.Command{
		Use:   "files",
		Short: "Read or write a file through syslets, or by fio, and say how fast",
		Long: `Keep a number of syslets in flight that read or write a file at random offsets, under a model; or have fio do
the same with one of its engines, on the same file and CPUs.

  syslet files --model iouring --file data --pattern randread --depth 32 --direct --block 4096 --duration 2s --cpus 0 --json
  syslet files --fio io_uring --file data --depth 32 --direct --cpus 0

Without --direct the page cache is emptied of the file before (and fills as it is read), or with --hot filled with it.
With --json the result is a line of JSON, as experiments read it.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runFiles(c.Context(), &f) },
	}
	fl, w := c.Flags(), &f.spec.Work
	fl.StringVar(&f.model, "model", "iouring", "one of "+strings.Join(models.AllNames(), ", "))
	fl.StringVar(&f.fio, "fio", "", "have fio do it, with this engine: "+strings.Join(files.Engines(), ", "))
	fl.StringVar(&w.File, "file", "", "the file; made and filled if it is not there or too short")
	fl.Int64Var(&w.Bytes, "size", 1<<30, "bytes of the file to work on")
	fl.StringVar(&f.pattern, "pattern", string(filework.RandRead), "randread; writesync: write, then fsync; writedatasync")
	fl.IntVar(&w.Depth, "depth", 32, "syslets in flight")
	fl.IntVar(&w.BlockBytes, "block", 4096, "bytes per read or write")
	fl.BoolVar(&w.Direct, "direct", false, "past the page cache (O_DIRECT)")
	fl.BoolVar(&f.hot, "hot", false, "read the file into the page cache before")
	fl.Uint64Var(&w.Seed, "seed", 1, "decides the offsets")
	fl.DurationVar(&f.spec.Duration, "duration", 2*time.Second, "length of the measured window")
	fl.DurationVar(&f.spec.Warmup, "warmup", 300*time.Millisecond, "length of the warm-up before it")
	fl.StringVar(&f.cpus, "cpus", "", "CPUs of the whole process, e.g. 0")
	fl.IntVar(&f.opts.Standbys, "standbys", 0, "threadlet: spare threads; 0: from --depth")
	fl.IntVar(&f.opts.Helpers, "helpers", 0, "nonblock: helper threads; 0: from --depth")
	fl.StringVar(&f.opts.Detector, "detector", "auto", "threadlet: of unannounced blocks")
	fl.StringVar(&f.profile, "cpu-profile", "", "write a profile for go tool pprof")
	fl.BoolVar(&f.json, "json", false, "a line of JSON")
	return c
}

func (f *filesFlags) check() (err error) {
	if f.spec.CPUs, err = parseCPUs(f.cpus); err != nil {
		return err
	}
	w := &f.spec.Work
	w.Pattern = filework.Pattern(f.pattern)
	switch {
	case w.File == "":
		return usage("--file: want the file to work on")
	case f.hot && w.Direct:
		return usage("--hot and --direct: O_DIRECT goes past the page cache")
	case f.spec.Duration < 100*time.Millisecond || f.spec.Warmup < 0:
		return usage("--duration %v, --warmup %v: want at least 100ms, and no negative one", f.spec.Duration, f.spec.Warmup)
	case f.fio != "" && !slices.Contains(files.Engines(), f.fio):
		return usage("--fio %q: want one of %s", f.fio, strings.Join(files.Engines(), ", "))
	}
	if _, err := filework.New(*w); err != nil {
		return exitErr{exitUsage, err}
	}
	return nil
}

func runFiles(ctx context.Context, f *filesFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.fio != "" {
		if err := files.FioAbsent(); err != nil {
			return err
		}
	}
	if err := bindProcess(f.spec.CPUs); err != nil {
		return err
	}
	if err := f.prepare(); err != nil {
		return err
	}
	res, err := f.run(ctx)
	if err != nil {
		return err
	}
	if f.json {
		return json.NewEncoder(os.Stdout).Encode(res)
	}
	f.print(res)
	return nil
}

func (f *filesFlags) prepare() error {
	w := &f.spec.Work
	made, err := files.Make(w.File, w.Bytes)
	if err != nil {
		return err
	}
	if made && !f.json {
		fmt.Fprintf(os.Stderr, "made %s, %d bytes\n", w.File, w.Bytes)
	}
	if f.hot {
		return files.Heat(w.File, w.Bytes)
	}
	return files.Chill(w.File)
}

func (f *filesFlags) run(ctx context.Context) (files.Result, error) {
	if f.fio != "" {
		return files.RunFio(ctx, f.spec, f.fio)
	}
	o, notes := files.Options(f.model, f.spec.Work.Depth, f.spec.CPUs)
	o.Detector = f.opts.Detector
	if f.opts.Standbys != 0 || f.opts.Helpers != 0 {
		o.Standbys, o.Helpers, notes = f.opts.Standbys, f.opts.Helpers, nil
	}
	if f.profile != "" {
		out, err := os.Create(f.profile)
		if err != nil {
			return files.Result{}, fmt.Errorf("cannot write the profile (--cpu-profile): %w", err)
		}
		defer out.Close()
		if err := pprof.StartCPUProfile(out); err != nil {
			return files.Result{}, err
		}
		defer pprof.StopCPUProfile()
	}
	res, err := files.RunModel(ctx, f.spec, f.model, o)
	res.Notes = append(res.Notes, notes...)
	return res, err
}

// print is for people: what is missing says why.
func (f *filesFlags) print(res files.Result) {
	w, what := &f.spec.Work, f.model
	if f.fio != "" {
		what = "fio " + f.fio
	}
	cache := "page cache cold at the start"
	switch {
	case w.Direct:
		cache = "O_DIRECT"
	case f.hot:
		cache = "page cache hot"
	}
	fmt.Printf("%s: %s of %d bytes, depth %d, %s, %.2f s\n", what, w.Pattern, w.BlockBytes, w.Depth, cache, res.DurationS)
	for _, name := range result.Names() {
		m, ok := res.Metrics[name]
		switch {
		case !ok:
		case m.Available():
			fmt.Printf("  %-50s %14.2f %s\n", result.Describe(name).Label, m.Value, m.Unit)
		default:
			fmt.Printf("  %-50s %14s %s\n", result.Describe(name).Label, "-", m.Unavailable)
		}
	}
	for _, r := range res.Reasons {
		fmt.Println("  suspect:", r)
	}
	for _, n := range res.Notes {
		fmt.Println("  note:", n)
	}
}
