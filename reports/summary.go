package reports

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

// What a terminal shows: writeMarkdown's text has the sentences and the metrics that
// decide, in a length that is read. All of it is in summary.csv and report.html.
const (
	// mostLevels of a curve are in its table: both ends and some between.
	mostLevels = 5
	// mostKinds of reasons are told of the trials in doubt.
	mostKinds = 5
	// longestReason is how much of one reason is told, in characters.
	longestReason = 150
)

// writeMarkdown is the verdict and the metrics that decide, for a terminal or a pull
// request.
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
	if len(vs) > 0 && vs[0].verdict.size() > 0 {
		fmt.Fprintf(&b, "\nEach order is corrected for the %d comparisons behind these sentences (Holm).\n", vs[0].verdict.size())
	}
	b.WriteString("\n## Trials and limits\n\n")
	markdownTrials(&b, run, vs)
	markdownFindings(&b, slices.DeleteFunc(slices.Clone(found.Limits), func(f finding) bool { return f.Elsewhere }))
	markdownGaps(&b, vs)
	if rows := judgeTargets(vs); len(rows) > 0 {
		b.WriteString("\n## Targets\n\n")
		markdownTargets(&b, rows)
	}
	for _, v := range vs {
		fmt.Fprintf(&b, "\n## %s\n\n", mdText(v.label()))
		fmt.Fprintf(&b, "Median [interval] over rounds (%s). Workload %s.\n\n", v.levelsOfConfidence(), v.Workload)
		if v.besides() {
			v.markdownServers(&b, func(c serverColumn) bool { return c.brief })
			continue
		}
		v.markdownDeciding(&b)
	}
	markdownThresholds(&b, thresholdRows(run))
	b.WriteString("\n## More\n\nreport.html has every figure, test and trial; summary.csv every median; trials.jsonl every value and reason.\n")
	if run.Environment != nil && len(run.Environment.CommandLine) > 0 {
		fmt.Fprintf(&b, "Run again: `%s`\n", shellQuote(run.Environment.CommandLine))
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// nothingToSay stands in the place of a verdict.
const nothingToSay = "No usable trial, so nothing can be said of any model."

// markdownFindings is a line for each. Its rows are in the tables below and, with
// every test, in report.html; a lead brings the test of the next one along.
func markdownFindings(b *strings.Builder, found []finding) {
	for _, f := range found {
		b.WriteString("- ")
		if f.Where != "" {
			fmt.Fprintf(b, "%s: ", mdText(f.Where))
		}
		fmt.Fprintf(b, "**%s.**", mdText(f.Head))
		if f.Model != "" && len(f.Rows) > 1 && f.Rows[1].Detail != "" {
			fmt.Fprintf(b, " (%s)", mdText(f.Rows[1].Detail))
		}
		if f.Body != "" {
			b.WriteString(" " + mdText(f.Body))
		}
		b.WriteByte('\n')
	}
}

// decidingMetrics are those that are told besides what the verdict asks for.
var decidingMetrics = []string{result.SaturationThroughput, result.Throughput, result.LatencyP50, result.LatencyP99, result.LatencyP999,
	result.CPUPerOp, result.SwitchesVoluntaryPerOp, result.SyscallsKernelPerOp, result.SyscallsPerOp, result.CacheMissesPerOp, result.RSS}

// decidingKeys are the keys of a view's short table: of one level all that decide, of
// a curve what its verdict is about. What nobody has a value for is left out here and
// told by markdownGaps.
func (v *view) decidingKeys() []key {
	names := decidingMetrics
	if len(v.Levels) > 1 {
		names = append(v.curveMetrics(), result.CPUPerOp)
	}
	var out []key
	for _, name := range names {
		for _, k := range v.keysOf(name) {
			if v.hasValue(k) {
				out = append(out, k)
			}
		}
	}
	return out
}

// someLevels are at most mostLevels, evenly among all, both ends included.
func (v *view) someLevels() []level {
	if len(v.Levels) <= mostLevels {
		return v.Levels
	}
	var out []level
	for i := range mostLevels {
		out = append(out, v.Levels[i*(len(v.Levels)-1)/(mostLevels-1)])
	}
	return out
}

func (v *view) markdownDeciding(b *strings.Builder) {
	heads, rule := "| metric |", "|---"
	if v.Factor != "" {
		heads, rule = heads+" "+mdText(v.Factor)+" |", rule+"|--:"
	}
	for _, m := range v.Models {
		heads, rule = heads+" "+mdText(m)+" |", rule+"|---"
	}
	b.WriteString(heads + "\n" + rule + "|\n")
	levels := v.someLevels()
	for _, k := range v.decidingKeys() {
		for _, l := range levels {
			row := v.row(k, l)
			if row.Missing != "" {
				continue
			}
			fmt.Fprintf(b, "| %s |", mdText(v.labelWithUnit(k)))
			if v.Factor != "" {
				b.WriteString(" " + mdText(l.Text) + " |")
			}
			for _, c := range row.Cells {
				if strings.HasPrefix(c.Missing, "unavailable") {
					c.Missing = "unavailable"
				}
				b.WriteString(" " + mdText(c.text()) + " |")
			}
			b.WriteByte('\n')
		}
	}
	if left := len(v.Levels) - len(levels); left > 0 {
		fmt.Fprintf(b, "\n%d more levels in summary.csv.\n", left)
	}
}

// labelWithUnit is "p99 latency, µs", with the source where sources are different
// quantities.
func (v *view) labelWithUnit(k key) string {
	text := k.Label()
	if _, unit := display(k.Unit); unit != "" {
		text += ", " + unit
	}
	return sourced(k, text)
}

// markdownGaps tells what no trial of any experiment could measure, a line for each
// sensor: the page has the list.
func markdownGaps(b *strings.Builder, vs []*view) {
	labels, why := map[string]map[string]bool{}, map[string][]string{}
	for _, v := range vs {
		for _, k := range v.Keys {
			if slices.ContainsFunc(vs, func(o *view) bool { return o.hasValue(k) }) {
				continue
			}
			s := k.sensor()
			if labels[s] == nil {
				labels[s] = map[string]bool{}
			}
			labels[s][k.Label()] = true
			why[s] = append(why[s], v.missing(k)...)
		}
	}
	for _, s := range slices.Sorted(maps.Keys(labels)) {
		what := slices.Sorted(maps.Keys(labels[s]))
		if len(what) > 2 {
			what = []string{fmt.Sprintf("%s and %d more", what[0], len(what)-1)}
		}
		kinds := byKind(why[s])
		reason := ""
		if len(kinds) > 0 {
			reason = ": " + clipped(kinds[0])
		}
		fmt.Fprintf(b, "- Unavailable from %s: %s%s\n", mdText(s), mdText(list(what)), mdText(reason))
	}
}

// clipped is the beginning of a reason.
func clipped(s string) string {
	if r := []rune(s); len(r) > longestReason {
		return strings.TrimSpace(string(r[:longestReason])) + "…"
	}
	return s
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
	s = strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "*", `\*`, "`", "'").Replace(s)
	// These open no tag.
	return strings.NewReplacer("&lt;= ", "<= ", "&lt; ", "< ").Replace(s)
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
