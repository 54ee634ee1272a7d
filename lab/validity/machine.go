package validity

import (
	"math"

	"github.com/syslet/syslet/lab/result"
)

// machine rules ask whether the machine was ours.
var machine = []Rule{
	{
		Name: "steal", Looks: "the server's CPU time that the hypervisor gave to others", Bound: 2, Unit: "%", Verdict: result.Suspect,
		words: "the hypervisor took %s of the server's CPU time", Advice: "run when the host is quiet, or on a dedicated one",
		figure: metric("steal"),
	}, {
		Name: "steal of the load", Looks: "the load's CPU time that the hypervisor gave to others", Bound: 2, Unit: "%", Verdict: result.Suspect,
		words: "the hypervisor took %s of the load's CPU time", Advice: "run when the host is quiet, or on a dedicated one",
		figure: metric("steal_load"),
	}, {
		// Ticks of 10 ms tell no better in a window of a second.
		Name: "neighbours", Looks: "the server's CPUs used by other processes, and by the kernel for them", Bound: 15, Unit: "%", Verdict: result.Suspect,
		words: "other processes used about %s of the server's CPU", Advice: "end what else runs (see `top`), or keep it off these CPUs (isolcpus, cpuset)",
		figure: func(e *Evidence) (float64, string) { return known(e.OthersServer), "" },
	}, {
		Name: "neighbours of the load", Looks: "the load's CPUs used by other processes", Bound: 15, Unit: "%", Verdict: result.Suspect,
		words: "other processes used about %s of the load's CPU", Advice: "end what else runs (see `top`), or keep it off these CPUs (isolcpus, cpuset)",
		figure: func(e *Evidence) (float64, string) { return known(e.OthersLoad), "" },
	}, {
		Name: "throttling", Looks: "time in which the server's control group had used up its share of CPU, of the window", Bound: 0.1, Unit: "%", Verdict: result.Suspect,
		words: "the server's control group was throttled for %s of the window", Advice: "raise or lift cpu.max of its control group",
		figure: func(e *Evidence) (float64, string) {
			us, ok := e.value("throttled_us")
			if !ok || e.Report == nil || e.Report.DurationS <= 0 {
				return unknown, ""
			}
			return us / 1e4 / e.Report.DurationS, ""
		},
	}, {
		Name: "heat", Looks: "times that a CPU was slowed down for heat", Bound: 0, Unit: "1", Verdict: result.Suspect,
		words: "a CPU was slowed down for heat %s times", Advice: "cool the machine, or set a lower fixed frequency",
		figure: metric("thermal_throttles"),
	}, {
		Name: "frequency", Looks: "the lowest frequency seen, below the mean of those seen", Bound: 10, Unit: "%", Verdict: result.Suspect,
		words: "the CPU's frequency fell to %s below its mean", Advice: "set the governor to performance and a fixed frequency",
		figure: func(e *Evidence) (float64, string) {
			least, ok1 := e.value("frequency_min")
			mean, ok2 := e.value("frequency_mean")
			if !ok1 || !ok2 || mean <= 0 {
				return unknown, ""
			}
			return 100 * (1 - least/mean), ""
		},
	}, {
		Name: "memory pressure", Looks: "time in which some task of the machine waited for memory", Bound: 1, Unit: "%", Verdict: result.Suspect,
		words: "tasks waited for memory for %s of the window", Advice: "free memory, or take fewer connections",
		figure: metric("psi_memory_some"),
	},
}

// metric is the figure of a rule that looks at a metric of the trial.
func metric(name string) func(*Evidence) (float64, string) {
	return func(e *Evidence) (float64, string) {
		if v, ok := e.value(name); ok {
			return v, ""
		}
		return unknown, ""
	}
}

func (e *Evidence) value(name string) (float64, bool) {
	m, ok := e.Metrics[name]
	return m.Value, ok && m.Available()
}

func known(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}
