package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/sim"
)

// Counts of a simulator repeat if all repeats lie within simShare of each other, or, where
// there are next to none, within simMisses per request: one miss in 100 requests.
const (
	simShare  = 0.005
	simMisses = 0.01
)

var simulator = Check{
	Name:  "sim",
	Shows: "the cache simulator's counts repeat within 0.5 %, or 0.01 misses per request: instructions, misses of I1, D1 and LL over starts of the server",
	Uses:  []Option{OptionModels, OptionRounds, OptionSeed},
	Takes: func(quick bool) time.Duration {
		return time.Duration(orOf(0, quick, 2, 5)) * 12 * time.Second
	},
	Run: runSim,
}

func runSim(ctx context.Context, o Options) (Verdict, error) {
	names := o.Models
	if len(names) == 0 {
		names = []string{"nonblock"}
	}
	v := Verdict{Held: true}
	var sums []string
	for _, model := range names {
		r, err := sim.Run(ctx, sim.Config{Binary: o.Binary, Model: model, Seed: o.Seed, Repeat: orOf(o.Rounds, o.Quick, 2, 5),
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
		v.Held = v.Held && held
		sums = append(sums, model+": "+why)
	}
	v.Why = strings.Join(sums, "; ")
	return v, nil
}

// simRepeats judges the repeats of one model.
func simRepeats(repeats []sim.Counts) (held bool, why string) {
	held = len(repeats) > 1
	var sums []string
	for _, count := range []struct {
		name string
		of   func(sim.Counts) float64
		// least is what always passes.
		least float64
	}{
		{"instructions", func(c sim.Counts) float64 { return c.Instructions }, 0},
		{"I1 misses", func(c sim.Counts) float64 { return c.I1Misses }, simMisses},
		{"D1 misses", func(c sim.Counts) float64 { return c.D1Misses }, simMisses},
		{"LL misses", func(c sim.Counts) float64 { return c.LLMisses }, simMisses},
	} {
		var values []float64
		for _, c := range repeats {
			values = append(values, count.of(c))
		}
		lo, hi := slices.Min(values), slices.Max(values)
		held = held && (hi-lo <= simShare*lo || hi-lo <= count.least)
		sums = append(sums, fmt.Sprintf("%s %.4g .. %.4g", count.name, lo, hi))
	}
	return held, fmt.Sprintf("%s per request in %d starts", strings.Join(sums, ", "), len(repeats))
}
