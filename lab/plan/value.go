package plan

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Value is what a plan gives a setting: a text, a list of texts, or texts by name.
type Value struct {
	Text string            `json:",omitempty"`
	List []string          `json:",omitempty"`
	Map  map[string]string `json:",omitempty"`
}

var errList, errMap, errText = errors.New("is no list"), errors.New("is no mapping of names to values"), errors.New("is no single value")

func (v Value) text() (string, error) {
	if v.List != nil || v.Map != nil {
		return "", errText
	}
	return v.Text, nil
}

// setting is what a plan may say of how a trial runs.
type setting struct {
	name string
	// doc says what it is, want what a right value is.
	doc, want string
	// of are the workloads that have it; empty: all. but are those that do not.
	of, but []string
	// fixed settings are no factors: their values have no short text.
	fixed bool
	// set gives e the value and says how result lines write it. It replaces what e
	// shares with other experiments.
	set func(e *Experiment, v Value) (text string, err error)
}

func (s setting) only(workloads ...string) setting { s.of = workloads; return s }
func (s setting) except(workload ...string) setting {
	s.but = workload
	return s
}

// has reports whether a workload has the setting.
func (s *setting) has(workload string) bool {
	return (len(s.of) == 0 || slices.Contains(s.of, workload)) && !slices.Contains(s.but, workload)
}

// parsed is a setting of a text that parse reads and show writes.
func parsed[T any](name, want, doc string, parse func(string) (T, error), show func(T) string, at func(*Experiment) *T) setting {
	return setting{name: name, doc: doc, want: want, set: func(e *Experiment, v Value) (string, error) {
		text, err := v.text()
		if err != nil {
			return "", err
		}
		x, err := parse(text)
		if err != nil {
			return "", err
		}
		*at(e) = x
		return show(x), nil
	}}
}

// within bounds what parse gives.
func within[T int | int64 | float64 | time.Duration](parse func(string) (T, error), least, most T) func(string) (T, error) {
	return func(text string) (T, error) {
		x, err := parse(text)
		if err == nil && (x < least || x > most) {
			err = fmt.Errorf("%q is out of range", text)
		}
		return x, err
	}
}

func number(name string, least, most float64, want, doc string, at func(*Experiment) *float64) setting {
	return parsed(name, want, doc, within(parseNumber, least, most), showNumber, at)
}

func whole(name string, least, most int, want, doc string, at func(*Experiment) *int) setting {
	want = fmt.Sprintf("%s, %d to %d", want, least, most)
	return parsed(name, want, doc, within(parseWhole, least, most), strconv.Itoa, at)
}

func size(name string, least, most int64, want, doc string, at func(*Experiment) *int64) setting {
	return parsed(name, want, doc, within(parseBytes, least, most), func(n int64) string { return strconv.FormatInt(n, 10) }, at)
}

// longest bounds every duration of a plan.
const longest = 24 * time.Hour

func period(name string, least time.Duration, doc string, at func(*Experiment) *time.Duration) setting {
	want := fmt.Sprintf("a duration of at least %v with its unit, e.g. 800ms or 1.5s", least)
	if least == 0 {
		want = "a duration with its unit, e.g. 800ms or 1.5s"
	}
	return parsed(name, want, doc, within(parseDuration, least, longest), time.Duration.String, at)
}

func yes(name, doc string, at func(*Experiment) *bool) setting {
	return parsed(name, "true or false", doc, parseBool, strconv.FormatBool, at)
}

// percent is kept as a share, 0 to 1.
func percent(name, doc string, at func(*Experiment) *float64) setting {
	// Twelve digits: a share is no round number in binary.
	show := func(share float64) string { return strconv.FormatFloat(100*share, 'g', 12, 64) }
	return parsed(name, "percent, 0 to 100, e.g. 20", doc, parsePercent, show, at)
}

func choice(name, doc string, at func(*Experiment) *string, of ...string) setting {
	return parsed(name, "one of "+strings.Join(of, ", "), doc, func(text string) (string, error) {
		if !slices.Contains(of, text) {
			return "", fmt.Errorf("there is no %q%s", text, didYouMean(text, of))
		}
		return text, nil
	}, func(s string) string { return s }, at)
}

func parseNumber(text string) (float64, error) {
	x, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, fmt.Errorf("%q is no number", text)
	}
	return x, nil
}

func showNumber(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

func parseWhole(text string) (int, error) {
	x, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
	if err != nil {
		return 0, fmt.Errorf("%q is no whole number", text)
	}
	return x, nil
}

func parsePercent(text string) (float64, error) {
	x, err := within(parseNumber, 0, 100)(strings.TrimSpace(strings.TrimSuffix(text, "%")))
	return x / 100, err
}

func parseBool(text string) (bool, error) {
	if text != "true" && text != "false" {
		return false, fmt.Errorf("%q is neither true nor false", text)
	}
	return text == "true", nil
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if _, numErr := parseNumber(text); err != nil && numErr == nil {
		return 0, fmt.Errorf("%q has no unit", text)
	}
	if err != nil {
		return 0, fmt.Errorf("%q is no duration", text)
	}
	return d, nil
}

var byteUnits = []struct {
	name string
	n    float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}

func parseBytes(text string) (int64, error) {
	for _, u := range byteUnits {
		n, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		x, err := parseNumber(strings.TrimSpace(n))
		if x *= u.n; err == nil && x == math.Trunc(x) && math.Abs(x) < 1<<53 {
			return int64(x), nil
		}
		break
	}
	return 0, fmt.Errorf("%q is no number of bytes", text)
}

// didYouMean is the nearest of some names, as a question, if one is near.
func didYouMean(text string, names []string) string {
	best, at := "", max(1, len(text)/3)
	for _, name := range names {
		if d := distance(text, name); d <= at && (d < at || best == "") {
			best, at = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %s?", best)
}

// farthest is the length of texts that are compared: longer ones are no slip.
const farthest = 40

// distance is the number of letters to insert, delete or change (Levenshtein).
func distance(a, b string) int {
	if len(a) > farthest || len(b) > farthest {
		return farthest
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal, row[j+1] = row[j+1], min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
