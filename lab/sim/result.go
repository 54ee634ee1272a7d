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
	// Repeats are counts per request, one for each start of the server.
	Repeats []Counts `json:"repeats"`
	// Median is of each count over the repeats.
	Median Counts `json:"median"`
	// Spread is max/min - 1 over the repeats; absent where the least is 0.
	Spread Spread `json:"spread"`
	// Functions are those with most instructions or misses, per request, of the last
	// repeat.
	Functions []Function `json:"functions"`
	// Monitor is what Go's monitor thread did, per request of the last repeat: it is in
	// no other figure.
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

// add takes a window of that many requests.
func (r *Result) add(w *window, requests float64) {
	places := map[place]Counts{}
	for _, p := range w.profiles {
		if p.thread == w.monitor.thread {
			r.Monitor = p.total.over(requests)
			continue
		}
		for at, c := range p.places {
			all := places[at]
			all.add(c)
			places[at] = all
		}
	}
	r.Repeats = append(r.Repeats, w.sum().over(requests))
	r.Functions = topFunctions(places, requests)
	if !w.frozen {
		r.note("repeat %d: Go's monitor thread never slept by the clock and was not stopped: the loop itself holds it up, or this architecture has no way to tell", len(r.Repeats))
	}
	if w.stalls > 0 {
		r.note("repeat %d: an answer came only when Go's monitor thread was let go: %d times", len(r.Repeats), w.stalls)
	}
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

// over returns the median of one count over the repeats, and the spread.
func (r *Result) over(of func(*Counts) float64) (median float64, spread *float64) {
	var all []float64
	for i := range r.Repeats {
		all = append(all, of(&r.Repeats[i]))
	}
	slices.Sort(all)
	n := len(all)
	median = (all[(n-1)/2] + all[n/2]) / 2
	if all[0] > 0 {
		s := all[n-1]/all[0] - 1
		spread = &s
	}
	return median, spread
}

func (r *Result) finish() {
	r.Median.Instructions, r.Spread.Instructions = r.over(instructions)
	r.Median.I1Misses, r.Spread.I1Misses = r.over(i1)
	r.Median.D1Misses, r.Spread.D1Misses = r.over(d1)
	r.Median.LLMisses, r.Spread.LLMisses = r.over(ll)
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
	p.Metrics[result.Operations] = result.Of(float64(r.Requests*len(r.Repeats)), "1", result.SourceSim)
	for name, unit := range map[string]string{result.CPUPerOp: "us", result.SwitchesVoluntaryPerOp: "1", result.SwitchesInvoluntaryPerOp: "1"} {
		p.Metrics[name] = result.Missing("the server ran in a simulator", unit, result.SourceSim)
	}
	return p
}

// WriteText writes a table for people: a line per repeat, and where the misses are.
func (r *Result) WriteText(w io.Writer, functions int) error {
	fmt.Fprintf(w, "%s, %s: %d requests after %d on %d connections, %s, I1 %s D1 %s LL %s (%s)\n", r.Model, r.Workload, r.Requests, r.Warmup,
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
