package lab

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// DefaultPrecisionOf are the metrics that decide when a cell is known well enough,
// where it has them. Medians and costs, not tails: a p99.9 of short trials would keep
// every run going to its end.
func DefaultPrecisionOf() []string {
	return []string{result.LatencyP50, result.CPUPerOp, result.Throughput, result.SaturationThroughput}
}

// checkStopping refuses rules that cannot be meant.
func (p *Prepared) checkStopping() error {
	r := p.opts.Stopping
	if r.Precision < 0 || r.Precision >= 1 || math.IsNaN(r.Precision) {
		return fmt.Errorf("lab: a precision of %g (--precision) is none: it lies above 0 %% and below 100 %%", r.Precision)
	}
	for _, name := range r.Of {
		if result.Describe(name).Unit == "" {
			return fmt.Errorf("lab: no metric %q (--precision-of); some are %s", name, strings.Join(DefaultPrecisionOf(), ", "))
		}
	}
	if r.Precision > 0 && len(r.Of) == 0 {
		return errors.New("lab: no metric decides on the precision (--precision-of)")
	}
	if r.BudgetS == 0 {
		return nil
	}
	round := newSchedule(p.specs, p.env.Plan, r).took.expectAll(p.firstRound())
	if budget := seconds(r.BudgetS); budget < round {
		return fmt.Errorf("lab: the budget of %v (--budget) is less than one round, which takes about %v: choose fewer experiments, models or levels (--experiment, --models, --levels)",
			budget, round.Round(time.Second))
	}
	return nil
}

// knownWell reports whether all cells of an experiment are known to the precision, and
// how in words. A cell that has none of the metrics is not known.
func knownWell(cells map[string][]*result.Trial, rules result.Stopping) (why string, ok bool) {
	widest, where := 0.0, ""
	for _, cell := range slices.Sorted(maps.Keys(cells)) {
		seen := false
		for _, name := range rules.Of {
			values := valuesOf(cells[cell], name)
			if len(values) == 0 {
				continue
			}
			seen = true
			if !enough(values, rules.Precision) {
				return "", false
			}
			if w := stats.HalfWidth(values); w >= widest && !math.IsInf(w, 1) {
				widest, where = w, name+" of "+strings.TrimSpace(cell)
			}
		}
		if !seen {
			return "", false
		}
	}
	return fmt.Sprintf("all medians of %s are known within %s (half the 95 %% interval; the widest is %s, %s)",
		strings.Join(rules.Of, ", "), stats.Percent(rules.Precision), stats.Percent(widest), where), len(cells) > 0
}

func valuesOf(trials []*result.Trial, name string) (values []float64) {
	for _, t := range trials {
		if v, ok := t.Value(name); ok {
			values = append(values, v)
		}
	}
	return values
}

// enough reports whether the median is known to the precision. Values that never
// change are, also 0, to which nothing is relative.
func enough(values []float64, precision float64) bool {
	if len(values) >= stats.EnoughLeast && slices.Min(values) == slices.Max(values) {
		return true
	}
	return stats.Enough(values, precision)
}
