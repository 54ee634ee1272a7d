package sensor

import (
	"github.com/syslet/syslet/lab/result"
)

// Reading is one quantity of the window.
type Reading struct {
	// Name is as in package result if Total is false. The name of a total becomes
	// one of package result with "_per_op" behind it.
	Name   string
	Metric result.Metric
	// Total quantities are sums over the window: they make sense per request.
	Total bool
}

// Sensor measures over a window. Its methods are called from one goroutine at a
// time: Start, Stop, and so on again; Close at the end.
type Sensor interface {
	// Name is the sensor's, for notes.
	Name() string
	// Start marks the begin of the window. What goes wrong here shows at Stop.
	Start()
	// Stop marks its end. Notes are flaws in words.
	Stop() (readings []Reading, notes []string)
	Close()
}

// Set is several sensors of one process.
type Set struct{ sensors []Sensor }

// Start begins the window. The dearest sensors go first, so that the others see
// less of them: in reverse order of Stop.
func (s *Set) Start() {
	for i := len(s.sensors) - 1; i >= 0; i-- {
		s.sensors[i].Start()
	}
}

// Stop ends the window.
func (s *Set) Stop() (readings []Reading, notes []string) {
	for _, sensor := range s.sensors {
		r, n := sensor.Stop()
		readings = append(readings, r...)
		for _, note := range n {
			notes = append(notes, sensor.Name()+": "+note)
		}
	}
	return readings, notes
}

// Close frees the counters.
func (s *Set) Close() {
	for _, sensor := range s.sensors {
		sensor.Close()
	}
}

// PerOp turns readings into the metrics of a trial with that many operations:
// totals are divided and renamed, the others stay as they are.
func PerOp(readings []Reading, ops float64) map[string]result.Metric {
	metrics := make(map[string]result.Metric, len(readings))
	for _, r := range readings {
		switch m := r.Metric; {
		case !r.Total:
			metrics[r.Name] = m
		case !m.Available():
			metrics[r.Name+"_per_op"] = m
		default:
			metrics[r.Name+"_per_op"] = result.PerOp(m.Value, ops, m.Unit, m.Source)
		}
	}
	return metrics
}

// total and state are short for the two kinds of reading.
func total(name string, m result.Metric) Reading { return Reading{Name: name, Metric: m, Total: true} }
func state(name string, m result.Metric) Reading { return Reading{Name: name, Metric: m} }
