package sensor

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/syslet/syslet/lab/result"
)

// RunQueueWait measures how long the threads of a process were runnable and had no
// CPU: "runqueue_wait" in us, summed over all threads, from
// /proc/PID/task/TID/schedstat (Documentation/scheduler/sched-stats.rst). It needs
// no privilege and costs the process nothing. Scheduling has the distribution.
type RunQueueWait struct {
	pid  int
	from map[int]threadSchedstat
	err  error
}

// NewRunQueueWait makes the sensor for a process.
func NewRunQueueWait(pid int) *RunQueueWait { return &RunQueueWait{pid: pid} }

// Name implements Sensor.
func (w *RunQueueWait) Name() string { return "runqueue-wait" }

// Close implements Sensor.
func (w *RunQueueWait) Close() {}

// Start implements Sensor.
func (w *RunQueueWait) Start() { w.from, w.err = schedstatsOf(w.pid) }

// Stop implements Sensor.
func (w *RunQueueWait) Stop() ([]Reading, []string) {
	until, err := schedstatsOf(w.pid)
	if err = errors.Join(w.err, err); err != nil || w.from == nil {
		return []Reading{total("runqueue_wait", result.Missing(reason(w.pid, err), "us", result.SourceProc))}, nil
	}
	sum, notes := schedstatBetween(w.from, until)
	if sum.runNs == 0 && sum.slices > 0 {
		const why = "the kernel keeps no run-queue statistics (CONFIG_SCHED_INFO)"
		return []Reading{total("runqueue_wait", result.Missing(why, "us", result.SourceProc))}, nil
	}
	return []Reading{total("runqueue_wait", result.Of(float64(sum.waitNs)/1e3, "us", result.SourceProc))}, notes
}

// schedstatBetween sums what each thread did between two snapshots; a thread that
// is new began at 0.
func schedstatBetween(from, until map[int]threadSchedstat) (sum threadSchedstat, notes []string) {
	gone := 0
	for tid, now := range until {
		before := from[tid]
		if now.runNs < before.runNs || now.waitNs < before.waitNs || now.slices < before.slices {
			gone++ // the number was reused
			before = threadSchedstat{}
		}
		sum.runNs += now.runNs - before.runNs
		sum.waitNs += now.waitNs - before.waitNs
		sum.slices += now.slices - before.slices
	}
	for tid := range from {
		if _, still := until[tid]; !still {
			gone++
		}
	}
	if gone > 0 {
		notes = append(notes, fmt.Sprintf("%d threads ended within the window and took their waits along", gone))
	}
	return sum, notes
}

// schedstatsOf reads every thread's. A thread that ends while we look is left out.
func schedstatsOf(pid int) (map[int]threadSchedstat, error) {
	tids, err := tasks(pid)
	if err != nil {
		return nil, err
	}
	threads, b := make(map[int]threadSchedstat, len(tids)), make([]byte, procBytes)
	for _, tid := range tids {
		text, err := readProc(procPath(pid, "task", strconv.Itoa(tid), "schedstat"), b)
		if err != nil {
			if ended(err) {
				continue
			}
			return nil, err
		}
		if threads[tid], err = parseSchedstat(text); err != nil {
			return nil, fmt.Errorf("thread %d: %w", tid, err)
		}
	}
	if len(threads) == 0 && len(tids) > 0 {
		return nil, errors.New("no thread has a schedstat: the kernel was built without CONFIG_PROC_FS statistics of the scheduler, or the process ended")
	}
	return threads, nil
}

// threadSchedstat is /proc/PID/task/TID/schedstat: time on a CPU, time runnable
// without one, and how often it got one.
type threadSchedstat struct{ runNs, waitNs, slices uint64 }

func parseSchedstat(text []byte) (threadSchedstat, error) {
	fields := bytes.Fields(text)
	if len(fields) != 3 {
		return threadSchedstat{}, fmt.Errorf("schedstat: %d fields instead of 3", len(fields))
	}
	var v [3]uint64
	for i, field := range fields {
		var err error
		if v[i], err = parseCount(field); err != nil {
			return threadSchedstat{}, fmt.Errorf("schedstat: field %d: %w", i+1, err)
		}
	}
	return threadSchedstat{v[0], v[1], v[2]}, nil
}
