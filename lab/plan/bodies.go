package plan

import (
	"time"

	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads"
)

const (
	// Bodies is the experiment on what a threadlet's body costs others.
	Bodies = "bodies"
	// Rankings is its factor: queries of the ledger per second.
	Rankings = "rankings"
)

// bodies asks what one player's ranking costs the other players, who only ping:
// latency is of the pings alone, which come at the same rate at both levels.
func bodies(quick bool) Experiment {
	e := Experiment{
		Name: Bodies, Workload: workloads.Game, Models: append(models.Names(), models.Inline), Rounds: 5, OptIn: true,
		Question: "By how much does a query of 5 ms in a threadlet's body delay the pings of 1,000 other players?",
		Factor:   Rankings, Levels: []string{"0", "20"}, LatencyOf: "ping", LedgerQuery: 5 * time.Millisecond,
		Mix:   trial.Mix{Pings: 2000}, // as the rate, so that the weight of rankings is their number per second
		Conns: 1000, Rate: 2000, Warmup: 400 * time.Millisecond, Window: 4 * time.Second,
		KillServer: true, CountFor: 200 * time.Millisecond,
		Overhead: 1500 * time.Millisecond, // 1,000 log-ins
	}
	if quick {
		e.Rounds, e.Window = 2, 2*time.Second
	}
	return e
}
