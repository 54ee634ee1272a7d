package plan

import (
	"fmt"
	"strconv"
	"time"

	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads"
)

const (
	// Idle is the experiment on connections on which nothing happens.
	Idle = "idle"
	// IdleConns is its factor.
	IdleConns = "idle_conns"
)

const (
	idleActive = 1000
	idleRate   = 10000
)

// idle asks what idle connections cost, and what they cost those that are not.
func idle(quick bool) Experiment {
	e := Experiment{
		Name: Idle, Workload: workloads.Echo, Models: models.Names(), Rounds: 5, OptIn: true, Together: true,
		Question: "What does an idle connection cost, and what do 100,000 of them cost 1,000 active ones?",
		Factor:   IdleConns, Levels: []string{"0", "10000", "100000"},
		Conns: idleActive, Rate: idleRate, Warmup: 500 * time.Millisecond, Window: 3 * time.Second,
		CountFor: 200 * time.Millisecond, KillServer: true,
		Overhead: 14 * time.Second, // 36,667 connections come and go, and a rest
		Vary: func(s *trial.Spec, level string) {
			n, _ := strconv.Atoi(level)
			s.Idle = &trial.Idle{Conns: n}
		},
	}
	if quick {
		e.Rounds, e.Window, e.Levels = 1, time.Second, []string{"0", "10000"}
		e.Question = "What does an idle connection cost, and what do 10,000 of them cost 1,000 active ones?"
		e.Overhead = 9 * time.Second
	}
	return e
}

// Limits says in words which trials run otherwise than asked because of a limit
// of this system, and how to raise it.
func Limits(specs []trial.Spec) []string {
	most, processes := 0, 1
	for i := range specs {
		s := &specs[i]
		if s.Idle == nil {
			continue
		}
		if n := len(s.Idle.Parts(s.Conns, trial.OpenFiles())); n > processes {
			most, processes = s.Idle.Conns, n
		}
	}
	if processes == 1 {
		return nil
	}
	return []string{fmt.Sprintf("a process may have %d open files (RLIMIT_NOFILE, hard), so %d idle connections are held by %d server processes on the server's CPU "+
		"(and as many load processes) instead of one; the %d active ones are all on the first of them, and memory is summed; "+
		"raise the limit for one process (ulimit -Hn, LimitNOFILE= of systemd, and fs.nr_open)", trial.OpenFiles(), most, processes, idleActive)}
}
