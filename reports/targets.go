package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// What this project wants to be measured by: rules that were written before the
// data, each with its bound. A rule compares one of our models with the best of
// some servers, round by round: trials of a round are neighbours in time.

// target is one rule.
type target struct {
	experiment, metric string
	// level of the experiment's factor at which the rule holds.
	level string
	model string
	// against are the servers of which the best counts: the one with the best
	// median in this run.
	against []string
	// what the best of them is called.
	againstName string
	// bound of the ratio model/best: at most, or at least if atLeast.
	bound   float64
	atLeast bool
}

// leastRounds is the number of rounds below which a rule is not decided.
const leastRounds = 10

// goServers are the peers that are Go programs; the C programs are compared
// mechanism by mechanism.
var goServers = []string{"gnet", "nbio", "netpoll", "evio", "net"}

func atMost(experiment, level, metric, model string, bound float64, againstName string, against ...string) target {
	return target{experiment: experiment, level: level, metric: metric, model: model, bound: bound, againstName: againstName, against: against}
}

func atLeast(experiment, level, metric, model string, bound float64, againstName string, against ...string) target {
	t := atMost(experiment, level, metric, model, bound, againstName, against...)
	t.atLeast = true
	return t
}

const bestGo = "the best Go peer"

// targets in the order of the table.
var targets = slices.Concat([]target{
	atMost(result.PeersEcho, "64", result.CPUPerOp, "nonblock", 1.05, "C on epoll", "c-epoll"),
	atMost(result.PeersEcho, "64", result.CPUPerOp, "iouring", 1.05, "C on io_uring", "c-iouring"),
	atMost(result.PeersEcho, "64", result.CPUPerOp, "nonblock", 1.00, bestGo, goServers...),
	atMost(result.PeersEcho, "64", result.CPUPerOp, "iouring", 0.85, bestGo, goServers...),
	// The same where the servers have no time to sleep between messages.
	atMost(result.PeersEcho, "64", result.SaturationCPUPerOp, "nonblock", 1.05, "C on epoll", "c-epoll"),
	atMost(result.PeersEcho, "64", result.SaturationCPUPerOp, "iouring", 1.05, "C on io_uring", "c-iouring"),
	atMost(result.PeersEcho, "64", result.SaturationCPUPerOp, "nonblock", 1.00, bestGo, goServers...),
	atMost(result.PeersEcho, "64", result.SaturationCPUPerOp, "iouring", 0.85, bestGo, goServers...),
}, noWorse("1000", result.LatencyP99), noWorse("64", result.SaturationP99), noWorse("1000", result.SaturationP99), noWorse("10000", result.SaturationP99),
	[]target{
		atMost(result.PeersFanout, "500", result.CPUPerDelivery, "iouring", 0.85, "our nonblock", "nonblock"),
		atMost(result.PeersFanout, "500", result.CPUPerDelivery, "iouring", 1.05, "C on io_uring", "c-iouring"),
		atLeast(result.Files, "direct-32", result.Throughput, "iouring", 0.97, "fio on io_uring, the better of two", "fio-io_uring", "fio-io_uring-fixed"),
		atLeast(result.Files, "direct-32", result.Throughput, "threadlet", 0.9, "fio's threads", "fio-psync"),
	}, asCheapAsNginx("1024"), asCheapAsNginx("65536"))

// factors are what levels of the rules are of.
var factors = map[string]string{result.PeersEcho: result.Conns, result.PeersFiles: result.Conns, result.PeersFanout: result.Conns,
	result.Files: "file_work", fileServer: "file_bytes"}

// fileServer is the experiment on static files over HTTP.
const fileServer = "fileserver"

// asCheapAsNginx holds two of our models to nginx's requests per CPU second: to its
// CPU per request.
func asCheapAsNginx(fileBytes string) []target {
	var out []target
	for _, metric := range []string{result.CPUPerOp, result.SaturationCPUPerOp} {
		for _, model := range []string{"nonblock", "iouring"} {
			out = append(out, atMost(fileServer, fileBytes, metric, model, 1, "nginx, the better of two", "nginx", "nginx-cached"))
		}
	}
	return out
}

// noWorse holds two of our models against the best Go peer at one level of the echo.
func noWorse(level, metric string) []target {
	return []target{
		atMost(result.PeersEcho, level, metric, "nonblock", 1, bestGo, goServers...),
		atMost(result.PeersEcho, level, metric, "iouring", 1, bestGo, goServers...),
	}
}

// Verdicts on a target.
const (
	targetMet       = "met"
	targetMissed    = "missed"
	targetUndecided = "undecided"
	targetUntested  = "not tested"
)

// targetRow is a target with what a run says of it.
type targetRow struct {
	// Where is "peers-echo, 64 connections".
	Where, Metric string
	Model         string
	// Best is the server that it was held against, Against what it stands for.
	Best, Against string
	// Ours and Theirs are the medians.
	Ours, Theirs string
	// Ratio is "0.93 [0.91 to 0.95 at 97.8 %]", Bound "at most 1.05".
	Ratio, Bound string
	Verdict      string
	// Why is what the verdict lacks, if anything.
	Why string
}

func (t *target) bounds() string {
	if t.atLeast {
		return fmt.Sprintf("at least %.4g", t.bound)
	}
	return fmt.Sprintf("at most %.4g", t.bound)
}

// judgeTargets says of each target whose experiment the run has what came of it.
func judgeTargets(vs []*view) []targetRow {
	var out []targetRow
	for i := range targets {
		t := &targets[i]
		for _, v := range vs {
			if at, ok := t.in(v); ok {
				out = append(out, at.judge(v))
			}
		}
	}
	return out
}

// in is the rule as it reads in a view, if it is about that: levels that are no
// numbers have a view each, and so has the one level of a run at one.
func (t *target) in(v *view) (target, bool) {
	at := *t
	factor := factors[t.experiment]
	switch {
	case v.Experiment != t.experiment:
		return at, false
	case v.Factor == factor:
		return at, slices.ContainsFunc(v.Levels, func(l level) bool { return l.Text == t.level })
	}
	at.level = ""
	return at, v.Factor == "" && v.Setting[factor] == t.level
}

func (t *target) judge(v *view) targetRow {
	row := targetRow{Where: v.label() + v.at(t.level), Metric: result.Describe(t.metric).Label, Model: t.model,
		Against: t.againstName, Bound: t.bounds(), Verdict: targetUntested}
	if !slices.ContainsFunc(v.keysOf(t.metric), func(k key) bool { return len(v.cell(t.model, t.level, k).Points) > 0 }) {
		row.Why = "no usable trial of " + t.model
		return row
	}
	k, theirKey, best := t.best(v)
	if best == "" {
		row.Why = "no usable trial of " + list(t.against)
		return row
	}
	row.Best = best
	ours, theirs := v.cell(t.model, t.level, k), v.cell(best, t.level, theirKey)
	row.Theirs = quantity(theirs.Summary.Median, theirKey.Unit)
	row.Ours = quantity(ours.Summary.Median, k.Unit)
	p := stats.PairedRatio(pair(ours, theirs))
	if math.IsNaN(p.Ratio) {
		row.Why = "no round in which both were measured"
		return row
	}
	row.Ratio = number(p.Ratio)
	if p.Reached > 0 {
		row.Ratio += fmt.Sprintf(" [%s to %s at %s]", number(p.Lo), number(p.Hi), stats.Percent(p.Reached))
	}
	row.Verdict, row.Why = t.verdict(p)
	if limited := t.limitedByLoad(v, t.model, best); limited != "" && row.Why == "" {
		row.Why = limited
	}
	if k.Source != theirKey.Source && row.Why == "" {
		row.Why = fmt.Sprintf("each measured itself (%s, %s)", k.Source, theirKey.Source)
	}
	return row
}

// Below serverFull percent of its CPU a server had time to spare; above loadFull
// percent of the time busy, the load had none.
const serverFull, loadFull = 95, 90

// limitedByLoad says which of the servers were not quite at saturation, for a
// latency that is meant to be: there the load's own queue is in it.
func (t *target) limitedByLoad(v *view, servers ...string) string {
	if !strings.HasPrefix(t.metric, "saturation_p") {
		return ""
	}
	var limited []string
	for _, m := range servers {
		server, ok1 := v.medianOf(result.SaturationServerBusy, m, t.level)
		load, ok2 := v.medianOf(result.SaturationLoadBusy, m, t.level)
		if ok1 && ok2 && server < serverFull && load > loadFull {
			limited = append(limited, m)
		}
	}
	if len(limited) == 0 {
		return ""
	}
	return "the load was the limit for " + list(limited)
}

// medianOf is the median of a metric, of whatever source.
func (v *view) medianOf(name, model, levelText string) (float64, bool) {
	for _, k := range v.keysOf(name) {
		if c := v.cell(model, levelText, k); len(c.Points) > 0 {
			return c.Summary.Median, true
		}
	}
	return 0, false
}

func (t *target) verdict(p stats.Paired) (verdict, why string) {
	if p.N < leastRounds {
		return targetUndecided, fmt.Sprintf("%d rounds; the rule wants %d", p.N, leastRounds)
	}
	bound := t.bound
	if t.atLeast { // Below takes the bound in; so must this side
		p.Ratio, p.Lo, p.Hi, bound = 1/p.Ratio, 1/p.Hi, 1/p.Lo, 1/t.bound
	}
	switch p.Against(bound) {
	case stats.Below:
		return targetMet, ""
	case stats.Above:
		return targetMissed, ""
	}
	return targetUndecided, "the interval contains the bound"
}

// best is the server with the best median, with the key of our model and its own.
// A metric of two sources is two quantities: servers measured as our model was come
// first, others only where there is none (fio counts its own reads).
func (t *target) best(v *view) (ours, theirs key, best string) {
	for _, same := range []bool{true, false} {
		for _, k := range v.keysOf(t.metric) {
			if len(v.cell(t.model, t.level, k).Points) == 0 {
				continue
			}
			for _, other := range v.keysOf(t.metric) {
				if (other == k) != same || other.Unit != k.Unit {
					continue
				}
				if best := t.bestBy(v, other); best != "" {
					return k, other, best
				}
			}
		}
	}
	return key{}, key{}, ""
}

// bestBy is the server with the best median of one key.
func (t *target) bestBy(v *view, k key) string {
	best, of := "", 0.0
	for _, m := range t.against {
		c := v.cell(m, t.level, k)
		if len(c.Points) == 0 {
			continue
		}
		if better := (c.Summary.Median < of) != t.atLeast; best == "" || better {
			best, of = m, c.Summary.Median
		}
	}
	return best
}

// pair are the values of two servers in the rounds that both have.
func pair(a, b *cell) (x, y []float64) {
	for _, p := range a.Points {
		if i := slices.IndexFunc(b.Points, func(q point) bool { return q.Round == p.Round }); i >= 0 {
			x, y = append(x, p.Value), append(y, b.Points[i].Value)
		}
	}
	return x, y
}

// targetTally counts verdicts: "6 met, 1 missed, 2 undecided".
func targetTally(rows []targetRow) string {
	var parts []string
	for _, v := range []string{targetMet, targetMissed, targetUndecided, targetUntested} {
		n := 0
		for i := range rows {
			if rows[i].Verdict == v {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	return strings.Join(parts, ", ")
}

// Class is the verdict as a class of the style sheet.
func (r targetRow) Class() string {
	switch r.Verdict {
	case targetMet:
		return "valid"
	case targetMissed:
		return "invalid"
	}
	return "suspect"
}

func markdownTargets(b *strings.Builder, rows []targetRow) {
	fmt.Fprintf(b, "%s. A ratio is the median of the rounds' ratios, with its interval; a target is decided if the whole interval lies on one side of its bound. Each is decided by itself, not corrected for their number.\n\n", upperFirst(targetTally(rows)))
	b.WriteString("| where | what | server | held against | ratio | wanted | verdict |\n|---|---|---|---|--:|---|---|\n")
	for _, r := range rows {
		verdict := "**" + r.Verdict + "**"
		if r.Why != "" {
			verdict += ": " + mdText(r.Why)
		}
		against := r.Against
		if r.Best != "" {
			against = fmt.Sprintf("%s (%s): %s", r.Against, r.Best, r.Theirs)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s |\n", mdText(r.Where), mdText(r.Metric),
			mdText(strings.TrimSuffix(r.Model+": "+r.Ours, ": ")), mdText(against), mdText(r.Ratio), mdText(r.Bound), verdict)
	}
	b.WriteByte('\n')
}
