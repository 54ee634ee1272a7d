package result

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Threshold is a bound on a metric that a plan sets, e.g. "latency_p99 <= 2ms". Each
// model's median is to keep it. Package plan reads what people write; here is what a
// run keeps of it, in Planned.Thresholds.
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
	bound := strconv.FormatFloat(t.Bound, 'g', -1, 64)
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

// ReadThreshold reads what String writes. The unit of a metric that this version does
// not know is left empty.
func ReadThreshold(text string) (Threshold, error) {
	bad := fmt.Errorf("result: threshold %q is not of the form METRIC <= BOUND", text)
	f := strings.SplitN(text, " ", 3)
	if len(f) != 3 {
		return Threshold{}, bad
	}
	t := Threshold{Metric: f[0], Op: f[1], Unit: Describe(f[0]).Unit}
	switch t.Op {
	case "<=", "<", ">=", ">":
	default:
		return Threshold{}, bad
	}
	// Times alone have a unit of letters that is no number's.
	if d, err := time.ParseDuration(f[2]); err == nil && strings.HasSuffix(f[2], "s") && !strings.HasSuffix(f[2], "/s") {
		t.Bound, t.Unit = float64(d)/float64(time.Microsecond), "us"
		return t, nil
	}
	number := f[2]
	for _, suffix := range []string{" B", "%", "/s"} {
		number = strings.TrimSuffix(number, suffix)
	}
	var err error
	if t.Bound, err = strconv.ParseFloat(number, 64); err != nil || math.IsNaN(t.Bound) || math.IsInf(t.Bound, 0) {
		return Threshold{}, bad
	}
	return t, nil
}
