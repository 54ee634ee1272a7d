package plan

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/trial"
)

// filesReserve is what a process needs beside connections.
const filesReserve = 256

// unfit says what this system does not have: the commands of servers, or, by its
// limit on open files, so many connections.
func (e *Experiment) unfit() (f findings) {
	for _, name := range slices.Sorted(maps.Keys(e.Variants)) {
		c := e.Variants[name].Command
		if len(c) == 0 || strings.Contains(c[0], "{") {
			continue
		}
		if _, err := exec.LookPath(c[0]); err != nil {
			f.add("servers."+name+".command", "cannot be run: %v", err)
		}
	}
	most := trial.OpenFiles() - filesReserve
	for _, c := range e.cells() {
		if n := c.Conns + c.Shape.StormConns; n > most {
			part := "conns"
			if from, ok := c.from[part]; ok {
				part = from
			}
			f.add(part, "%d connections are more than the %d that a process may have here (RLIMIT_NOFILE, hard; ulimit -Hn, LimitNOFILE= of systemd, and fs.nr_open)", n, most)
		}
	}
	return f
}

// Limits says in words which trials run otherwise than asked because of a limit
// of this system, and how to raise it.
func Limits(specs []trial.Spec) []string {
	var most *trial.Spec
	processes := 1
	for i := range specs {
		s := &specs[i]
		if s.Idle == nil {
			continue
		}
		if n := len(s.Idle.Parts(s.Conns, trial.OpenFiles())); n > processes {
			most, processes = s, n
		}
	}
	if processes == 1 {
		return nil
	}
	return []string{fmt.Sprintf("a process may have %d open files (RLIMIT_NOFILE, hard), so %d idle connections are held by %d server processes on the server's CPU "+
		"(and as many load processes) instead of one; the %d active ones are all on the first of them, and memory is summed; "+
		"raise the limit for one process (ulimit -Hn, LimitNOFILE= of systemd, and fs.nr_open)", trial.OpenFiles(), most.Idle.Conns, processes, most.Conns)}
}
