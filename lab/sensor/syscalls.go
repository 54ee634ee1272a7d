package sensor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/syslet/syslet/lab/result"
	"golang.org/x/sys/unix"
)

// Syscalls counts all system calls of a process, those of Go's scheduler included,
// by the kernel's tracepoint raw_syscalls:sys_enter: "syscalls_kernel". It needs
// tracefs (for the tracepoint's number) and the right to trace the kernel. Every
// call becomes dearer while it counts, by some tenths of a microsecond: it does not
// belong into the time whose CPU or latency is measured, and is in no Set.
type Syscalls struct {
	pid      int
	counters *counters
	from     []count
	why      string // why there is none
}

// sysEnterID is the tracepoint's number, looked up once: looking it up may end a
// thread.
var sysEnterID = sync.OnceValues(func() (uint64, error) { return tracepointID("raw_syscalls", "sys_enter") })

// NewSyscalls opens the counters. If that is not possible, the reading says why.
func NewSyscalls(pid int) *Syscalls {
	s := &Syscalls{pid: pid}
	id, err := sysEnterID()
	if err != nil {
		s.why = err.Error()
		return s
	}
	// A tracepoint fires inside the kernel: with the kernel left out it counts nothing.
	if s.counters, err = openCounters(pid, event{unix.PERF_TYPE_TRACEPOINT, id}, true); err != nil {
		s.why = perfReason(pid, err)
	}
	return s
}

// Name implements Sensor.
func (s *Syscalls) Name() string { return "syscalls" }

// Close implements Sensor.
func (s *Syscalls) Close() {
	if s.counters != nil {
		s.counters.close()
	}
}

// Start implements Sensor.
func (s *Syscalls) Start() {
	if s.counters == nil {
		return
	}
	var err error
	if s.from, err = s.counters.read(); err != nil {
		s.why = err.Error()
	}
}

// Stop implements Sensor.
func (s *Syscalls) Stop() ([]Reading, []string) {
	metric, notes := countedBetween(s.counters, s.from, s.why, result.SourceKernel)
	return []Reading{total("syscalls_kernel", metric)}, notes
}

// tracefs is where tracefs is mounted, by the kernel's own advice.
const tracefs = "/sys/kernel/tracing"

// tracepointID reads the number of a tracepoint, from a mount of our own if there
// is none. Errors say what to do.
func tracepointID(group, name string) (uint64, error) {
	id, err := tracepointIDAt(tracefs, group, name)
	if err == nil {
		return id, nil
	}
	if id, e := privateTracepointID(group, name); e == nil {
		return id, nil
	}
	return 0, err
}

func tracepointIDAt(root, group, name string) (uint64, error) {
	path := filepath.Join(root, "events", group, name, "id")
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		return id, nil
	case errors.Is(err, unix.EACCES):
		return 0, fmt.Errorf("not permitted to read %s (run as root, or let your group read tracefs)", path)
	}
	var fs unix.Statfs_t
	if unix.Statfs(root, &fs) != nil || fs.Type != unix.TRACEFS_MAGIC {
		return 0, fmt.Errorf("tracefs is not mounted at %s (as root: mount -t tracefs tracefs %s)", root, root)
	}
	return 0, fmt.Errorf("the kernel has no tracepoint %s:%s (CONFIG_FTRACE_SYSCALLS): %w", group, name, err)
}
