package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/result"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
)

// section is a group of a view's figures under one heading.
type section struct {
	Title   string
	Figures []*figure
	// Absent are quantities without any value: what and why.
	Absent []absence
}

type absence struct{ What, Why string }

// topic is a heading with the metrics that belong under it.
type topic struct {
	title   string
	metrics []string
}

// mixTopics and curveTopics are the sections of both kinds of view.
var mixTopics = []topic{
	{"Latency and throughput", []string{result.LatencyP50, result.LatencyP99, result.LatencyP999, result.Throughput}},
	{"Context switches and system calls", []string{result.SwitchesVoluntaryPerOp, result.SwitchesInvoluntaryPerOp, result.SyscallsPerOp, result.SyscallsKernelPerOp}},
	{"CPU and memory", []string{result.CPUPerOp, result.RunqueueWaitPerOp, result.RunqueueP99, result.OffCPUPerOp, result.RSS}},
	cachesTopic,
}

// cachesTopic are quantities of three kinds, which never share a figure: hardware
// counters, lines displaced (probe), misses of a simulated cache.
var cachesTopic = topic{"Caches", []string{result.CacheMissesPerOp, result.L1DMissesPerOp, result.LLCMissesPerOp, result.DTLBMissesPerOp,
	result.L1DisplacedPerOp, result.L2DisplacedPerOp, result.L3DisplacedPerOp, result.SimI1MissesPerOp, result.SimD1MissesPerOp, result.SimLLMissesPerOp}}

var curveTopics = []topic{
	{"Throughput and latency", []string{result.SaturationThroughput, result.Throughput, result.LatencyP50, result.LatencyP99, result.LatencyP999,
		result.UnblockedP99, result.BlockedP99}},
	{"Context switches and system calls", []string{result.SwitchesVoluntaryPerOp, result.SwitchesInvoluntaryPerOp, result.SyscallsPerOp, result.SyscallsKernelPerOp}},
	{"CPU and memory", []string{result.CPUPerOp, result.RunqueueWaitPerOp, result.RSS}},
	cachesTopic,
}

var bodiesTopics = []topic{
	{"Latency of the pings", []string{result.LatencyP50, result.LatencyP99, result.LatencyP999}},
	{"Context switches and garbage collection", []string{result.SwitchesVoluntaryPerOp, result.SwitchesInvoluntaryPerOp, result.GCCycles}},
	{"CPU and memory", []string{result.CPUPerOp, result.RSS}},
}

var serverTopics = []topic{
	{"CPU", []string{result.CPUPerDelivery, result.CPUPerOp}},
	{"System calls and context switches", []string{result.SyscallsKernelPerDelivery, result.SyscallsKernelPerOp, result.SwitchesVoluntaryPerOp}},
	{"Rate and latency", []string{result.Throughput, result.LatencyP99, result.LatencyP999, result.SaturationThroughput, result.SaturationP99}},
}

// hints say what a figure is to be looked at for, beyond who is first.
var hints = map[string]string{
	result.LatencyP50:               "Counted from the intended send time, so waiting behind others is in it.",
	result.LatencyP99:               "One request in a hundred is slower than this.",
	result.LatencyP999:              "One request in a thousand is slower; few requests stand behind it.",
	result.Throughput:               "Where the load is fixed, all models should be equal; one that is lower did not keep up.",
	result.SaturationThroughput:     "The most that the server answered. A flat line means that blocking costs nothing.",
	result.UnblockedP99:             "Requests that did not block: what they wait is what others' blocking costs them.",
	result.BlockedP99:               "Requests that blocked: the disk's time is in it for every model.",
	result.SwitchesVoluntaryPerOp:   "A thread of the server gave the CPU up: it waited, or handed over.",
	result.SwitchesInvoluntaryPerOp: "The kernel took the CPU away: more threads wanted it than there are.",
	result.SyscallsPerOp:            "Batching shows here: less than one call a request is possible.",
	result.SyscallsKernelPerOp:      "The kernel's own count, all threads of the server.",
	result.CPUPerOp:                 "User and system time of the whole server, divided by the requests answered.",
	result.RSS:                      "Of the server process, at the end of the measured time.",
	result.RunqueueWaitPerOp:        "Threads of the server were ready to run and had no CPU.",
	result.RunqueueP99:              "One wait of a ready thread in a hundred is longer.",
	result.OffCPUPerOp:              "All time off the CPU, waiting for events included.",
}

// cacheHints say what each kind of figure on caches is.
var cacheHints = map[string]string{
	result.SourcePMU:   "Hardware counter: misses of user space and kernel as the CPU counts them.",
	result.SourceSim:   "Simulated cache: user space only, one thread at a time; repeats for one binary and input.",
	result.SourceProbe: "Prime and probe: cache lines that the loop displaced, the kernel's part included. Not a count of misses.",
}

// isCache reports whether a metric is of a cache, where the source says which kind of
// quantity it is.
func isCache(name string) bool { return slices.Contains(cachesTopic.metrics, name) }

// sections are the figures of a view.
func (v *view) sections(lk map[string]look) []section {
	topics := mixTopics
	switch {
	case v.besides():
		topics = serverTopics
	case v.Factor == "":
	case v.Factor == rankings:
		topics = bodiesTopics
	default:
		topics = curveTopics
	}
	var out []section
	for i, t := range topics {
		s := section{Title: t.title}
		width := narrowWidth
		if i == 0 {
			if f := v.percentileFigure(lk); f != nil {
				s.Figures = append(s.Figures, f)
				width = wideWidth // they share its columns
			}
		}
		why := map[string]int{}
		if v.Factor != "" {
			s.Title += " against " + v.factorLabel()
		}
		for _, name := range t.metrics {
			if v.givenByLoad(name) {
				continue
			}
			for _, k := range v.joinedKeysOf(name) {
				switch {
				case !v.hasValue(k):
					s.absent(why, upperFirst(k.Label())+" (source "+k.sensor()+")", v.whyMissing(k))
				case v.Factor == "":
					s.Figures = append(s.Figures, v.dotFigure(k, lk, width))
				default:
					s.Figures = append(s.Figures, v.curveFigure(k, lk))
				}
			}
		}
		if len(s.Figures)+len(s.Absent) > 0 {
			out = append(out, s)
		}
	}
	if over := v.overTime(lk); len(over) > 0 {
		out = append(out, section{Title: "Latency over the measured time", Figures: over})
	}
	return out
}

// absent lists what has no value, together with what lacks it for the same reason;
// at is where a reason stands.
func (s *section) absent(at map[string]int, what, why string) {
	if i, ok := at[why]; ok {
		s.Absent[i].What += "; " + what
		return
	}
	at[why] = len(s.Absent)
	s.Absent = append(s.Absent, absence{what, why})
}

// factorLabel is the x axis in words.
func (v *view) factorLabel() string {
	if v.Factor == blockingShare {
		return "share of blocking requests"
	}
	if v.Factor == rankings {
		return "rankings per second"
	}
	if v.Factor == result.Conns {
		return "number of connections"
	}
	return strings.ReplaceAll(v.Factor, "_", " ")
}

// titled is the metric's label, with its source where sources are different
// quantities.
func titled(k key) string {
	if isCache(k.Name) {
		if k.Name == result.CacheMissesPerOp && k.sensor() == result.SourceProbe {
			return "cache displaced per request (source: probe)"
		}
		return k.Label() + " (source: " + k.sensor() + ")"
	}
	return k.Label()
}

// sensor is the source without what it says of when it measured: "pmu (in a time of
// its own after the window)" is "pmu", and when says the rest.
func (k key) sensor() string {
	sensor, _, _ := strings.Cut(k.Source, " (")
	return sensor
}

func (k key) when() string {
	_, rest, found := strings.Cut(k.Source, " (")
	if !found {
		return ""
	}
	return "Measured " + strings.TrimSuffix(rest, ")") + "."
}

func (v *view) hint(k key) string {
	if k.Name == result.SaturationThroughput && v.besides() {
		return "The most that the server answered in a closed loop; the notes below the tables say where the load was the limit."
	}
	if isCache(k.Name) {
		return strings.TrimSpace(cacheHints[k.sensor()] + " " + k.when())
	}
	return hints[k.Name]
}

func (v *view) figureSlug(k key) string {
	slug := v.slug() + "-" + slugify(k.Name)
	if len(v.keysOf(k.Name)) > 1 || isCache(k.Name) {
		slug += "-" + slugify(k.Source+" "+k.Unit)
	}
	return slug
}

func (v *view) dotFigure(k key, lk map[string]look, width vg.Length) *figure {
	factor, _ := display(k.Unit)
	var rows []dotRow
	var alt []string
	for _, m := range v.Models {
		c := v.cell(m, "", k)
		row := dotRow{look: lk[m], note: "no usable round"}
		if len(c.Missing) > 0 {
			row.note = "unavailable"
		}
		if len(c.Points) > 0 {
			for _, p := range c.Points {
				p.Value *= factor
				row.points = append(row.points, p)
			}
			row.median, row.lo, row.hi = c.Summary.Median*factor, c.Summary.Lo*factor, c.Summary.Hi*factor
			row.interval = c.Summary.HasInterval()
			alt = append(alt, m+" "+median(c, k.Unit))
		} else {
			alt = append(alt, m+" "+row.note)
		}
		rows = append(rows, row)
	}
	return &figure{
		Slug: v.figureSlug(k), Title: upperFirst(titled(k)),
		Caption: strings.TrimSpace(v.rank(k, "").short() + " " + v.hint(k)),
		Alt:     fmt.Sprintf("Dot plot of %s by model, one dot a round. Medians: %s.", titled(k), strings.Join(alt, "; ")),
		width:   width, height: 64 + dotRowHeight*vg.Length(len(rows)), right: 42,
		plot: func() *plot.Plot { return newDots(rows, axisName(k), k.Unit) },
	}
}

// axisName is short: the title above says the rest.
func axisName(k key) string {
	switch {
	case k.Unit == "us" && k.Name == result.CPUPerOp:
		return "CPU time per request"
	case k.Unit == "us":
		return "time"
	case k.Unit == "1/s":
		return "requests"
	case k.Unit == "bytes":
		return "memory"
	case strings.HasSuffix(k.Name, "_per_op"):
		return "per request"
	default:
		return "count"
	}
}

func (v *view) curveFigure(k key, lk map[string]look) *figure {
	factor, _ := display(k.Unit)
	var lines []curveLine
	var legend []look
	var alt []string
	for _, m := range v.Models {
		line := curveLine{look: lk[m]}
		var said []string
		for _, l := range v.Levels {
			c := v.cell(m, l.Text, k)
			if len(c.Points) == 0 {
				continue
			}
			s := c.Summary
			line.points = append(line.points, curvePoint{l.Number, s.Median * factor, s.Lo * factor, s.Hi * factor})
			said = append(said, l.Text+": "+shown(s.Median, k.Unit))
		}
		if len(line.points) > 0 {
			lines, legend = append(lines, line), append(legend, lk[m])
			alt = append(alt, m+" "+strings.Join(said, ", "))
		}
	}
	_, unit := display(k.Unit)
	x := v.factorLabel()
	if v.Factor == blockingShare {
		x += " (%)"
	}
	return &figure{
		Slug: v.figureSlug(k), Title: upperFirst(titled(k)), Wide: true,
		Caption: strings.TrimSpace(v.curveCaption(k) + " " + v.hint(k)),
		Alt:     strings.TrimSpace(fmt.Sprintf("Medians of %s %s against %s. %s.", titled(k), unit, v.factorLabel(), strings.Join(alt, "; "))),
		width:   wideWidth, height: 220, legend: legend,
		plot: func() *plot.Plot {
			return newCurves(lines, v.Levels, x, axisName(k), k.Unit, k.Unit == "us" && k.Name != result.CPUPerOp)
		},
	}
}

// curveCaption says who is first at both ends.
func (v *view) curveCaption(k key) string {
	var parts []string
	for i, l := range v.Levels {
		if i > 0 && i < len(v.Levels)-1 {
			continue
		}
		if r := v.rank(k, l.Text); len(r.rows) > 0 {
			text := upperFirst(trimAt(v.at(l.Text))) + ": " + r.superlative() + " is " +
				r.rows[0].model + " with " + quantity(r.rows[0].cell.Summary.Median, k.Unit)
			if tied, _ := r.tied(); len(tied) > 0 {
				text += ", not told apart from " + list(models(tied))
			}
			parts = append(parts, text+".")
		}
	}
	return strings.Join(parts, " ")
}

func (v *view) percentileFigure(lk map[string]look) *figure {
	if v.Factor != "" {
		return nil
	}
	var lines []percentileCurve
	var legend []look
	var alt []string
	for _, m := range v.Models {
		points := v.percentileLine(m, "", "latency")
		if len(points) < 2 {
			continue
		}
		lines, legend = append(lines, percentileCurve{lk[m], points}), append(legend, lk[m])
		var said []string
		for _, p := range points {
			if marked(p.Percentile()) {
				said = append(said, fmt.Sprintf("%g %%: %s", p.Percentile(), number(p.ValueUs())))
			}
		}
		alt = append(alt, m+" "+strings.Join(said, ", "))
	}
	if len(lines) == 0 {
		return nil
	}
	return &figure{
		Slug: v.slug() + "-percentiles", Title: "Latency by percentile", Wide: true,
		Caption: "Each line is a model, each point the median over its rounds of that percentile. A line that bends upwards has a tail: " +
			"most requests are quick and a few wait long. Where lines cross, the answer depends on which percentile matters to you.",
		Alt:  "Latency in µs by percentile and model. " + strings.Join(alt, "; ") + ".",
		Tall: true, width: wideWidth, height: 275, legend: legend,
		plot: func() *plot.Plot { return newPercentiles(lines) },
	}
}
