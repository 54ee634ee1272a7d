package reports

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/syslet/syslet/lab/result"
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

// writeMarkdown is the verdict and the tables, for a terminal or a pull request.
func writeMarkdown(to io.Writer, run *result.Run, vs []*view, found verdict) error {
	var b strings.Builder
	b.WriteString("# syslet lab: summary\n\n")
	if env := run.Environment; env != nil {
		fmt.Fprintf(&b, "%s · %s · Linux %s · %s\n\n", env.Start.UTC().Format("2006-01-02 15:04 UTC"), orUnknown(env.CPUModel), orUnknown(env.Kernel), orUnknown(env.GoVersion))
	}
	b.WriteString("## Verdict\n\n")
	if len(found.Answers) == 0 {
		b.WriteString(nothingToSay + "\n")
	}
	markdownFindings(&b, found.Answers)
	if len(found.Limits) > 0 {
		b.WriteString("\n## What limits it\n\n")
		markdownFindings(&b, found.Limits)
	}
	b.WriteString("\n## Trials\n\n")
	markdownTrials(&b, run, vs)
	if rows := judgeTargets(vs); len(rows) > 0 {
		b.WriteString("\n## Targets\n\n")
		markdownTargets(&b, rows)
	}
	for _, v := range vs {
		fmt.Fprintf(&b, "\n## %s\n\n", mdText(v.label()))
		fmt.Fprintf(&b, "Median [interval] over rounds (%s). Workload %s.\n\n", v.levelsOfConfidence(), v.Workload)
		if v.besides() {
			// By metric it would be too wide for anybody; summary.csv has all.
			v.markdownServers(&b, func(serverColumn) bool { return true })
			continue
		}
		v.markdownTable(&b)
	}
	markdownSensors(&b, run.Environment)
	if run.Environment != nil && len(run.Environment.CommandLine) > 0 {
		fmt.Fprintf(&b, "\n## Run again\n\n```\n%s\n```\n", shellQuote(run.Environment.CommandLine))
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// nothingToSay stands in the place of a verdict.
const nothingToSay = "No usable trial, so nothing can be said of any model."

func markdownFindings(b *strings.Builder, found []finding) {
	for _, f := range found {
		b.WriteString("- ")
		if f.Where != "" {
			fmt.Fprintf(b, "%s: ", mdText(f.Where))
		}
		b.WriteString(strings.TrimSpace(fmt.Sprintf("**%s.** %s", mdText(f.Head), mdText(f.Body))) + "\n")
		for _, e := range f.Rows {
			fmt.Fprintf(b, "  - %s\n", mdText(e.text()))
		}
	}
}

// text is the line as a sentence.
func (e evidence) text() string {
	out := e.Model + ": " + e.Value
	if e.Interval != "" {
		out += " [" + e.Interval + "]"
	}
	if e.Relation != "" {
		out += ", " + e.Relation
	}
	if e.Detail != "" {
		out += " (" + e.Detail + ")"
	}
	return out
}

func (v *view) markdownTable(b *strings.Builder) {
	b.WriteString("| metric | source | unit |")
	if v.Factor != "" {
		b.WriteString(" " + mdText(v.Factor) + " |")
	}
	for _, m := range v.Models {
		b.WriteString(" " + mdText(m) + " |")
	}
	columns := 3 + len(v.Models)
	if v.Factor != "" {
		columns++
	}
	b.WriteString("\n" + strings.Repeat("|---", columns) + "|\n")
	t := v.table("", nil, v.Keys)
	for i, k := range v.Keys {
		g := t.Groups[i]
		for _, r := range g.Rows {
			fmt.Fprintf(b, "| %s | %s | %s |", mdText(k.Name), mdText(g.Source), mdText(g.Unit))
			if v.Factor != "" {
				b.WriteString(" " + mdText(r.Level) + " |")
			}
			for i, c := range r.Cells {
				text := c.text()
				if r.Missing != "" {
					text = ""
					if i == 0 {
						text = r.Missing
					}
				}
				b.WriteString(" " + mdText(text) + " |")
			}
			b.WriteByte('\n')
		}
	}
}

// text is the cell on one line.
func (c tableCell) text() string {
	switch {
	case c.Median == "":
		return c.Missing
	case c.Interval == "":
		return c.Median
	default:
		return c.Median + " [" + c.Interval + "]"
	}
}

// mdText keeps text from becoming Markdown or breaking a table.
func mdText(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "*", `\*`, "`", "'").Replace(s)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// shellQuote writes argv so that a POSIX shell reads it back.
func shellQuote(argv []string) string {
	quoted := make([]string, len(argv))
	for i, arg := range argv {
		if arg != "" && strings.IndexFunc(arg, needsQuote) < 0 {
			quoted[i] = arg
		} else {
			quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

func needsQuote(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,+@%", r))
}
