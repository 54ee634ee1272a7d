package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

// table is medians and intervals of a view: a group of rows for each key.
type table struct {
	Caption string
	// Factor heads the column of levels; empty if there is none.
	Factor string
	Models []look
	Groups []tableGroup
	// Marks is set if any cell is marked as best, which needs a key.
	Marks bool
}

type tableGroup struct {
	Label, Source, Unit string
	Rows                []tableRow
}

type tableRow struct {
	Level string
	Cells []tableCell
	// Missing is set if no cell has a value and all say the same; it stands for
	// them all.
	Missing string
}

type tableCell struct {
	// Median is empty if there is none.
	Median, Interval string
	// Missing is the reason why.
	Missing string
	// Best marks the best median of the row; Tied those not told apart from it.
	Best, Tied bool
	Rounds     int
}

// keysThat are the view's keys that want keeps.
func (v *view) keysThat(want func(key) bool) []key {
	return slices.DeleteFunc(slices.Clone(v.Keys), func(k key) bool { return !want(k) })
}

// table makes the view's table of some keys, in their order.
func (v *view) table(caption string, lk map[string]look, keys []key) table {
	t := table{Caption: caption, Factor: v.Factor}
	for _, m := range v.Models {
		t.Models = append(t.Models, lk[m])
	}
	for _, k := range keys {
		_, unit := display(k.Unit)
		g := tableGroup{Label: upperFirst(k.Label()), Source: k.Source, Unit: unit}
		for _, l := range v.Levels {
			row := v.row(k, l)
			if row.Missing == notMeasured && v.hasValue(k) {
				continue // at other levels it was
			}
			g.Rows = append(g.Rows, row)
			if !v.hasValue(k) {
				// One row says it for every level.
				g.Rows = []tableRow{{Level: "all", Cells: row.Cells, Missing: "unavailable: " + v.whyMissing(k)}}
				break
			}
			t.Marks = t.Marks || slices.ContainsFunc(row.Cells, func(c tableCell) bool { return c.Best })
		}
		t.Groups = append(t.Groups, g)
	}
	return t
}

func (v *view) row(k key, l level) tableRow {
	row := tableRow{Level: l.Text}
	r := v.rank(k, l.Text)
	best := ""
	var tied []ranked
	// Where nobody is behind there is nothing to mark.
	if t, behind := r.tied(); len(behind) > 0 {
		best, tied = r.rows[0].model, t
	}
	for _, m := range v.Models {
		c := v.cell(m, l.Text, k)
		cell := tableCell{Rounds: len(c.Points), Best: m == best}
		cell.Tied = slices.ContainsFunc(tied, func(t ranked) bool { return t.model == m })
		switch {
		case len(c.Points) > 0:
			cell.Median = shown(c.Summary.Median, k.Unit)
			if c.Summary.HasInterval() {
				cell.Interval = shown(c.Summary.Lo, k.Unit) + " to " + shown(c.Summary.Hi, k.Unit)
			}
		case len(c.Missing) > 0:
			cell.Missing = "unavailable: " + c.why()
		default:
			cell.Missing = notMeasured
		}
		row.Cells = append(row.Cells, cell)
	}
	if first := row.Cells[0]; !slices.ContainsFunc(row.Cells, func(c tableCell) bool { return c.Median != "" || c.Missing != first.Missing }) {
		row.Missing = first.Missing
	}
	return row
}

// notMeasured is a cell for which no trial even says why it has no value.
const notMeasured = "not measured"

// only leaves the columns of models with a value in it.
func (t table) only() table {
	for i := len(t.Models) - 1; i >= 0; i-- {
		valued := slices.ContainsFunc(t.Groups, func(g tableGroup) bool {
			return slices.ContainsFunc(g.Rows, func(r tableRow) bool { return r.Cells[i].Median != "" })
		})
		if valued {
			continue
		}
		t.Models = slices.Delete(t.Models, i, i+1)
		for g := range t.Groups {
			for r := range t.Groups[g].Rows {
				cells := &t.Groups[g].Rows[r].Cells
				*cells = slices.Delete(*cells, i, i+1)
			}
		}
	}
	return t
}

// happened reports whether a key has a value that is not 0.
func (v *view) happened(k key) bool {
	for id, c := range v.cells {
		if id.key == k && slices.ContainsFunc(c.Points, func(p point) bool { return p.Value != 0 }) {
			return true
		}
	}
	return false
}

// isTakeover and isCall tell the keys of tables of their own from the rest.
func isTakeover(k key) bool { return strings.HasPrefix(k.Name, "takeover") }

func isCall(k key) bool {
	_, ok := result.SyscallOf(k.Name)
	return ok
}

// levelsOfConfidence says which confidence the view's intervals reached.
func (v *view) levelsOfConfidence() string {
	seen := map[int]string{}
	var ns []int
	for _, c := range v.cells {
		if n := c.Summary.N; n > 0 && seen[n] == "" {
			seen[n] = c.Summary.Level()
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	var parts []string
	for _, n := range ns {
		parts = append(parts, seen[n])
	}
	return strings.Join(parts, ", ")
}

// trialTable is every trial of a view with every value, for checking.
type trialTable struct {
	Factor  string
	Columns []trialColumn
	Rows    []trialRow
}

type trialColumn struct{ Name, Source, Unit string }

type trialRow struct {
	Round, Level string
	Look         look
	Verdict      result.Verdict
	// Limited is set where the load may have been the limit.
	Limited bool
	Reasons string
	Cells   []string
}

func (v *view) trialTable(lk map[string]look) trialTable {
	t := trialTable{Factor: v.Factor}
	for _, k := range v.Keys {
		_, unit := display(k.Unit)
		t.Columns = append(t.Columns, trialColumn{k.Name, k.Source, unit})
	}
	for _, trial := range v.Trials {
		row := trialRow{Round: fmt.Sprint(trial.Round), Level: trial.Factors[v.Factor], Look: lk[trial.Model],
			Verdict: trial.Verdict, Limited: loadLimited(trial), Reasons: strings.Join(trial.Reasons, "; ")}
		for _, k := range v.Keys {
			m, ok := trial.Metrics[k.Name]
			switch {
			case !ok || m.Source != k.Source || m.Unit != k.Unit:
				row.Cells = append(row.Cells, "")
			case !m.Available():
				row.Cells = append(row.Cells, "unavailable")
			default:
				row.Cells = append(row.Cells, shown(m.Value, m.Unit))
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
