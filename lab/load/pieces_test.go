package load

import (
	"math"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/syslet/syslet/lab/result"
	"pgregory.net/rapid"
)

// TestArrivalsArePoisson: over a million gaps, mean and variance are those of the
// exponential distribution, and the picks are even.
func TestArrivalsArePoisson(t *testing.T) {
	const n, rate, conns = 1_000_000, 20_000.0, 10
	a := newArrivals(42, rate)
	a.begin(1000)
	var sum, squares float64
	picks := [conns]int{}
	last := 1000.0
	for range n {
		gap := a.nextNs - last
		require.GreaterOrEqual(t, gap, 0.0)
		sum, squares, last = sum+gap, squares+gap*gap, a.nextNs
		picks[a.pick(conns)]++
		a.advance()
	}
	mean := sum / n
	require.InEpsilon(t, 1e9/rate, mean, 5/math.Sqrt(n))
	require.InEpsilon(t, mean*mean, squares/n-mean*mean, 0.02)
	for _, p := range picks {
		require.InDelta(t, n/conns, p, 6*math.Sqrt(n/conns))
	}
}

func TestArrivalsAreSeeded(t *testing.T) {
	draw := func(seed uint64) (times []int64, picks []int) {
		a := newArrivals(seed, 100)
		a.begin(0)
		for range 100 {
			times, picks = append(times, a.due()), append(picks, a.pick(1000))
			a.advance()
		}
		return times, picks
	}
	times1, picks1 := draw(1)
	again, picksAgain := draw(1)
	require.Equal(t, times1, again)
	require.Equal(t, picks1, picksAgain)
	times2, picks2 := draw(2)
	require.NotEqual(t, times1, times2)
	require.NotEqual(t, picks1, picks2)
}

// TestBacklogIsQueues compares with slices.
func TestBacklogIsQueues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBacklog(2)
		queues := []queue{emptyQueue(), emptyQueue(), emptyQueue()}
		model := make([][]int64, len(queues))
		for step := range rapid.IntRange(0, 200).Draw(t, "steps") {
			i := rapid.IntRange(0, len(queues)-1).Draw(t, "queue")
			if rapid.Bool().Draw(t, "push") || len(model[i]) == 0 {
				b.push(&queues[i], int64(step))
				model[i] = append(model[i], int64(step))
			} else {
				require.Equal(t, model[i][0], b.pop(&queues[i]))
				model[i] = model[i][1:]
			}
			size := 0
			for j := range queues {
				require.Equal(t, len(model[j]) == 0, queues[j].empty())
				size += len(model[j])
			}
			require.Equal(t, size, b.size)
		}
	})
}

func TestCurve(t *testing.T) {
	h := newHistogram()
	for i := int64(1); i <= 10_000; i++ {
		require.NoError(t, h.RecordValue(i*1000))
	}
	s := summarize(h)
	require.EqualValues(t, 10_000, s.Count)
	require.InEpsilon(t, 5000, s.P50Us, 0.002)
	require.InEpsilon(t, 9990, s.P999Us, 0.002)
	require.InEpsilon(t, 10_000, s.MaxUs, 0.002)
	require.Equal(t, result.Point{100, s.MaxUs}, s.Curve[len(s.Curve)-1])
	require.Zero(t, s.Curve[0].Percentile())
	require.True(t, slices.IsSortedFunc(s.Curve, func(a, b result.Point) int {
		if a[0] >= b[0] || a[1] > b[1] {
			return 1
		}
		return -1
	}))
	require.Greater(t, s.Curve[len(s.Curve)-2].Percentile(), 99.9)
	require.Less(t, len(s.Curve), 90)
	require.Zero(t, summarize(newHistogram()))
	require.Equal(t, []float64{0, 10, 20, 30, 40, 100}, percentiles(1))
}

func TestRecorderClips(t *testing.T) {
	r := newRecorder(1)
	r.paced(longestNs + 1)
	r.paced(-5)
	r.paced(lateNs + 1)
	require.EqualValues(t, 1, r.clip)
	require.EqualValues(t, 2, r.late)
	require.EqualValues(t, 1, r.later)
	require.EqualValues(t, 3, r.pacing.TotalCount())
}

// TestSlowReceiver: a server that does not read for a while makes send() return
// EAGAIN and partial counts; the rest goes out later, each byte once.
func TestSlowReceiver(t *testing.T) {
	padded := padded{tagged{window: 1024}}
	s := serve(t, padded.unpad(func(conn net.Conn, n int, p []byte) bool {
		if n == 0 {
			time.Sleep(150 * time.Millisecond) // the slowness itself
		}
		return true
	}))
	r := mustRun(t, Config{Target: s.target(), Conns: 1, Rate: 5000, Duration: 250 * time.Millisecond, Load: padded, Drain: 10 * time.Second})
	require.Equal(t, r.Counts.Intended, r.Counts.Answered)
	require.Greater(t, r.Counts.BytesOut, int64(4<<20))
}

func TestSuspicionsOfABadRun(t *testing.T) {
	r := &Report{Mode: Open, DurationS: 1, Offered: 1000, Throughput: 500, Interrupted: true}
	r.Counts = Counts{Intended: 1000, Answered: 900, AnsweredInWindow: 500, Clipped: 1}
	r.Self = Self{Busy: 0.95, Late100us: 0.5, Late1ms: 0.1, StallsTotal: 50_000, CPUsAsked: []int{1}, CPUs: []int{0}}
	got := r.suspicions()
	require.Len(t, got, 9, "%q", got)
	good := &Report{Mode: Open, DurationS: 1, Offered: 1000, Throughput: 999}
	good.Counts = Counts{Intended: 1000, Answered: 1000, AnsweredInWindow: 999}
	good.Self = Self{CPUsAsked: []int{1, 0, 1}, CPUs: []int{0, 1}}
	require.Empty(t, good.suspicions())
}
