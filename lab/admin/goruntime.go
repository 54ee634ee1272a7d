package admin

import (
	"math"
	"runtime/metrics"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/lab/result"
)

// GoRuntime is what Go's runtime says of itself (runtime/metrics), and the CPU time
// to compare it with. All counts are since the process began.
type GoRuntime struct {
	// CPUNs is the process' CPU time, GCCPUNs the part for garbage collection as the
	// runtime estimates it, brought up to date at the end of each cycle; time that a
	// CPU would have been idle is in it.
	CPUNs   uint64 `json:"cpu_ns"`
	GCCPUNs uint64 `json:"gc_cpu_ns"`
	// Threads are those that the runtime has made and not ended.
	Threads uint64 `json:"threads"`
	// SchedLatencies are how long goroutines were runnable before they ran: buckets
	// in ascending order that are not empty. Loops on threads of their own are no part.
	SchedLatencies []LatencyBucket `json:"sched_latencies,omitempty"`
}

// LatencyBucket counts what took less than UntilNs and no less than the bucket before.
type LatencyBucket struct {
	UntilNs float64 `json:"until_ns"`
	Count   uint64  `json:"count"`
}

const (
	metricGC      = "/cpu/classes/gc/total:cpu-seconds"
	metricThreads = "/sched/threads/total:threads" // Go 1.26
	metricSched   = "/sched/latencies:seconds"
)

// readGoRuntime does not stop the world.
func readGoRuntime() *GoRuntime {
	g := &GoRuntime{}
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts) == nil {
		g.CPUNs = uint64(ts.Nano())
	}
	samples := []metrics.Sample{{Name: metricGC}, {Name: metricThreads}, {Name: metricSched}}
	metrics.Read(samples)
	if v := samples[0].Value; v.Kind() == metrics.KindFloat64 {
		g.GCCPUNs = uint64(v.Float64() * 1e9)
	}
	if v := samples[1].Value; v.Kind() == metrics.KindUint64 {
		g.Threads = v.Uint64()
	}
	if v := samples[2].Value; v.Kind() == metrics.KindFloat64Histogram {
		g.SchedLatencies = latencyBuckets(v.Float64Histogram())
	}
	return g
}

// GoRuntimeInfo describes this sensor with what it costs: the time of two readings
// as they are made at the ends of a window, in this process, whose histogram is as
// long as any.
func GoRuntimeInfo() result.SensorInfo {
	var took []float64
	for range 9 {
		start := time.Now()
		readGoRuntime()
		readGoRuntime()
		took = append(took, float64(time.Since(start)))
	}
	slices.Sort(took)
	return result.SensorInfo{
		Name: "go-runtime", Quantities: []string{result.GCCPU, result.SchedLatencyP99, result.GoThreads, result.Goroutines},
		Units: []string{"%", "us", "1", "1"}, Source: result.SourceGo, OverheadNs: &took[len(took)/2],
	}
}

// latencyBuckets leaves the empty ones out. The last bucket has no end: it gets its
// begin.
func latencyBuckets(h *metrics.Float64Histogram) (buckets []LatencyBucket) {
	for i, n := range h.Counts {
		until := h.Buckets[i+1]
		if math.IsInf(until, 1) {
			until = h.Buckets[i]
		}
		if n > 0 {
			buckets = append(buckets, LatencyBucket{until * 1e9, n})
		}
	}
	return buckets
}

// GoMetrics are the metrics of the Go runtime over a window, from the snapshots at
// its two ends: gc_cpu in % of the CPU that the process used, sched_latency_p99 in us
// (the upper end of a bucket), go_threads and goroutines at the end.
func GoMetrics(before, after *Snapshot) map[string]result.Metric {
	const gc, sched, threads, goroutines = result.GCCPU, result.SchedLatencyP99, result.GoThreads, result.Goroutines
	none := func(why, unit string) result.Metric { return result.Missing(why, unit, result.SourceGo) }
	const unread, untold = "the server's counters could not be read", "this server's side door does not tell of its Go runtime"
	why := ""
	switch {
	case before.PID == 0 || after.PID == 0:
		why = unread
	case before.Go == nil || after.Go == nil:
		why = untold
	}
	m := map[string]result.Metric{gc: none(why, "%"), sched: none(why, "us"), threads: none(why, "1"), goroutines: none(unread, "1")}
	if after.PID != 0 {
		m[goroutines] = result.Of(float64(after.Goroutines), "1", result.SourceGo)
	}
	if why != "" {
		return m
	}
	a, b := before.Go, after.Go
	if b.CPUNs > a.CPUNs && b.GCCPUNs >= a.GCCPUNs {
		m[gc] = result.Of(100*float64(b.GCCPUNs-a.GCCPUNs)/float64(b.CPUNs-a.CPUNs), "%", result.SourceGo)
	} else {
		m[gc] = none("the process used no CPU in the window", "%")
	}
	if b.Threads > 0 {
		m[threads] = result.Of(float64(b.Threads), "1", result.SourceGo)
	} else {
		m[threads] = none("this version of Go has no "+metricThreads, "1")
	}
	if us, ok := latencyQuantileUs(a.SchedLatencies, b.SchedLatencies, 0.99); ok {
		m[sched] = result.Of(us, "us", result.SourceGo)
	} else {
		m[sched] = none("no goroutine became runnable in the window", "us")
	}
	return m
}

// latencyQuantileUs is a quantile of what came between two histograms.
func latencyQuantileUs(from, until []LatencyBucket, q float64) (us float64, ok bool) {
	before := make(map[float64]uint64, len(from))
	for _, b := range from {
		before[b.UntilNs] = b.Count
	}
	var all, seen uint64
	for _, b := range until {
		all += b.Count - min(b.Count, before[b.UntilNs])
	}
	for _, b := range until {
		seen += b.Count - min(b.Count, before[b.UntilNs])
		if all > 0 && float64(seen) >= q*float64(all) {
			return b.UntilNs / 1e3, true
		}
	}
	return 0, false
}
