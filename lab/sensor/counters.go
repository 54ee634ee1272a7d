package sensor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"github.com/syslet/syslet/lab/result"
	"golang.org/x/sys/unix"
)

// event is what a perf counter counts: type and config of perf_event_open(2).
type event struct {
	kind   uint32
	config uint64
}

// counters are one perf counter for each thread of a process. Threads that these
// start later are counted too (inherit), and are part of what is read.
type counters struct {
	fds []int
	// userOnly counters leave the kernel's part out, because we may not see it.
	userOnly bool
	// missed threads came or went while the counters were opened.
	missed int
}

// count is a counter's state. While more events are asked for than the hardware
// has counters, the kernel takes turns: running is then less than enabled.
type count struct{ value, enabledNs, runningNs uint64 }

// openCounters begins counting an event on all threads that a process has now. The
// kernel's part is left out only if it must not be seen and kernelToo is false.
func openCounters(pid int, e event, kernelToo bool) (*counters, error) {
	c := &counters{}
	err := c.open(pid, e)
	if forbidden(err) && !kernelToo {
		c.userOnly = true
		err = c.open(pid, e)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *counters) open(pid int, e event) error {
	before, err := tasks(pid)
	if err != nil {
		return err
	}
	for _, tid := range before {
		fd, err := openEvent(e, tid, c.userOnly)
		switch {
		case errors.Is(err, unix.ESRCH):
			c.missed++
			continue
		case err != nil:
			c.close()
			return fmt.Errorf("perf_event_open: %w", err)
		}
		c.fds = append(c.fds, fd)
	}
	if len(c.fds) == 0 {
		return fmt.Errorf("no thread of process %d: %w", pid, unix.ESRCH)
	}
	// A thread that began meanwhile is counted if its parent already was: we do not
	// know, and opening it too might count it twice.
	after, err := tasks(pid)
	if err == nil {
		c.missed += newcomers(before, after)
	}
	return nil
}

func newcomers(before, after []int) (n int) {
	known := make(map[int]bool, len(before))
	for _, tid := range before {
		known[tid] = true
	}
	for _, tid := range after {
		if !known[tid] {
			n++
		}
	}
	return n
}

func openEvent(e event, tid int, userOnly bool) (int, error) {
	attr := unix.PerfEventAttr{
		Type: e.kind, Config: e.config, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Read_format: unix.PERF_FORMAT_TOTAL_TIME_ENABLED | unix.PERF_FORMAT_TOTAL_TIME_RUNNING,
		Bits:        unix.PerfBitInherit | unix.PerfBitExcludeHv,
	}
	if userOnly {
		attr.Bits |= unix.PerfBitExcludeKernel
	}
	return unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
}

// read returns each thread's count, its inherited children included.
func (c *counters) read() ([]count, error) {
	counts := make([]count, len(c.fds))
	for i, fd := range c.fds {
		var b [24]byte
		n, err := unix.Read(fd, b[:])
		if err != nil {
			return nil, fmt.Errorf("read a perf counter: %w", err)
		}
		if n != len(b) {
			return nil, fmt.Errorf("read a perf counter: %d bytes instead of %d", n, len(b))
		}
		counts[i] = count{binary.NativeEndian.Uint64(b[:]), binary.NativeEndian.Uint64(b[8:]), binary.NativeEndian.Uint64(b[16:])}
	}
	return counts, nil
}

func (c *counters) close() {
	for _, fd := range c.fds {
		unix.Close(fd)
	}
	c.fds = nil
}

var errNeverRan = errors.New("the hardware counter was never scheduled: all are in use by others")

// between is what was counted from one reading to the next, scaled up where a
// counter did not run all the time (perf_event_open(2), time_enabled). A thread
// whose counter never got its turn is taken to be like the others. ranShare is the
// smallest share of its time that a counter ran; 1 if nothing was scaled.
func between(from, until []count) (value, ranShare float64, err error) {
	if len(from) != len(until) {
		return 0, 0, errors.New("the two readings are of different threads")
	}
	var enabledSum, seenSum float64 // ns; seen are those of counters that ran at all
	ranShare = 1
	for i := range until {
		counted := float64(until[i].value) - float64(from[i].value)
		enabled := float64(until[i].enabledNs) - float64(from[i].enabledNs)
		running := float64(until[i].runningNs) - float64(from[i].runningNs)
		enabledSum += enabled
		if running > 0 {
			seenSum += enabled
			value += counted * enabled / running
			ranShare = min(ranShare, running/enabled)
		}
	}
	if enabledSum > 0 && seenSum == 0 {
		return 0, 0, errNeverRan
	}
	if enabledSum > seenSum {
		value *= enabledSum / seenSum
		ranShare = min(ranShare, seenSum/enabledSum)
	}
	return value, ranShare, nil
}

// countedBetween reads counters for the second time and makes a metric.
func countedBetween(c *counters, from []count, why, source string) (result.Metric, []string) {
	if why == "" && from == nil {
		why = "the sensor was never started"
	}
	if why != "" {
		return result.Missing(why, "1", source), nil
	}
	until, err := c.read()
	if err != nil {
		return result.Missing(err.Error(), "1", source), nil
	}
	metric, notes := metricBetween(from, until, source)
	if c.missed > 0 {
		notes = append(notes, fmt.Sprintf("%d threads came or went while the counters were opened and may not be counted", c.missed))
	}
	return metric, notes
}

// metricBetween is what was counted between two readings, as a metric, with a note
// if it had to be scaled.
func metricBetween(from, until []count, source string) (m result.Metric, notes []string) {
	value, ran, err := between(from, until)
	if err != nil {
		return result.Missing(err.Error(), "1", source), nil
	}
	if ran < 0.999 {
		notes = append(notes, fmt.Sprintf("a counter ran only %.1f %% of the time and was scaled up", 100*ran))
	}
	return result.Of(value, "1", source), notes
}

func forbidden(err error) bool {
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)
}

// perfReason says in words why a perf event cannot be had.
func perfReason(pid int, err error) string {
	switch {
	case errors.Is(err, unix.ENOSYS):
		return "the kernel has no perf events (perf_event_open: ENOSYS; CONFIG_PERF_EVENTS, or seccomp forbids it)"
	case forbidden(err):
		return fmt.Sprintf("not permitted (%v; kernel.perf_event_paranoid is %s: lower it, or grant CAP_PERFMON)", err, paranoid())
	case errors.Is(err, unix.EMFILE):
		return "too many open files for a counter per thread (raise `ulimit -n`)"
	}
	return reason(pid, err)
}

// paranoid is the setting kernel.perf_event_paranoid, "unknown" if there is none.
func paranoid() string {
	text, err := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}
