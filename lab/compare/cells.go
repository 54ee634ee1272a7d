package compare

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// Which trials of one run stand against which of the other: those of the same
// experiment, workload, model and levels whose load was the same.

// group are the trials of a cell in one run.
type group struct {
	experiment, workload, model string
	factors                     result.Factors
	tally                       Tally
	counted                     []*result.Trial
	// reasons are those of its invalid trials.
	reasons []string
}

// series is one quantity: the same name from two sources is two quantities.
type series struct{ metric, source, unit string }

func cellName(experiment, model string, f result.Factors) string {
	return strings.TrimSpace(experiment + " " + model + " " + f.String())
}

// gather groups a run's trials by what they are of.
func gather(r *result.Run, only []string) map[string]*group {
	groups := map[string]*group{}
	for i := range r.Trials {
		t := &r.Trials[i]
		if len(only) > 0 && !slices.Contains(only, t.Experiment) {
			continue
		}
		key := strings.Join([]string{t.Experiment, t.Workload, t.Model, t.Factors.String()}, "\x00")
		g := groups[key]
		if g == nil {
			g = &group{experiment: t.Experiment, workload: t.Workload, model: t.Model, factors: t.Factors}
			groups[key] = g
		}
		g.tally.add(t)
		if t.Counted() {
			g.counted = append(g.counted, t)
		} else {
			g.reasons = append(g.reasons, t.Reasons...)
		}
	}
	return groups
}

func (g *group) name() string { return cellName(g.experiment, g.model, g.factors) }

// pairUp makes a cell of each pair of groups that can be compared, and lists the rest.
func (r *Report) pairUp(base, now map[string]*group, o Options) {
	for key, a := range base {
		b := now[key]
		switch {
		case b == nil:
			r.leave(a, "base", "only in BASE")
		case len(a.counted) == 0 || len(b.counted) == 0:
			r.noTrial(a, b)
		default:
			if why := otherLoad(a.counted[0], b.counted[0]); why != "" {
				r.leave(a, "both", "another load: "+why)
				continue
			}
			r.Cells = append(r.Cells, r.cell(a, b, o))
		}
	}
	for key, b := range now {
		if base[key] == nil {
			r.leave(b, "new", "only in NEW")
		}
	}
	slices.SortFunc(r.Cells, func(a, b Cell) int { return compareCells(&a, &b) })
	slices.SortStableFunc(r.Left, func(a, b Left) int {
		return cmp.Or(cmp.Compare(a.Cell, b.Cell), cmp.Compare(a.Metric, b.Metric))
	})
}

func (r *Report) leave(g *group, in, why string) {
	r.Left = append(r.Left, Left{Cell: g.name(), In: in, Why: why})
}

// noTrial lists a cell of which one run has invalid trials alone.
func (r *Report) noTrial(a, b *group) {
	for _, s := range []struct {
		name        string
		this, other *group
	}{{"BASE", a, b}, {"NEW", b, a}} {
		if len(s.this.counted) > 0 {
			continue
		}
		in := "both"
		if len(s.other.counted) > 0 {
			in = map[string]string{"BASE": "new", "NEW": "base"}[s.name]
		}
		r.leave(s.this, in, fmt.Sprintf("all %d trials of %s are invalid: %s", s.this.tally.Invalid, s.name, strings.Join(distinct(s.this.reasons), "; ")))
	}
}

// distinct are the reasons, each once, the first three.
func distinct(reasons []string) []string {
	slices.Sort(reasons)
	reasons = slices.Compact(reasons)
	if more := len(reasons) - 3; more > 0 {
		reasons = append(reasons[:3:3], fmt.Sprintf("and %d more", more))
	}
	return reasons
}

func (r *Report) cell(a, b *group, o Options) Cell {
	c := Cell{Experiment: a.experiment, Workload: a.workload, Model: a.model, Factors: a.factors, Base: a.tally, New: b.tally}
	if diff := flagDiff(a.counted[0].Command.Server, b.counted[0].Command.Server, aboutServer); len(diff) > 0 {
		c.Notes = append(c.Notes, "the server was started otherwise: "+strings.Join(diff, ", "))
	}
	wanted := o.Metrics
	if len(wanted) == 0 {
		wanted = Metrics
	}
	for _, name := range wanted {
		x, y := a.values(name), b.values(name)
		for _, s := range allSeries(x, y) {
			switch {
			case len(x[s]) == 0:
				r.Left = append(r.Left, Left{c.Name(), name, "new", missing("BASE", a.counted, s)})
			case len(y[s]) == 0:
				r.Left = append(r.Left, Left{c.Name(), name, "base", missing("NEW", b.counted, s)})
			default:
				c.Changes = append(c.Changes, newChange(s, x[s], y[s], o.Noise))
			}
		}
		if len(x)+len(y) == 0 && len(o.Metrics) > 0 {
			r.Left = append(r.Left, Left{c.Name(), name, "both", missing("BASE", a.counted, series{metric: name})})
		}
	}
	return c
}

// values are a metric's values by its source and unit, in the order of the rounds.
func (g *group) values(name string) map[series][]float64 {
	out := map[series][]float64{}
	trials := slices.SortedStableFunc(slices.Values(g.counted), func(a, b *result.Trial) int { return cmp.Compare(a.Round, b.Round) })
	for _, t := range trials {
		if m, ok := t.Metrics[name]; ok && m.Available() {
			s := series{name, m.Source, m.Unit}
			out[s] = append(out[s], m.Value)
		}
	}
	return out
}

func allSeries(x, y map[series][]float64) []series {
	all := maps.Clone(x)
	maps.Copy(all, y)
	return slices.SortedFunc(maps.Keys(all), func(a, b series) int { return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.unit, b.unit)) })
}

// missing says why a run has no value of a quantity that the other has.
func missing(run string, trials []*result.Trial, s series) string {
	for _, t := range trials {
		m, ok := t.Metrics[s.metric]
		switch {
		case !ok:
		case !m.Available():
			return fmt.Sprintf("unavailable in %s: %s", run, m.Unavailable)
		default:
			return fmt.Sprintf("%s has it in %s from source %q, the other in %s from %q: other quantities", run, m.Unit, m.Source, s.unit, s.source)
		}
	}
	return "not measured in " + run
}

// aboutLoad are the flags of the load process that say what the load was; its
// target, seed and CPUs are told elsewhere or do not matter. aboutServer are flags of
// the server that differ from trial to trial.
var (
	aboutLoad = map[string]bool{"rate": true, "conns": true, "size": true, "arrivals": true, "burst-size": true, "ramp-from": true,
		"reconnect-rate": true, "storm-conns": true, "storm-at": true, "slow-share": true, "slow-rate": true, "closed": true,
		"outstanding": true, "speakers": true, "moves": true, "chats": true, "pings": true, "saves": true, "rankings": true, "disk-share": true}
	aboutServer = map[string]bool{"listen": false, "admin": false, "dir": false, "disk-file": false, "ledger": false, "cpus": false, "root": false}
)

// sameWindow is by how much the measured times of two runs may differ.
const sameWindow = 1.1

// otherLoad says how the load of two trials differs, or is empty.
func otherLoad(a, b *result.Trial) string {
	var out []string
	if long, short := max(a.DurationS, b.DurationS), min(a.DurationS, b.DurationS); long > sameWindow*short {
		out = append(out, fmt.Sprintf("window %.4g s in BASE, %.4g s in NEW", a.DurationS, b.DurationS))
	}
	if len(a.Command.Load) > 0 && len(b.Command.Load) > 0 {
		out = append(out, flagDiff(a.Command.Load, b.Command.Load, aboutLoad)...)
	}
	return strings.Join(out, ", ")
}

// flagDiff lists the flags that differ: those that about says true of, or all but
// those that it says false of.
func flagDiff(a, b []string, about map[string]bool) []string {
	x, y := flagsOf(a), flagsOf(b)
	all := maps.Clone(x)
	maps.Copy(all, y)
	allowing := slices.Contains(slices.Collect(maps.Values(about)), true)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if want, listed := about[name]; listed && !want || !listed && allowing || x[name] == y[name] {
			continue
		}
		if strings.Contains(x[name], "/") && strings.Contains(y[name], "/") {
			continue // a path in the folder of the run
		}
		out = append(out, fmt.Sprintf("--%s %s in BASE, %s in NEW", name, orNone(x[name]), orNone(y[name])))
	}
	return out
}

// flagsOf reads "--name value", "--name=value" and "--name" of an argv. A default
// that is spelled out is the same as none.
func flagsOf(argv []string) map[string]string {
	flags := map[string]string{}
	for i, arg := range argv {
		name, ok := strings.CutPrefix(arg, "--")
		if !ok {
			continue
		}
		name, value, joined := strings.Cut(name, "=")
		if !joined && i+1 < len(argv) && !strings.HasPrefix(argv[i+1], "--") {
			value = argv[i+1]
		} else if !joined {
			value = "true"
		}
		if value != "0" && value != "poisson" && value != "false" {
			flags[name] = value
		}
	}
	return flags
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// compareFactors orders levels as numbers where they are.
func compareFactors(a, b result.Factors) int {
	for _, name := range slices.Sorted(maps.Keys(a)) {
		x, ok1 := a.Number(name)
		y, ok2 := b.Number(name)
		if !ok1 || !ok2 {
			x, y = 0, 0
		}
		if c := cmp.Or(cmp.Compare(x, y), cmp.Compare(a[name], b[name])); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// leastP is the smallest p that the Mann-Whitney test can give for n rounds against
// m: all of one side below all of the other.
func leastP(n, m int) float64 {
	ways := 1.0
	for i := 1; i <= n; i++ {
		ways *= float64(m+i) / float64(i)
	}
	return math.Min(1, 2/ways)
}

// RoundsNeeded is the least number of rounds of either run with which a difference
// can be shown in a family of that many comparisons.
func RoundsNeeded(family int) int {
	n := 2
	for leastP(n, n)*float64(max(1, family)) > stats.Alpha {
		n++
	}
	return n
}
