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
	// doubted are the trials that are not valid.
	doubted []*result.Trial
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
		if t.Verdict != result.Valid {
			c.doubted = append(c.doubted, t)
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

// countCell is a cell's counts and the rules that its trials broke.
type countCell struct {
	Badges []badge
	Rules  []string
}

type countRow struct {
	Level string
	Cells []countCell
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
				c := v.trialsOf(m, l.Text)
				row.Cells = append(row.Cells, countCell{c.badges(), brokenRules(c.doubted)})
			}
			t.Rows = append(t.Rows, row)
		}
		out = append(out, t)
	}
	return out
}

// markdownTrials tells how many trials count, the main reasons against the others and
// the cells of which none counts. trials.jsonl and the page have each trial.
func markdownTrials(b *strings.Builder, run *result.Run, vs []*view) {
	all := &cellTrials{}
	kinds := map[result.Verdict]doubts{result.Invalid: {}, result.Suspect: {}}
	for i := range run.Trials {
		t := &run.Trials[i]
		switch t.Verdict {
		case result.Valid:
			all.valid++
		case result.Suspect:
			all.suspect++
		default:
			all.invalid++
		}
		if t.Verdict != result.Valid {
			kinds[t.Verdict].add(t)
		}
		if loadLimited(t) {
			all.limited++
		}
	}
	fmt.Fprintf(b, "%s of %d. Suspect trials count, invalid ones do not.\n\n", upperFirst(all.String()), len(run.Trials))
	for _, verdict := range []result.Verdict{result.Invalid, result.Suspect} {
		kinds[verdict].markdown(b, verdict)
	}
	for _, v := range vs {
		for _, l := range v.Levels {
			for _, m := range v.Models {
				if c := v.trialsOf(m, l.Text); c.invalid > 0 {
					text := fmt.Sprintf("**%s: %s**", mdText(v.label()+v.at(l.Text)+": "+m), c)
					if c.counted() == 0 {
						text += ", so nothing is known of it"
					}
					fmt.Fprintf(b, "- %s\n", text)
				}
			}
		}
	}
}
