package runtime

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bareShard is a shard without a driver, for what needs none.
func bareShard(t testing.TB, o Options) *Shard {
	o, err := o.withDefaults()
	require.NoError(t, err)
	v := &Server{opts: o}
	s := &Shard{server: v, opts: &v.opts, mail: newMatrix(o.Shards, o.MailboxSlots), mailTo: make([]bool, o.Shards)}
	s.sweeper = NewTimer((*Shard).sweep)
	s.giveUpTimer, s.trimmer = NewTimer((*Shard).giveUpClosers), NewTimer((*Shard).trim)
	s.block.init(&v.opts, true) // not hosted, but no watcher runs
	v.shards = []*Shard{s}
	return s
}

// The heap against a sorted list, under random arming, moving and disarming.
func TestTimerHeapAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := bareShard(t, Options{})
		var fired []int
		timers, model := make([]*Timer, 40), []int(nil) // model: armed timers
		order := func(a, b int) int {
			if timers[a].before(timers[b]) {
				return -1
			}
			return 1
		}
		for i := range timers {
			timers[i] = NewTimer(func(*Shard) { fired = append(fired, i) })
		}
		for range 300 {
			i := r.IntN(len(timers))
			model = slices.DeleteFunc(model, func(k int) bool { return k == i })
			switch r.IntN(4) {
			case 0:
				s.Disarm(timers[i])
			case 1, 2:
				s.Arm(timers[i], time.Duration(r.IntN(10)))
				model = append(model, i)
			case 3:
				s.Disarm(timers[i])
				s.nowNs += int64(r.IntN(5))
				slices.SortFunc(model, order)
				n := 0
				for n < len(model) && timers[model[n]].dueNs <= s.nowNs {
					n++
				}
				want := append([]int{}, model[:n]...)
				model = model[n:]
				fired = fired[:0]
				s.runTimers()
				require.Equal(t, want, append([]int{}, fired...), "seed %d", seed)
			}
			for k, tm := range timers {
				require.Equal(t, slices.Contains(model, k), tm.Armed(), "seed %d, timer %d", seed, k)
			}
			if len(model) > 0 {
				due, ok := s.timers.next()
				require.True(t, ok)
				require.Equal(t, timers[slices.MinFunc(model, order)].dueNs, due, "seed %d", seed)
			}
		}
	}
}

func TestTimerFarAway(t *testing.T) {
	s := bareShard(t, Options{})
	s.nowNs = 5
	tm := NewTimer(func(*Shard) { t.Error("fired at once") })
	s.Arm(tm, math.MaxInt64)
	s.runTimers()
	require.True(t, tm.Armed())
}

// A timer that arms itself with no delay waits for the next turn.
func TestTimerArmsItself(t *testing.T) {
	s := bareShard(t, Options{})
	n := 0
	var tm *Timer
	tm = NewTimer(func(s *Shard) { n++; s.Arm(tm, 0) })
	s.Arm(tm, 0)
	for range 3 {
		s.runTimers()
	}
	require.Equal(t, 3, n)
	require.EqualValues(t, 3, s.Stats.TimersFired)
}

func TestTimerAllocs(t *testing.T) {
	s := bareShard(t, Options{})
	tm := NewTimer(func(*Shard) {})
	require.Zero(t, testing.AllocsPerRun(1000, func() { s.Arm(tm, 0); s.runTimers() }))
	require.NotZero(t, s.Stats.TimersFired)
}

func BenchmarkTimer(b *testing.B) {
	b.ReportAllocs()
	s := bareShard(b, Options{})
	for i := range 1000 { // a heap of the size a busy shard has
		s.Arm(NewTimer(func(*Shard) {}), time.Hour+time.Duration(i))
	}
	tm := NewTimer(func(*Shard) {})
	for b.Loop() {
		s.Arm(tm, 0)
		s.runTimers()
	}
}
