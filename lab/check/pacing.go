package check

import (
	"context"
	"fmt"
	"time"

	"github.com/syslet/syslet/lab/stats"
)

const (
	pacingRate = 20_000
	// pacingMostUs is below what the p99 of how late the load comes to an arrival must stay.
	pacingMostUs = 50.0
)

var pacing = Check{
	Name:  "pacing",
	Shows: "at 20,000 requests/s the load comes to each intended moment within 50 us: the median over 10 runs of the p99 of how late it came",
	Uses:  []Option{OptionSeed, OptionRounds},
	Takes: func(quick bool) time.Duration {
		return time.Duration(orOf(0, quick, 3, 10)) * 1400 * time.Millisecond
	},
	Run: runPacing,
}

func runPacing(ctx context.Context, o Options) (Verdict, error) {
	s, err := serveEcho(ctx, &o)
	if err != nil {
		return Verdict{}, err
	}
	defer s.Stop()
	var p99s []float64
	for i := range orOf(o.Rounds, o.Quick, 3, 10) {
		r, err := askEcho(ctx, &o, s, time.Second, o.Seed+uint64(i), nil, "--rate", fmt.Sprint(pacingRate))
		if err != nil {
			return Verdict{}, err
		}
		p := &r.Self.Pacing
		o.printf("run %2d: %d arrivals, late by p50 %.1f, p99 %.1f, p99.9 %.1f, max %.1f us; did not run when idle: %d times, %.1f ms in all; preempted %d times\n",
			i+1, p.Count, p.P50Us, p.P99Us, p.P999Us, p.MaxUs, r.Self.Stalls, r.Self.StallsTotal/1e3, r.Self.SwitchesInvoluntary)
		p99s = append(p99s, p.P99Us)
	}
	return judgePacing(p99s), nil
}

func judgePacing(p99s []float64) Verdict {
	s := stats.Summarize(p99s)
	return Verdict{Held: s.N > 0 && s.Median < pacingMostUs,
		Why: fmt.Sprintf("p99 of how late the load came, at %d/s: median %.1f us (%.1f .. %.1f) of %d runs (below %.0f)", pacingRate, s.Median, s.Lo, s.Hi, s.N, pacingMostUs)}
}
