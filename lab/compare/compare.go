package compare

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// Metrics are those that are compared unless others are asked for. Each one more
// makes the family larger, and so every single finding harder.
var Metrics = []string{
	result.LatencyP50, result.LatencyP99, result.SliceMaxP50, result.Throughput, result.SaturationThroughput, result.SLORate,
	result.CPUPerOp, result.SyscallsPerOp, result.RSS,
}

// Options say what is compared, and how strictly.
type Options struct {
	// Metrics are names of package result; empty for Metrics.
	Metrics []string
	// Only are the experiments; empty for all.
	Only []string
	// Noise is the bound by metric; the zero value is the default.
	Noise Noise
	// Force compares even runs of different machines; the report then says so.
	Force bool
}

// ErrOptions is returned, wrapped, for a metric or experiment that neither run has.
var ErrOptions = errors.New("neither run has it")

// Verdict is what the report says of a change.
type Verdict string

const (
	// Regression: significant after correction, beyond the noise bound, worse.
	Regression Verdict = "regression"
	// Improvement: the same, better.
	Improvement Verdict = "improvement"
	// Different: the same, of a metric of which neither way is better.
	Different Verdict = "different"
	// WithinNoise: significant after correction, but smaller than the bound.
	WithinNoise Verdict = "within noise"
	// NotShown: no difference was shown, which is not to say that there is none.
	NotShown Verdict = "no difference shown"
	// TooFew: rounds are so few, or comparisons so many, that no difference of
	// whatever size could have been shown.
	TooFew Verdict = "too few rounds"
)

// Change is one metric of one cell in both runs.
type Change struct {
	Metric, Label, Unit, Source string
	Better                      result.Direction
	Base, New                   stats.Summary
	// Ratio relates New to Base; of values of which some are not positive there is
	// none, and only Shift says how they differ.
	Ratio stats.Comparison
	Shift stats.Shift
	// P is the test's, Corrected is Holm's of it over Report.Family.
	P, Corrected float64
	// Bound is the noise bound, as a share: 0.05. Measured is BASE's own part in it.
	Bound, Measured float64
	Verdict         Verdict

	base, new []float64
	family    int
}

// Cell is one model at one combination of levels in both runs.
type Cell struct {
	Experiment, Workload, Model string
	Factors                     result.Factors
	Base, New                   Tally
	// Notes say what a reader should know of it: server flags that differ.
	Notes   []string
	Changes []Change
}

// Tally counts the trials of a cell. Valid and suspect ones are compared.
type Tally struct {
	Valid   int `json:"valid"`
	Suspect int `json:"suspect"`
	Invalid int `json:"invalid"`
}

// Counted is the number of trials that enter the comparison.
func (t Tally) Counted() int { return t.Valid + t.Suspect }

// Name is "game-mix threadlet conns=500".
func (c *Cell) Name() string { return cellName(c.Experiment, c.Model, c.Factors) }

// Left is a cell, or a metric of one, that was not compared.
type Left struct {
	Cell string `json:"cell"`
	// Metric is empty if it is of the whole cell.
	Metric string `json:"metric,omitempty"`
	// In is "base", "new" or "both".
	In  string `json:"in"`
	Why string `json:"why"`
}

// Side describes one of the two runs.
type Side struct {
	Dir    string    `json:"dir,omitempty"`
	Start  time.Time `json:"start,omitzero"`
	Commit string    `json:"commit,omitempty"`
	Trials Tally     `json:"trials"`
}

// Report is a whole comparison.
type Report struct {
	Base, New Side
	// Forced is set if the machines differ and it was made all the same.
	Forced   bool
	Warnings []string
	// Cells are those that both runs have, in order of experiment, levels, model.
	Cells []Cell
	// Left are what was not compared, and why.
	Left []Left
	// Family is the number of comparisons made: what P is corrected for.
	Family int

	differing []string
}

// Runs compares two runs. It refuses runs of different machines, unless forced.
func Runs(base, now *result.Run, o Options) (*Report, error) {
	r := &Report{Base: sideOf(base), New: sideOf(now)}
	if err := r.machines(base.Environment, now.Environment, o.Force); err != nil {
		return nil, err
	}
	if err := o.check(base, now); err != nil {
		return nil, err
	}
	r.Warnings = append(slices.Concat(r.Warnings, base.Warnings), now.Warnings...)
	r.pairUp(gather(base, o.Only), gather(now, o.Only), o)
	r.correct()
	return r, nil
}

func (o *Options) check(runs ...*result.Run) error {
	has := func(of func(*result.Trial) bool) bool {
		return slices.ContainsFunc(runs, func(r *result.Run) bool {
			return slices.ContainsFunc(r.Trials, func(t result.Trial) bool { return of(&t) })
		})
	}
	for _, name := range o.Metrics {
		if !has(func(t *result.Trial) bool { _, ok := t.Metrics[name]; return ok }) {
			return fmt.Errorf("compare: metric %q (--metrics): %w", name, ErrOptions)
		}
	}
	for _, name := range o.Only {
		if !has(func(t *result.Trial) bool { return t.Experiment == name }) {
			return fmt.Errorf("compare: experiment %q (--only): %w", name, ErrOptions)
		}
	}
	return nil
}

func sideOf(r *result.Run) Side {
	s := Side{Dir: r.Dir}
	if r.Environment != nil {
		s.Start, s.Commit = r.Environment.Start, r.Environment.Commit
	}
	for i := range r.Trials {
		s.Trials.add(&r.Trials[i])
	}
	return s
}

func (t *Tally) add(trial *result.Trial) {
	switch trial.Verdict {
	case result.Valid:
		t.Valid++
	case result.Suspect:
		t.Suspect++
	default:
		t.Invalid++
	}
}

// correct applies Holm's method to the family and judges each change by it.
func (r *Report) correct() {
	var p []float64
	r.each(func(_ *Cell, c *Change) { p = append(p, c.P) })
	r.Family = len(p)
	corrected := stats.Holm(p)
	i := 0
	r.each(func(_ *Cell, c *Change) {
		c.Corrected, c.family = corrected[i], r.Family
		c.Verdict = c.judge()
		i++
	})
}

func (r *Report) each(do func(*Cell, *Change)) {
	for i := range r.Cells {
		for j := range r.Cells[i].Changes {
			do(&r.Cells[i], &r.Cells[i].Changes[j])
		}
	}
}

// Count is the number of changes with a verdict.
func (r *Report) Count(v Verdict) int {
	n := 0
	r.each(func(_ *Cell, c *Change) {
		if c.Verdict == v {
			n++
		}
	})
	return n
}

// newChange relates the rounds of a metric; both have at least one.
func newChange(s series, base, now []float64, n Noise) Change {
	info := result.Describe(s.metric)
	c := Change{Metric: s.metric, Label: info.Label, Unit: s.unit, Source: s.source, Better: info.Better,
		Base: stats.Summarize(base), New: stats.Summarize(now), Ratio: stats.Compare(now, base), Shift: stats.ShiftOf(now, base),
		Measured: ownNoise(base), base: base, new: now}
	c.P, c.Bound = c.Ratio.P, max(n.Of(s.metric), c.Measured)
	return c
}

func (c *Change) judge() Verdict {
	significant := c.Corrected <= stats.Alpha
	up, beyond := c.beyond()
	switch {
	case !significant && leastP(c.Base.N, c.New.N)*float64(c.family) > stats.Alpha:
		return TooFew
	case !significant || !c.excludesNone():
		return NotShown
	case !beyond:
		return WithinNoise
	case c.Better == result.Neither:
		return Different
	case up == (c.Better == result.Lower):
		return Regression
	}
	return Improvement
}

// hasRatio reports whether the change can be told as a ratio.
func (c *Change) hasRatio() bool { return c.Ratio.Ratio == c.Ratio.Ratio }

// excludesNone reports whether the interval of the change excludes no change.
func (c *Change) excludesNone() bool {
	if c.hasRatio() {
		return c.Ratio.Lo > 1 || c.Ratio.Hi < 1
	}
	return c.Shift.Lo > 0 || c.Shift.Hi < 0
}

// beyond reports the direction of the change and whether it exceeds the bound. From
// a base of 0 any change is beyond it.
func (c *Change) beyond() (up, beyond bool) {
	if c.hasRatio() {
		return c.Ratio.Ratio > 1, apart(c.Ratio.Ratio) > c.Bound
	}
	by, of := c.Shift.By, max(c.Base.Median, -c.Base.Median)
	return by > 0, max(by, -by) > c.Bound*of
}

// apart is by how much a ratio is off 1, the same for a ratio and its reciprocal.
func apart(ratio float64) float64 { return max(ratio, 1/ratio) - 1 }

// compareCells orders cells: experiment, levels, model.
func compareCells(a, b *Cell) int {
	return cmp.Or(cmp.Compare(a.Experiment, b.Experiment), cmp.Compare(a.Workload, b.Workload), compareFactors(a.Factors, b.Factors), cmp.Compare(a.Model, b.Model))
}
