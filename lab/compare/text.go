package compare

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// WriteText writes the report for a terminal: every comparison, cell by cell.
func (r *Report) WriteText(to io.Writer) error {
	w := bufio.NewWriter(to)
	fmt.Fprintln(w, r.Base.words("BASE"))
	fmt.Fprintln(w, r.New.words("NEW "))
	for _, warning := range r.Warnings {
		fmt.Fprintln(w, "warning:", warning)
	}
	for i := range r.Cells {
		c := &r.Cells[i]
		fmt.Fprintf(w, "\n%s\n  BASE %s; NEW %s\n", c.Name(), c.Base, c.New)
		for _, note := range c.Notes {
			fmt.Fprintf(w, "  note: %s\n", note)
		}
		for j := range c.Changes {
			c.Changes[j].writeText(w)
		}
	}
	if len(r.Left) > 0 {
		fmt.Fprintf(w, "\nnot compared:\n")
		for _, l := range r.Left {
			fmt.Fprintf(w, "  %s\n", l.words())
		}
	}
	fmt.Fprintf(w, "\n%s\n", r.Summary())
	if text := r.Undecided(); text != "" {
		fmt.Fprintf(w, "%s.\n", strings.ToUpper(text[:1])+text[1:])
	}
	return w.Flush()
}

func (c *Change) writeText(w io.Writer) {
	verdict := string(c.Verdict)
	if c.Verdict == Regression {
		verdict = strings.ToUpper(verdict)
	}
	fmt.Fprintf(w, "  %-24s %10s -> %-10s %-5s %-30s %-8s %s (%s)\n", c.Metric, fmt.Sprintf("%.4g", c.Base.Median), fmt.Sprintf("%.4g", c.New.Median),
		c.Unit, c.size(), chance(c.Corrected), verdict, c.remark())
}

// WriteMarkdown writes the report for a pull request: what changed first, all of it
// below.
func (r *Report) WriteMarkdown(to io.Writer) error {
	w := bufio.NewWriter(to)
	fmt.Fprintf(w, "## syslet lab: comparison\n\n%s\n\n", mdText(r.Summary()))
	if text := r.Undecided(); text != "" {
		fmt.Fprintf(w, "**Undecided:** %s.\n\n", mdText(text))
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(w, "> **Warning:** %s\n>\n", mdText(warning))
	}
	fmt.Fprintf(w, "\n- %s\n- %s\n", mdText(r.Base.words("BASE")), mdText(r.New.words("NEW")))
	for _, v := range []Verdict{Regression, Improvement, Different} {
		if r.Count(v) > 0 {
			fmt.Fprintf(w, "\n### %ss\n\n", strings.ToUpper(string(v[:1]))+string(v[1:]))
			r.mdTable(w, func(c *Change) bool { return c.Verdict == v })
		}
	}
	if r.Family > 0 {
		fmt.Fprintf(w, "\n<details><summary>All comparisons</summary>\n\n")
		r.mdTable(w, func(*Change) bool { return true })
		fmt.Fprintf(w, "\n</details>\n")
	}
	r.mdCells(w)
	if len(r.Left) > 0 {
		fmt.Fprintf(w, "\n### Not compared\n\n")
		for _, l := range r.Left {
			fmt.Fprintf(w, "- %s\n", mdText(l.words()))
		}
	}
	return w.Flush()
}

// mdCells lists what is to be said of whole cells: trials that are not valid, notes.
func (r *Report) mdCells(w io.Writer) {
	head := false
	for i := range r.Cells {
		c := &r.Cells[i]
		if len(c.Notes) == 0 && c.Base.Invalid+c.Base.Suspect+c.New.Invalid+c.New.Suspect == 0 {
			continue
		}
		if !head {
			fmt.Fprintf(w, "\n### Trials in doubt\n\n")
			head = true
		}
		fmt.Fprintf(w, "- %s: BASE %s; NEW %s", mdText(c.Name()), c.Base, c.New)
		for _, note := range c.Notes {
			fmt.Fprintf(w, "; %s", mdText(note))
		}
		fmt.Fprintln(w)
	}
}

func (r *Report) mdTable(w io.Writer, want func(*Change) bool) {
	fmt.Fprintf(w, "| cell | metric | BASE | NEW | change [interval] | p, corrected | verdict |\n|---|---|--:|--:|---|--:|---|\n")
	r.each(func(cell *Cell, c *Change) {
		if !want(c) {
			return
		}
		verdict := string(c.Verdict)
		if c.Verdict == Regression {
			verdict = "**" + verdict + "**"
		}
		fmt.Fprintf(w, "| %s | `%s` | %.4g %s | %.4g %s | %s | %.3g | %s (%s) |\n", mdText(cell.Name()), c.Metric, c.Base.Median, c.Unit,
			c.New.Median, c.Unit, mdText(c.size()), c.Corrected, verdict, mdText(c.remark()))
	})
}

// mdText keeps text from becoming Markdown or breaking a table.
func mdText(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "*", `\*`, "_", `\_`, "`", "'").Replace(s)
}

// WriteGate writes what people's CI should stop or say: a line for each regression,
// and one for what could not be decided. It writes nothing if all is well. Warnings
// stand before the lines, and alone if the comparison was forced.
func (r *Report) WriteGate(to io.Writer) error {
	w := bufio.NewWriter(to)
	var lines []string
	r.each(func(cell *Cell, c *Change) {
		if c.Verdict == Regression {
			lines = append(lines, fmt.Sprintf("regression: %s: %s %.4g -> %.4g %s, %s, %s (%s)", cell.Name(), c.Metric,
				c.Base.Median, c.New.Median, c.Unit, c.size(), chance(c.Corrected), c.remark()))
		}
	})
	for _, why := range r.Doubts() {
		lines = append(lines, "undecided: "+why)
	}
	if r.Forced || len(lines) > 0 {
		for _, warning := range r.Warnings {
			fmt.Fprintln(w, "warning:", warning)
		}
	}
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
	return w.Flush()
}

// Doubts are the reasons why the absence of a regression is no pass: nothing to
// compare, too few rounds, or parts of BASE that NEW lacks.
func (r *Report) Doubts() []string {
	var out []string
	if r.Family == 0 {
		out = append(out, r.Summary())
	} else if text := r.Undecided(); text != "" {
		out = append(out, text)
	}
	return append(out, r.lacks()...)
}

// lacks says what BASE has and NEW was not held to, a line for each reason.
func (r *Report) lacks() []string {
	var order []string
	of := map[string][]string{}
	for _, l := range r.Left {
		if l.In == "new" {
			continue
		}
		if of[l.Why] == nil {
			order = append(order, l.Why)
		}
		of[l.Why] = append(of[l.Why], strings.TrimSuffix(l.Cell+", "+l.Metric, ", "))
	}
	var out []string
	for _, why := range order {
		text := "not compared: " + of[why][0]
		if more := len(of[why]) - 1; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		out = append(out, text+": "+why)
	}
	return out
}
