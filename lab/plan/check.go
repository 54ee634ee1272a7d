package plan

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/lab/yardstick"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads"
)

// What has to hold of an experiment, whether it is from a file or not.

// finding is something that is wrong with a part of an experiment; parts are named
// as a file's fields are.
type finding struct{ part, text string }

type findings []finding

func (f *findings) add(part, format string, args ...any) {
	*f = append(*f, finding{part, fmt.Sprintf(format, args...)})
}

const (
	roundsMost = 10000
	trialsMost = 100000
	// precisionLeast is the load's own bound on a search for an SLO's rate.
	precisionLeast = 0.001
)

// Check says all that is wrong with the experiment, as Problems, or nil.
func (e *Experiment) Check() error {
	found := e.structure()
	if len(found) == 0 {
		found = e.sense()
	}
	var ps Problems
	for _, f := range found {
		ps = append(ps, Problem{File: "experiment " + e.Name, Field: f.part, Text: f.text})
	}
	return ps.sorted()
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,39}$`)

// structure looks at everything but settings.
func (e *Experiment) structure() findings {
	var f findings
	switch {
	case e.Name == "":
		f.add("name", "is missing: a name as my-test")
	case !nameForm.MatchString(e.Name):
		f.add("name", "%q: want small letters, digits, dots and dashes, at most 40", clip(e.Name))
	}
	if !slices.Contains(workloadNames(), e.Workload) {
		if e.Workload == "" {
			f.add("workload", "is missing: one of %s", strings.Join(workloadNames(), ", "))
		} else {
			f.add("workload", "there is no workload %q%s", clip(e.Workload), orList(clip(e.Workload), workloadNames()))
		}
		return f
	}
	if e.Rounds < 1 || e.Rounds > roundsMost {
		f.add("rounds", "%d; want a whole number, 1 to %d", e.Rounds, roundsMost)
	}
	e.checkVariants(&f)
	e.checkModels(&f)
	e.checkFactors(&f)
	if len(f) == 0 {
		if n := e.Count(); n > trialsMost || n < 0 {
			f.add("factors", "all levels, models and rounds make %d trials, more than %d", n, trialsMost)
		}
	}
	return f
}

func (e *Experiment) checkModels(f *findings) {
	if len(e.Models) == 0 {
		f.add("models", "is missing: a list of what is compared, of %s", strings.Join(e.known(), ", "))
	}
	for i, m := range e.Models {
		part := fmt.Sprintf("models[%d]", i)
		switch _, own := e.Variants[m]; {
		case slices.Index(e.Models, m) < i:
			f.add(part, "%s is there already: each runs once in a round", clip(m))
		case own || slices.Contains(e.known(), m):
		case yardstick.Known(m):
			f.add(part, "%s does not serve the workload %s; there are %s", m, e.Workload, strings.Join(e.known(), ", "))
		default:
			f.add(part, "there is no model %q%s; there are %s, and what servers: names", clip(m), didYouMean(m, e.known()), strings.Join(e.known(), ", "))
		}
	}
}

// known are the names that a model may have, beside the experiment's own.
func (e *Experiment) known() []string { return append(models.AllNames(), e.peers()...) }

func (e *Experiment) checkVariants(f *findings) {
	for _, name := range slices.Sorted(maps.Keys(e.Variants)) {
		v, part := e.Variants[name], "servers."+clip(name)
		switch {
		case !nameForm.MatchString(name):
			f.add(part, "want a name of small letters, digits, dots and dashes, at most 40")
		case slices.Contains(models.AllNames(), name) || yardstick.Known(name):
			f.add(part, "there is a model of that name already; give the server another")
		case (v.Model == "") == (len(v.Command) == 0):
			f.add(part, "want either model, one of %s, or command", strings.Join(models.AllNames(), ", "))
		case v.Model != "" && !slices.Contains(models.AllNames(), v.Model):
			f.add(part+".model", "there is no model %q%s", clip(v.Model), orList(clip(v.Model), models.AllNames()))
		case v.Model != "" && len(v.Env) > 0:
			f.add(part+".env", "goes with command only")
		case len(v.Command) > 0 && len(v.Flags) > 0:
			f.add(part+".flags", "go with model only: put them into command")
		case len(v.Command) > 0 && e.Workload == FileWork:
			f.add(part+".command", "the workload %s has no server: want model", FileWork)
		case len(v.Command) > 0 && !listens(v):
			f.add(part+".command", "does not say where to listen: want {addr} (127.0.0.1:PORT) or {port} in it, or in env")
		}
		if err := checkFlags(v.Flags, setOfServe); err != nil && e.Workload != FileWork {
			f.add(part+".flags", "%v", err)
		}
	}
}

// listens reports whether a command is told its address.
func listens(v trial.Variant) bool {
	told := func(s string) bool { return strings.Contains(s, "{addr}") || strings.Contains(s, "{port}") }
	return slices.ContainsFunc(v.Command, told) || slices.ContainsFunc(slices.Collect(maps.Values(v.Env)), told)
}

func (e *Experiment) checkFactors(f *findings) {
	for name := range e.Labels {
		if slices.Contains(factorNames(""), name) || name == "" {
			f.add("labels."+clip(name), "is the name of a factor, or empty: take another")
		}
	}
	for i := range e.Factors {
		x := &e.Factors[i]
		part := "factors." + clip(x.Name)
		switch {
		case !slices.Contains(factorNames(e.Workload), x.Name):
			f.add(part, "the workload %s has no such factor; it has %s", e.Workload, strings.Join(factorNames(e.Workload), ", "))
		case slices.IndexFunc(e.Factors, func(y Factor) bool { return y.Name == x.Name }) < i:
			f.add(part, "is there already")
		case len(x.Levels) == 0:
			f.add(part, "has no level")
		}
		for k := range x.Levels {
			e.checkLevel(f, x, k, fmt.Sprintf("%s[%d]", part, k))
		}
	}
}

func (e *Experiment) checkLevel(f *findings, x *Factor, k int, part string) {
	l, scratch := &x.Levels[k], *e
	if slices.Index(x.Texts(), l.Text) < k {
		f.add(part, "the level %s is there already", clip(l.Text))
	}
	if s := findSetting(x.Name); s != nil {
		if text, err := s.set(&scratch, Value{Text: l.Text}); err != nil || text != l.Text {
			f.add(part, "%q is no level; want %s", clip(l.Text), s.want)
		}
	} else if len(l.Set) == 0 {
		f.add(part, "a level of %s is what it sets, and this one sets nothing", Case)
	}
	for name, v := range l.Set {
		s := findSetting(name)
		if s == nil || !s.has(e.Workload) || slices.ContainsFunc(e.Factors, func(y Factor) bool { return y.Name == name }) {
			f.add(part+"."+clip(name), "is no setting of the workload %s, or a factor of its own", e.Workload)
		} else if _, err := s.set(&scratch, v); err != nil {
			f.add(part+"."+name, "%v; want %s", err, s.want)
		}
	}
	for i := range e.Factors { // two factors that set the same would not be a product
		other := &e.Factors[i]
		for name := range l.Set {
			if other.Name != x.Name && slices.ContainsFunc(other.Levels, func(o Level) bool { _, ok := o.Set[name]; return ok }) {
				f.add(part+"."+name, "is set by levels of %s, too", other.Name)
			}
		}
	}
}

// sense looks at the settings of each cell.
func (e *Experiment) sense() findings {
	var f findings
	for _, c := range e.cells() {
		var one findings
		c.sense(&one)
		for _, x := range one {
			if from, ok := c.from[x.part]; ok {
				x.part = from
			}
			if !slices.Contains(f, x) {
				f = append(f, x)
			}
		}
		if len(f) > problemsMost {
			break
		}
	}
	return f
}

func (c *cell) sense(f *findings) {
	if c.Window < windowLeast {
		c.lacks(f, "window", c.Window == 0)
	}
	if c.Workload == FileWork {
		if c.FileWork == "" {
			c.lacks(f, "file_work", true)
		}
		return
	}
	if !(c.Rate > 0) {
		c.lacks(f, "rate", c.Rate == 0)
	}
	if c.Conns < 1 {
		c.lacks(f, "conns", c.Conns == 0)
	}
	c.senseOfPhases(f)
	c.senseOfShape(f)
	c.senseOfWork(f)
}

// lacks says that a setting is missing, or wrong.
func (c *cell) lacks(f *findings, name string, missing bool) {
	word := "is out of range"
	if missing {
		word = "is missing"
	}
	f.add(name, "%s: want %s", word, findSetting(name).want)
}

func (c *cell) senseOfPhases(f *findings) {
	if most := c.Shape.WarmupMost; most > 0 && most < c.Warmup {
		f.add("warmup_most", "%v is less than warmup, %v", most, c.Warmup)
	}
	if c.Saturate > 0 && c.Saturate < windowLeast {
		f.add("saturate", "%v is too short to measure anything: want 0 or at least %v", c.Saturate, windowLeast)
	}
	if c.Saturate == 0 && c.Outstanding > 0 {
		f.add("outstanding", "is of the closed loop, and there is none: set saturate")
	}
	if c.Speakers > c.Conns {
		f.add("speakers", "%d of %d connections (conns)", c.Speakers, c.Conns)
	}
	if c.ProbeFor > 0 && c.Shards > 1 {
		f.add("probe_for", "the cache probe measures one loop; want shards: 1 with it")
	}
	if c.SLO.Bound == 0 && c.SLO.For > 0 {
		f.add("slo_for", "there is no bound to search for: set slo")
	}
	if c.SLO.Bound == 0 && c.SLO.Precision > 0 {
		f.add("slo_precision", "there is no bound to search for: set slo")
	}
	if p := c.SLO.Precision; p > 0 && p < precisionLeast {
		f.add("slo_precision", "%v %% is finer than a search can be: want at least %v %%", 100*p, 100*precisionLeast)
	}
	if c.SLO.For > 0 && c.SLO.For < windowLeast {
		f.add("slo_for", "%v is too short to measure anything: want at least %v", c.SLO.For, windowLeast)
	}
}

func (c *cell) senseOfShape(f *findings) {
	s := &c.Shape
	bursts := s.Arrivals == load.ArrivalsBursts
	switch {
	case bursts && s.BurstSize == 0:
		f.add("arrivals", "bursts have a size: set burst_size")
	case !bursts && s.BurstSize > 0:
		f.add("burst_size", "goes with arrivals: bursts only")
	}
	if s.StormAt > 0 && s.StormConns == 0 {
		f.add("storm_at", "there is no storm: set storm_conns")
	}
	if s.StormConns > 0 && s.StormAt >= c.Window {
		f.add("storm_at", "%v is not within the window of %v", s.StormAt, c.Window)
	}
	if (s.SlowShare > 0) != (s.SlowBytesPerS > 0) {
		f.add("slow_share", "goes with slow_rate: set both or none")
	}
	if s.SlowShare > 0 && s.SlowShare*float64(c.Conns) < 1 {
		f.add("slow_share", "of %d connections (conns) that is none", c.Conns)
	}
	if s.Threads > c.Conns {
		f.add("threads", "%d for %d connections (conns): want no more threads than connections", s.Threads, c.Conns)
	}
}

func (c *cell) senseOfWork(f *findings) {
	switch c.Workload {
	case workloads.Files:
		if c.FileBytes == 0 {
			c.lacks(f, "file_bytes", true)
		}
	case workloads.Echo:
		if c.NeedsDiskFile && c.Size > 16 {
			f.add("size", "%d: with blocking_share a message has 16 bytes", c.Size)
		}
	}
	if c.Rankings > 0 && c.LedgerQuery == 0 {
		f.add(Rankings, "there is no ledger to rank by: set ledger_query")
	}
	if c.Rankings > 0 && (c.Mix.Moves+c.Mix.Chats+c.Mix.Pings+c.Mix.Saves == 0 || c.Mix.Rankings > 0) {
		f.add(Rankings, "come beside other requests: set mix, without rankings in it")
	}
	if c.Mix.Rankings > 0 && c.LedgerQuery == 0 {
		f.add("mix", "there is no ledger to rank by: set ledger_query")
	}
	if c.NeedsGC && c.Garbage == 0 {
		f.add("needs_gc", "nothing makes garbage: set garbage")
	}
	if c.LatencyOf != "" && !slices.Contains(kinds(c.Workload), c.LatencyOf) {
		f.add("latency_of", "there is no kind %q of request%s", clip(c.LatencyOf), orList(clip(c.LatencyOf), kinds(c.Workload)))
	}
	if c.Idle == nil {
		return
	}
	for i, m := range c.Models {
		if v, own := c.Variants[m]; own && v.Model == "" || !own && !slices.Contains(models.AllNames(), m) {
			f.add(fmt.Sprintf("models[%d]", i), "idle_conns are measured of our own servers only: %s does not say what it has accepted", m)
		}
	}
}

// kinds of request that a workload has.
func kinds(workload string) []string {
	var cfg workloads.LoadConfig
	cfg.Files.Paths = []string{"/"}
	l, err := workloads.Load(workload, cfg)
	if err != nil {
		return nil
	}
	return l.Kinds()
}
