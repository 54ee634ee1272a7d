package threadlet

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var (
	stressFor  = flag.Duration("stress.for", 2*time.Second, "how long each stress test runs")
	stressSeed = flag.Uint64("stress.seed", 0, "seed of the stress tests; 0: a random one, which a failure prints")
)

// stressRand is seeded by stress.seed.
func stressRand(t *testing.T) *rand.Rand {
	seed := *stressSeed
	for seed == 0 {
		seed = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			fmt.Printf("%s: run again with -stress.seed=%d\n", t.Name(), seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}

// TestStress runs one pool after another, each of another size and stopped at another moment.
func TestStress(t *testing.T) {
	settings := 2 * len(allKinds)
	eachSetting(t, allKinds, func(t *testing.T, cfg Config) {
		rng := stressRand(t)
		stop := collectGarbage()
		defer stop()
		before := openDescriptors(t)
		var sum Stats
		ops, pools := 0, 0
		for end := time.Now().Add(*stressFor / time.Duration(settings)); pools == 0 || time.Now().Before(end); pools++ {
			cfg.Standbys = 1 + rng.IntN(5)
			if cfg.Overrun = 0; rng.IntN(2) == 0 {
				cfg.Overrun = 50 * time.Microsecond
			}
			c := &crowd{rng: rng, ways: crowdWays(), most: 1 + rng.IntN(3*cfg.Standbys)}
			n, stats := c.run(t, cfg, time.Duration(rng.Int64N(int64(100*time.Millisecond))), rng.IntN(2) == 0)
			ops += n
			sum.add(&stats)
			require.Equal(t, before, openDescriptors(t), "descriptors left open")
		}
		requireNoThreads(t, "crowd-tl")
		requireNoPerfMappings(t)
		t.Logf("%d ops in %d pools; %s", ops, pools, brief(sum))
	})
}

// add adds what brief shows.
func (s *Stats) add(o *Stats) {
	for r := range s.Takeovers {
		s.Takeovers[r] += o.Takeovers[r]
	}
	s.Visits += o.Visits
	s.AtBound += o.AtBound
	s.AtBoundAnnounced += o.AtBoundAnnounced
	s.FalseAlarms += o.FalseAlarms
	s.FalsePreempted += o.FalsePreempted
}

// collectGarbage stops the world over and over until the returned function is called.
func collectGarbage() (stop func()) {
	var quit atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !quit.Load() {
			runtime.GC()
			sleepNs(1_000_000)
		}
	}()
	return func() { quit.Store(true); <-done }
}

// eager takes each body that it sees, blocked or not: takeovers then compete with Leave and HandOver at every point.
type eager struct{ explicitDetector }

func (eager) blocked(*thread, word, causes) (int64, bool) { return 0, true }
func (eager) reason(*thread, causes) Reason               { return ByTimer }

func TestTakeoverAgainstLeaveAndHandOver(t *testing.T) {
	for _, cpu := range []int{-1, anyCPU(t)} {
		rng := stressRand(t)
		var bodies []*body
		for range 30_000 {
			n := rng.IntN(300)
			b := &body{announce: rng.IntN(5) == 0, fn: func() { spin(n) }}
			if rng.IntN(50) == 0 {
				b.fn = func() { sleepNs(1) } // on one CPU the standbys get to run only when the head does not
			}
			bodies = append(bodies, b)
		}
		s := newToy(t, Config{CPU: cpu, Standbys: 4, Detector: DetectorExplicit}, bodies...)
		s.pool.det = eager{}
		s.pool.sample.periodNs = 3000
		stats := s.run(t)
		require.NotZero(t, stats.Detected())
		require.NotZero(t, stats.Announced())
		t.Log(brief(stats))
	}
}

// A head that is merely preempted keeps its role. (Go itself parks a locked thread that has run for 10 ms: that counts as a
// voluntary switch, and is a block.)
func TestNoTakeoverFromPreemption(t *testing.T) {
	for _, d := range detecting {
		t.Run(d, func(t *testing.T) {
			needDetector(t, d, anyCPU(t))
			cpu := anyCPU(t)
			competitor(t, cpu)
			var preempted, blocked [60]int64
			bodies := make([]*body, len(preempted))
			for i := range bodies {
				bodies[i] = &body{fn: func() {
					v0, p0 := switches()
					for n := 0; n < 400 && preempted[i] == 0; n++ {
						spin(5000)
						v, p := switches()
						blocked[i], preempted[i] = v-v0, p-p0
					}
				}}
			}
			s := newToy(t, Config{CPU: cpu, Standbys: 2, Detector: d}, bodies...)
			stats := s.run(t)
			merely := 0
			for i, b := range bodies {
				require.True(t, b.kept || blocked[i] > 0, "body %d was taken over and had not blocked; %s", i, brief(stats))
				if b.kept && preempted[i] > 0 {
					merely++
				}
			}
			require.NotZero(t, merely, "the competitor never ran")
			t.Logf("preempted in %d bodies; %s", merely, brief(stats))
		})
	}
}

// switches is the number of voluntary and involuntary context switches of the calling thread.
func switches() (voluntary, involuntary int64) {
	var ru unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &ru)
	return ru.Nvcsw, ru.Nivcsw
}

func TestNoAllocation(t *testing.T) {
	var p *Pool
	var allocs float64
	p, err := Open(Config{CPU: -1, Standbys: 1, Loop: func() {
		allocs = testing.AllocsPerRun(1000, func() {
			p.Leave(p.Enter())
			p.Idle()
		})
	}})
	require.NoError(t, err)
	require.NoError(t, p.Run())
	require.Zero(t, allocs)
}
