package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// Threshold is a bound on a metric, e.g. "latency_p99 <= 2ms".
type Threshold struct {
	Metric string
	// Op is <=, <, >= or >.
	Op string
	// Bound is in Unit, the metric's.
	Bound float64
	Unit  string
}

// String is as it may be written in a plan.
func (t Threshold) String() string {
	bound := showNumber(t.Bound)
	switch t.Unit {
	case "us":
		bound = time.Duration(t.Bound * 1e3).String()
	case "B", "bytes":
		bound += " B"
	case "%", "1/s":
		bound += strings.TrimPrefix(t.Unit, "1")
	}
	return t.Metric + " " + t.Op + " " + bound
}

// Check reports whether a value, in the metric's unit, keeps the bound.
func (t Threshold) Check(value float64) bool {
	switch t.Op {
	case "<":
		return value < t.Bound
	case ">":
		return value > t.Bound
	case ">=":
		return value >= t.Bound
	}
	return value <= t.Bound
}

const thresholdForm = "want METRIC <= BOUND, as latency_p99 <= 2ms; <, >= and > do, too"

// ParseThreshold reads one. Times have a unit (500us, 2ms), sizes may have one
// (64MiB), rates and percentages may end in /s and %.
func ParseThreshold(text string) (Threshold, error) {
	var t Threshold
	i := strings.IndexAny(text, "<>")
	if i < 0 {
		return t, fmt.Errorf("%q has no bound; %s", clip(text), thresholdForm)
	}
	t.Metric, t.Op = strings.TrimSpace(text[:i]), text[i:i+1]
	bound := text[i+1:]
	if rest, ok := strings.CutPrefix(bound, "="); ok {
		t.Op, bound = t.Op+"=", rest
	}
	bound = strings.TrimSpace(bound)
	var err error
	if t.Unit, err = unitOf(t.Metric); err != nil {
		return t, err
	}
	if t.Bound, err = inUnit(bound, t.Unit); err != nil {
		return t, fmt.Errorf("%w; %s is in %s; %s", err, t.Metric, t.Unit, thresholdForm)
	}
	return t, nil
}

// unitOf is the unit of a metric. Each kind of request and each system call has
// metrics, too, which no catalogue can have.
func unitOf(metric string) (string, error) {
	if unit := result.Describe(metric).Unit; unit != "" {
		return unit, nil
	}
	switch {
	case strings.HasPrefix(metric, "latency_") && slices.ContainsFunc([]string{"_p50", "_p99", "_p999"}, func(s string) bool { return strings.HasSuffix(metric, s) }):
		return "us", nil
	case strings.HasPrefix(metric, "syscall:") && strings.HasSuffix(metric, "_per_op"):
		return "1", nil
	}
	return "", fmt.Errorf("there is no metric %q%s", clip(metric), orList(clip(metric), result.Names()))
}

func inUnit(text, unit string) (float64, error) {
	switch unit {
	case "us":
		d, err := parseDuration(text)
		return float64(d) / float64(time.Microsecond), err
	case "B", "bytes":
		n, err := parseBytes(text)
		return float64(n), err
	case "%":
		text = strings.TrimSpace(strings.TrimSuffix(text, "%"))
	case "1/s":
		text = strings.TrimSpace(strings.TrimSuffix(text, "/s"))
	}
	return parseNumber(text)
}

// Unmet is a threshold that a model did not keep.
type Unmet struct {
	Experiment, Model string
	Factors           result.Factors
	Threshold         Threshold
	// Median is over the Rounds whose trials count and have the metric; with none
	// it means nothing, and the threshold is unmet because nobody knows.
	Median float64
	Rounds int
}

// String is a line for a reader.
func (u Unmet) String() string {
	where := strings.TrimSpace(fmt.Sprintf("%s %s %s", u.Experiment, u.Model, u.Factors))
	if u.Rounds == 0 {
		return fmt.Sprintf("threshold %s: %s: not measured in any round", u.Threshold, where)
	}
	was := u.Threshold
	was.Bound = u.Median
	_, figure, _ := strings.Cut(was.String(), was.Op+" ")
	return fmt.Sprintf("threshold %s not met: %s: median of %d rounds is %s", u.Threshold, where, u.Rounds, figure)
}

// Thresholds are the texts of some, as result.Planned keeps them.
func Thresholds(ts []Threshold) (texts []string) {
	for _, t := range ts {
		texts = append(texts, t.String())
	}
	return texts
}

// FindUnmet lists the thresholds of a run's plan that were not met, by experiment,
// model and level: of the medians over the rounds of trials that count. The error is
// of a threshold that this version cannot read.
func FindUnmet(planned []result.Planned, trials []result.Trial) ([]Unmet, error) {
	var out []Unmet
	for i := range planned {
		e := &planned[i]
		var thresholds []Threshold
		for _, text := range e.Thresholds {
			t, err := ParseThreshold(text)
			if err != nil {
				return nil, fmt.Errorf("plan: threshold of %s: %w", e.Experiment, err)
			}
			thresholds = append(thresholds, t)
		}
		type where struct{ model, factors string }
		cells := map[where][]*result.Trial{}
		var order []where
		for k := range trials {
			t := &trials[k]
			if w := (where{t.Model, t.Factors.String()}); t.Experiment == e.Experiment {
				if cells[w] == nil {
					order = append(order, w)
				}
				cells[w] = append(cells[w], t)
			}
		}
		// Trials come in an order of chance.
		slices.SortFunc(order, func(a, b where) int {
			return cmp.Or(cmp.Compare(slices.Index(e.Models, a.model), slices.Index(e.Models, b.model)), cmp.Compare(a.factors, b.factors))
		})
		for _, w := range order {
			for _, t := range thresholds {
				if u, met := t.of(cells[w]); !met {
					out = append(out, u)
				}
			}
		}
	}
	return out, nil
}

// of checks the trials of one cell and model.
func (t Threshold) of(trials []*result.Trial) (u Unmet, met bool) {
	var values []float64
	for _, one := range trials {
		if v, ok := one.Value(t.Metric); ok && one.Counted() {
			values = append(values, v)
		}
	}
	s := stats.Summarize(values)
	u = Unmet{Experiment: trials[0].Experiment, Model: trials[0].Model, Factors: trials[0].Factors, Threshold: t, Median: s.Median, Rounds: s.N}
	return u, s.N > 0 && t.Check(s.Median)
}
