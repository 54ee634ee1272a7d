package plan

import (
	"strconv"
	"time"

	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads"
)

const (
	// GC is the experiment on what the collector does to a loop.
	GC = "gc"
	// Ballast is its factor: bytes of live heap beside the server. Behind a "+" the
	// threads that are no loop's have nice value 10.
	Ballast = "ballast"
)

// gc asks what a collector that marks 1 GiB again and again, on the loop's own CPU,
// does to those who echo. Without ballast there is no garbage either: the loop
// makes none.
func gc(quick bool) Experiment {
	const gib = "1073741824"
	e := Experiment{
		Name: GC, Workload: workloads.Echo, Models: models.Names(), Rounds: 10, OptIn: true, Together: true,
		Question: "Do the pauses of a collector with a live heap of 1 GiB reach the loop's p99.9?",
		Factor:   Ballast, Levels: []string{"0", gib, gib + "+"},
		Conns: 64, Rate: 10_000, Warmup: 500 * time.Millisecond, Window: 8 * time.Second,
		KillServer: true,
		Overhead:   3 * time.Second, // to build the heap
		Vary: func(s *trial.Spec, level string) {
			if level == "0" {
				return
			}
			// GOGC 10: with 100 MB/s of garbage the collector marks nearly all the time.
			s.ServeFlags = []string{"--ballast", gib, "--garbage", strconv.Itoa(100_000_000), "--gogc", "10"}
			if level != gib {
				s.ServeFlags = append(s.ServeFlags, "--others-nice", "10")
			}
		},
	}
	if quick {
		e.Rounds, e.Window = 2, 4*time.Second
	}
	return e
}
