package sim

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
)

// Names of the metrics, all per request and of source result.SourceSim.
const (
	I1MissesPerOp     = "sim_i1_misses_per_op"
	D1MissesPerOp     = "sim_d1_misses_per_op"
	LLMissesPerOp     = "sim_ll_misses_per_op"
	InstructionsPerOp = "sim_instructions_per_op"
)

// Result is what a server does per request on the simulated processor.
type Result struct {
	Model    string `json:"model"`
	Workload string `json:"workload"`
	Valgrind string `json:"valgrind"`
	Caches   Caches `json:"caches"`
	Conns    int    `json:"conns"`
	Requests int    `json:"requests"`
	Warmup   int    `json:"warmup"`
	Seed     uint64 `json:"seed"`
	// Trace is the hash of the trace's file.
	Trace string `json:"trace"`
	// Repeats are counts per request, one for each start of the server: of each count
	// the median over the start's windows, which are in Windows.
	Repeats []Counts   `json:"repeats"`
	Windows [][]Counts `json:"windows"`
	// Median is of each count over the repeats.
	Median Counts `json:"median"`
	// Spread is max/min - 1 over the repeats; absent where the least is 0.
	Spread Spread `json:"spread"`
	// Functions are those with most instructions or misses, per request, of the last
	// repeat's last window.
	Functions []Function `json:"functions"`
	// Monitor is what Go's monitor thread did, per request of that window: it is in no
	// other figure.
	Monitor Counts `json:"monitor"`
	// Discarded is what was disturbed and is in no figure.
	Discarded Discarded `json:"discarded"`
	Notes     []string  `json:"notes,omitempty"`
	// Doubts are notes that put a figure into doubt: with one, a trial is suspect.
	Doubts []string `json:"doubts,omitempty"`
	// Unavailable says why there are no counts: the model does not run in the simulator.
	Unavailable string `json:"unavailable,omitempty"`
}

// Spread of each count: max/min - 1.
type Spread struct {
	Instructions *float64 `json:"instructions,omitempty"`
	I1Misses     *float64 `json:"i1_misses,omitempty"`
	D1Misses     *float64 `json:"d1_misses,omitempty"`
	LLMisses     *float64 `json:"ll_misses,omitempty"`
}

// Function is a function's own part, without what it calls.
type Function struct {
	Name string `json:"name"`
	File string `json:"file"`
	Counts
}

// add takes one start.
func (r *Result) add(s *start) {
	counts := make([]Counts, len(s.kept))
	for i, w := range s.kept {
		counts[i] = w.perRequest()
	}
	r.Windows = append(r.Windows, counts)
	r.Repeats = append(r.Repeats, medianOf(counts))
	r.functions(s.kept[len(s.kept)-1])
	r.Discarded.add(s.discarded)
	if n := s.discarded.Windows(); n > 0 {
		r.note("repeat %d: %d of %d windows discarded: %v", len(r.Repeats), n, n+len(s.kept), s.discarded)
	}
	if len(s.kept) < wantWindows {
		r.doubt("repeat %d: only %d windows were not disturbed, want %d: %v", len(r.Repeats), len(s.kept), wantWindows, s.discarded)
	}
}

// functions are of the last window.
func (r *Result) functions(w *window) {
	places := map[place]Counts{}
	for _, p := range w.profiles {
		if p.thread == w.monitor.thread {
			r.Monitor = p.total.over(w.requests)
			continue
		}
		for at, c := range p.places {
			all := places[at]
			all.add(c)
			places[at] = all
		}
	}
	r.Functions = topFunctions(places, w.requests)
}

func (r *Result) note(format string, a ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, a...)) }

func (r *Result) doubt(format string, a ...any) {
	r.Doubts = append(r.Doubts, fmt.Sprintf(format, a...))
}

// topPerCount functions by each of the counts are kept.
const topPerCount = 12

func topFunctions(places map[place]Counts, requests float64) []Function {
	var all []Function
	for at, c := range places {
		all = append(all, Function{Name: at.function, File: at.file, Counts: c.over(requests)})
	}
	kept := map[place]bool{}
	for _, by := range []func(*Counts) float64{d1, ll, i1, instructions} {
		sortFunctions(all, by)
		for i := range min(topPerCount, len(all)) {
			if by(&all[i].Counts) > 0 {
				kept[place{all[i].Name, all[i].File}] = true
			}
		}
	}
	all = slices.DeleteFunc(all, func(f Function) bool { return !kept[place{f.Name, f.File}] })
	sortFunctions(all, d1)
	return all
}

// sortFunctions puts the largest first, equals by name, so that a run prints as the last.
func sortFunctions(all []Function, by func(*Counts) float64) {
	slices.SortFunc(all, func(a, b Function) int {
		return cmp.Or(cmp.Compare(by(&b.Counts), by(&a.Counts)), cmp.Compare(b.Instructions, a.Instructions), cmp.Compare(a.Name, b.Name), cmp.Compare(a.File, b.File))
	})
}

func instructions(c *Counts) float64 { return c.Instructions }
func i1(c *Counts) float64           { return c.I1Misses }
func d1(c *Counts) float64           { return c.D1Misses }
func ll(c *Counts) float64           { return c.LLMisses }

// sorted are one count of all.
func sorted(all []Counts, of func(*Counts) float64) []float64 {
	var values []float64
	for i := range all {
		values = append(values, of(&all[i]))
	}
	slices.Sort(values)
	return values
}

// medianOf is of each count by itself.
func medianOf(all []Counts) Counts {
	of := func(count func(*Counts) float64) float64 {
		v := sorted(all, count)
		return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
	}
	return Counts{of(instructions), of(i1), of(d1), of(ll)}
}

func spreadOf(all []Counts, of func(*Counts) float64) *float64 {
	v := sorted(all, of)
	if v[0] <= 0 {
		return nil
	}
	s := v[len(v)-1]/v[0] - 1
	return &s
}

// Resolution is that of misses per request: one in a hundred requests. What the server
// itself does repeats better; what the clock has others do now and then does not.
const Resolution = 0.01

// repeatsWithin is the bound of max/min - 1.
const repeatsWithin = 0.005

// Range is one count over the repeats, per request.
type Range struct {
	Name      string
	Low, High float64
	// Repeats: Low and High are within half a percent, or, of misses, within Resolution.
	Repeats bool
}

// String is the count and its range, for people.
func (g Range) String() string { return fmt.Sprintf("%s %.6g..%.6g", g.Name, g.Low, g.High) }

// Ranges are instructions and misses of I1, D1 and LL over at least one repeat. It is the
// one place that decides whether counts repeat.
func Ranges(repeats []Counts) []Range {
	all := []Range{{Name: "instructions"}, {Name: "I1 misses"}, {Name: "D1 misses"}, {Name: "LL misses"}}
	for i, of := range []func(*Counts) float64{instructions, i1, d1, ll} {
		g, v, least := &all[i], sorted(repeats, of), Resolution
		if i == 0 {
			least = 0
		}
		g.Low, g.High = v[0], v[len(v)-1]
		g.Repeats = g.High-g.Low <= max(g.Low*repeatsWithin, least)
	}
	return all
}

func (r *Result) finish() {
	r.Median = medianOf(r.Repeats)
	r.Spread = Spread{spreadOf(r.Repeats, instructions), spreadOf(r.Repeats, i1), spreadOf(r.Repeats, d1), spreadOf(r.Repeats, ll)}
	for _, g := range Ranges(r.Repeats) {
		if !g.Repeats {
			r.doubt("%s do not repeat: %.4f to %.4f per request, further apart than %g %% (or, of misses, than %g)", g.Name, g.Low, g.High, 100*repeatsWithin, Resolution)
		}
	}
	if r.Model == "threadlet" {
		r.note("threadlet ran with --detector explicit --overrun -1s: its detectors work by the clock and by the kernel's switches")
	}
	if r.Caches.D1.Ways*r.Caches.D1.LineBytes == r.Caches.D1.SizeBytes {
		r.note("I1 and D1 are simulated as fully associative: which lines share a set depends on where the allocator put them in this start")
	}
}

// Metrics are the medians as metrics of a trial, per request.
func (r *Result) Metrics() map[string]result.Metric {
	m := map[string]result.Metric{}
	for name, value := range map[string]float64{InstructionsPerOp: r.Median.Instructions, I1MissesPerOp: r.Median.I1Misses,
		D1MissesPerOp: r.Median.D1Misses, LLMissesPerOp: r.Median.LLMisses} {
		if r.Unavailable != "" {
			m[name] = result.Missing(r.Unavailable, "1", result.SourceSim)
			continue
		}
		m[name] = result.Of(value, "1", result.SourceSim)
	}
	return m
}

// Printed is the result for a plan whose trial is a program (trial.Program). CPU time
// and switches of the simulator are none of the server's.
func (r *Result) Printed() trial.Printed {
	counted := 0
	for _, w := range r.Windows {
		counted += len(w) * r.Requests
	}
	p := trial.Printed{Metrics: r.Metrics(), Reasons: r.Doubts}
	p.Metrics[result.Operations] = result.Of(float64(counted), "1", result.SourceSim)
	for name, unit := range map[string]string{result.CPUPerOp: "us", result.SwitchesVoluntaryPerOp: "1", result.SwitchesInvoluntaryPerOp: "1"} {
		p.Metrics[name] = result.Missing("the server ran in a simulator", unit, result.SourceSim)
	}
	return p
}

// WriteText writes a table for people: a line per repeat, and where the misses are.
func (r *Result) WriteText(w io.Writer, functions int) error {
	fmt.Fprintf(w, "%s, %s: windows of %d requests after %d on %d connections, %s, I1 %s D1 %s LL %s (%s)\n", r.Model, r.Workload, r.Requests, r.Warmup,
		r.Conns, r.Valgrind, r.Caches.I1, r.Caches.D1, r.Caches.LL, r.Caches.From)
	if r.Unavailable != "" {
		_, err := fmt.Fprintf(w, "unavailable: %s\n", r.Unavailable)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(name string, c Counts) {
		fmt.Fprintf(t, "%s\t%.2f\t%.4f\t%.4f\t%.4f\t\n", name, c.Instructions, c.I1Misses, c.D1Misses, c.LLMisses)
	}
	fmt.Fprintf(t, "per request\tinstructions\tI1 misses\tD1 misses\tLL misses\t\n")
	for i, c := range r.Repeats {
		line(fmt.Sprintf("repeat %d", i+1), c)
	}
	line("median", r.Median)
	fmt.Fprintf(t, "max/min-1\t%s\t%s\t%s\t%s\t\n", percent(r.Spread.Instructions), percent(r.Spread.I1Misses), percent(r.Spread.D1Misses), percent(r.Spread.LLMisses))
	for i, f := range r.Functions {
		if i == 0 && functions > 0 {
			fmt.Fprintf(t, "function\t\t\t\t\t\n")
		}
		if i < functions {
			line(f.Name, f.Counts)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "discarded as disturbed: %d windows, %d starts\n", r.Discarded.Windows(), r.Discarded.Starts)
	for _, doubt := range r.Doubts {
		fmt.Fprintln(w, "in doubt:", doubt)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(w, "note:", note)
	}
	return nil
}

func percent(spread *float64) string {
	if spread == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", math.Round(*spread*1e4)/1e2)
}

// Info describes the sensor. It has no overhead on a measured server: it runs one of
// its own.
func Info(ctx context.Context) result.SensorInfo {
	i := result.SensorInfo{Name: "sim", Source: result.SourceSim, Quantities: []string{InstructionsPerOp, I1MissesPerOp, D1MissesPerOp, LLMissesPerOp},
		Units: []string{"1", "1", "1", "1"}}
	if _, err := Version(ctx); err != nil {
		i.Unavailable = err.Error()
		return i
	}
	none := 0.0
	i.OverheadNs = &none
	return i
}
