package trial

import (
	"fmt"
	"slices"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// What a trial gives the rules of package validity to look at, and a reader to check
// the load by.

// saysTheLoad are the load's own doubts. The rules of package validity look at the
// same figures, with bounds of their own: so these are notes, no reasons.
func saysTheLoad(rep *load.Report) (notes []string) {
	for _, doubt := range rep.Suspicions {
		notes = append(notes, "the load says: "+doubt)
	}
	return notes
}

// loadsOwn are figures of the load itself, by which a reader can check it.
func (r *run) loadsOwn(rep *load.Report) {
	m := r.out.Metrics
	m[result.LoadBusy] = result.Of(100*rep.Self.Busy, "%", result.SourceLoad)
	m[result.TimedOut] = result.Of(float64(rep.Counts.TimedOut), "1", result.SourceLoad)
	if r.spec.Shape.Timeout == 0 {
		m[result.TimedOut] = result.Missing("the plan sets no timeout", "1", result.SourceLoad)
	}
	m[result.SliceMaxP50] = typicalMaximum(rep.Series)
	m[result.MeanInFlight] = result.Of(rep.MeanInFlight, "1", result.SourceLoad)
	if len(rep.Series) == 0 {
		m[result.MeanInFlight] = result.Missing("the load made no series of slices", "1", result.SourceLoad)
	}
	m[result.LoadCapacityRate] = result.Of(rep.Throughput/max(rep.Self.Busy, leastBusy), "1/s", result.SourceDerived+" (throughput by load_busy)")
	if rep.Self.Busy < leastBusy {
		m[result.LoadCapacityRate] = result.Missing("the load was hardly busy: what it could do cannot be told from that", "1/s", result.SourceDerived)
	}
}

// fewestSlices with answers below which a median over slices says nothing.
const fewestSlices = 10

// typicalMaximum is result.SliceMaxP50.
func typicalMaximum(series []result.Slice) result.Metric {
	var most []float64
	for i := range series {
		if series[i].Answered > 0 {
			most = append(most, series[i].MaxUs)
		}
	}
	if len(most) < fewestSlices {
		return result.Missing(fmt.Sprintf("fewer than %d slices of the window have an answer", fewestSlices), "us", result.SourceLoad)
	}
	return result.Of(stats.Summarize(most).Median, "us", result.SourceLoad)
}

// leastBusy is the share of its time below which the load's capacity is a guess.
const leastBusy = 0.01

// othersOfServer is what the server's CPUs did beside serving, in percent; nil if that
// is not known, or the load runs on the same ones.
func (r *run) othersOfServer(ops, seconds float64) *float64 {
	busy, ok1 := r.out.Value("cpu_busy")
	ours, ok2 := r.out.Value(result.CPUPerOp)
	if !ok1 || !ok2 || seconds <= 0 || r.shareCPUs() {
		return nil
	}
	others := busy - 100*ours*ops/1e6/seconds/float64(max(1, len(r.spec.ServerCPUs)))
	return &others
}

// othersOfLoad is the same of the load's CPUs.
func (r *run) othersOfLoad(rep *load.Report) *float64 {
	busy, ok := r.out.Value("cpu_busy_load")
	if !ok || rep.DurationS <= 0 || len(r.spec.LoadCPUs) == 0 || r.shareCPUs() {
		return nil
	}
	others := busy - 100*rep.Self.ProcessCPUTimeS/rep.DurationS/float64(len(r.spec.LoadCPUs))
	return &others
}

// shareCPUs reports whether server and load run on some CPU together.
func (r *run) shareCPUs() bool {
	return slices.ContainsFunc(r.spec.ServerCPUs, func(cpu int) bool { return slices.Contains(r.spec.LoadCPUs, cpu) })
}
