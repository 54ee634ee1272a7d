package sensor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

// Role is what a thread of a server does, as its name tells.
type Role int

const (
	// RoleLoop threads run a shard's loop or stand by for it: "shard0", "shard0-tl1".
	RoleLoop Role = iota
	// RoleHelper threads make blocking calls for a loop: "helper0".
	RoleHelper
	// RoleGo threads are the Go runtime's own, and everything else.
	RoleGo
	roles
)

// RoleOf is the role of a thread with this comm.
func RoleOf(comm string) Role {
	switch {
	case strings.HasPrefix(comm, "shard"):
		return RoleLoop
	case strings.HasPrefix(comm, "helper"):
		return RoleHelper
	}
	return RoleGo
}

// Switches counts context switches of a process' threads by role, from
// /proc/PID/task/TID/status. The names of package result are the sum over all
// threads, so that models compare whichever threads they use; besides there are
// "switches_loop_…", "switches_helper_…" and "switches_go_…".
type Switches struct {
	pid  int
	from map[int]threadStatus
	err  error
}

// NewSwitches makes the sensor for a process.
func NewSwitches(pid int) *Switches { return &Switches{pid: pid} }

// Name implements Sensor.
func (s *Switches) Name() string { return "switches" }

// Close implements Sensor.
func (s *Switches) Close() {}

// Start implements Sensor.
func (s *Switches) Start() { s.from, s.err = threadsOf(s.pid) }

// Stop implements Sensor.
func (s *Switches) Stop() ([]Reading, []string) {
	until, err := threadsOf(s.pid)
	if err = errors.Join(s.err, err); err != nil || s.from == nil {
		return missingSwitches(reason(s.pid, err)), nil
	}
	sums, notes := switchesBetween(s.from, until)
	return switchReadings(sums), notes
}

// roleSwitches are the switches of one role's threads.
type roleSwitches struct {
	threads                int
	voluntary, involuntary uint64
}

// switchesBetween sums what each thread did between two snapshots. A thread that
// is new began at 0. One that is gone took its counts since the first snapshot
// along: nobody knows them any more, and a note says so.
func switchesBetween(from, until map[int]threadStatus) (sums [roles]roleSwitches, notes []string) {
	var ended, began [roles]int
	for tid, now := range until {
		before, known := from[tid]
		if known && (now.voluntary < before.voluntary || now.involuntary < before.involuntary) {
			// The number was reused: the one before is gone.
			ended[RoleOf(before.name)]++
			known = false
		}
		role := RoleOf(now.name)
		if !known {
			began[role]++
			before = threadStatus{}
		}
		sum := &sums[role]
		sum.threads++
		sum.voluntary += now.voluntary - before.voluntary
		sum.involuntary += now.involuntary - before.involuntary
	}
	for tid, before := range from {
		if _, still := until[tid]; !still {
			ended[RoleOf(before.name)]++
		}
	}
	for role := range roles {
		if ended[role] > 0 {
			notes = append(notes, fmt.Sprintf("%d %s threads ended within the window: their switches since its begin are not counted", ended[role], roleNames[role].word))
		}
		if began[role] > 0 {
			notes = append(notes, fmt.Sprintf("%d %s threads began within the window: counted from their begin", began[role], roleNames[role].word))
		}
	}
	return sums, notes
}

var roleNames = [roles]struct{ prefix, word string }{
	RoleLoop: {"switches_loop_", "loop"}, RoleHelper: {"switches_helper_", "helper"}, RoleGo: {"switches_go_", "other"},
}

func switchReadings(sums [roles]roleSwitches) []Reading {
	var readings []Reading
	var all roleSwitches
	add := func(prefix string, s roleSwitches, none string) {
		voluntary, involuntary := result.Of(float64(s.voluntary), "1", result.SourceProc), result.Of(float64(s.involuntary), "1", result.SourceProc)
		if s.threads == 0 {
			voluntary = result.Missing(none, "1", result.SourceProc)
			involuntary = voluntary
		}
		readings = append(readings, total(prefix+"voluntary", voluntary), total(prefix+"involuntary", involuntary))
	}
	for role := range roles {
		add(roleNames[role].prefix, sums[role], "the server has no "+roleNames[role].word+" threads")
		all.threads += sums[role].threads
		all.voluntary += sums[role].voluntary
		all.involuntary += sums[role].involuntary
	}
	add("switches_", all, "the server has no threads")
	return readings
}

func missingSwitches(why string) []Reading {
	var readings []Reading
	for _, prefix := range []string{roleNames[RoleLoop].prefix, roleNames[RoleHelper].prefix, roleNames[RoleGo].prefix, "switches_"} {
		m := result.Missing(why, "1", result.SourceProc)
		readings = append(readings, total(prefix+"voluntary", m), total(prefix+"involuntary", m))
	}
	return readings
}

// threadsOf reads every thread's status. A thread that ends while we look is left out.
func threadsOf(pid int) (map[int]threadStatus, error) {
	tids, err := tasks(pid)
	if err != nil {
		return nil, err
	}
	threads, b := make(map[int]threadStatus, len(tids)), make([]byte, procBytes)
	for _, tid := range tids {
		text, err := readProc(procPath(pid, "task", strconv.Itoa(tid), "status"), b)
		if err != nil {
			if ended(err) {
				continue
			}
			return nil, err
		}
		if threads[tid], err = parseThreadStatus(text); err != nil {
			return nil, fmt.Errorf("thread %d: %w", tid, err)
		}
	}
	return threads, nil
}

// tasks are the thread numbers of a process.
func tasks(pid int) ([]int, error) {
	entries, err := os.ReadDir(procPath(pid, "task"))
	if err != nil {
		return nil, err
	}
	tids := make([]int, 0, len(entries))
	for _, entry := range entries {
		if tid, err := strconv.Atoi(entry.Name()); err == nil {
			tids = append(tids, tid)
		}
	}
	return tids, nil
}

func procPath(pid int, parts ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(pid)}, parts...)...)
}

// reason says in words why a process could not be read.
func reason(pid int, err error) string {
	switch {
	case err == nil:
		return "the sensor was never started"
	case ended(err):
		return fmt.Sprintf("process %d ended", pid)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("not permitted to look at process %d: %v", pid, err)
	}
	return err.Error()
}
