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
	Monitor Counts   `json:"monitor"`
	Notes   []string `json:"notes,omitempty"`
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

// add takes the windows of one start.
func (r *Result) add(ws []*window) {
	counts := make([]Counts, len(ws))
	free, stalls := 0, 0
	for i, w := range ws {
		counts[i] = w.perRequest()
		stalls += w.stalls
		if !w.frozen {
			free++
		}
	}
	r.Windows = append(r.Windows, counts)
	r.Repeats = append(r.Repeats, medianOf(counts))
	r.functions(ws[len(ws)-1])
	if free > 0 {
		r.note("repeat %d: Go's monitor thread never slept by the clock and was not stopped in %d of %d windows: this architecture has no way to tell, or the loop itself holds it up", len(r.Repeats), free, len(ws))
	}
	if stalls > 0 {
		r.note("repeat %d: an answer came only when Go's monitor thread was let go: %d times", len(r.Repeats), stalls)
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

// repeats reports whether a count does: all repeats are within half a percent, or, of
// misses, within the Resolution.
func repeats(all []Counts, of func(*Counts) float64, resolution float64) bool {
	v := sorted(all, of)
	low, high := v[0], v[len(v)-1]
	return high-low <= max(low*repeatsWithin, resolution)
}

func (r *Result) finish() {
	r.Median = medianOf(r.Repeats)
	r.Spread = Spread{spreadOf(r.Repeats, instructions), spreadOf(r.Repeats, i1), spreadOf(r.Repeats, d1), spreadOf(r.Repeats, ll)}
	for _, c := range []struct {
		name       string
		of         func(*Counts) float64
		resolution float64
	}{{"instructions", instructions, 0}, {"I1 misses", i1, Resolution}, {"D1 misses", d1, Resolution}, {"LL misses", ll, Resolution}} {
		if v := sorted(r.Repeats, c.of); !repeats(r.Repeats, c.of, c.resolution) {
			r.note("%s do not repeat: %.4f to %.4f per request, further apart than %g %% and than %g", c.name, v[0], v[len(v)-1], 100*repeatsWithin, c.resolution)
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
	p := trial.Printed{Metrics: r.Metrics()}
	p.Metrics[result.Operations] = result.Of(float64(r.Requests*windows*len(r.Repeats)), "1", result.SourceSim)
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
