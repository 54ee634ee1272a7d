package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/sim"
	"github.com/syslet/syslet/models"
)

// What the check simulates: fewer requests than lab sim by default, so that four models
// take a few minutes.
const (
	simConns    = 1000
	simRequests = 1000
	simWarmup   = 3000
)

var simulator = Check{
	Name:  "sim",
	Shows: "the cache simulator's counts repeat within 0.5 %, or 0.01 misses per request: instructions, misses of I1, D1 and LL over starts of the server",
	Uses:  []Option{OptionModels, OptionRounds, OptionSeed},
	Takes: func(quick bool) time.Duration {
		return time.Duration(len(models.Names())*orOf(0, quick, 2, 5)) * 15 * time.Second
	},
	Run: runSim,
}

func runSim(ctx context.Context, o Options) (Verdict, error) {
	names := o.Models
	if len(names) == 0 {
		names = models.Names()
	}
	v := Verdict{Held: true}
	var sums []string
	for _, model := range names {
		r, err := sim.Run(ctx, sim.Config{Binary: o.Binary, Model: model, Seed: o.Seed, Repeat: orOf(o.Rounds, o.Quick, 2, 5),
			Conns: simConns, Requests: simRequests, Warmup: simWarmup,
			OnRepeat: func(i int, c sim.Counts) {
				o.printf("%s, repeat %d: %.2f instructions, misses: %.4f I1, %.4f D1, %.4f LL\n", model, i+1, c.Instructions, c.I1Misses, c.D1Misses, c.LLMisses)
			}})
		switch {
		case errors.Is(err, sim.ErrNoValgrind):
			v.NotChecked = append(v.NotChecked, err.Error())
			continue
		case err != nil:
			return v, err
		case r.Unavailable != "":
			v.NotChecked = append(v.NotChecked, model+": "+r.Unavailable)
			continue
		}
		held, why := simRepeats(r.Repeats)
		o.printf("%s: %s; %d windows and %d starts discarded as disturbed; holds: %t\n", model, why, r.Discarded.Windows(), r.Discarded.Starts, held)
		for _, doubt := range r.Doubts {
			o.printf("%s: in doubt: %s\n", model, doubt)
		}
		v.Held = v.Held && held
		sums = append(sums, model+": "+why)
	}
	v.Why = strings.Join(sums, "; ")
	return v, nil
}

// simRepeats judges the repeats of one model by the rule of package sim.
func simRepeats(repeats []sim.Counts) (held bool, why string) {
	held = len(repeats) > 1
	var sums []string
	for _, g := range sim.Ranges(repeats) {
		text := g.String()
		if !g.Repeats {
			held, text = false, text+" (does not repeat)"
		}
		sums = append(sums, text)
	}
	return held, fmt.Sprintf("%s per request in %d starts", strings.Join(sums, ", "), len(repeats))
}
