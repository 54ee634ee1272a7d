package compare

import (
	"encoding/json"
	"io"
	"math"

	"github.com/syslet/syslet/lab/result"
)

// Schema is the version of WriteJSON's output.
const Schema = 1

// The report on the wire. What is no number (a ratio to zero, an interval of one
// round) is absent.
type (
	wireReport struct {
		Schema   int        `json:"schema"`
		Base     Side       `json:"base"`
		New      Side       `json:"new"`
		Forced   bool       `json:"forced,omitempty"`
		Warnings []string   `json:"warnings,omitempty"`
		Family   int        `json:"family"`
		Counts   wireCounts `json:"verdicts"`
		Cells    []wireCell `json:"cells"`
		Left     []Left     `json:"not_compared,omitempty"`
	}
	wireCounts map[Verdict]int
	wireCell   struct {
		Experiment string         `json:"experiment"`
		Workload   string         `json:"workload"`
		Model      string         `json:"model"`
		Factors    result.Factors `json:"factors,omitempty"`
		Base       Tally          `json:"base_trials"`
		New        Tally          `json:"new_trials"`
		Notes      []string       `json:"notes,omitempty"`
		Changes    []wireChange   `json:"changes"`
	}
	wireChange struct {
		Metric string `json:"metric"`
		Unit   string `json:"unit"`
		Source string `json:"source"`
		// Base and New are medians, in Unit.
		Base       float64    `json:"base"`
		New        float64    `json:"new"`
		BaseRounds int        `json:"base_rounds"`
		NewRounds  int        `json:"new_rounds"`
		Ratio      *float64   `json:"ratio,omitempty"`
		RatioCI    []float64  `json:"ratio_interval,omitempty"`
		Shift      float64    `json:"shift"`
		ShiftCI    [2]float64 `json:"shift_interval"`
		Confidence float64    `json:"confidence"`
		// Delta is Cliff's: 1 if all rounds of NEW are above all of BASE.
		Delta     float64 `json:"cliffs_delta"`
		P         float64 `json:"p"`
		Corrected float64 `json:"p_corrected"`
		Bound     float64 `json:"noise_bound"`
		Measured  float64 `json:"noise_measured"`
		// Resolution is the smallest change, as a share, that these rounds would have shown.
		Resolution *float64 `json:"resolution,omitempty"`
		Verdict    Verdict  `json:"verdict"`
	}
)

// WriteJSON writes the report as one JSON object: shares and ratios as plain
// numbers, values in the units given.
func (r *Report) WriteJSON(to io.Writer) error {
	out := wireReport{Schema: Schema, Base: r.Base, New: r.New, Forced: r.Forced, Warnings: r.Warnings, Family: r.Family,
		Counts: wireCounts{}, Cells: []wireCell{}, Left: r.Left}
	for i := range r.Cells {
		c := &r.Cells[i]
		cell := wireCell{c.Experiment, c.Workload, c.Model, c.Factors, c.Base, c.New, c.Notes, []wireChange{}}
		for j := range c.Changes {
			cell.Changes = append(cell.Changes, c.Changes[j].wire())
			out.Counts[c.Changes[j].Verdict]++
		}
		out.Cells = append(out.Cells, cell)
	}
	enc := json.NewEncoder(to)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func (c *Change) wire() wireChange {
	out := wireChange{Metric: c.Metric, Unit: c.Unit, Source: c.Source, Base: c.Base.Median, New: c.New.Median,
		BaseRounds: c.Base.N, NewRounds: c.New.N, Shift: c.Shift.By, ShiftCI: [2]float64{c.Shift.Lo, c.Shift.Hi}, Confidence: c.Shift.Reached, Delta: c.Ratio.Delta,
		P: c.P, Corrected: c.Corrected, Bound: c.Bound, Measured: c.Measured, Verdict: c.Verdict}
	if c.hasRatio() && !math.IsInf(c.Ratio.Hi, 0) {
		out.Ratio, out.RatioCI = &c.Ratio.Ratio, []float64{c.Ratio.Lo, c.Ratio.Hi}
	}
	if share, ok := c.Resolution(); ok && c.Verdict != TooFew {
		out.Resolution = &share
	}
	return out
}
