package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

// serverColumn is a metric of the tables in which servers are rows.
type serverColumn struct {
	name, head string
	// brief columns are those of the README.
	brief bool
}

// serverColumns are in the order of the table. One that no server has a value for
// is left out.
var serverColumns = []serverColumn{
	{result.Throughput, "messages", true}, // but where the load sets the rate
	{result.CPUPerDelivery, "CPU per delivery", true},
	{result.SyscallsKernelPerDelivery, "system calls per delivery", true},
	{result.SwitchesVoluntaryPerDelivery, "voluntary switches per delivery", true},
	{result.SwitchesInvoluntaryPerDelivery, "involuntary switches per delivery", false},
	{result.AllocsPerDelivery, "allocations per delivery", true},
	{result.CPUPerOp, "CPU per message", true},
	{result.SyscallsKernelPerOp, "system calls per message", true},
	{result.SwitchesVoluntaryPerOp, "voluntary switches per message", true},
	{result.SwitchesInvoluntaryPerOp, "involuntary switches per message", false},
	{result.AllocsPerOp, "allocations per message", true},
	{result.LatencyP50, "p50", true},
	{result.LatencyP90, "p90", false},
	{result.LatencyP99, "p99", true},
	{result.LatencyP999, "p99.9", true},
	{result.SaturationThroughput, "messages at saturation", true},
	{result.SaturationDeliveries, "deliveries at saturation", true},
	{result.SaturationCPUPerDelivery, "CPU per delivery at saturation", false},
	{result.SaturationCPUPerOp, "CPU per message at saturation", false},
	{result.SaturationP99, "p99 at saturation", true},
	{result.SaturationServerBusy, "CPU used at saturation", false},
	{result.RSS, "memory", false},
}

// perDelivery are the columns per message that a fan-out has per delivery, which
// say the same in a larger unit.
var perDelivery = []string{result.CPUPerOp, result.SyscallsKernelPerOp, result.SwitchesVoluntaryPerOp, result.SwitchesInvoluntaryPerOp,
	result.AllocsPerOp, result.SaturationCPUPerOp}

// serverTable is one level of a view: a row for each server, a column for each
// metric.
type serverTable struct {
	// Title is the level in words.
	Title   string
	Columns []serverHead
	Rows    []serverRow
}

type serverHead struct{ Head, Unit, Source string }

type serverRow struct {
	Look  look
	Cells []tableCell
	// Notes are those of its trials.
	Notes []string
}

// isForeign reports whether a model is none of ours.
func isForeign(model string) bool { return !slices.Contains(known[:ourModels], model) }

// besides reports whether a view has servers that are not ours: then it is read
// by server, not by metric.
func (v *view) besides() bool { return slices.ContainsFunc(v.Models, isForeign) }

// serverTables are a view's tables of servers, nil for a view of our models alone.
func (v *view) serverTables(lk map[string]look) []serverTable {
	if !v.besides() {
		return nil
	}
	var out []serverTable
	for _, l := range v.Levels {
		out = append(out, v.serverTable(l, lk))
	}
	return out
}

func (v *view) serverTable(l level, lk map[string]look) serverTable {
	t := serverTable{Title: upperFirst(trimAt(v.at(l.Text)))}
	for _, m := range v.Models {
		t.Rows = append(t.Rows, serverRow{Look: lk[m], Notes: v.notes(m, l.Text)})
	}
	for _, c := range v.serverKeys(func(serverColumn) bool { return true }) {
		_, unit := display(c.key.Unit)
		t.Columns = append(t.Columns, serverHead{c.head, unit, c.key.Source})
		for i, cell := range v.row(c.key, l).Cells {
			t.Rows[i].Cells = append(t.Rows[i].Cells, cell)
		}
	}
	return t
}

// serverKey is a column with the key that fills it.
type serverKey struct {
	serverColumn
	key key
}

// serverKeys are the columns that a view has values for, of those that want keeps.
func (v *view) serverKeys(want func(serverColumn) bool) []serverKey {
	fanout := len(v.keysOf(result.CPUPerDelivery)) > 0
	var out []serverKey
	for _, c := range serverColumns {
		if !want(c) || fanout && slices.Contains(perDelivery, c.name) || v.givenByLoad(c.name) {
			continue
		}
		if v.Workload == fileWork {
			c.head = strings.Replace(c.head, "message", "op", 1)
		}
		for _, k := range v.joinedKeysOf(c.name) {
			if v.hasValue(k) {
				out = append(out, serverKey{c, k})
			}
		}
	}
	return out
}

// notes are the distinct kinds of notes of a server's trials at a level, each with
// how many trials have it.
func (v *view) notes(model, levelText string) []string {
	d := doubts{}
	n := 0
	for _, t := range v.Trials {
		if t.Model == model && t.Factors[v.Factor] == levelText && t.Counted() {
			n++
			d.add(&result.Trial{Model: t.Model, Reasons: t.Notes})
		}
	}
	var out []string
	for _, k := range d.kinds() {
		out = append(out, fmt.Sprintf("%d of %d rounds: %s", d[k].trials, n, d[k].example))
	}
	return out
}

// Notes are the rows' notes together, by note, with the servers that have it.
func (t serverTable) Notes() []string {
	by := map[string][]string{}
	var order []string
	for _, r := range t.Rows {
		for _, n := range r.Notes {
			kind := digits.ReplaceAllString(n, "#")
			if by[kind] == nil {
				order = append(order, kind)
			}
			by[kind] = append(by[kind], r.Look.model+" ("+n+")")
		}
	}
	var out []string
	for _, kind := range order {
		out = append(out, strings.Join(by[kind], "; "))
	}
	return out
}

// markdownServers writes a view's tables of servers.
func (v *view) markdownServers(b *strings.Builder, want func(serverColumn) bool) {
	for _, l := range v.Levels {
		if len(v.Levels) > 1 || l.Text != "" {
			fmt.Fprintf(b, "### %s\n\n", mdText(upperFirst(trimAt(v.at(l.Text)))))
		}
		keys := v.serverKeys(want)
		b.WriteString("| server |")
		for _, c := range keys {
			_, unit := display(c.key.Unit)
			b.WriteString(" " + mdText(strings.TrimSuffix(c.head+", "+unit, ", ")) + " |")
		}
		b.WriteString("\n|---" + strings.Repeat("|--:", len(keys)) + "|\n")
		rows := make([]tableRow, len(keys))
		for i, c := range keys {
			rows[i] = v.row(c.key, l)
		}
		for i, m := range v.Models {
			b.WriteString("| " + mdText(m) + " |")
			for _, r := range rows {
				b.WriteString(" " + r.Cells[i].short() + " |")
			}
			b.WriteByte('\n')
		}
		if note := v.ownFigures(keys); note != "" {
			fmt.Fprintf(b, "\nNote: %s.\n", mdText(note))
		}
		for _, note := range v.serverTable(l, looks(v.Models)).Notes() {
			fmt.Fprintf(b, "\nNote: %s.\n", mdText(note))
		}
		b.WriteByte('\n')
	}
}

// short is the cell for a Markdown table with many columns: a dash for what is not
// there, the reason for which stands elsewhere.
func (c tableCell) short() string {
	if c.Median == "" {
		return "–"
	}
	text := c.text()
	if c.Best {
		return "**" + mdText(c.Median) + "**" + mdText(strings.TrimPrefix(text, c.Median))
	}
	return mdText(text)
}
