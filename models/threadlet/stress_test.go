package threadlet_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/models/threadlet"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
)

var (
	stressFor  = flag.Duration("stress.for", 2*time.Second, "how long the stress test runs")
	stressSeed = flag.Uint64("stress.seed", 0, "seed of the stress test; 0: a random one, which a failure prints")
)

// TestStress runs one server after another, each with other options and stopped at another moment, while connections
// are echoed, ops of all kinds are in flight, and some are cancelled.
func TestStress(t *testing.T) {
	settings := []struct {
		detector string
		bound    bool
	}{{"idle", true}, {"switch", false}, {"switch", true}, {"timer", false}, {"explicit", true}}
	for _, c := range settings {
		name, cpu := c.detector+"/unbound", -1
		if c.bound {
			name, cpu = c.detector+"/oneCPU", anyCPU(t)
		}
		t.Run(name, func(t *testing.T) {
			if err := threadlet.Refused(c.detector, cpu); err != nil {
				t.Skipf("detector refused: %v", err)
			}
			conformance.CheckLeaks(t)
			rng := stressRand(t)
			kit := newStressKit(t)
			var sum stressSum
			end := time.Now().Add(*stressFor / time.Duration(len(settings)))
			for servers := 0; servers == 0 || time.Now().Before(end); servers++ {
				o := stressOptions(rng, c.detector, cpu)
				stressServer(t, rng, kit, o, &sum)
			}
			t.Log(sum.String())
		})
	}
}

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

func stressOptions(rng *rand.Rand, detector string, cpu int) runtime.Options {
	o := runtime.Options{
		Listen:       "127.0.0.1:0",
		Shards:       1 + rng.IntN(2),
		Standbys:     1 + rng.IntN(4),
		MaxInFlight:  1 + rng.IntN(24),
		TickInterval: time.Millisecond,
		Detector:     detector,
		Strategy:     runtime.Strategy(rng.IntN(3)),
	}
	if cpu >= 0 {
		o.CPUs = []int{cpu}
	}
	return o
}

// stressServer runs one server for a while and checks that each op that was queued was completed once.
func stressServer(t *testing.T, rng *rand.Rand, kit *stressKit, o runtime.Options, sum *stressSum) {
	v, err := runtime.New(o, threadlet.New)
	require.NoError(t, err)
	var apps []*stressApp
	require.NoError(t, v.Start(func(*runtime.Shard) (runtime.App, error) {
		a := &stressApp{kit: kit, rng: rand.New(rand.NewPCG(rng.Uint64(), 2)), fail: t.Errorf}
		apps = append(apps, a)
		return a, nil
	}))
	var clients []*stressClient
	for range rng.IntN(6) {
		clients = append(clients, dialStress(t, v, rng.Uint64()))
	}
	time.Sleep(time.Duration(rng.Int64N(int64(200 * time.Millisecond)))) // the moment of the stop
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	stats, err := v.Stats(ctx)
	require.NoError(t, err, "%+v", o)
	require.NoError(t, v.Stop(ctx), "%+v", o)
	for _, c := range clients {
		c.end(t)
	}
	for _, a := range apps {
		for _, op := range a.ops {
			require.True(t, op.ended, "an op of kind %s was %v and has no completion", op.kind, op.outcome)
		}
		sum.add(a)
	}
	sum.addStats(&stats)
}

// stressSum is what a run has seen.
type stressSum struct {
	servers                                       int
	completed, queued, busy, cancelled, asked     int
	echoes                                        uint64
	announced, idle, swtch, timer, backstop, over uint64
	byReturn, atBound                             uint64
}

func (s *stressSum) add(a *stressApp) {
	s.completed += a.completed
	s.queued += a.queued
	s.busy += a.busy
	s.cancelled += a.cancelled
	s.asked += a.asked
}

func (s *stressSum) addStats(st *runtime.Stats) {
	s.servers++
	s.echoes += st.DataCallbacks
	s.announced += st.TakeoversAnnounced
	s.idle += st.TakeoversByIdle
	s.swtch += st.TakeoversBySwitch
	s.timer += st.TakeoversByTimer
	s.backstop += st.TakeoversByBackstop
	s.over += st.TakeoversByOverrun
	s.byReturn += st.TakeoversByReturn
	s.atBound += st.TakeoversAtBound
}

func (s *stressSum) String() string {
	return fmt.Sprintf("%d servers; ops: %d completed, %d queued, %d busy, %d of %d cancelled in time; %d echoes; "+
		"takeovers: %d announced, idle %d, switch %d, timer %d, backstop %d, overrun %d, return %d; at bound %d",
		s.servers, s.completed, s.queued, s.busy, s.cancelled, s.asked, s.echoes,
		s.announced, s.idle, s.swtch, s.timer, s.backstop, s.over, s.byReturn, s.atBound)
}
