package plan

import (
	"slices"
	"strconv"
	"time"

	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads"
)

const (
	// GC is the experiment on what the collector does to a loop, GCRealtime the same
	// with the loops in a real-time class, which takes a privilege.
	GC         = "gc"
	GCRealtime = "gc-realtime"
	// Ballast is their factor: bytes of live heap beside the server.
	Ballast = "ballast"
)

// gc asks what a collector that marks 1 GiB again and again, on the loop's own CPU,
// does to those who echo. Without ballast there is no garbage either: the loop
// makes none.
func gc(quick bool) []Experiment {
	const gib = "1073741824"
	// GOGC 10: at this rate of garbage a cycle begins each half second or so, and the
	// collector marks most of the time.
	flags := []string{"--ballast", gib, "--garbage", strconv.Itoa(200_000_000), "--gogc", "10"}
	e := Experiment{
		Name: GC, Workload: workloads.Echo, Models: models.Names(), Rounds: 10, OptIn: true, Together: true,
		Question: "Does a collector with a live heap of 1 GiB reach the loop's p99.9?",
		Factor:   Ballast, Levels: []string{"0", gib},
		Conns: 64, Rate: 10_000, Warmup: 300 * time.Millisecond, Window: 3 * time.Second,
		KillServer: true,
		Overhead:   2 * time.Second, // to build the heap, of each second trial
		Vary: func(s *trial.Spec, level string) {
			if level != "0" {
				s.ServeFlags, s.NeedsGC = flags, true
			}
		},
	}
	if quick {
		e.Rounds = 2
	}
	r := e
	r.Name, r.Question = GCRealtime, "Does it, if the loops' threads have a real-time class?"
	r.Models = slices.DeleteFunc(models.Names(), func(name string) bool { return name == "goroutine" }) // it has no loops
	r.Vary = func(s *trial.Spec, level string) {
		e.Vary(s, level)
		s.ServeFlags = append(slices.Clone(s.ServeFlags), "--realtime")
	}
	return []Experiment{e, r}
}
