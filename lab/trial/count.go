package trial

import (
	"time"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/sensor"
)

// inTail is said of what is not of the window: these sensors make each system call
// and each switch of threads dearer, so the load goes on for them alone.
const inTail = " (in a time of its own after the window)"

// tailCount is what is measured after the window.
type tailCount struct {
	sensors  *sensor.Set
	began    time.Time
	took     time.Duration
	readings []sensor.Reading
}

func (r *run) startCount() {
	r.count.sensors = sensor.ForTail(sensor.Target{PID: r.server.ready.PID, ServerCPUs: r.spec.ServerCPUs, LoadCPUs: r.spec.LoadCPUs})
	r.count.sensors.Start()
	r.count.began = time.Now()
}

// stopCount is told when the tail ended: we hear of it later, and the server has
// had nothing to do since.
func (r *run) stopCount(end time.Time) {
	if r.count.sensors == nil {
		return
	}
	var notes []string
	r.count.readings, notes = r.count.sensors.Stop()
	r.count.took = end.Sub(r.count.began)
	for _, note := range notes {
		r.out.Notes = append(r.out.Notes, "after the window: "+note)
	}
}

func (r *run) closeCount() {
	if r.count.sensors != nil {
		r.count.sensors.Close()
		r.count.sensors = nil
	}
}

// tailMetrics are those of the sensors that measured after the window. What is per
// request is a quotient of rates, because they are opened when the tail has begun.
func (r *run) tailMetrics(rep *load.Report) map[string]result.Metric {
	why := ""
	switch {
	case r.spec.CountFor == 0:
		why = "not counted in this experiment"
	case r.count.readings == nil || rep.TailS <= 0 || r.count.took <= 0:
		why = "the time in which it is counted was not reached"
	}
	metrics := sensor.TailMissing(why)
	if why == "" {
		answered := float64(rep.AnsweredInTail) / rep.TailS * r.count.took.Seconds()
		metrics = sensor.PerOp(r.count.readings, answered)
	}
	for name, m := range metrics {
		m.Source += inTail
		metrics[name] = m
	}
	return metrics
}
