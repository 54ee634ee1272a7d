package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// thresholdRow is a bound that a plan set, with what one model's median at one setting
// says of it.
type thresholdRow struct {
	Experiment, Threshold, Where, Model string
	// Median is over the rounds of trials that count, Interval around it.
	Median, Interval string
	// Verdict is met or unmet, by the median; what nobody measured is unmet. Why says
	// more where that is not all.
	Verdict, Why string
}

const (
	thresholdMet   = "met"
	thresholdUnmet = "unmet"
)

// Class is the verdict as a class of the style sheet.
func (r thresholdRow) Class() string {
	switch {
	case r.Verdict != thresholdMet:
		return "invalid"
	case r.Why != "":
		return "suspect"
	}
	return "valid"
}

// thresholdRows judge the plan's thresholds by experiment, model and setting.
func thresholdRows(run *result.Run) []thresholdRow {
	if run.Environment == nil {
		return nil
	}
	var out []thresholdRow
	for i := range run.Environment.Plan {
		p := &run.Environment.Plan[i]
		for _, text := range p.Thresholds {
			t, err := result.ReadThreshold(text)
			if err != nil {
				out = append(out, thresholdRow{Experiment: p.Experiment, Threshold: text, Verdict: thresholdUnmet, Why: "this version cannot read it"})
				continue
			}
			for _, trials := range settingsOf(run, p) {
				row := thresholdOf(t, trials)
				row.Experiment, row.Threshold, row.Model, row.Where = p.Experiment, text, trials[0].Model, trials[0].Factors.String()
				out = append(out, row)
			}
		}
	}
	return out
}

// settingsOf are an experiment's trials by model and factors: trials come in an order of
// chance, these in that of the plan.
func settingsOf(run *result.Run, p *result.Planned) [][]*result.Trial {
	at := map[string]int{}
	var out [][]*result.Trial
	for i := range run.Trials {
		t := &run.Trials[i]
		if t.Experiment != p.Experiment {
			continue
		}
		id := t.Model + "\x00" + t.Factors.String()
		if _, there := at[id]; !there {
			at[id] = len(out)
			out = append(out, nil)
		}
		out[at[id]] = append(out[at[id]], t)
	}
	slices.SortFunc(out, func(a, b []*result.Trial) int {
		return cmp.Or(cmp.Compare(slices.Index(p.Models, a[0].Model), slices.Index(p.Models, b[0].Model)), cmp.Compare(a[0].Factors.String(), b[0].Factors.String()))
	})
	return out
}

func thresholdOf(t result.Threshold, trials []*result.Trial) thresholdRow {
	var values []float64
	unit := t.Unit
	for _, one := range trials {
		if m, ok := one.Metrics[t.Metric]; ok && m.Available() && one.Counted() {
			values, unit = append(values, m.Value), m.Unit
		}
	}
	s := stats.Summarize(values)
	if s.N == 0 {
		return thresholdRow{Verdict: thresholdUnmet, Why: "not measured in any round that counts"}
	}
	row := thresholdRow{Median: quantity(s.Median, unit), Verdict: thresholdUnmet}
	if t.Check(s.Median) {
		row.Verdict = thresholdMet
	}
	if !s.HasInterval() {
		row.Why = "one round: no interval"
		return row
	}
	row.Interval = fmt.Sprintf("%s to %s at %s", shown(s.Lo, unit), shown(s.Hi, unit), stats.Percent(s.Reached))
	if t.Check(s.Lo) != t.Check(s.Hi) {
		row.Why = "the interval contains the bound"
	}
	return row
}

func (r thresholdRow) text() string {
	text := strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Experiment, r.Model, r.Where)) + ": " + r.Threshold + " " + r.Verdict
	if r.Median != "" {
		text += ": median " + r.Median
	}
	if r.Interval != "" {
		text += " [" + r.Interval + "]"
	}
	if r.Why != "" {
		text += "; " + r.Why
	}
	return text
}

// mostUnmet thresholds are told in summary.md one by one.
const mostUnmet = 12

// markdownThresholds lists those that are unmet: the page has all.
func markdownThresholds(b *strings.Builder, rows []thresholdRow) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## Thresholds\n\n%s. By the median of each model's rounds; an interval is of one cell and not corrected for their number.\n\n", upperFirst(thresholdTally(rows)))
	unmet := slices.DeleteFunc(slices.Clone(rows), func(r thresholdRow) bool { return r.Verdict == thresholdMet })
	for _, r := range unmet[:min(mostUnmet, len(unmet))] {
		fmt.Fprintf(b, "- %s\n", mdText(r.text()))
	}
	if more := len(unmet) - mostUnmet; more > 0 {
		fmt.Fprintf(b, "- and %d more unmet: see report.html\n", more)
	}
}

// thresholdTally is "3 of 8 thresholds are met".
func thresholdTally(rows []thresholdRow) string {
	met := 0
	for i := range rows {
		if rows[i].Verdict == thresholdMet {
			met++
		}
	}
	if met == len(rows) {
		return fmt.Sprintf("all %d thresholds are met", met)
	}
	return fmt.Sprintf("%d of %d thresholds are met", met, len(rows))
}
