package load

import (
	"fmt"
	"runtime"
	"runtime/metrics"

	"golang.org/x/sys/unix"
)

// Linux 2.6.28; the x/sys constant is PR_SET_TIMERSLACK. One nanosecond instead
// of 50 us, so that a wait ends when it was asked to.
const timerSlackNs = 1

// prepareThread pins the calling thread and makes its timers exact. The thread
// must be locked and must end with its goroutine: neither setting is undone.
// (Priority is no help: with sched_autogroup it counts within a session only.)
func prepareThread(cpus []int) error {
	if len(cpus) > 0 {
		var set unix.CPUSet
		for _, cpu := range cpus {
			set.Set(cpu)
		}
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("load: pin the load's thread to Config.CPUs %v: sched_setaffinity: %w", cpus, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlackNs, 0, 0, 0); err != nil {
		return fmt.Errorf("load: prctl(PR_SET_TIMERSLACK): %w", err)
	}
	return nil
}

// raiseProcs makes room for the callbacks beside the load's threads, as is needed
// where the process is confined to few CPUs, and returns what undoes it: each thread
// holds a P while it spins, and with no other a callback would have to wait until the
// scheduler takes that away.
func raiseProcs(threads int) (undo func()) {
	before := runtime.GOMAXPROCS(0)
	if before >= threads+1 {
		return func() {}
	}
	runtime.GOMAXPROCS(threads + 1)
	return func() { runtime.GOMAXPROCS(before) }
}

// AllowedCPUs are those that the kernel lets the calling thread run on, ascending.
func AllowedCPUs() []int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	var cpus []int
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// usage is what the loop's thread has used up to now.
type usage struct {
	cpuNs, processCPUNs    int64
	voluntary, involuntary int64
	gcCycles               uint64
}

// usageReader reads usage without allocating, so that it may run in the loop.
type usageReader struct{ sample [1]metrics.Sample }

func newUsageReader() *usageReader {
	r := &usageReader{}
	r.sample[0].Name = "/gc/cycles/total:gc-cycles"
	metrics.Read(r.sample[:])
	return r
}

// read must be called on the loop's thread.
func (r *usageReader) read() usage {
	var u usage
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) == nil {
		u.cpuNs = ts.Nano()
	}
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts) == nil {
		u.processCPUNs = ts.Nano()
	}
	var ru unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &ru) == nil {
		u.voluntary, u.involuntary = ru.Nvcsw, ru.Nivcsw
	}
	metrics.Read(r.sample[:])
	u.gcCycles = r.sample[0].Value.Uint64()
	return u
}
