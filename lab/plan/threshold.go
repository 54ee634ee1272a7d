package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/result"
)

// Threshold is a bound on a metric, e.g. "latency_p99 <= 2ms".
type Threshold = result.Threshold

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

// Thresholds are the texts of some, as result.Planned keeps them.
func Thresholds(ts []Threshold) (texts []string) {
	for _, t := range ts {
		texts = append(texts, t.String())
	}
	return texts
}
