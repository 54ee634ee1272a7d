package sensor

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/syslet/syslet/lab/result"
	"golang.org/x/sys/unix"
)

// pmuEvents are the hardware events, by the name of their reading.
var pmuEvents = []struct {
	name   string
	config uint64
}{
	{"cycles", unix.PERF_COUNT_HW_CPU_CYCLES},
	{"instructions", unix.PERF_COUNT_HW_INSTRUCTIONS},
	{"cache_references", unix.PERF_COUNT_HW_CACHE_REFERENCES},
	{"cache_misses", unix.PERF_COUNT_HW_CACHE_MISSES},
}

// sourcePMUUser marks counts that leave the kernel's part out: another quantity
// than result.SourcePMU.
const sourcePMUUser = "pmu (user space only)"

// PMU counts hardware events of a process: "cycles", "instructions",
// "cache_references", "cache_misses" (what the kernel maps these to depends on the
// CPU; mostly the last-level cache).
type PMU struct {
	pid      int
	counters [4]*counters
	from     [4][]count
	why      [4]string
}

// NewPMU opens the counters. If there is no PMU, the readings say so.
func NewPMU(pid int) *PMU {
	p := &PMU{pid: pid}
	if why := pmuMissing(); why != "" {
		for i := range p.why {
			p.why[i] = why
		}
		return p
	}
	for i, e := range pmuEvents {
		var err error
		if p.counters[i], err = openCounters(pid, event{unix.PERF_TYPE_HARDWARE, e.config}, false); err != nil {
			p.why[i] = perfReason(pid, err)
			if noPMU(err) {
				p.why[i] = fmt.Sprintf("this CPU's PMU has no event %s (%v)", e.name, err)
			}
		}
	}
	return p
}

// Name implements Sensor.
func (p *PMU) Name() string { return "pmu" }

// Close implements Sensor.
func (p *PMU) Close() {
	for _, c := range p.counters {
		if c != nil {
			c.close()
		}
	}
}

// Start implements Sensor.
func (p *PMU) Start() {
	for i, c := range p.counters {
		if c == nil {
			continue
		}
		var err error
		if p.from[i], err = c.read(); err != nil {
			p.why[i] = err.Error()
		}
	}
}

// Stop implements Sensor.
func (p *PMU) Stop() (readings []Reading, notes []string) {
	for i, e := range pmuEvents {
		source := result.SourcePMU
		if c := p.counters[i]; c != nil && c.userOnly {
			source = sourcePMUUser
		}
		metric, more := countedBetween(p.counters[i], p.from[i], p.why[i], source)
		readings = append(readings, total(e.name, metric))
		for _, note := range more {
			notes = append(notes, e.name+": "+note)
		}
	}
	return readings, notes
}

// pmuMissing asks once whether there is a hardware PMU; empty if so, or if we
// cannot know because we may not count anything.
var pmuMissing = sync.OnceValue(func() string {
	fd, err := openEvent(event{unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CPU_CYCLES}, 0, true)
	switch {
	case err == nil:
		unix.Close(fd)
		return ""
	case noPMU(err):
		return fmt.Sprintf("no hardware PMU (perf_event_open: %s), as is usual in a virtual machine", unix.ErrnoName(errnoOf(err)))
	}
	return perfReason(os.Getpid(), err)
})

// noPMU: ENOENT without a PMU, EOPNOTSUPP or ENODEV on some architectures.
func noPMU(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENODEV)
}

func errnoOf(err error) unix.Errno {
	var e unix.Errno
	errors.As(err, &e)
	return e
}
