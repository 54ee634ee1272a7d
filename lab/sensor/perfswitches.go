package sensor

import (
	"github.com/syslet/syslet/lab/result"
	"golang.org/x/sys/unix"
)

// PerfSwitches counts context switches of a process' threads by perf's software
// event: "switches_perf", a second opinion on Switches, which loses what a thread
// did that ended. Each switch becomes dearer while it is open, so it belongs into
// the tail. The event tells no kind of switch: Scheduling does, at the same hook and
// for less than reading perf's switch records.
type PerfSwitches struct {
	pid      int
	counters *counters
	from     []count
	why      string // why there is none
}

// NewPerfSwitches opens the counters. If that is not possible, the reading says why.
func NewPerfSwitches(pid int) *PerfSwitches {
	s := &PerfSwitches{pid: pid}
	var err error
	// A switch happens inside the kernel: with the kernel left out it counts nothing.
	s.counters, err = openCounters(pid, event{unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CONTEXT_SWITCHES}, true)
	if err != nil {
		s.why = perfReason(pid, err)
	}
	return s
}

// Name implements Sensor.
func (s *PerfSwitches) Name() string { return "switches-perf" }

// Close implements Sensor.
func (s *PerfSwitches) Close() {
	if s.counters != nil {
		s.counters.close()
	}
}

// Start implements Sensor.
func (s *PerfSwitches) Start() {
	if s.counters == nil {
		return
	}
	var err error
	if s.from, err = s.counters.read(); err != nil {
		s.why = err.Error()
	}
}

// Stop implements Sensor.
func (s *PerfSwitches) Stop() ([]Reading, []string) {
	metric, notes := countedBetween(s.counters, s.from, s.why, result.SourcePerf)
	return []Reading{total("switches_perf", metric)}, notes
}
