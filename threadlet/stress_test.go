package threadlet

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// stressSeed is random unless THREADLET_SEED says otherwise; a failure prints it.
func stressSeed(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("THREADLET_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Cleanup(func() {
		if t.Failed() {
			fmt.Printf("run again with THREADLET_SEED=%d\n", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}

// randomBody blocks in one of many ways, or not at all, and announces it or not. mu and c are shared by all bodies.
func randomBody(rng *rand.Rand, mu *sync.Mutex, c chan int) *body {
	ns := rng.Int64N(100_000)
	b := &body{announce: rng.IntN(4) == 0, outside: rng.IntN(20) == 0}
	switch rng.IntN(8) {
	case 0, 1, 2:
		b.fn = func() {}
	case 3:
		b.fn = func() { sleepNs(ns) }
	case 4:
		b.fn = func() { spin(int(ns / 10)) }
	case 5:
		b.outside = false // held across a callback it would hold up the head for good
		b.fn = func() { mu.Lock(); sleepNs(ns / 4); mu.Unlock() }
	case 6:
		b.outside = false
		b.fn = func() {
			go func() { c <- 1 }()
			<-c
		}
	case 7:
		b.fn = func() { sleepNs(1); runtime.Gosched(); sleepNs(1) }
	}
	return b
}

func TestStress(t *testing.T) {
	eachSetting(t, allKinds, func(t *testing.T, cfg Config) {
		n := 4000
		if cfg.Detector != DetectorSwitch {
			n = 1500
		}
		if testing.Short() {
			n /= 10
		}
		rng := stressSeed(t)
		var mu sync.Mutex
		c := make(chan int)
		var bodies []*body
		for range n {
			bodies = append(bodies, randomBody(rng, &mu, c))
		}
		s := newToy(t, cfg, bodies...)
		stop := collectGarbage()
		stats := s.run(t)
		stop()
		require.NotZero(t, stats.Announced())
		t.Log(brief(stats))
	})
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
		rng := stressSeed(t)
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
