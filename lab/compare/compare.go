// Package compare relates a run to an earlier one, cell by cell: the rounds of
// one model at one level of one experiment against the same of the other run.
package compare

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// Change is one metric of one cell in both runs.
type Change struct {
	Cell, Metric, Unit string
	Base, New          stats.Summary
	// Ratio relates New to Base.
	Ratio stats.Comparison
	// Worse: it differs, by more than the noise bound, in the bad direction.
	Worse, Better bool
}

// compared are the metrics that decide.
var compared = []string{
	result.LatencyP50, result.LatencyP99, result.Throughput, result.SaturationThroughput,
	result.CPUPerOp, result.SyscallsPerOp, result.RSS,
}

// Noise is the relative change below which a difference is of no interest even
// if it is there.
const Noise = 0.05

// Runs compares two runs. It refuses runs of different machines: their figures
// say nothing about each other.
func Runs(base, now *result.Run) ([]Change, error) {
	if err := sameMachine(base.Environment, now.Environment); err != nil {
		return nil, err
	}
	a, b := cells(base), cells(now)
	var changes []Change
	for _, key := range slices.Sorted(maps.Keys(a)) {
		for _, name := range compared {
			x, y := values(a[key], name), values(b[key], name)
			if len(x) == 0 || len(y) == 0 {
				continue
			}
			changes = append(changes, change(key, name, x, y))
		}
	}
	return changes, nil
}

func sameMachine(a, b *result.Environment) error {
	if a == nil || b == nil {
		return fmt.Errorf("compare: a run without environment.json cannot be compared: its machine is unknown")
	}
	if a.CPUModel != b.CPUModel || a.CPUCount != b.CPUCount || a.Kernel != b.Kernel {
		return fmt.Errorf("compare: different machines: %s x%d, kernel %s against %s x%d, kernel %s",
			a.CPUModel, a.CPUCount, a.Kernel, b.CPUModel, b.CPUCount, b.Kernel)
	}
	return nil
}

func cells(r *result.Run) map[string][]*result.Trial {
	m := map[string][]*result.Trial{}
	for i := range r.Trials {
		t := &r.Trials[i]
		if t.Counted() {
			key := strings.TrimSpace(t.Experiment + " " + t.Model + " " + t.Factors.String())
			m[key] = append(m[key], t)
		}
	}
	return m
}

func values(ts []*result.Trial, name string) (v []float64) {
	for _, t := range ts {
		if x, ok := t.Value(name); ok {
			v = append(v, x)
		}
	}
	return v
}

func change(cell, name string, x, y []float64) Change {
	info := result.Describe(name)
	c := Change{Cell: cell, Metric: name, Unit: info.Unit,
		Base: stats.Summarize(x), New: stats.Summarize(y), Ratio: stats.Compare(y, x)}
	if c.Ratio.Differs() && math.Abs(c.Ratio.Ratio-1) > Noise {
		c.Worse = c.Ratio.Ratio > 1 == (info.Better == result.Lower)
		c.Better = !c.Worse
	}
	return c
}

// Print writes the changes as a table and reports whether any is a regression.
func Print(w io.Writer, changes []Change) (regression bool) {
	fmt.Fprintf(w, "%-62s %-22s %12s %12s %8s  %s\n", "cell", "metric", "base", "new", "ratio", "verdict")
	for _, c := range changes {
		verdict := "no difference shown"
		switch {
		case c.Worse:
			verdict, regression = "WORSE", true
		case c.Better:
			verdict = "better"
		case !c.Ratio.Enough():
			verdict = "too few rounds to tell"
		}
		fmt.Fprintf(w, "%-62s %-22s %12.4g %12.4g %8.3f  %s [%.3f, %.3f], p=%.3g\n", c.Cell, c.Metric, c.Base.Median, c.New.Median,
			c.Ratio.Ratio, verdict, c.Ratio.Lo, c.Ratio.Hi, c.Ratio.P)
	}
	return regression
}
