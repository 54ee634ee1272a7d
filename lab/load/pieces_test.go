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
	got := r.suspicions(&Config{})
	require.Len(t, got, 9, "%q", got)
	good := &Report{Mode: Open, DurationS: 1, Offered: 1000, Throughput: 999}
	good.Counts = Counts{Intended: 1000, Answered: 1000, AnsweredInWindow: 999}
	good.Self = Self{CPUsAsked: []int{1, 0, 1}, CPUs: []int{0, 1}}
	require.Empty(t, good.suspicions(&Config{}))
}

// TestSketch: within 1 % of the value, over all that it can hold, and merged as if put
// into one.
func TestSketch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Int64Range(0, longestNs).Draw(t, "ns")
		got := sketchValue(sketchIndex(uint64(ns)))
		require.InDelta(t, ns, got, 0.01*float64(ns)+1)
	})
	require.Less(t, sketchIndex(longestNs), sketchBuckets)
	var a, b, all sketch
	for i := range int64(1000) {
		[]*sketch{&a, &b}[i%2].put(i * 1000)
		all.put(i * 1000)
	}
	a.add(&b)
	require.Equal(t, all, a)
	require.InEpsilon(t, 990_000, a.quantileNs(0.99), 0.01)
	require.EqualValues(t, 999_000, a.quantileNs(1))
}

// TestSeriesArea compares the area under the number of open requests with the sum of
// their times, which is the same thing told by the requests.
func TestSeriesArea(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const end = 20_000
		s := newSeries(21)
		s.begin(0, end/20)
		type event struct{ at, due, until int64 }
		var want, waiting int64
		open := []int64{} // ends
		now := int64(0)
		for range rapid.IntRange(0, 50).Draw(t, "requests") {
			now += rapid.Int64Range(0, 600).Draw(t, "gap")
			if now >= end {
				break
			}
			if len(open) > 0 && rapid.Bool().Draw(t, "answer") {
				s.move(now, waiting)
				s.answered(1)
				waiting--
				want += now - open[0]
				open = open[1:]
				continue
			}
			due := now - rapid.Int64Range(0, min(now, 3000)).Draw(t, "late")
			s.move(now, waiting)
			s.intended(due, now)
			waiting++
			open = append(open, due)
		}
		s.move(end, waiting)
		for _, due := range open {
			want += end - due
		}
		slices, mean := reportSeries([]*series{s}, end)
		require.Len(t, slices, 20)
		require.InDelta(t, float64(want)/end, mean, 1e-9)
	})
}

// TestEvenArrivals: even distances, bursts, and shares of them by threads.
func TestEvenArrivals(t *testing.T) {
	draw := func(c Config, threads, n int) (times []int64) {
		c.Rate = 1000
		for i := range threads {
			a := shapedArrivals(&c, share{i, threads})
			a.begin(0)
			for range n / threads {
				times = append(times, a.due())
				a.advance()
			}
		}
		slices.Sort(times)
		return times
	}
	for threads := 1; threads <= 4; threads *= 2 {
		for i, at := range draw(Config{Shape: Shape{Arrivals: ArrivalsConstant}}, threads, 100) {
			require.InDelta(t, int64(i+1)*1_000_000, at, 1)
		}
		for i, at := range draw(Config{Shape: Shape{Arrivals: ArrivalsBursts, BurstSize: 8}}, threads, 80) {
			require.InDelta(t, int64(i/8+1)*8_000_000, at, 1)
		}
	}
}

// TestSharesOfPoisson: the threads' shares together have the rate and spread of one process.
func TestSharesOfPoisson(t *testing.T) {
	c := Config{Rate: 20_000, Seed: 5, Shape: Shape{Arrivals: ArrivalsPoisson}}
	var times []int64
	const until = 10_000_000_000
	for i := range 3 {
		for a, begun := shapedArrivals(&c, share{i, 3}), false; ; a.advance() {
			if !begun {
				a.begin(0)
				begun = true
			}
			if a.due() >= until {
				break
			}
			times = append(times, a.due())
		}
	}
	require.InDelta(t, 200_000, len(times), 6*math.Sqrt(200_000))
	slices.Sort(times)
	var sum, squares float64
	for i := 1; i < len(times); i++ {
		gap := float64(times[i] - times[i-1])
		sum, squares = sum+gap, squares+gap*gap
	}
	n := float64(len(times) - 1)
	require.InEpsilon(t, 1, (squares/n-sum*sum/n/n)/(sum*sum/n/n), 0.03, "variance is the square of the mean")
}

// TestRamp: the number of arrivals follows the area under the rate.
func TestRamp(t *testing.T) {
	for _, from := range []float64{100, 1000, 4000} {
		c := Config{Rate: 2000, Shape: Shape{Arrivals: ArrivalsConstant, RampFrom: from}}
		a := shapedArrivals(&c, share{0, 1})
		a.begin(0)
		a.window(1e9, 3e9)
		var counts [4]int
		for ; a.due() < 4e9; a.advance() {
			counts[a.due()/1e9]++
		}
		mid := (from + 2000) / 2
		for i, want := range []float64{from, (from + mid) / 2, (mid + 2000) / 2, 2000} {
			require.InDelta(t, want, counts[i], 2, "from %v, second %d", from, i)
		}
	}
}

func TestShapeFlags(t *testing.T) {
	require.Empty(t, Shape{}.Flags())
	s := Shape{Arrivals: ArrivalsBursts, BurstSize: 5, RampFrom: 1.5, ReconnectPerS: 2, StormConns: 3, StormAt: time.Second, SlowShare: 0.25,
		SlowBytesPerS: 100, Timeout: time.Millisecond, Threads: 2, WarmupMost: time.Minute}
	require.Equal(t, []string{"--arrivals", "bursts", "--burst-size", "5", "--ramp-from", "1.5", "--reconnect-rate", "2", "--storm-conns", "3", "--storm-at", "1s",
		"--slow-share", "0.25", "--slow-rate", "100", "--timeout", "1ms", "--threads", "2", "--warmup-most", "1m0s"}, s.Flags())
}

// TestSteady: a level is steady, a trend and a step are not.
func TestSteady(t *testing.T) {
	judge := func(us func(slice int) int64) bool {
		s := newSeries(warmKept)
		s.begin(0, 1000)
		for i := range 20 {
			s.move(int64(i)*1000, 0)
			for k := range int64(100) {
				s.answered(us(i)*1000 + k)
			}
		}
		s.move(20_000, 0)
		return steady([]*series{s}, s.whole.Load())
	}
	noise := []int64{0, 3, 1, -2, 2, -1, 0, 2, -3, 1, 2, -1, 0, 3, -2, 1, -1, 2, 0, 1}
	require.True(t, judge(func(i int) int64 { return 100 + noise[i] }))
	require.True(t, judge(func(i int) int64 { return 100 + 100*int64(max(0, 5-i)) + noise[i] }), "only the later half is judged")
	require.False(t, judge(func(i int) int64 { return 200 - 3*int64(i) + noise[i] }))
	require.False(t, judge(func(i int) int64 { return 100 + 50*int64(i/15) + noise[i] }))
	require.False(t, steady([]*series{newSeries(warmKept)}, 5), "too few")
}
