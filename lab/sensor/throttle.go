package sensor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

// Throttle measures how long the process' control group was kept from its CPUs
// because its quota was used up: "throttled_us", from cpu.stat
// (Documentation/admin-guide/cgroup-v2.rst, and of version 1 where that has the
// controller). Quotas further up are not seen.
type Throttle struct {
	pid   int
	path  string
	from  uint64 // us
	err   error
	begun bool
}

// NewThrottle makes the sensor for the control group that the process is in now.
func NewThrottle(pid int) *Throttle {
	t := &Throttle{pid: pid}
	groups, err := os.ReadFile(procPath(pid, "cgroup"))
	if err != nil {
		t.err = err
		return t
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.err = err
		return t
	}
	t.path, t.err = cpuStatPath(groups, mounts)
	return t
}

// Name implements Sensor.
func (t *Throttle) Name() string { return "throttle" }

// Close implements Sensor.
func (t *Throttle) Close() {}

// Start implements Sensor.
func (t *Throttle) Start() {
	t.begun = true
	if t.err == nil {
		t.from, t.err = readThrottled(t.path)
	}
}

// Stop implements Sensor.
func (t *Throttle) Stop() ([]Reading, []string) {
	err := t.err
	if !t.begun {
		err = firstError(err, errNeverStarted)
	}
	var until uint64
	if err == nil {
		until, err = readThrottled(t.path)
	}
	if err != nil {
		return []Reading{state("throttled_us", result.Missing(reason(t.pid, err), "us", sourceCgroup))}, nil
	}
	return []Reading{state("throttled_us", result.Of(float64(grown(t.from, until)), "us", sourceCgroup))}, nil
}

const sourceCgroup = "cgroup cpu.stat"

func readThrottled(path string) (us uint64, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("control group: %s cannot be read", path)
	}
	return parseThrottled(text)
}

// parseThrottled returns throttled_usec (version 2) or throttled_time (version 1,
// in ns) of a cpu.stat, in us.
func parseThrottled(text []byte) (us uint64, err error) {
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(line, []byte(" "))
		switch string(key) {
		case "throttled_usec":
			return parseCount(value)
		case "throttled_time":
			ns, err := parseCount(value)
			return ns / 1000, err
		}
	}
	return 0, errors.New("the control group has no quota to be throttled by (it is the root, or the cpu controller is not enabled for it)")
}

// cpuStatPath finds the cpu.stat of a process: in the hierarchy of version 1 that
// has the controller cpu, else in that of version 2. groups is /proc/PID/cgroup,
// mounts /proc/self/mountinfo.
func cpuStatPath(groups, mounts []byte) (string, error) {
	var v1, v2 string
	for line := range bytes.Lines(groups) {
		parts := strings.SplitN(strings.TrimSuffix(string(line), "\n"), ":", 3)
		if len(parts) != 3 {
			return "", fmt.Errorf("cgroup: %q is no hierarchy", line)
		}
		if parts[0] == "0" && parts[1] == "" {
			v2 = parts[2]
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			if controller == "cpu" {
				v1 = parts[2]
			}
		}
	}
	for line := range bytes.Lines(mounts) {
		before, after, ok := strings.Cut(string(line), " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if !ok || len(where) < 5 || len(what) < 3 {
			continue
		}
		root, at := unescape(where[3]), unescape(where[4])
		group := ""
		switch {
		case v1 != "" && what[0] == "cgroup" && hasOption(what[2], "cpu"):
			group = v1
		case v1 == "" && v2 != "" && what[0] == "cgroup2":
			group = v2
		default:
			continue
		}
		// A container sees its own group as the root of the mount.
		return filepath.Join(at, strings.TrimPrefix(group, strings.TrimSuffix(root, "/")), "cpu.stat"), nil
	}
	return "", errors.New("no control group with a cpu.stat is mounted")
}

func hasOption(options, want string) bool {
	for option := range strings.SplitSeq(options, ",") {
		if option == want {
			return true
		}
	}
	return false
}
