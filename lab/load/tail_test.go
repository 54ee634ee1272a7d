package load

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTail: requests go on after the window, the figures do not.
func TestTail(t *testing.T) {
	s := serve(t, nil)
	var mu sync.Mutex
	var told []string
	cfg := Config{
		Target: s.target(), Conns: 8, Rate: 2000, Warmup: 50 * time.Millisecond, Duration: 300 * time.Millisecond, Tail: 300 * time.Millisecond,
		Seed: 7, Load: tagged{window: 16},
		OnPhase: func(p Phase) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, p.Name)
		},
	}
	r := mustRun(t, cfg)
	require.Equal(t, []string{PhaseConnect, PhaseWarmup, PhaseMeasure, PhaseTail, PhaseDrain, PhaseDone}, told)
	require.InDelta(t, 600, r.Counts.Intended, 6*math.Sqrt(600), "the window's alone")
	require.Equal(t, r.Counts.Intended, r.Counts.Answered)
	require.InDelta(t, 0.3, r.DurationS, 1e-9)
	require.GreaterOrEqual(t, r.TailS, 0.3)
	require.InDelta(t, 2000*r.TailS, r.AnsweredInTail, 6*math.Sqrt(600)+100)
	require.Equal(t, r.Counts.Intended, r.All.Latency.Count)
}

// TestSpeakers: in a closed loop all connect and some ask.
func TestSpeakers(t *testing.T) {
	s := serve(t, nil)
	cfg := Config{Target: s.target(), Conns: 6, Speakers: 2, Mode: Closed, Outstanding: 1, Warmup: 20 * time.Millisecond,
		Duration: 100 * time.Millisecond, Tail: 50 * time.Millisecond, Seed: 7, Load: tagged{window: 16}}
	l := mustRun(t, cfg)
	require.Positive(t, l.Counts.Answered)
	require.Positive(t, l.AnsweredInTail)
	cfg.Speakers = 7
	_, err := Run(t.Context(), cfg)
	require.ErrorContains(t, err, "Speakers")
}
