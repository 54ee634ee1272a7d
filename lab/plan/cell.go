package plan

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
)

// cell is an experiment at one combination of levels.
type cell struct {
	Experiment // with what the levels override
	texts      []string
	// from says by which part of the plan a setting has its value, if by a level.
	from map[string]string
}

// cells are all combinations of levels, the last factor varying fastest.
func (e *Experiment) cells() []cell {
	all := []cell{{Experiment: *e, from: map[string]string{}}}
	for i := range e.Factors {
		f := &e.Factors[i]
		next := make([]cell, 0, len(all)*len(f.Levels))
		for _, c := range all {
			for k := range f.Levels {
				n := cell{Experiment: c.Experiment, texts: append(slices.Clone(c.texts), f.Levels[k].Text), from: maps.Clone(c.from)}
				n.take(f.Name, &f.Levels[k], fmt.Sprintf("factors.%s[%d]", f.Name, k))
				next = append(next, n)
			}
		}
		all = next
	}
	return all
}

// take sets what a level says. Values that no setting takes are left out: Check
// has refused them.
func (c *cell) take(factor string, l *Level, from string) {
	if s := findSetting(factor); s != nil {
		_, _ = s.set(&c.Experiment, Value{Text: l.Text})
		c.from[factor] = from
	}
	for _, name := range slices.Sorted(maps.Keys(l.Set)) {
		if s := findSetting(name); s != nil {
			_, _ = s.set(&c.Experiment, l.Set[name])
			c.from[name] = from + "." + name
		}
	}
}

// factors are what a result line says of the cell: rate and connections, unless a
// level brings them along with itself, and the levels.
func (c *cell) factors() result.Factors {
	f := result.Factors{}
	maps.Copy(f, c.Labels)
	if c.FileWork == "" {
		for name, text := range map[string]string{"rate": strconv.FormatFloat(c.Rate, 'g', -1, 64), result.Conns: strconv.Itoa(c.Conns)} {
			if !c.overridden(name) {
				f[name] = text
			}
		}
	}
	if c.LatencyOf != "" {
		f["latency_of"] = c.LatencyOf
	}
	for i := range c.Factors {
		f[c.Factors[i].Name] = c.texts[i]
	}
	return f
}

// overridden reports whether any level of the experiment sets that setting.
func (e *Experiment) overridden(name string) bool {
	return slices.ContainsFunc(e.Factors, func(f Factor) bool {
		return slices.ContainsFunc(f.Levels, func(l Level) bool { _, ok := l.Set[name]; return ok })
	})
}

// spec is the trial of one model in the cell.
func (c *cell) spec(model string, round int, seed uint64) trial.Spec {
	s := trial.Spec{
		Experiment: c.Name, Workload: c.Workload, Model: model, Round: round, Seed: seed + uint64(round), Factors: c.factors(),
		Conns: c.Conns, Rate: c.Rate, Mix: c.Mix, Warmup: c.Warmup, Window: c.Window, Shape: c.Shape,
		ProbeFor: c.ProbeFor, Saturate: c.Saturate, Outstanding: max(1, c.Outstanding), Speakers: c.Speakers,
		KillServer: c.KillServer, DiskShare: c.DiskShare, NeedsDiskFile: c.NeedsDiskFile, DiskBytes: c.DiskBytes,
		LedgerQuery: c.LedgerQuery, LatencyOf: c.LatencyOf, CountFor: c.CountFor, NeedsGC: c.NeedsGC, Idle: c.Idle, SiteBytes: c.FileBytes,
		ServeFlags: c.serveFlags(), LoadFlags: c.loadFlags(), Overhead: c.Overhead,
	}
	if c.SLO.Bound > 0 {
		s.SLO = c.slo()
	}
	if v, ok := c.Variants[model]; ok {
		s.Variant, s.Foreign = &v, v.Foreign()
	}
	if c.Rankings > 0 {
		s.Rate, s.Mix = c.withRankings()
	}
	if c.Simulate > 0 {
		s.Program = c.simulation(&s)
	}
	if c.FileWork != "" {
		if s.DiskBytes == 0 {
			s.DiskBytes = fileWorkBytes
		}
		s.Program = c.program(&s)
	}
	return s
}

// withRankings is the rate and the mix with so many rankings a second beside the
// requests that come anyway: weights are whole numbers, so all of them grow as far
// as it takes.
func (c *cell) withRankings() (rate float64, m trial.Mix) {
	m = c.Mix
	weights := float64(m.Moves + m.Chats + m.Pings + m.Saves)
	for grow := 1; grow <= rankingsGrowMost; grow++ {
		w := weights * float64(grow) * c.Rankings / c.Rate
		if whole := math.Round(w); math.Abs(w-whole) < 1e-9*w || grow == rankingsGrowMost {
			return c.Rate + c.Rankings, trial.Mix{Moves: m.Moves * grow, Chats: m.Chats * grow, Pings: m.Pings * grow, Saves: m.Saves * grow, Rankings: int(whole)}
		}
	}
	return c.Rate, m // not reached
}

// rankingsGrowMost bounds the weights: where it does not suffice, the share of
// rankings is right to a thousandth of a weight.
const rankingsGrowMost = 1000

func (c *cell) takes() time.Duration {
	s := trial.Spec{Warmup: c.Warmup, Window: c.Window, ProbeFor: c.ProbeFor, CountFor: c.CountFor, Saturate: c.Saturate, Overhead: c.Overhead}
	if c.SLO.Bound > 0 {
		s.SLO = c.slo()
	}
	return s.Estimate()
}

// slo is the bound with what the plan leaves out.
func (c *cell) slo() *trial.SLO {
	s := c.SLO
	if s.Precision == 0 {
		s.Precision = 0.05
	}
	if s.For == 0 {
		s.For = time.Second
	}
	return &s
}
