package trial

import (
	"time"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/sensor"
)

// sourceTail says of the kernel's count that it is not of the window: the
// tracepoint makes each call dearer, so the load goes on for it alone.
const sourceTail = result.SourceKernel + " (in a time of its own after the window)"

// callCount is the kernel's count of the server's system calls, in the tail.
type callCount struct {
	calls   *sensor.Syscalls
	began   time.Time
	took    time.Duration
	reading result.Metric
}

func (r *run) startCount() {
	r.count.calls = sensor.NewSyscalls(r.server.ready.PID)
	r.count.calls.Start()
	r.count.began = time.Now()
}

func (r *run) stopCount() {
	if r.count.calls == nil {
		return
	}
	readings, notes := r.count.calls.Stop()
	r.count.took = time.Since(r.count.began)
	r.count.reading = readings[0].Metric
	for _, note := range notes {
		r.evidence.Flaws = append(r.evidence.Flaws, "system calls: "+note)
	}
}

func (r *run) closeCount() {
	if r.count.calls != nil {
		r.count.calls.Close()
		r.count.calls = nil
	}
}

// kernelCalls are calls per request: both as rates, because the counters are
// opened when the tail has begun.
func (r *run) kernelCalls(rep *load.Report) result.Metric {
	m := &r.count.reading
	switch {
	case r.spec.CountFor == 0:
		return result.Missing("not counted in this experiment", "1", sourceTail)
	case m.Unit == "" || rep.TailS <= 0:
		return result.Missing("the time in which system calls are counted was not reached", "1", sourceTail)
	case !m.Available():
		return result.Missing(m.Unavailable, "1", sourceTail)
	}
	perS := m.Value / r.count.took.Seconds()
	return result.PerOp(perS, float64(rep.AnsweredInTail)/rep.TailS, "1", sourceTail)
}
