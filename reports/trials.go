package reports

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

// Which trials count, which are in doubt, and which are not counted: said of every
// cell, so that nothing is dropped in silence.

// loadLimited reports whether the load may have been the limit of a trial, not the
// server.
func loadLimited(t *result.Trial) bool {
	busy, ok := t.Value(result.LoadBusy)
	return ok && busy > loadFull || slices.ContainsFunc(t.Reasons, func(r string) bool { return strings.Contains(r, "it may be the limit, not the server") })
}

// cellTrials counts the trials of a model at a level.
type cellTrials struct {
	valid, suspect, invalid, limited int
	// reasons are those of the invalid ones, each once.
	reasons []string
}

func (c *cellTrials) counted() int { return c.valid + c.suspect }

func (v *view) trialsOf(model, levelText string) *cellTrials {
	c := &cellTrials{}
	for _, t := range v.Trials {
		if t.Model != model || t.Factors[v.Factor] != levelText {
			continue
		}
		switch t.Verdict {
		case result.Valid:
			c.valid++
		case result.Suspect:
			c.suspect++
		default:
			c.invalid++
			c.reasons = append(c.reasons, t.Reasons...)
		}
		if loadLimited(t) {
			c.limited++
		}
	}
	slices.Sort(c.reasons)
	c.reasons = slices.Compact(c.reasons)
	return c
}

// csv appends the three counts to a line.
func (c *cellTrials) csv(row []string) []string {
	return append(row, strconv.Itoa(c.valid), strconv.Itoa(c.suspect), strconv.Itoa(c.invalid))
}

// badges are the counts that are not zero.
func (c *cellTrials) badges() []badge {
	var out []badge
	for _, b := range []struct {
		class, text string
		n           int
	}{{"valid", "valid", c.valid}, {"suspect", "suspect", c.suspect}, {"invalid", "invalid", c.invalid}, {"limited", "load limited", c.limited}} {
		if b.n > 0 {
			out = append(out, badge{b.class, fmt.Sprintf("%d %s", b.n, b.text)})
		}
	}
	return out
}

func (c *cellTrials) String() string {
	var parts []string
	for _, b := range c.badges() {
		parts = append(parts, b.Text)
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// countTable is a view's trials by level and model.
type countTable struct {
	Title, Factor string
	Models        []look
	Rows          []countRow
}

type countRow struct {
	Level string
	Cells [][]badge
}

func countTables(vs []*view, lk map[string]look) []countTable {
	var out []countTable
	for _, v := range vs {
		t := countTable{Title: v.label(), Factor: v.Factor}
		for _, m := range v.Models {
			t.Models = append(t.Models, lk[m])
		}
		for _, l := range v.Levels {
			row := countRow{Level: orElse(l.Text, "trials")}
			for _, m := range v.Models {
				row.Cells = append(row.Cells, v.trialsOf(m, l.Text).badges())
			}
			t.Rows = append(t.Rows, row)
		}
		out = append(out, t)
	}
	return out
}

// mostSuspect is the number of suspect trials that summary.md lists one by one, each
// with its first reason; the page and trials.jsonl have all. Invalid ones are listed
// all, with all reasons.
const mostSuspect = 10

// markdownTrials writes the counts of each cell that has a trial in doubt, and the
// trials.
func markdownTrials(b *strings.Builder, run *result.Run, vs []*view) {
	all := &cellTrials{}
	for i := range run.Trials {
		switch t := &run.Trials[i]; t.Verdict {
		case result.Valid:
			all.valid++
		case result.Suspect:
			all.suspect++
		default:
			all.invalid++
		}
		if loadLimited(&run.Trials[i]) {
			all.limited++
		}
	}
	fmt.Fprintf(b, "%s of %d. Suspect trials count, invalid ones do not.\n", upperFirst(all.String()), len(run.Trials))
	if all.valid == len(run.Trials) {
		return
	}
	b.WriteString("\n| cell | trials |\n|---|---|\n")
	for _, v := range vs {
		for _, l := range v.Levels {
			for _, m := range v.Models {
				if c := v.trialsOf(m, l.Text); c.suspect+c.invalid > 0 {
					fmt.Fprintf(b, "| %s | %s |\n", mdText(v.label()+v.at(l.Text)+": "+m), c)
				}
			}
		}
	}
	b.WriteByte('\n')
	listed, suspect := 0, 0
	for _, verdict := range []result.Verdict{result.Invalid, result.Suspect} {
		for i := range run.Trials {
			t := &run.Trials[i]
			if t.Verdict != verdict {
				continue
			}
			if verdict == result.Suspect {
				if suspect++; suspect > mostSuspect {
					continue
				}
			}
			listed++
			mark, why := "", strings.Join(t.Reasons, "; ")
			if more := len(t.Reasons) - 1; more > 0 && verdict == result.Suspect {
				why = fmt.Sprintf("%s; and %d more", t.Reasons[0], more)
			}
			if loadLimited(t) {
				mark = ", load limited"
			}
			where := strings.TrimSpace(fmt.Sprintf("%s %s %s", t.Experiment, t.Model, t.Factors))
			fmt.Fprintf(b, "- %s%s: %s, round %d: %s\n", t.Verdict, mark, mdText(where), t.Round, mdText(why))
		}
	}
	if more := all.suspect + all.invalid - listed; more > 0 {
		fmt.Fprintf(b, "- and %d more suspect ones: see report.html and trials.jsonl\n", more)
	}
}
