package check

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/syslet/syslet/lab"
	"github.com/syslet/syslet/lab/plan"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads"
)

// Of 40 comparisons of a thing with itself, as many may claim a difference before
// correction: at 5 % each, 2 are to be expected, and more than 4 come by chance in 5
// runs of 100.
const claimsMost = 4

var aa = Check{
	Name:  "aa",
	Shows: "40 comparisons of a model with itself: at most 4 claim a difference, and none after correction",
	Uses:  []Option{OptionSeed, OptionModels, OptionRounds},
	Takes: func(quick bool) time.Duration { return aaTakes(aaExperiments(nil, 0, quick)) },
	Run:   runAA,
}

// aaMetrics are two that hang together little; the loads are many instead, since
// comparisons of one cell in several metrics share its trials.
var aaMetrics = []string{result.LatencyP99, result.CPUPerOp}

// aaRates are the loads, in requests/s over aaConns connections.
var aaRates = []string{"2000", "5000", "10000", "20000", "30000"}

const aaConns = 64

// twins are the two names of one model.
func twins(model string) (a, b string) { return model + "-a", model + "-b" }

// aaExperiments has one experiment for each model, so that twins run one after the
// other, in an order of chance.
func aaExperiments(names []string, rounds int, quick bool) []plan.Experiment {
	rates := aaRates
	if len(names) == 0 {
		names = slices.DeleteFunc(models.Names(), func(m string) bool { return models.Refused(m) != nil })
	}
	if quick {
		names, rates = names[:1], rates[:1]
	}
	if rounds == 0 {
		rounds = 10
	}
	var es []plan.Experiment
	for _, model := range names {
		a, b := twins(model)
		e := plan.Experiment{
			Name: "aa-" + model, Workload: workloads.Echo, Models: []string{a, b}, Rounds: rounds, Together: true,
			Question: fmt.Sprintf("Does %s differ from itself?", model),
			Variants: map[string]trial.Variant{a: {Model: model}, b: {Model: model}},
			Factors:  []plan.Factor{plan.Over("rate", rates...)}, Conns: aaConns, Rate: 1,
			Warmup: 150 * time.Millisecond, Window: 600 * time.Millisecond, KillServer: true,
			Overhead: 150 * time.Millisecond,
		}
		if quick {
			e.Warmup, e.Window = 50*time.Millisecond, 200*time.Millisecond
		}
		es = append(es, e)
	}
	return es
}

func aaTakes(es []plan.Experiment) (d time.Duration) {
	for i := range es {
		d += es[i].Total()
	}
	return d
}

func runAA(ctx context.Context, o Options) (Verdict, error) {
	es := aaExperiments(o.Models, o.Rounds, o.Quick)
	p, err := lab.Prepare(lab.Options{Experiments: es, Seed: o.Seed, Out: o.Out, Binary: o.Binary, CommandLine: o.CommandLine, On: o.On})
	if err != nil {
		return Verdict{}, err
	}
	if err := p.Run(ctx); err != nil {
		return Verdict{}, err
	}
	run, err := result.Read(o.Out)
	if err != nil {
		return Verdict{}, err
	}
	if err := counted(run.Trials); err != nil {
		return Verdict{}, err
	}
	var family []Claim
	for i := range es {
		model := strings.TrimPrefix(es[i].Name, "aa-")
		a, b := twins(model)
		for _, level := range es[i].Factors[0].Levels {
			rate := level.Text
			keep := func(t *result.Trial) bool { return t.Experiment == es[i].Name && t.Factors["rate"] == rate }
			family = append(family, relate(model+" "+rate+"/s", run.Trials, a, b, keep, aaMetrics)...)
		}
	}
	correct(family)
	printFamily(o.Print, family)
	return judgeAA(family), nil
}

// judgeAA allows the share of claims that 4 of 40 are, at least 1.
func judgeAA(family []Claim) Verdict {
	before, after, most := 0, 0, max(1, len(family)*claimsMost/40)
	for i := range family {
		if family[i].Claimed() {
			before++
		}
		if family[i].Stands() {
			after++
		}
	}
	pairs := 0
	for i := range family {
		if family[i].PairedP < alpha {
			pairs++
		}
	}
	return Verdict{Held: before <= most && after == 0,
		Why: fmt.Sprintf("%d of %d comparisons of a model with itself claim a difference before correction (at most %d), %d after it (none); "+
			"tested by pairs of rounds, %d do before correction",
			before, len(family), most, after, pairs)}
}
