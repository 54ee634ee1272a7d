package check

import (
	"context"
	"fmt"
	"time"

	"github.com/syslet/syslet/lab/plan"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
	"github.com/syslet/syslet/workloads"
)

// Noise is how far trials of one and the same server differ on this machine.
type Noise struct {
	Model  string  `json:"model"`
	RatePS float64 `json:"rate_per_s"`
	Conns  int     `json:"conns"`
	Trials int     `json:"trials"`
	// Suspect trials are among them: what else the machine did shows in Floors.
	Suspect int           `json:"suspect"`
	Window  time.Duration `json:"window_ns"`
	Seed    uint64        `json:"seed"`
	Floors  []Floor       `json:"floors"`
}

// Floor is the noise of one metric.
type Floor struct {
	Metric string  `json:"metric"`
	Unit   string  `json:"unit"`
	Median float64 `json:"median"`
	// Spread is the standard deviation of the trials, as a share of the value; 0.1 is 10 %.
	Spread float64 `json:"spread"`
}

// NoiseRounds is what the floors are given for: the default rounds of an experiment.
const NoiseRounds = 10

// Below is the relative difference of two arms of that many rounds each from which on
// it is found more often than not: four times in five.
func (f *Floor) Below(rounds int) float64 { return stats.Detectable(f.Spread, rounds, 1) }

// noiseMetrics are those that users compare by.
var noiseMetrics = []string{result.LatencyP50, result.LatencyP99, result.CPUPerOp}

// NoiseOptions are for MeasureNoise.
type NoiseOptions struct {
	// Binary is the syslet executable, Work a folder that is made, and removed in the end.
	Binary, Work string
	Seed         uint64
	// Trials is at least 2.
	Trials int
	Window time.Duration
}

// MeasureNoise runs short trials of one server, each in a process of its own: about
// 0.2 s each beside the window.
func MeasureNoise(ctx context.Context, o NoiseOptions) (n Noise, err error) {
	e := plan.Experiment{
		Name: "noise", Workload: workloads.Echo, Models: []string{"nonblock"}, Rounds: o.Trials,
		Conns: aaConns, Rate: 10_000, Warmup: 80 * time.Millisecond, Window: o.Window, KillServer: true,
	}
	b := newBench(o.Binary, o.Work)
	trials, err := b.run(ctx, e, o.Seed)
	if closeErr := b.close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return n, err
	}
	n = Noise{Model: e.Models[0], RatePS: e.Rate, Conns: e.Conns, Trials: len(trials), Window: o.Window, Seed: o.Seed}
	return n, n.fill(trials)
}

func (n *Noise) fill(trials []result.Trial) error {
	for i := range trials {
		if trials[i].Verdict == result.Suspect {
			n.Suspect++
		}
	}
	for _, name := range noiseMetrics {
		f, values := Floor{Metric: name}, []float64{}
		for i := range trials {
			if v, ok := trials[i].Value(name); ok && v > 0 && trials[i].Counted() {
				f.Unit, values = trials[i].Metrics[name].Unit, append(values, v)
			}
		}
		if len(values) < 2 {
			return fmt.Errorf("check: %d of %d trials gave %s, and the noise needs two", len(values), len(trials), name)
		}
		f.Median, f.Spread = stats.Summarize(values).Median, stats.Spread(values)
		n.Floors = append(n.Floors, f)
	}
	return nil
}

// What says what was measured, in a sentence.
func (n *Noise) What() string {
	return fmt.Sprintf("%d trials of %s and nothing else, echo at %.0f/s over %d connections, window %v, seed %d; %d suspect.",
		n.Trials, n.Model, n.RatePS, n.Conns, n.Window, n.Seed, n.Suspect)
}

// Means says how the floors are to be taken.
func (n *Noise) Means() string {
	return fmt.Sprintf("Differences of two servers below these, at so many rounds each, cannot be told from noise: larger ones are found "+
		"in four of five runs. From %d trials it is itself uncertain by a quarter or so.", n.Trials)
}
