package reports

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// blockingShare is the factor that the blocking curve varies, in percent.
const blockingShare = "blocking_share"

// key is one quantity: the same name from two sources is two keys.
type key struct{ Name, Source, Unit string }

// Label is the metric's name for people.
func (k key) Label() string { return result.Describe(k.Name).Label }

func (k key) better() result.Direction { return result.Describe(k.Name).Better }

// level is one step of the factor that a view varies.
type level struct {
	Text   string
	Number float64
}

// point is one trial's value of one key.
type point struct {
	Round   int
	Value   float64
	Suspect bool
}

// cell is one key of one model at one level, over the rounds.
type cell struct {
	Points  []point
	Summary stats.Summary
	// Missing are the reasons of rounds without a value; why tells them by kind.
	Missing []string
}

// why is the reason for which a cell has no value.
func (c *cell) why() string { return strings.Join(byKind(c.Missing), "; ") }

func (c *cell) values() []float64 {
	out := make([]float64, len(c.Points))
	for i, p := range c.Points {
		out[i] = p.Value
	}
	return out
}

// view is one experiment at one setting: what a set of figures is about.
type view struct {
	Experiment, Workload, Question string
	// Setting are the factors that stay the same within the view.
	Setting result.Factors
	// Factor is the numeric factor that varies, or empty.
	Factor string
	// Levels are ascending; a single empty one if there is no Factor.
	Levels []level
	Models []string
	Keys   []key
	// Trials are all of the view, invalid ones too, in order of finishing.
	Trials []*result.Trial

	cells map[cellID]*cell
	// joined are keys by metric; see join.
	joined map[string][]key
	// verdict is the family of the comparisons behind the verdict's sentences, the same
	// for all views of a page; families are those of the other comparisons, by key.
	verdict  *family
	families map[key]*family
}

type cellID struct {
	model string
	level string
	key   key
}

// cell is never nil.
func (v *view) cell(model, level string, k key) *cell {
	if c := v.cells[cellID{model, level, k}]; c != nil {
		return c
	}
	return &cell{}
}

// keysOf are the keys of a metric, one for each source.
func (v *view) keysOf(name string) []key {
	var out []key
	for _, k := range v.Keys {
		if k.Name == name {
			out = append(out, k)
		}
	}
	return out
}

// hasValue reports whether any model has a value of the key at any level.
func (v *view) hasValue(k key) bool {
	for id, c := range v.cells {
		if id.key == k && len(c.Points) > 0 {
			return true
		}
	}
	return false
}

// missing are the reasons why the key has no value, of all rounds.
func (v *view) missing(k key) []string {
	var out []string
	for id, c := range v.cells {
		if id.key == k {
			out = append(out, c.Missing...)
		}
	}
	return out
}

// whyMissing are they by kind, in a sentence.
func (v *view) whyMissing(k key) string { return strings.Join(byKind(v.missing(k)), "; ") }

// slug names the view's files.
func (v *view) slug() string {
	return slugify(strings.TrimSpace(v.Experiment + " " + v.Setting.String()))
}

func slugify(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '_':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-.")
}

// views groups a run's trials, experiments in order of appearance.
func views(run *result.Run) []*view {
	var order []string
	byExperiment := map[string][]*result.Trial{}
	for i := range run.Trials {
		t := &run.Trials[i]
		if byExperiment[t.Experiment] == nil {
			order = append(order, t.Experiment)
		}
		byExperiment[t.Experiment] = append(byExperiment[t.Experiment], t)
	}
	slices.SortStableFunc(order, func(a, b string) int { return cmp.Compare(planned(run, a), planned(run, b)) })
	var out []*view
	for _, experiment := range order {
		out = append(out, split(run, byExperiment[experiment])...)
	}
	shareVerdict(out)
	return out
}

// planned is the place of an experiment in the run's plan: trials come in an
// order of chance, the report in that of the plan.
func planned(run *result.Run, experiment string) int {
	if run.Environment == nil {
		return 0
	}
	return slices.IndexFunc(run.Environment.Plan, func(p result.Planned) bool { return p.Experiment == experiment })
}

// split makes a view of each combination of the factors that are not the axis.
func split(run *result.Run, trials []*result.Trial) []*view {
	factor := axisFactor(trials)
	var out []*view
	bySetting := map[string]*view{}
	for _, t := range trials {
		setting := maps.Clone(t.Factors)
		delete(setting, factor)
		id := t.Workload + "\x00" + setting.String()
		v := bySetting[id]
		if v == nil {
			v = &view{Experiment: t.Experiment, Workload: t.Workload, Setting: setting, Factor: factor}
			v.Question = question(run, t.Experiment)
			bySetting[id] = v
			out = append(out, v)
		}
		v.Trials = append(v.Trials, t)
	}
	for _, v := range out {
		v.index()
	}
	return out
}

func question(run *result.Run, experiment string) string {
	if run.Environment != nil {
		for _, p := range run.Environment.Plan {
			if p.Experiment == experiment {
				return p.Question
			}
		}
	}
	return ""
}

// axisFactor is the factor that goes on the x axis: the share of blocking
// requests if there is one, otherwise the numeric factor with the most levels.
func axisFactor(trials []*result.Trial) string {
	levels := map[string]map[string]bool{}
	numeric := map[string]bool{}
	for _, t := range trials {
		for name, text := range t.Factors {
			if levels[name] == nil {
				levels[name], numeric[name] = map[string]bool{}, true
			}
			levels[name][text] = true
			if _, ok := t.Factors.Number(name); !ok {
				numeric[name] = false
			}
		}
	}
	if numeric[blockingShare] {
		return blockingShare
	}
	best := ""
	for _, name := range slices.Sorted(maps.Keys(levels)) {
		if n := len(levels[name]); numeric[name] && n > 1 && (best == "" || n > len(levels[best])) {
			best = name
		}
	}
	return best
}

// index fills models, levels, keys and cells from the trials.
func (v *view) index() {
	v.cells = map[cellID]*cell{}
	seenLevel, seenKey := map[string]bool{}, map[key]bool{}
	for _, t := range v.Trials {
		v.Models = append(v.Models, t.Model)
		if text := t.Factors[v.Factor]; !seenLevel[text] {
			seenLevel[text] = true
			n, _ := t.Factors.Number(v.Factor)
			v.Levels = append(v.Levels, level{text, n})
		}
		if t.Counted() {
			v.add(t, seenKey)
		}
	}
	v.Models = ordered(v.Models)
	v.Keys = sortedKeys(seenKey)
	slices.SortFunc(v.Levels, func(a, b level) int { return cmp.Compare(a.Number, b.Number) })
	for _, c := range v.cells {
		c.Summary = stats.Summarize(c.values())
	}
	v.join()
}

func (v *view) add(t *result.Trial, seen map[key]bool) {
	for name, m := range t.Metrics {
		k := key{name, m.Source, m.Unit}
		seen[k] = true
		id := cellID{t.Model, t.Factors[v.Factor], k}
		c := v.cells[id]
		if c == nil {
			c = &cell{}
			v.cells[id] = c
		}
		if m.Available() {
			c.Points = append(c.Points, point{t.Round, m.Value, t.Verdict == result.Suspect})
		} else {
			c.Missing = append(c.Missing, m.Unavailable)
		}
	}
}

// sortedKeys puts keys in the order of the catalogue, unknown names behind.
func sortedKeys(seen map[key]bool) []key {
	names := result.Names()
	rank := func(k key) int {
		if i := slices.Index(names, k.Name); i >= 0 {
			return i
		}
		return len(names)
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b key) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Source, b.Source), cmp.Compare(a.Unit, b.Unit))
	})
}
