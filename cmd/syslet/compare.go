package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/syslet/syslet/lab/compare"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/reports"
)

// compareFlags are the flags of syslet lab compare.
type compareFlags struct {
	format, out, noise  string
	metrics             string
	only                []string
	force, gate, strict bool
}

// formats of lab compare, with the file that --out gets of each.
var formats = map[string]string{"text": "compare.txt", "markdown": "compare.md", "json": "compare.json", "bench": ""}

const compareHelp = `Compare two runs of the same machine, BASE and NEW, cell by cell: the rounds of one model at one combination of
levels against the same of the other run. A change is a regression, and the exit code 3, if it is worse and
  - significant: Mann-Whitney over the rounds, p below 0.05 after Holm's correction for all comparisons made;
  - beyond the noise bound of its metric: --noise, or by how much BASE differs from itself (odd against even rounds, first
    against second half) if that is more; by default 5%, of p99 10%, of p99.9 and the maximum 20%;
  - and its interval excludes no change.
Fewer comparisons (--metrics, --only) and more rounds find smaller changes; what the rounds could have shown stands beside
each comparison. Cells and metrics that only one run has, or that had another load, are listed and not compared.

A baseline of another machine is refused (--force compares, and every output says so): another CPU model or number of
CPUs, memory, hypervisor, operating system, or number of CPUs for the server or the load. Another kernel or Go
version is often what is to be compared: that is a warning, and so is a load that by itself was faster or slower.

--gate is for CI: it prints nothing if all is well, otherwise a line for each regression, and one for what could not be decided
(too few rounds, parts of BASE that NEW lacks). Undecided is no failure unless --strict, which then ends with code 4.
The default metrics are METRICS.

  syslet lab compare results/base results/new
  syslet lab compare results/base results/new --metrics latency_p99,cpu_per_op --noise 5%,latency_p99=15%
  syslet lab compare results/base results/new --format bench --out bench && benchstat bench/base.txt bench/new.txt

A job for CI on a machine of its own (a baseline of another machine is refused), here in the YAML of GitHub Actions:

  jobs:
    performance:
      runs-on: [self-hosted, bench]
      steps:
        - uses: actions/checkout@v4
          with: {fetch-depth: 0}
        - run: go build -o /tmp/syslet-new ./cmd/syslet
        - run: git checkout --quiet origin/main && go build -o /tmp/syslet-base ./cmd/syslet
        - run: /tmp/syslet-base lab run --experiment game-mix --out base
        - run: /tmp/syslet-new lab run --experiment game-mix --out new
        - run: /tmp/syslet-new lab compare base new --gate --strict --metrics latency_p99,cpu_per_op`

func newLabCompare() *cobra.Command {
	var f compareFlags
	c := &cobra.Command{
		Use: "compare BASE NEW", Short: "Compare two runs of the same machine; exit 3 if NEW is worse",
		Long: strings.Replace(compareHelp, "METRICS", strings.Join(compare.Metrics, ", "), 1),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage("lab compare wants two folders, BASE and NEW")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return labCompare(&f, args[0], args[1]) },
	}
	fl := c.Flags()
	fl.StringVar(&f.format, "format", "text", "text, markdown, json, or bench: Go benchmark format of both runs, for benchstat -col run")
	fl.StringVar(&f.out, "out", "", "write a file into this folder instead of printing; of bench: base.txt and new.txt")
	fl.StringVar(&f.noise, "noise", "", "smaller changes are none: 5%, or by metric: 5%,latency_p99=15%")
	fl.StringVar(&f.metrics, "metrics", "", "compare these only, e.g. latency_p99,cpu_per_op")
	fl.StringArrayVar(&f.only, "only", nil, "compare this experiment only (may be repeated)")
	fl.BoolVar(&f.force, "force", false, "compare even runs of different machines")
	fl.BoolVar(&f.gate, "gate", false, "print regressions and what is undecided, a line each; nothing if all is well")
	fl.BoolVar(&f.strict, "strict", false, "exit 4 if something could not be decided")
	return c
}

func (f *compareFlags) options() (compare.Options, error) {
	o := compare.Options{Only: f.only, Force: f.force}
	file, ok := formats[f.format]
	switch {
	case !ok:
		return o, usage("--format %q is none of text, markdown, json, bench", f.format)
	case f.gate && (f.format != "text" || f.out != ""):
		return o, usage("--gate prints lines of its own: leave out --format and --out, or call lab compare twice")
	case f.out != "" && file != "" && filepath.Ext(f.out) != "" && !isFolder(f.out):
		return o, usage("--out %s: want a folder; the file in it is called %s", f.out, file)
	}
	if f.metrics != "" {
		o.Metrics = strings.Split(f.metrics, ",")
	}
	var err error
	if o.Noise, err = compare.ParseNoise(f.noise); err != nil {
		return o, exitErr{exitUsage, fmt.Errorf("--noise: %w", err)}
	}
	return o, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func labCompare(f *compareFlags, baseDir, newDir string) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	base, err := result.Read(baseDir)
	if err != nil {
		return err
	}
	now, err := result.Read(newDir)
	if err != nil {
		return err
	}
	r, err := compare.Runs(base, now, o)
	if errors.Is(err, compare.ErrOptions) {
		return exitErr{exitUsage, err}
	}
	if err != nil {
		return err
	}
	if err := f.write(r, base, now); err != nil {
		return err
	}
	return f.verdict(r)
}

// verdict is the exit code as an error. The gate's lines say all there is to say.
func (f *compareFlags) verdict(r *compare.Report) error {
	doubts := r.Doubts()
	switch {
	case r.Count(compare.Regression) > 0:
		return exitErr{exitRegression, errors.New(r.Summary())}
	case r.Family == 0:
		return exitErr{exitInvalid, errors.New(r.Summary())}
	case f.strict && len(doubts) > 0:
		return exitErr{exitInvalid, fmt.Errorf("undecided (--strict): %d reasons, the first: %s", len(doubts), doubts[0])}
	}
	return nil
}

// write prints the report, or writes it into the folder.
func (f *compareFlags) write(r *compare.Report, base, now *result.Run) error {
	if f.gate {
		return r.WriteGate(os.Stdout)
	}
	var out bytes.Buffer
	switch f.format {
	case "bench":
		return f.writeBench(r, base, now)
	case "markdown":
		if err := r.WriteMarkdown(&out); err != nil {
			return err
		}
	case "json":
		if err := r.WriteJSON(&out); err != nil {
			return err
		}
	default:
		if err := r.WriteText(&out); err != nil {
			return err
		}
	}
	return f.put(formats[f.format], out.Bytes())
}

// put prints, or writes a file if there is a folder for it.
func (f *compareFlags) put(name string, data []byte) error {
	if f.out == "" {
		_, err := os.Stdout.Write(data)
		return err
	}
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if err := os.WriteFile(filepath.Join(f.out, name), data, 0o644); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}

// writeBench writes both runs for benchstat, which corrects for nothing and knows no
// noise bound: so warnings go to stderr, where its reader sees them.
func (f *compareFlags) writeBench(r *compare.Report, base, now *result.Run) error {
	for _, w := range r.Warnings {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
	var both bytes.Buffer
	for _, side := range []struct {
		name string
		run  *result.Run
	}{{"base", base}, {"new", now}} {
		var one bytes.Buffer
		if err := f.benchOf(&one, side.run, side.name, r); err != nil {
			return err
		}
		if f.out != "" {
			if err := f.put(side.name+".txt", one.Bytes()); err != nil {
				return err
			}
			continue
		}
		both.Write(one.Bytes())
		both.WriteByte('\n')
	}
	_, err := os.Stdout.Write(both.Bytes())
	return err
}

// benchOf is one run of both: what was asked for of it.
func (f *compareFlags) benchOf(w io.Writer, run *result.Run, name string, r *compare.Report) error {
	some := *run
	some.Trials = nil
	for _, t := range run.Trials {
		if len(f.only) == 0 || slices.Contains(f.only, t.Experiment) {
			some.Trials = append(some.Trials, f.pick(t))
		}
	}
	o := reports.BenchOptions{Omit: r.Differing()}
	if f.out == "" { // one file of both: benchstat -col run; of two it compares the files
		o.Config = append(o.Config, [2]string{"run", name})
	}
	if r.Forced {
		o.Config = append(o.Config, [2]string{"warning", r.Warnings[0]})
	}
	return reports.Bench(w, &some, o)
}

// pick leaves the metrics that were asked for in a trial.
func (f *compareFlags) pick(t result.Trial) result.Trial {
	if f.metrics == "" {
		return t
	}
	all := t.Metrics
	t.Metrics = map[string]result.Metric{}
	for _, name := range strings.Split(f.metrics, ",") {
		if m, ok := all[name]; ok {
			t.Metrics[name] = m
		}
	}
	return t
}
