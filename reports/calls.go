package reports

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// mostCalls is the number of system calls that are told of one model; the others are
// summed, and each is in the table of every metric and in summary.csv.
const mostCalls = 8

// callRow is the system calls of a model at a level, the most frequent first, each per
// request.
type callRow struct {
	Look  look
	Level string
	Calls []callCount
	// Others is the sum of those that are not in Calls, OthersN their number; Total of
	// all that are told by number. They are medians over the rounds.
	OthersN       int
	Others, Total string
}

type callCount struct{ Name, PerOp string }

// callRows are a row for each level and model that has calls counted.
func (v *view) callRows(lk map[string]look) []callRow {
	var out []callRow
	for _, l := range v.someLevels() {
		for _, m := range v.Models {
			if row, ok := v.callRow(m, l); ok {
				row.Look = lk[m]
				out = append(out, row)
			}
		}
	}
	return out
}

func (v *view) callRow(model string, l level) (callRow, bool) {
	type call struct {
		name  string
		key   key
		perOp float64
	}
	var all []call
	for _, k := range v.Keys {
		if name, ok := result.SyscallOf(k.Name); ok {
			if c := v.cell(model, l.Text, k); len(c.Points) > 0 {
				all = append(all, call{name, k, c.Summary.Median})
			}
		}
	}
	if len(all) == 0 {
		return callRow{}, false
	}
	slices.SortStableFunc(all, func(a, b call) int { return cmp.Compare(b.perOp, a.perOp) })
	row := callRow{Level: l.Text}
	var keys []key
	for i, c := range all {
		keys = append(keys, c.key)
		if i < mostCalls {
			row.Calls = append(row.Calls, callCount{c.name, number(c.perOp)})
		}
	}
	row.Total = v.sumOf(model, l, keys)
	if row.OthersN = len(all) - len(row.Calls); row.OthersN > 0 {
		row.Others = v.sumOf(model, l, keys[mostCalls:])
	}
	return row, true
}

// sumOf is the median over the rounds of the sum of some keys. A round that lacks one
// of them made no such call; one that has none of all counted nothing.
func (v *view) sumOf(model string, l level, keys []key) string {
	var sums []float64
	for _, t := range v.Trials {
		if t.Model != model || t.Factors[v.Factor] != l.Text || !t.Counted() {
			continue
		}
		sum, counted := 0.0, false
		for name, m := range t.Metrics {
			if _, ok := result.SyscallOf(name); ok && m.Available() {
				counted = true
				if slices.Contains(keys, key{name, m.Source, m.Unit}) {
					sum += m.Value
				}
			}
		}
		if counted {
			sums = append(sums, sum)
		}
	}
	return number(stats.Summarize(sums).Median)
}

// More is "and 4 others: 0.2".
func (r callRow) More() string {
	switch r.OthersN {
	case 0:
		return ""
	case 1:
		return "and 1 other: " + r.Others
	}
	return fmt.Sprintf("and %d others: %s", r.OthersN, r.Others)
}
