package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Schema is the version that this package writes, SchemaOldest the oldest that it
// reads; the package comment says what changed between them.
const (
	Schema       = 2
	SchemaOldest = 1
)

// Verdict is what the validity checks say of a trial.
type Verdict string

const (
	// Valid trials count.
	Valid Verdict = "valid"
	// Suspect trials count, with their reasons shown beside them.
	Suspect Verdict = "suspect"
	// Invalid trials are listed and never counted.
	Invalid Verdict = "invalid"
)

// Point is one point of a distribution: [percentile 0..100, value in us].
type Point [2]float64

// Percentile is in 0..100.
func (p Point) Percentile() float64 { return p[0] }

// ValueUs is in microseconds.
func (p Point) ValueUs() float64 { return p[1] }

// Command is what was started, argv by argv, without a shell between.
type Command struct {
	Server []string `json:"server,omitempty"`
	Load   []string `json:"load,omitempty"`
}

// Factors are the levels of a trial, by factor name. Levels are text, so that
// they compare exactly ("5", "0.5", "O_DIRECT"); numbers and booleans in a file
// are read as the text they are written with.
type Factors map[string]string

// UnmarshalJSON accepts text, numbers and booleans as levels.
func (f *Factors) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	levels := make(Factors, len(raw))
	for name, level := range raw {
		switch c := level[0]; {
		case c == '"':
			var s string
			if err := json.Unmarshal(level, &s); err != nil {
				return fmt.Errorf("factor %q: %w", name, err)
			}
			levels[name] = s
		case c == '{' || c == '[' || c == 'n':
			return fmt.Errorf("factor %q: level %s is not text, number or boolean", name, level)
		default:
			levels[name] = string(level)
		}
	}
	*f = levels
	return nil
}

// Number is the level of a factor as a number, if it is one.
func (f Factors) Number(name string) (float64, bool) {
	level, ok := f[name]
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseFloat(level, 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// String is "a=1 b=2", names in order.
func (f Factors) String() string {
	parts := make([]string, 0, len(f))
	for _, name := range slices.Sorted(maps.Keys(f)) {
		parts = append(parts, name+"="+f[name])
	}
	return strings.Join(parts, " ")
}

// Trial is one measured run of one model on one workload: a line of
// trials.jsonl.
type Trial struct {
	// Schema is set by Writer.Append, and by reading: whatever a file had, what was
	// read is a Trial of the current schema.
	Schema int `json:"schema"`
	// ID tells the trial from all others of its run: see TrialID, which Append and
	// reading put here if there is none.
	ID         string `json:"id"`
	Experiment string `json:"experiment"`
	Workload   string `json:"workload"`
	Model      string `json:"model"`
	// Round counts from 1. Every model runs once a round.
	Round   int     `json:"round"`
	Seed    uint64  `json:"seed"`
	Factors Factors `json:"factors,omitempty"`
	// Start is when the measured part began, after the warm-up.
	Start time.Time `json:"start"`
	// DurationS is the length of the measured part, in seconds.
	DurationS float64 `json:"duration_s"`
	// ElapsedS is what the trial took in all, the starts and ends of its processes
	// included, in seconds; 0 in runs of schema 1.
	ElapsedS float64 `json:"elapsed_s,omitempty"`
	Verdict  Verdict `json:"verdict"`
	// Reasons say why the verdict is not Valid. Invariant: a verdict other than
	// Valid has at least one.
	Reasons []string `json:"reasons,omitempty"`
	// Notes are what a reader should know of single figures of a trial that is not
	// in doubt as a whole.
	Notes   []string          `json:"notes,omitempty"`
	Metrics map[string]Metric `json:"metrics"`
	Command Command           `json:"command"`
	// WarmupS is how long the load warmed the server up, in seconds, and WarmupSteady
	// whether the server was found steady at its end.
	WarmupS      float64 `json:"warmup_s,omitempty"`
	WarmupSteady bool    `json:"warmup_steady,omitempty"`
	// Series is the measured part in slices of equal length, in order.
	Series []Slice `json:"series,omitempty"`
	// Distributions hold the points of percentile curves, in ascending
	// percentile: "latency", "service", "blocked", "unblocked".
	Distributions map[string][]Point `json:"distributions,omitempty"`
	// Blocks is nil in runs of versions that had no block profile.
	Blocks *Blocks `json:"blocks,omitempty"`
}

// Slice is a part of the measured time. Requests belong to the slice in which their
// answer came. With Answered 0 the latencies mean nothing.
type Slice struct {
	// OffsetS is its begin, counted from the begin of the measured part, in seconds.
	OffsetS   float64 `json:"offset_s"`
	DurationS float64 `json:"duration_s"`
	Intended  int64   `json:"intended"`
	Answered  int64   `json:"answered"`
	MeanUs    float64 `json:"mean_us"`
	P50Us     float64 `json:"p50_us"`
	P99Us     float64 `json:"p99_us"`
	MaxUs     float64 `json:"max_us"`
	// InFlight is the number of requests without answer, from their intended send
	// time on, as a mean over the slice.
	InFlight float64 `json:"in_flight"`
}

// TrialID is the ID of a trial: what it is, and in which round.
func TrialID(experiment, model string, round int, f Factors) string {
	return strings.TrimSpace(fmt.Sprintf("%s/%d/%s %s", experiment, round, model, f))
}

// upgrade makes a trial of any schema that is read one of the current schema.
func (t *Trial) upgrade() {
	t.Schema = Schema
	if t.ID == "" { // all of schema 1
		t.ID = TrialID(t.Experiment, t.Model, t.Round, t.Factors)
	}
}

// Counted reports whether the trial's figures enter medians.
func (t *Trial) Counted() bool { return t.Verdict == Valid || t.Verdict == Suspect }

// Value is the value of a metric, if the trial has it and it is available.
func (t *Trial) Value(name string) (float64, bool) {
	m, ok := t.Metrics[name]
	return m.Value, ok && m.Available()
}

// Check returns what makes the trial unfit to be written or read, naming the field.
func (t *Trial) Check() error {
	switch {
	case t.Experiment == "":
		return errors.New("trial has no experiment")
	case t.Workload == "":
		return errors.New("trial has no workload")
	case t.Model == "":
		return errors.New("trial has no model")
	case t.Round < 1:
		return fmt.Errorf("round %d: rounds count from 1", t.Round)
	case math.IsNaN(t.DurationS) || math.IsInf(t.DurationS, 0) || t.DurationS < 0:
		return fmt.Errorf("duration_s is %v", t.DurationS)
	case math.IsNaN(t.ElapsedS) || math.IsInf(t.ElapsedS, 0) || t.ElapsedS < 0:
		return fmt.Errorf("elapsed_s is %v", t.ElapsedS)
	}
	switch t.Verdict {
	case Valid:
	case Suspect, Invalid:
		if len(t.Reasons) == 0 {
			return fmt.Errorf("verdict %q without reasons", t.Verdict)
		}
	default:
		return fmt.Errorf("verdict %q is none of valid, suspect, invalid", t.Verdict)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Metrics)) {
		if err := t.Metrics[name].check(); err != nil {
			return fmt.Errorf("metric %s %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Distributions)) {
		if err := checkPoints(t.Distributions[name]); err != nil {
			return fmt.Errorf("distribution %s: %w", name, err)
		}
	}
	if t.Blocks != nil {
		if err := t.Blocks.check(); err != nil {
			return fmt.Errorf("blocks: %w", err)
		}
	}
	return nil
}

// checkPoints wants finite values and ascending percentiles within 0..100.
func checkPoints(points []Point) error {
	last := 0.0
	for i, p := range points {
		pct, us := p.Percentile(), p.ValueUs()
		if !(pct >= last && pct <= 100) {
			return fmt.Errorf("point %d: percentile %v does not ascend within 0..100", i, pct)
		}
		if math.IsNaN(us) || math.IsInf(us, 0) || us < 0 {
			return fmt.Errorf("point %d: value is %v us", i, us)
		}
		last = pct
	}
	return nil
}
