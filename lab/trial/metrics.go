package trial

import (
	"fmt"
	"maps"

	"github.com/syslet/syslet/lab/admin"
	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/workloads"
)

// How a trial's metrics are made of the load's report, the sensors' readings
// and the server's own counters.

func (r *run) fill(rep *load.Report) {
	m := r.out.Metrics
	r.out.DurationS = rep.DurationS
	r.out.WarmupS, r.out.WarmupSteady, r.out.Series = rep.WarmupS, rep.WarmupSteady, rep.Series
	inWindow := float64(rep.Counts.AnsweredInWindow)
	// What the sensors saw began directly before the window.
	ops, seenS := inWindow+float64(rep.AnsweredInRead), rep.DurationS+rep.ReadS
	r.latencyOf(rep)
	maps.Copy(m, rep.Metrics())
	maps.Copy(m, sensor.PerOp(r.readings, ops))
	maps.Copy(m, r.tailMetrics(rep))
	maps.Copy(m, admin.GoMetrics(&r.before, &r.after))
	r.out.Distributions = rep.Distributions()
	r.kinds(rep)
	r.cacheMisses()
	r.counters(ops)
	r.perDelivery(inWindow, rep.Counts.Delivered)
	r.percentiles(rep)
	r.rankings()
	r.loadsOwn(rep)
	r.evidence.Load(rep)
	r.evidence.Shape, r.evidence.Metrics = r.spec.Shape, m
	r.evidence.OthersServer, r.evidence.OthersLoad = r.othersOfServer(ops, seenS), r.othersOfLoad(rep)
	r.out.Notes = append(r.out.Notes, saysTheLoad(rep)...)
}

// latencyOf makes the report's latency that of one kind, if the plan says so.
func (r *run) latencyOf(rep *load.Report) {
	if r.spec.LatencyOf == "" {
		return
	}
	k, ok := rep.Kind(r.spec.LatencyOf)
	if !ok || k.Latency.Count == 0 {
		r.evidence.Flaws = append(r.evidence.Flaws, fmt.Sprintf("latency was to be of %q, of which there was none: it is of all requests", r.spec.LatencyOf))
		return
	}
	rep.All = k
}

// rankings says how long the ledger's queries took, on the server's clock: the
// query itself, and what took the CPU from it.
func (r *run) rankings() {
	if r.spec.Mix.Rankings == 0 {
		return
	}
	n := r.after.App[workloads.Rankings] - r.before.App[workloads.Rankings]
	if n == 0 {
		r.out.Metrics[result.QueryMean] = result.Missing("no query in the window", "us", result.SourceServer)
		return
	}
	ns := r.after.App[workloads.RankingNs] - r.before.App[workloads.RankingNs]
	r.out.Metrics[result.QueryMean] = result.Of(float64(ns)/float64(n)/1e3, "us", result.SourceServer)
}

// cacheMisses prefers the hardware's counter; the probe stands in for it. What the probe
// saw of each level stands beside both.
func (r *run) cacheMisses() {
	maps.Copy(r.out.Metrics, r.levels)
	pmu, ok := r.out.Metrics[result.CacheMissesPerOp]
	switch {
	case ok && pmu.Available() || r.spec.ProbeFor == 0:
	case r.cache.Unit == "":
		r.out.Metrics[result.CacheMissesPerOp] = result.Missing("the cache probe was not reached", "1", result.SourceProbe)
	default:
		r.out.Metrics[result.CacheMissesPerOp] = r.cache
	}
}

// counters are the server's own, over the window.
func (r *run) counters(ops float64) {
	m := r.out.Metrics
	a, b := &r.before.Sum, &r.after.Sum
	if f := r.spec.Foreign; f != nil && f.NoCounters != "" {
		m[result.SyscallsPerOp] = result.Missing(notItself, "1", result.SourceServer)
		m[result.AllocsPerOp] = result.Missing(f.NoCounters, "1", result.SourceGo)
		return
	}
	if r.before.PID == 0 || r.after.PID == 0 {
		m[result.SyscallsPerOp] = result.Missing("the server's counters could not be read", "1", result.SourceServer)
		return
	}
	m[result.SyscallsPerOp] = result.PerOp(float64(b.SystemCalls()-a.SystemCalls()), ops, "1", result.SourceServer)
	m[result.AllocsPerOp] = result.PerOp(float64(r.after.Mallocs-r.before.Mallocs), ops, "1", result.SourceGo)
	m[result.GCCycles] = result.Of(float64(r.after.GCCycles-r.before.GCCycles), "1", result.SourceGo)
	if r.spec.NeedsGC && r.after.GCCycles == r.before.GCCycles {
		r.evidence.Flaws = append(r.evidence.Flaws, "the server's collector ended no cycle in the window, and what it does was the question")
	}
	m[result.GCPauseTotal] = result.Of(float64(r.after.GCPauseNs-r.before.GCPauseNs)/1e3, "us", result.SourceGo)
	if r.spec.Foreign != nil || r.spec.Under() == "goroutine" {
		m[result.SyscallsPerOp] = result.Missing(notItself, "1", result.SourceServer)
	}
	if r.spec.Under() != "threadlet" {
		return
	}
	count := func(name string, from, until uint64) {
		m[name] = result.Of(float64(until-from), "1", result.SourceServer)
	}
	count(result.TakeoversAnnounced, a.TakeoversAnnounced, b.TakeoversAnnounced)
	count(result.TakeoversDetected, a.TakeoversDetected, b.TakeoversDetected)
	count(result.TakeoversAtBound, a.TakeoversAtBound, b.TakeoversAtBound)
	count("takeovers_by_idle", a.TakeoversByIdle, b.TakeoversByIdle)
	count("takeovers_by_overrun", a.TakeoversByOverrun, b.TakeoversByOverrun)
	count("takeovers_by_switch", a.TakeoversBySwitch, b.TakeoversBySwitch)
	count("takeovers_by_timer", a.TakeoversByTimer, b.TakeoversByTimer)
	count("takeovers_by_backstop", a.TakeoversByBackstop, b.TakeoversByBackstop)
	count("takeovers_by_return", a.TakeoversByReturn, b.TakeoversByReturn)
	count(result.TakeoversFalse, a.TakeoverFalseAlarms, b.TakeoverFalseAlarms)
	r.takeoverTimes()
}

const notItself = "the server does not count its system calls itself; see " + result.SyscallsKernelPerOp

// perDelivery divides what a fan-out cost by the messages that it delivered, too.
func (r *run) perDelivery(ops, delivered float64) {
	if delivered <= 0 {
		return
	}
	for perOp, name := range map[string]string{
		result.CPUPerOp: result.CPUPerDelivery, result.AllocsPerOp: result.AllocsPerDelivery,
		result.SwitchesVoluntaryPerOp: result.SwitchesVoluntaryPerDelivery, result.SwitchesInvoluntaryPerOp: result.SwitchesInvoluntaryPerDelivery,
		result.SyscallsPerOp: result.SyscallsPerDelivery, result.SyscallsKernelPerOp: result.SyscallsKernelPerDelivery,
	} {
		m, ok := r.out.Metrics[perOp]
		if ok && m.Available() {
			m.Value *= ops / delivered
		}
		if ok {
			r.out.Metrics[name] = m
		}
	}
}

// takeoverTimes are of the whole run: the histogram does not begin anew.
func (r *run) takeoverTimes() {
	b := &r.after.Sum
	m := r.out.Metrics
	put := func(name string, ns, n uint64) {
		if n == 0 {
			m[name] = result.Missing("there was no such takeover", "us", result.SourceServer)
			return
		}
		m[name] = result.Of(float64(ns)/1e3, "us", result.SourceServer)
	}
	put(result.TakeoverP50, b.DetectedP50Ns, b.TakeoversDetected)
	put(result.TakeoverP99, b.DetectedP99Ns, b.TakeoversDetected)
	put(result.TakeoverAnnouncedP50, b.AnnouncedP50Ns, b.TakeoversAnnounced)
	put(result.TakeoverAnnouncedP99, b.AnnouncedP99Ns, b.TakeoversAnnounced)
}
