package reports

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
)

// writeCSV is one line for each key, model and level, with values as exact as
// they were measured, in the units of trials.jsonl.
func writeCSV(to io.Writer, vs []*view) error {
	w := csv.NewWriter(to)
	w.Write([]string{"experiment", "workload", "factors", "model", "metric", "source", "unit", "rounds", "median", "lo", "hi", "confidence", "unavailable", "valid", "suspect", "invalid"})
	for _, v := range vs {
		for _, k := range v.Keys {
			for _, l := range v.Levels {
				for _, m := range v.Models {
					if row := v.csvRow(k, l, m); row != nil {
						w.Write(row)
					}
				}
			}
		}
		v.csvUncounted(w)
	}
	w.Flush()
	return w.Error()
}

func (v *view) csvRow(k key, l level, model string) []string {
	c := v.cell(model, l.Text, k)
	if len(c.Points) == 0 && len(c.Missing) == 0 {
		return nil
	}
	row := []string{v.Experiment, v.Workload, v.factorsAt(l), model, k.Name, k.Source, k.Unit, strconv.Itoa(len(c.Points))}
	s := c.Summary
	switch {
	case len(c.Points) == 0:
		row = append(row, "", "", "", "")
	case !s.HasInterval():
		row = append(row, exact(s.Median), "", "", "")
	default:
		row = append(row, exact(s.Median), exact(s.Lo), exact(s.Hi), exact(s.Reached))
	}
	return v.trialsOf(model, l.Text).csv(append(row, c.why()))
}

// factorsAt are all levels of a cell.
func (v *view) factorsAt(l level) string {
	if v.Factor == "" {
		return v.Setting.String()
	}
	return strings.TrimSpace(v.Setting.String() + " " + v.Factor + "=" + l.Text)
}

// csvUncounted is a line for each cell of which no trial counts: without it the cell
// would look as if it had never been measured.
func (v *view) csvUncounted(w *csv.Writer) {
	for _, l := range v.Levels {
		for _, m := range v.Models {
			if t := v.trialsOf(m, l.Text); t.invalid > 0 && t.counted() == 0 {
				w.Write(t.csv([]string{v.Experiment, v.Workload, v.factorsAt(l), m, "", "", "", "0", "", "", "", "",
					"no trial counts: " + strings.Join(t.reasons, "; ")}))
			}
		}
	}
}
