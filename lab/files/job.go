// Package files measures one run of file work: through syslets under a model, or
// by fio on the same file with the same numbers. Both are measured alike: CPU time
// and context switches from the process' own clocks and procfs, over a window in
// which the work is under way.
package files

import (
	"strings"
	"time"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/workloads/filework"
)

// Spec is what a run is to do.
type Spec struct {
	Work             filework.Config
	Warmup, Duration time.Duration
	// CPUs are those that this process, and fio with it, is bound to already.
	CPUs []int
}

// Result is what a run prints as a line of JSON: a trial.Printed, with notes.
type Result struct {
	Metrics   map[string]result.Metric `json:"metrics"`
	DurationS float64                  `json:"duration_s"`
	// Reasons are doubts about the figures.
	Reasons []string `json:"reasons,omitempty"`
	// Notes say what was chosen.
	Notes []string `json:"notes,omitempty"`
}

// sensors look at the process that does the work. Those of lab/sensor that put
// perf events on its threads are left out: they make each switch dearer, and a
// thread that blocks for each read is switched for each read.
type sensors []sensor.Sensor

func newSensors(pid int, cpus []int) sensors {
	return sensors{sensor.NewCPUTime(pid), sensor.NewSwitches(pid), sensor.NewSteal(cpus), sensor.NewMemory(pid)}
}

func (s sensors) start() {
	for i := len(s) - 1; i >= 0; i-- { // the dearest first
		s[i].Start()
	}
}

// stop gives what was measured, and which of it is in doubt.
func (s sensors) stop() (readings []sensor.Reading, doubts []string) {
	for _, one := range s {
		r, notes := one.Stop()
		readings = append(readings, r...)
		for _, note := range notes {
			if strings.Contains(note, "not counted") { // others say only where a count began
				doubts = append(doubts, one.Name()+": "+note)
			}
		}
	}
	return readings, doubts
}
