package check

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/plan"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads"
)

var ab = Check{
	Name:  "ab",
	Shows: "a server slowed by 10 % CPU per request, and one with 1 ms added to 1 % of requests, are each found in 9 of 10 tries",
	Uses:  []Option{OptionSeed, OptionModels, OptionTries, OptionRounds},
	Takes: func(quick bool) time.Duration {
		var d time.Duration
		for _, h := range handicaps {
			d += aaTakes(h.tries(abModels(nil), abTries(0, quick), h.roundsOf(0, quick), quick))
		}
		return d
	},
	Run: runAB,
}

// foundLeast is the share of the tries in which a handicap must be found.
const foundLeast = 0.9

// handicap is something worse that was built in, and what it must show in.
type handicap struct {
	name, what string
	// decides are the metrics of which one must be found larger. The correction is for
	// all of abMetrics, as by someone who looks at all of them.
	decides []string
	// needsCost: the handicap is a share of what a request costs without.
	needsCost bool
	// rounds of two arms in each try.
	rounds int
	conns  int
	rate   float64
	window time.Duration
	// flags are those of syslet serve, for a request that costs so much CPU anyway.
	flags func(cpuUs float64) []string
}

// abMetrics are looked at in each try.
var abMetrics = []string{result.CPUPerOp, result.LatencyP50, result.LatencyP99, result.LatencyMean, result.SliceMaxP50}

// Many short trials rather than few long ones: what differs most is server processes,
// and a short window is more often free of what the machine does beside. A try is
// decided by the pairs of its rounds, whose arms run one right after the other.
const abWarmup = 80 * time.Millisecond

const (
	cpuShare   = 0.10
	delayBy    = time.Millisecond
	delayShare = 0.01
)

var handicaps = []handicap{
	{
		// What a request costs differs by a tenth between two processes of the same server
		// (standard deviation of the pairs' ratio), whatever the window: it takes many. The
		// rate is one at which the server is busy, so that what a wake-up costs is shared.
		name: "cpu", what: "10 % more CPU per request", decides: []string{result.CPUPerOp}, needsCost: true,
		rounds: 40, conns: 64, rate: 50_000, window: 400 * time.Millisecond,
		flags: func(cpuUs float64) []string {
			return []string{"--handicap-cpu-ns", strconv.FormatInt(int64(math.Round(cpuUs*1e3*cpuShare)), 10)}
		},
	},
	{
		// Of 200 requests in a slice two are late, but a stall of the machine by some
		// milliseconds makes as many late in a whole window: p99 and the mean move, and
		// differ by more between rounds. The typical slice has no stall.
		name: "delay", what: "1 ms later for 1 % of requests", decides: []string{result.LatencyP99, result.LatencyMean, result.SliceMaxP50},
		rounds: 14, conns: 64, rate: 10_000, window: 400 * time.Millisecond,
		flags: func(float64) []string {
			return []string{"--handicap-delay", delayBy.String(), "--handicap-share", strconv.FormatFloat(delayShare, 'g', -1, 64)}
		},
	},
}

func abTries(asked int, quick bool) int {
	switch {
	case asked > 0:
		return asked
	case quick:
		return 2
	}
	return 10
}

// roundsOf are a try's, unless others were asked for.
func (h *handicap) roundsOf(asked int, quick bool) int {
	switch {
	case asked > 0:
		return asked
	case quick:
		return 6
	}
	return h.rounds
}

// abModels are taken in turn by the tries.
func abModels(asked []string) []string {
	if len(asked) > 0 {
		return asked
	}
	return slices.DeleteFunc([]string{"nonblock", "iouring"}, func(m string) bool { return models.Refused(m) != nil })
}

func (h *handicap) experiment(name, model string, rounds int, quick bool) plan.Experiment {
	e := plan.Experiment{
		Name: name, Workload: workloads.Echo, Models: []string{model}, Rounds: rounds, Together: true,
		Question: fmt.Sprintf("Is %s found under %s?", h.what, model),
		Conns:    h.conns, Rate: h.rate, Warmup: abWarmup, Window: h.window, KillServer: true, Overhead: 100 * time.Millisecond,
	}
	if quick {
		e.Window /= 2
	}
	return e
}

// tries are the experiments, each with two arms that run one after the other, in an
// order of chance. The handicap's flags are known later: see arm.
func (h *handicap) tries(names []string, tries, rounds int, quick bool) []plan.Experiment {
	var es []plan.Experiment
	for i := range tries {
		model := names[i%len(names)]
		e := h.experiment(fmt.Sprintf("ab-%s-%02d", h.name, i+1), model, rounds, quick)
		e.Models = append(e.Models, model+"-"+h.name)
		es = append(es, e)
	}
	return es
}

// arm gives a try's second arm its handicap.
func (h *handicap) arm(e *plan.Experiment, cpuUs float64) {
	e.Variants = map[string]trial.Variant{e.Models[1]: {Model: e.Models[0], Flags: h.flags(cpuUs)}}
}

func runAB(ctx context.Context, o Options) (v Verdict, err error) {
	tries, names := abTries(o.Tries, o.Quick), abModels(o.Models)
	for _, m := range names {
		if err := models.Refused(m); err != nil {
			return v, err
		}
	}
	var all []plan.Experiment
	for i := range handicaps {
		all = append(all, handicaps[i].costs(names, o.Quick)...)
		all = append(all, handicaps[i].tries(names, tries, handicaps[i].roundsOf(o.Rounds, o.Quick), o.Quick)...)
	}
	b := newBench(o.Binary, filepath.Join(o.Out, "work"))
	if o.On != nil {
		b.on = o.On
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.keep(&o, all); err != nil {
		return v, err
	}
	v.Held = true
	var sums []string
	for i := range handicaps {
		h := &handicaps[i]
		found, err := h.run(ctx, &o, b, names, tries, h.roundsOf(o.Rounds, o.Quick))
		if err != nil {
			return v, err
		}
		v.Held = v.Held && float64(found) >= foundLeast*float64(tries)
		sums = append(sums, fmt.Sprintf("%s was found in %d of %d tries", h.what, found, tries))
	}
	v.Why = strings.Join(sums, "; ")
	return v, nil
}

// costs are the experiments that say what a request costs a model without handicap,
// of a handicap that is a share of that.
func (h *handicap) costs(names []string, quick bool) (es []plan.Experiment) {
	if !h.needsCost {
		return nil
	}
	for _, model := range names {
		e := h.experiment("ab-"+h.name+"-base-"+model, model, 5, quick)
		e.Question = fmt.Sprintf("What does a request cost under %s, without handicap?", model)
		es = append(es, e)
	}
	return es
}

// run measures what a request costs, makes the tries and counts those that found it.
func (h *handicap) run(ctx context.Context, o *Options, b *bench, names []string, tries, rounds int) (found int, err error) {
	o.printf("%s, echo at %.0f/s over %d connections, %d rounds of two arms, window %v; decided by %s, signed ranks of the rounds, corrected for %d metrics\n",
		h.what, h.rate, h.conns, rounds, h.experiment("", "", 1, o.Quick).Window, strings.Join(h.decides, " or "), len(abMetrics))
	costUs := map[string]float64{}
	for _, e := range h.costs(names, o.Quick) {
		trials, err := b.run(ctx, e, o.Seed)
		if err != nil {
			return found, err
		}
		var costs []float64
		for i := range trials {
			if us, ok := trials[i].Value(result.CPUPerOp); ok && trials[i].Counted() {
				costs = append(costs, us)
			}
		}
		s := stats.Summarize(costs)
		if s.N == 0 {
			return found, fmt.Errorf("check: no trial says what a request costs under %s: %s is missing", e.Models[0], result.CPUPerOp)
		}
		costUs[e.Models[0]] = s.Median
		o.printf("  %s: %.2f us of CPU per request (%.2f .. %.2f in %d trials), handicap %s\n", e.Models[0], s.Median, s.Lo, s.Hi, s.N,
			strings.Join(h.flags(s.Median), " "))
	}
	for i, e := range h.tries(names, tries, rounds, o.Quick) {
		h.arm(&e, costUs[e.Models[0]])
		trials, err := b.run(ctx, e, o.Seed+uint64(1000*(i+1)))
		if err != nil {
			return found, err
		}
		claims := byPairs(relate(e.Models[0], trials, e.Models[0], e.Models[1], func(*result.Trial) bool { return true }, abMetrics))
		word := "missed"
		if h.found(claims) {
			word = "found "
			found++
		}
		o.printf("  try %2d %-9s %s%s\n", i+1, e.Models[0], word, h.line(claims))
	}
	return found, nil
}

// found corrects the claims of a try and looks at those that decide.
func (h *handicap) found(claims []Claim) bool {
	correct(claims)
	return slices.ContainsFunc(claims, func(c Claim) bool { return slices.Contains(h.decides, c.Metric) && c.Above() })
}

// line says what a try gave: of each metric the ratio, and of those that decide its
// interval and the corrected p.
func (h *handicap) line(claims []Claim) string {
	var b strings.Builder
	for i := range claims {
		c := &claims[i]
		fmt.Fprintf(&b, "  %s %s", c.Metric, ratio(c.Paired.Ratio))
		if slices.Contains(h.decides, c.Metric) {
			fmt.Fprintf(&b, " (%s .. %s, p %.4f)", ratio(c.Paired.Lo), ratio(c.Paired.Hi), c.Corrected)
		}
	}
	return b.String()
}
