package reports

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

//go:embed page.html
var pageText string

//go:embed style.css
var styleText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"nb": noBreak, "wbr": breakable}).Parse(pageText))

// noBreak keeps a figure and its unit on one line.
func noBreak(s string) string {
	return strings.NewReplacer(" %", "\u00a0%", " µs", "\u00a0µs", " ms", "\u00a0ms", " s,", "\u00a0s,", " /s", "\u00a0/s", " MiB", "\u00a0MiB").Replace(s)
}

// breakable lets a name break after its underscores.
func breakable(name string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(name), "_", "_<wbr/>"))
}

// page is what page.html is filled with.
type page struct {
	Style    template.CSS
	Subtitle string
	Verdict  verdict
	Gaps     []finding // of Verdict.Limits, what could not be measured
	Targets  []targetRow
	Tallied  string // the targets' verdicts
	// Thresholds are the plan's, Kept how many were met.
	Thresholds []thresholdRow
	Kept       string
	Nothing    string
	Compared   int // comparisons behind the verdict
	Models     []look
	Looks      map[string]look
	Tally      []badge
	Views      []viewPage
	Doubted    []doubt
	Counts     []countTable
	Sensors    []sensorRow
	Capacity   []capacityRow
	Machine    []fact
	Warnings   []string
	Again      string
	Commands   []command
	Files      []link
}

type badge struct {
	Class, Text string
}

type viewPage struct {
	*view
	ID       string
	Label    string
	Interval string
	Sections []sectionPage
	// Brief are the metrics that decide, Table all that have a value; Without is the
	// number of those that have none.
	Brief, Table table
	Without      int
	Takeover     table
	Calls        []callRow
	Blocks       *blockTable
	// Servers are the tables of a view with servers that are not ours.
	Servers []serverTable
	Trials  trialTable
}

type sectionPage struct {
	Title   string
	Figures []figurePage
	Absent  []absence
}

type figurePage struct {
	*figure
	SVG template.HTML
}

type doubt struct {
	Look    look
	Where   string
	Verdict result.Verdict
	// Limited is set where the load may have been the limit.
	Limited bool
	Reasons []string
}

type fact struct{ Name, Value string }

type command struct {
	Look         look
	Where        string
	Server, Load string
}

type link struct{ Href, Text string }

// newPage collects the page and the figures on it.
func newPage(run *result.Run, vs []*view, found verdict, dir string) (*page, []*figure) {
	lk := looks(allModels(run))
	p := &page{Style: template.CSS(styleText + paintVariables()), Verdict: found, Nothing: nothingToSay, Looks: lk,
		Warnings: warnings(run), Machine: machine(run.Environment), Files: files(run.Dir, dir)}
	for _, m := range ordered(allModels(run)) {
		p.Models = append(p.Models, lk[m])
	}
	p.Verdict.Limits = slices.DeleteFunc(slices.Clone(found.Limits), func(f finding) bool { return f.Gap })
	p.Gaps = slices.DeleteFunc(slices.Clone(found.Limits), func(f finding) bool { return !f.Gap })
	var figures []*figure
	for i, v := range vs {
		vp := viewPage{view: v, ID: fmt.Sprintf("view-%d", i+1), Label: v.label(), Interval: v.levelsOfConfidence()}
		vp.tables(lk)
		for _, s := range v.sections(lk) {
			sp := sectionPage{Title: s.Title, Absent: s.Absent}
			for _, f := range s.Figures {
				sp.Figures = append(sp.Figures, figurePage{figure: f})
				figures = append(figures, f)
			}
			vp.Sections = append(vp.Sections, sp)
		}
		p.Views = append(p.Views, vp)
	}
	if len(vs) > 0 {
		p.Compared = vs[0].verdict.size()
	}
	p.trials(run)
	p.Counts = countTables(vs, lk)
	p.Sensors, p.Capacity = sensorRows(run.Environment), capacityRows(run.Environment)
	p.Targets = judgeTargets(vs)
	if p.Thresholds = thresholdRows(run); len(p.Thresholds) > 0 {
		p.Kept = upperFirst(thresholdTally(p.Thresholds))
	}
	p.Tallied = upperFirst(targetTally(p.Targets))
	if env := run.Environment; env != nil {
		p.Again = shellQuote(env.CommandLine)
		p.Subtitle = strings.Join([]string{env.Start.UTC().Format("2 January 2006, 15:04 UTC"), orUnknown(env.CPUModel),
			fmt.Sprintf("%d CPUs", env.CPUCount), "Linux " + orUnknown(env.Kernel), orUnknown(env.GoVersion)}, " · ")
	}
	return p, figures
}

func (vp *viewPage) tables(lk map[string]look) {
	v := vp.view
	vp.Brief = v.table("The metrics that decide", lk, v.decidingKeys())
	vp.Table = v.table("Medians with intervals", lk, v.keysThat(func(k key) bool { return v.hasValue(k) }))
	vp.Without = len(v.keysThat(func(k key) bool { return !v.hasValue(k) }))
	vp.Takeover = v.table("Takeovers", lk, v.keysThat(func(k key) bool { return isTakeover(k) && v.happened(k) })).only()
	vp.Calls = v.callRows(lk)
	vp.Blocks = v.blocks(lk)
	vp.Servers = v.serverTables(lk)
	vp.Trials = v.trialTable(lk)
}

// allModels are those with trials and those that were planned or refused.
func allModels(run *result.Run) []string {
	var out []string
	for i := range run.Trials {
		out = append(out, run.Trials[i].Model)
	}
	if run.Environment != nil {
		for _, p := range run.Environment.Plan {
			out = append(out, p.Models...)
		}
		for _, r := range run.Environment.Refused {
			out = append(out, r.Model)
		}
	}
	return ordered(out)
}

// trials fills the tally, the list of trials that are not valid, and one pair of
// commands for each model and experiment.
func (p *page) trials(run *result.Run) {
	counts := map[result.Verdict]int{}
	limited := 0
	seen := map[string]bool{}
	for i := range run.Trials {
		t := &run.Trials[i]
		counts[t.Verdict]++
		if loadLimited(t) {
			limited++
		}
		where := strings.TrimSpace(fmt.Sprintf("%s %s", t.Experiment, t.Factors))
		if t.Verdict != result.Valid {
			p.Doubted = append(p.Doubted, doubt{p.Looks[t.Model], fmt.Sprintf("%s, round %d", where, t.Round), t.Verdict, loadLimited(t), t.Reasons})
		}
		id := t.Experiment + "\x00" + t.Model
		if !seen[id] && len(t.Command.Server)+len(t.Command.Load) > 0 {
			seen[id] = true
			p.Commands = append(p.Commands, command{p.Looks[t.Model], where, shellQuote(t.Command.Server), shellQuote(t.Command.Load)})
		}
	}
	for _, v := range []result.Verdict{result.Valid, result.Suspect, result.Invalid} {
		p.Tally = append(p.Tally, badge{string(v), fmt.Sprintf("%d %s", counts[v], v)})
	}
	if limited > 0 {
		p.Tally = append(p.Tally, badge{"limited", fmt.Sprintf("%d with the load as the limit", limited)})
	}
}

// write draws the figures for the page and fills the template.
func (p *page) write(to io.Writer) error {
	for _, v := range p.Views {
		for _, s := range v.Sections {
			for i := range s.Figures {
				svg, err := s.Figures[i].pageSVG()
				if err != nil {
					return err
				}
				s.Figures[i].SVG = template.HTML(svg)
			}
		}
	}
	return pageTemplate.Execute(to, p)
}

// paintVariables are the models' colours in both schemes; print is light.
func paintVariables() string {
	var light, dark strings.Builder
	for i, c := range paints {
		fmt.Fprintf(&light, "--m%d:%s;", i, c.light)
		fmt.Fprintf(&dark, "--m%d:%s;", i, c.dark)
	}
	return fmt.Sprintf("\n:root{%s}\n@media screen and (prefers-color-scheme: dark){:root{%s}}\n", light.String(), dark.String())
}

// files links what lies beside the page; run and page may be in two folders.
func files(runDir, dir string) []link {
	raw := "."
	if rel, err := filepath.Rel(dir, runDir); err == nil {
		raw = filepath.ToSlash(rel)
	}
	at := func(name string) string { return strings.TrimPrefix(raw+"/"+name, "./") }
	return []link{
		{at(result.TrialsFile), "every trial, as measured"}, {at(result.EnvironmentFile), "the machine and the plan"},
		{"summary.md", "verdict and the metrics that decide, as text"}, {"summary.csv", "every median and interval, unrounded"},
		{"bench.txt", "Go benchmark format, for benchstat"}, {"plots/", "the figures as SVG and PNG"},
	}
}
