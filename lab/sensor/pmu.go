package sensor

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/syslet/syslet/lab/result"
	"golang.org/x/sys/unix"
)

// hardwareEvent is an event of the PMU by the name of its reading.
type hardwareEvent struct {
	name string
	event
}

// pmuEvents are counted in the window itself: few enough for the counters that
// most CPUs have, so that none takes turns.
var pmuEvents = []hardwareEvent{
	{"cycles", event{unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CPU_CYCLES}},
	{"instructions", event{unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_INSTRUCTIONS}},
	{"cache_references", event{unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CACHE_REFERENCES}},
	{"cache_misses", event{unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CACHE_MISSES}},
}

// pmuDetailEvents are those of the tail: with them there are more events than
// counters, and each switch of threads has more registers to save.
var pmuDetailEvents = []hardwareEvent{
	{"l1d_misses", readMiss(unix.PERF_COUNT_HW_CACHE_L1D)},
	{"llc_misses", readMiss(unix.PERF_COUNT_HW_CACHE_LL)},
	{"dtlb_misses", readMiss(unix.PERF_COUNT_HW_CACHE_DTLB)},
	{"itlb_misses", readMiss(unix.PERF_COUNT_HW_CACHE_ITLB)},
	{"branches", event{unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_BRANCH_INSTRUCTIONS}},
	{"branch_misses", event{unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_BRANCH_MISSES}},
}

// readMiss is the event "a read missed in this cache" (perf_event_open(2), PERF_TYPE_HW_CACHE).
func readMiss(cache uint64) event {
	return event{unix.PERF_TYPE_HW_CACHE, cache | unix.PERF_COUNT_HW_CACHE_OP_READ<<8 | unix.PERF_COUNT_HW_CACHE_RESULT_MISS<<16}
}

// sourcePMUUser marks counts that leave the kernel's part out: another quantity
// than result.SourcePMU.
const sourcePMUUser = "pmu (user space only)"

// PMU counts hardware events of a process. What the kernel maps cache references
// and misses to depends on the CPU; mostly the last-level cache. Where the events
// outnumber the CPU's counters the kernel has them take turns, and the counts are
// scaled up: a note says by how much.
type PMU struct {
	name   string
	pid    int
	events []hardwareEvent
	// Of each event: its counters, nil if why says why not.
	counters []*counters
	from     [][]count
	why      []string
}

// NewPMU opens the counters of cycles, instructions, cache references and cache
// misses on all threads of a process. If there is no PMU, the readings say so.
func NewPMU(pid int) *PMU { return newPMU("pmu", pid, pmuEvents, pmuMissing()) }

// NewPMUDetail opens those of L1, last-level, TLB and branch misses, and of branches.
func NewPMUDetail(pid int) *PMU { return newPMU("pmu-detail", pid, pmuDetailEvents, pmuMissing()) }

// newPMU opens counters of any events, unless missing says why there are none.
func newPMU(name string, pid int, events []hardwareEvent, missing string) *PMU {
	p := &PMU{
		name: name, pid: pid, events: events,
		counters: make([]*counters, len(events)), from: make([][]count, len(events)), why: make([]string, len(events)),
	}
	for i, e := range events {
		if missing != "" {
			p.why[i] = missing
			continue
		}
		var err error
		if p.counters[i], err = openCounters(pid, e.event, false); err != nil {
			p.why[i] = perfReason(pid, err)
			if noPMU(err) {
				p.why[i] = fmt.Sprintf("this CPU's PMU has no event %s (%v)", e.name, err)
			}
		}
	}
	return p
}

// Name implements Sensor.
func (p *PMU) Name() string { return p.name }

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
	for i, e := range p.events {
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
