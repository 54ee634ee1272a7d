package reports

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

// finding is one sentence of the verdict with its evidence.
type finding struct {
	// Kind is "lead", "tie", "hint", "note" or "warn".
	Kind string
	// Model is set where one model is the subject.
	Model string
	// Where is the view that it holds for, if it is of one.
	Where string
	Head  string
	Body  string
	Rows  []evidence
	// Kinds are the kinds of reasons of trials in doubt.
	Kinds []string
	// Gap is set where it is of what could not be measured, Elsewhere where summary.md
	// tells it in words of its own.
	Gap, Elsewhere bool
}

// evidence is one model's line under a finding.
type evidence struct {
	Model, Value, Interval string
	// Relation is to the first model, or to the first level; Detail its interval.
	Relation, Detail string
}

// keepsUp is the share of the offered load that a server must answer for its
// latency to mean anything.
const keepsUp = 0.98

// verdict is what the page opens with, computed from the trials alone.
type verdict struct {
	// Answers say who is best and by how much.
	Answers []finding
	// Limits say what the answers do not cover.
	Limits []finding
}

func judge(run *result.Run, vs []*view) verdict {
	var out verdict
	for _, v := range vs {
		ours := !v.besides()
		if ours && v.Factor == rankings {
			out.Answers = append(out.Answers, v.delayFindings()...)
		}
		out.Answers = append(out.Answers, v.answers()...)
		if ours && v.Factor != "" && v.Factor != rankings {
			out.Answers = append(out.Answers, v.spans()...)
		}
		out.Answers = append(out.Answers, v.overloaded()...)
	}
	out.Limits = caveats(run, vs)
	return out
}

// label names a view in a sentence.
func (v *view) label() string {
	if s := v.Setting.String(); s != "" {
		return v.Experiment + " (" + s + ")"
	}
	return v.Experiment
}

// asked is a metric at a level by which the verdict ranks the models.
type asked struct{ name, level string }

// questions are those that the verdict asks of a view: of our models at both ends of
// a curve, of servers at each level.
func (v *view) questions() []asked {
	switch {
	case v.besides():
		name := result.CPUPerOp
		if len(v.keysOf(result.CPUPerDelivery)) > 0 {
			name = result.CPUPerDelivery
		}
		var out []asked
		for _, l := range v.Levels {
			out = append(out, asked{name, l.Text})
		}
		return out
	case v.Factor == "":
		return []asked{{result.LatencyP99, ""}, {result.CPUPerOp, ""}}
	case v.Factor == rankings:
		return []asked{{result.LatencyP99, v.Levels[len(v.Levels)-1].Text}}
	}
	var out []asked
	for _, name := range v.curveMetrics() {
		for _, end := range v.ends() {
			out = append(out, asked{name, end})
		}
	}
	return out
}

// curveMetrics are what a curve's verdict is about.
func (v *view) curveMetrics() []string {
	rate := result.SaturationThroughput
	if len(v.keysOf(rate)) == 0 {
		rate = result.Throughput
	}
	return []string{rate, result.LatencyP99}
}

// ends are the first and the last level, or the only one.
func (v *view) ends() []string {
	ends := []string{v.Levels[0].Text}
	if len(v.Levels) > 1 {
		ends = append(ends, v.Levels[len(v.Levels)-1].Text)
	}
	return ends
}

// answers are the findings on a view's questions.
func (v *view) answers() []finding {
	var out []finding
	for _, q := range v.questions() {
		out = append(out, v.rankFindings(q.name, q.level)...)
	}
	return out
}

// rankFindings says who is best for a metric, once for each source.
func (v *view) rankFindings(name, levelText string) []finding {
	var out []finding
	for _, k := range v.keysOf(name) {
		r := v.rank(k, levelText)
		if len(r.rows) == 0 {
			continue
		}
		f := finding{Kind: r.kind(), Where: v.label() + v.at(levelText),
			Head: sourced(k, r.head()), Body: r.hedge(), Rows: r.evidence()}
		if tied, _ := r.tied(); len(tied) == 0 {
			f.Model = r.rows[0].model
		}
		out = append(out, f)
	}
	return out
}

// at is ", 50 % blocking" for a level, empty without one.
func (v *view) at(levelText string) string {
	if levelText == "" {
		return ""
	}
	if v.Factor == blockingShare {
		return ", " + levelText + " % blocking"
	}
	if v.Factor == rankings {
		return ", " + levelText + " rankings a second"
	}
	if v.Factor == result.Conns {
		return ", " + thousands(levelText) + " connection" + strings.Repeat("s", min(1, len(strings.TrimPrefix(levelText, "1"))))
	}
	return ", " + v.Factor + " " + levelText
}

// overloaded names the models that answered less than was offered: their
// latency is that of a queue that grows, and says nothing of the model at a load
// that it can carry.
func (v *view) overloaded() []finding {
	var out []finding
	for _, m := range v.Models {
		var behind []string
		for _, l := range v.Levels {
			if text := v.shortfall(m, l.Text); text != "" {
				behind = append(behind, strings.TrimSpace(trimAt(v.at(l.Text))+" "+text))
			}
		}
		if len(behind) > 0 {
			out = append(out, finding{Kind: "warn", Model: m, Where: v.label(), Head: m + " did not keep up with what was offered",
				Body: strings.Join(behind, "; ") + ". Its latency there is that of a growing queue."})
		}
	}
	return out
}

// shortfall is "(4,000 /s of 5,000 /s)" if the model did not keep up at a level.
func (v *view) shortfall(model, levelText string) string {
	for _, k := range v.keysOf(result.Throughput) {
		for _, offered := range v.keysOf(result.Offered) {
			got, want := v.cell(model, levelText, k), v.cell(model, levelText, offered)
			if len(got.Points) > 0 && len(want.Points) > 0 && got.Summary.Median < keepsUp*want.Summary.Median {
				return fmt.Sprintf("(%s of %s)", quantity(got.Summary.Median, k.Unit), quantity(want.Summary.Median, offered.Unit))
			}
		}
	}
	return ""
}

// spans say what the way from one end of a curve to the other costs.
func (v *view) spans() []finding {
	ends := v.ends()
	if len(ends) < 2 {
		return nil
	}
	var out []finding
	for _, name := range v.curveMetrics() {
		for _, k := range v.keysOf(name) {
			out = append(out, v.span(k, ends[0], ends[1])...)
		}
	}
	return out
}

// span gives each model's ratio of its last level to its first.
func (v *view) span(k key, from, to string) []finding {
	var rows []evidence
	var least, most string
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, m := range v.Models {
		a, b := v.cell(m, from, k), v.cell(m, to, k)
		if len(a.Points) == 0 || len(b.Points) == 0 || a.Summary.Median <= 0 {
			continue
		}
		ratio := b.Summary.Median / a.Summary.Median
		rows = append(rows, evidence{Model: m, Value: shown(a.Summary.Median, k.Unit) + " to " + quantity(b.Summary.Median, k.Unit), Relation: times(ratio)})
		// Change counts either way: half and double are equally far.
		if change := math.Abs(math.Log(ratio)); change < lo {
			lo, least = change, m+" ("+times(ratio)+")"
		}
		if change := math.Abs(math.Log(ratio)); change > hi {
			hi, most = change, m+" ("+times(ratio)+")"
		}
	}
	if len(rows) < 2 {
		return nil
	}
	return []finding{{Kind: "note", Where: v.label() + ", from " + trimAt(v.at(from)) + " to " + trimAt(v.at(to)),
		Head: fmt.Sprintf("%s changes least for %s and most for %s", upperFirst(k.Label()), least, most),
		Body: "By the medians: this order is not tested.", Rows: rows}}
}

func trimAt(s string) string { return strings.TrimPrefix(s, ", ") }

// sourced names the source where sources are different quantities.
func sourced(k key, text string) string {
	if isCache(k.Name) {
		return text + " (source " + k.Source + ")"
	}
	return text
}

// caveats are what a sceptical reader asks for first: refused models, trials
// that do not count, what could not be measured, what is not there.
func caveats(run *result.Run, vs []*view) []finding {
	var out []finding
	if env := run.Environment; env != nil {
		for _, r := range env.Refused {
			out = append(out, finding{Kind: "warn", Model: r.Model, Head: r.Model + " was refused by this machine", Body: r.Reason})
		}
		out = append(out, incomplete(run)...)
	}
	out = append(out, doubtful(run)...)
	out = append(out, unavailable(vs)...)
	for _, w := range warnings(run) {
		out = append(out, finding{Kind: "warn", Head: "Warning", Body: w})
	}
	return out
}

func warnings(run *result.Run) []string {
	out := slices.Clone(run.Warnings)
	if run.Environment != nil {
		out = append(out, run.Environment.Warnings...)
	}
	return out
}

// incomplete compares the plan with what is there.
func incomplete(run *result.Run) []finding {
	var out []finding
	for _, p := range run.Environment.Plan {
		done, counted := 0, map[string]int{}
		for i := range run.Trials {
			if t := &run.Trials[i]; t.Experiment == p.Experiment {
				done++
				if t.Counted() {
					counted[t.Model]++
				}
			}
		}
		if done < p.Trials {
			out = append(out, finding{Kind: "warn", Head: fmt.Sprintf("%s is incomplete", p.Experiment),
				Body: fmt.Sprintf("%d of %d planned trials are there. Medians are over fewer rounds, and levels or models may be missing.", done, p.Trials)})
		}
		var absent []string
		for _, m := range p.Models {
			if counted[m] == 0 && !refused(run, m) {
				absent = append(absent, m)
			}
		}
		if len(absent) > 0 {
			out = append(out, finding{Kind: "warn", Head: fmt.Sprintf("%s has no usable trial of %s", p.Experiment, list(ordered(absent))),
				Body: "Nothing can be said of it here."})
		}
	}
	return out
}

func refused(run *result.Run, model string) bool {
	return run.Environment != nil && slices.ContainsFunc(run.Environment.Refused, func(r result.Refusal) bool { return r.Model == model })
}

// unavailable lists what no trial of a view could measure, by source and reason.
func unavailable(vs []*view) []finding {
	type gap struct{ experiments, source, why string }
	where := map[key][]string{}
	why := map[key][]string{}
	for _, v := range vs {
		for _, k := range v.Keys {
			if !v.hasValue(k) {
				where[k] = append(where[k], v.Experiment)
				why[k] = append(why[k], v.missing(k)...)
			}
		}
	}
	what := map[gap][]string{}
	for k := range where {
		g := gap{strings.Join(slices.Compact(where[k]), ", "), k.Source, strings.Join(byKind(why[k]), "; ")}
		what[g] = append(what[g], k.Label())
	}
	order := slices.SortedFunc(maps.Keys(what), func(a, b gap) int {
		return cmp.Or(cmp.Compare(a.experiments, b.experiments), cmp.Compare(a.why, b.why), cmp.Compare(a.source, b.source))
	})
	var out []finding
	for _, g := range order {
		slices.Sort(what[g])
		out = append(out, finding{Kind: "note", Gap: true, Elsewhere: true, Where: g.experiments, Head: "Unavailable: " + list(what[g]) + " (source " + g.source + ")", Body: g.why})
	}
	return out
}
