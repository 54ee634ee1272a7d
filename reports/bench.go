package reports

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/syslet/syslet/lab/result"
)

// BenchOptions say what the head of the format has beside the machine.
type BenchOptions struct {
	// Config are more configuration lines, name and value: with {"run", "base"} before
	// one run and {"run", "new"} before another in one file, benchstat -col run
	// compares the two.
	Config [][2]string
	// Omit are names of configuration lines that become comments. benchstat makes a
	// table of its own of each configuration, and what two runs differ in on purpose
	// would keep them apart.
	Omit []string
}

// Bench writes the Go benchmark format (golang.org/design/14313-benchmark-format):
// one line for each counted trial, so that benchstat sees rounds as samples.
// The source is part of a cache metric's unit, because sources are different
// quantities.
func Bench(to io.Writer, run *result.Run, o BenchOptions) error {
	w := bufio.NewWriter(to)
	for _, c := range o.Config {
		fmt.Fprintf(w, "%s: %s\n", c[0], oneLine(c[1]))
	}
	if env := run.Environment; env != nil {
		if env.Commit != "" {
			fmt.Fprintf(w, "# commit %s\n", oneLine(env.Commit))
		}
		for _, c := range [][2]string{{"goos", env.OS}, {"goarch", env.Arch}, {"cpu", env.CPUModel}, {"kernel", env.Kernel}, {"go", env.GoVersion}} {
			switch {
			case c[1] == "":
			case slices.Contains(o.Omit, c[0]):
				fmt.Fprintf(w, "# %s %s\n", c[0], oneLine(c[1]))
			default:
				fmt.Fprintf(w, "%s: %s\n", c[0], oneLine(c[1]))
			}
		}
	}
	units := map[string]result.Direction{}
	for i := range run.Trials {
		if t := &run.Trials[i]; t.Counted() {
			for name, m := range t.Metrics {
				units[benchUnit(name, m)] = result.Describe(name).Better
			}
		}
	}
	for _, unit := range slices.Sorted(maps.Keys(units)) {
		switch units[unit] {
		case result.Lower:
			fmt.Fprintf(w, "Unit %s better=lower assume=nothing\n", unit)
		case result.Higher:
			fmt.Fprintf(w, "Unit %s better=higher assume=nothing\n", unit)
		default:
			fmt.Fprintf(w, "Unit %s assume=nothing\n", unit)
		}
	}
	fmt.Fprintln(w)
	for i := range run.Trials {
		if t := &run.Trials[i]; t.Counted() {
			benchLine(w, t)
		}
	}
	return w.Flush()
}

// benchLine leaves out what is unavailable: the format has no word for it.
func benchLine(w *bufio.Writer, t *result.Trial) {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(t.Metrics)) {
		if m := t.Metrics[name]; m.Available() {
			pairs = append(pairs, exact(m.Value)+" "+benchUnit(name, m))
		}
	}
	if len(pairs) == 0 {
		return
	}
	fmt.Fprintf(w, "Benchmark%s/model=%s", camel(t.Experiment), benchName(t.Model))
	for _, name := range slices.Sorted(maps.Keys(t.Factors)) {
		fmt.Fprintf(w, "/%s=%s", benchName(name), benchName(t.Factors[name]))
	}
	fmt.Fprintf(w, " %d %s\n", iterations(t), strings.Join(pairs, " "))
}

// iterations is the number of requests answered, and 1 where it is unknown.
func iterations(t *result.Trial) int64 {
	if n, ok := t.Value(result.Operations); ok && n >= 1 {
		return int64(n)
	}
	if rate, ok := t.Value(result.Throughput); ok && rate*t.DurationS >= 1 {
		return int64(math.Round(rate * t.DurationS))
	}
	return 1
}

// benchUnit is "p99-us" for latency_p99, "cpu-us/op" for cpu_per_op,
// "cache_misses-probe/op", "rss-bytes", "errors".
func benchUnit(name string, m result.Metric) string {
	base, perOp := strings.CutSuffix(strings.TrimPrefix(name, "latency_"), "_per_op")
	if name == result.CacheMissesPerOp {
		base += "-" + m.Source
	}
	switch m.Unit {
	case "1":
	case "1/s":
		base += "/s"
	default:
		base += "-" + m.Unit
	}
	if perOp {
		base += "/op"
	}
	return oneWord(base)
}

// camel makes "game-mix" into "GameMix", as benchmark names must start with a capital.
func camel(s string) string {
	var b strings.Builder
	up := true
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			up = true
			continue
		}
		if up {
			r = unicode.ToUpper(r)
		}
		up = false
		b.WriteRune(r)
	}
	if b.Len() == 0 {
		return "X"
	}
	return b.String()
}

// benchName keeps a part of a name one part: a "-8" at the end would read as
// GOMAXPROCS, a slash as a further part.
func benchName(s string) string {
	s = strings.ReplaceAll(oneWord(s), "/", "_")
	if i := strings.LastIndexByte(s, '-'); i >= 0 && i+1 < len(s) && strings.Trim(s[i+1:], "0123456789") == "" {
		s = s[:i] + "_" + s[i+1:]
	}
	return s
}

func oneWord(s string) string { return strings.Join(strings.Fields(s), "_") }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
