package load

import (
	"bytes"
	"encoding/csv"
	"io"
	"math"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSeriesOfARun: the slices add up to the whole, and Little's law holds.
func TestSeriesOfARun(t *testing.T) {
	s := serve(t, func(net.Conn, int, []byte) bool { time.Sleep(time.Millisecond); return true })
	for _, threads := range []int{1, 3} {
		r := mustRun(t, Config{Target: s.target(), Conns: 9, Rate: 2000, Warmup: 50 * time.Millisecond, Duration: 500 * time.Millisecond,
			Load: tagged{window: 64}, Slices: 10, Shape: Shape{Threads: threads}})
		require.Len(t, r.Series, 10)
		var intended, answered int64
		for i, sl := range r.Series {
			require.InDelta(t, 0.05*float64(i), sl.OffsetS, 1e-6)
			require.InDelta(t, 0.05, sl.DurationS, 1e-6)
			require.Equal(t, sl.Answered > 0, sl.P50Us > 0)
			require.LessOrEqual(t, sl.P50Us, sl.MaxUs)
			intended, answered = intended+sl.Intended, answered+sl.Answered
		}
		require.Equal(t, r.Counts.Intended, intended)
		require.Equal(t, r.Counts.AnsweredInWindow, answered)
		// By the clock and by the requests: on a busy machine the ends of the window differ.
		if r.All.Latency.MaxUs < 50_000 {
			require.InEpsilon(t, r.Throughput*r.All.Latency.MeanUs/1e6, r.MeanInFlight, 0.5)
		}
		require.InDelta(t, 0.05, r.WarmupS, 0.01)
	}
}

// TestThreads: several threads share connections and rate, and report as one.
func TestThreads(t *testing.T) {
	s := serve(t, nil)
	var told []string
	r := mustRun(t, Config{Target: s.target(), Conns: 7, Rate: 3000, Warmup: 20 * time.Millisecond, Duration: 300 * time.Millisecond, Tail: 20 * time.Millisecond,
		ProbeFor: 20 * time.Millisecond, ReadFor: 50 * time.Millisecond, Load: tagged{window: 64, hello: true}, Seed: 4, Shape: Shape{Threads: 3}, OnPhase: func(p Phase) { told = append(told, p.Name) }})
	require.Equal(t, []string{PhaseConnect, PhaseWarmup, PhaseProbe, PhaseRead, PhaseMeasure, PhaseTail, PhaseDrain, PhaseDone}, told)
	// Answers while sensors are read are counted, apart from the window.
	require.InDelta(t, 0.05, r.ReadS, 0.02)
	require.Positive(t, r.AnsweredInRead)
	require.Less(t, r.AnsweredInRead, r.Counts.AnsweredInWindow)
	require.InDelta(t, 900, r.Counts.Intended, 6*math.Sqrt(900))
	require.Equal(t, r.Counts.Intended, r.Counts.Answered)
	require.Len(t, r.Threads, 3)
	n, busiest := int64(0), 0.0
	for _, self := range r.Threads {
		n += self.Pacing.Count
		busiest = max(busiest, self.Busy)
	}
	require.Equal(t, r.Counts.Intended, n)
	require.Equal(t, busiest, r.Self.Busy)

	closed := mustRun(t, Config{Target: s.target(), Conns: 6, Speakers: 4, Mode: Closed, Outstanding: 3, Duration: 100 * time.Millisecond, Load: tagged{window: 16}, Shape: Shape{Threads: 2}})
	require.Positive(t, closed.Throughput)
	require.LessOrEqual(t, closed.MeanInFlight, 12.0)
	require.Greater(t, closed.MeanInFlight, 6.0)
}

// TestThreadsFail: what one thread cannot do ends them all.
func TestThreadsFail(t *testing.T) {
	s := serve(t, func(_ net.Conn, n int, _ []byte) bool { return n < 20 })
	r, err := Run(t.Context(), Config{Target: s.target(), Conns: 4, Rate: 4000, Duration: 10 * time.Second, Load: tagged{window: 64}, Shape: Shape{Threads: 2}})
	require.ErrorIs(t, err, errAllGone)
	require.True(t, r.Interrupted)
	require.Less(t, r.DurationS, 10.0)
}

// TestWarmupByTest: a server that is slow at first keeps the warm-up going.
func TestWarmupByTest(t *testing.T) {
	var slowUntil atomic.Int64
	s := serve(t, func(net.Conn, int, []byte) bool {
		left := slowUntil.Load() - time.Now().UnixNano() // gets quicker
		for began := time.Now(); time.Since(began) < time.Duration(left/8) && slowUntil.Load() != 0; {
			time.Sleep(time.Millisecond)
		}
		return true
	})
	cfg := Config{Target: s.target(), Conns: 8, Rate: 2000, Warmup: 100 * time.Millisecond, Duration: 50 * time.Millisecond, Load: tagged{window: 64},
		Shape: Shape{WarmupMost: 30 * time.Second, Threads: 2}}
	slowUntil.Store(time.Now().Add(600 * time.Millisecond).UnixNano())
	r := mustRun(t, cfg)
	require.True(t, r.WarmupSteady)
	require.Greater(t, r.WarmupS, 0.5)
	require.Less(t, r.WarmupS, 30.0)

	slowUntil.Store(time.Now().Add(time.Hour).UnixNano()) // minutes: nothing comes
	cfg.Shape.WarmupMost, cfg.Drain = 300*time.Millisecond, 10*time.Millisecond
	r, err := Run(t.Context(), cfg)
	require.NoError(t, err)
	require.False(t, r.WarmupSteady)
	require.InDelta(t, 0.3, r.WarmupS, 0.1)
	require.Contains(t, joined(r), "not steady")
	slowUntil.Store(0)
	s.closeAll()
}

// TestReconnects: connections are made anew, without a request lost.
func TestReconnects(t *testing.T) {
	var accepted atomic.Int64
	s := serve(t, func(_ net.Conn, n int, _ []byte) bool {
		if n == 0 {
			accepted.Add(1)
		}
		return true
	})
	for _, mode := range []Mode{Open, Closed} {
		accepted.Store(0)
		r := mustRun(t, Config{Target: s.target(), Conns: 10, Rate: 5000, Mode: mode, Duration: 500 * time.Millisecond, Load: tagged{window: 64, hello: true}, Shape: Shape{ReconnectPerS: 200, Threads: 2}})
		require.Equal(t, r.Counts.Intended, r.Counts.Answered)
		require.Zero(t, r.Counts.Disconnects)
		require.NotNil(t, r.Reconnects)
		require.Positive(t, r.Reconnects.Begun)
		require.LessOrEqual(t, r.Reconnects.Begun, int64(110))
		require.Zero(t, r.Reconnects.Failed)
		require.GreaterOrEqual(t, accepted.Load(), r.Reconnects.Ready+10)
		require.Positive(t, r.Reconnects.Hello.P50Us)
	}
}

// TestStorm: many connect at once while the others go on.
func TestStorm(t *testing.T) {
	s := serve(t, nil)
	cfg := Config{Target: s.target(), Conns: 5, Rate: 1000, Duration: 500 * time.Millisecond, Load: tagged{window: 64, hello: true},
		Shape: Shape{StormConns: 101, StormAt: 100 * time.Millisecond, Threads: 2}}
	r := mustRun(t, cfg)
	require.Equal(t, r.Counts.Intended, r.Counts.Answered)
	require.NotNil(t, r.Storm)
	require.EqualValues(t, 101, r.Storm.Begun)
	require.EqualValues(t, 101, r.Storm.Ready)
	require.Zero(t, r.Storm.Failed)
	require.Positive(t, r.Storm.TookS)
	require.Positive(t, r.Storm.Connect.MaxUs)
	require.GreaterOrEqual(t, r.Storm.Hello.MaxUs, r.Storm.Connect.P50Us)

	// A server that takes no more: each of the storm fails, the others go on.
	var n atomic.Int64
	s = serve(t, func(conn net.Conn, reads int, _ []byte) bool { return reads > 0 || n.Add(1) <= 5 })
	cfg.Target = s.target()
	r = mustRun(t, cfg)
	require.EqualValues(t, 101, r.Storm.Failed)
	require.Zero(t, r.Storm.Ready)
	require.Zero(t, r.Counts.Disconnects)
	require.Equal(t, r.Counts.Intended, r.Counts.Answered)
	require.Contains(t, joined(r), "storm")
}

// TestSlowReaders: they get their bytes at their pace, and the others do not wait.
func TestSlowReaders(t *testing.T) {
	s := serve(t, nil)
	r := mustRun(t, Config{Target: s.target(), Conns: 10, Rate: 2000, Duration: 500 * time.Millisecond, Drain: 10 * time.Second,
		Load: tagged{window: 1024}, Shape: Shape{SlowShare: 0.2, SlowBytesPerS: 400}})
	require.Equal(t, r.Counts.Intended, r.Counts.Answered)
	require.InDelta(t, 800, r.Counts.Intended, 6*math.Sqrt(800))
	require.NotNil(t, r.Slow)
	require.Equal(t, 2, r.Slow.Conns)
	require.InDelta(t, 200, r.Slow.Intended, 6*math.Sqrt(200))
	// 8 bytes an answer: 2 x 400 bytes/s in 0.5 s are 50 answers.
	require.Less(t, r.Slow.Answered, r.Slow.Intended/2)
	require.Positive(t, r.Slow.Answered)
}

// TestTimeouts are counted, whether the answer comes or not.
func TestTimeouts(t *testing.T) {
	var once sync.Once
	s := serve(t, func(net.Conn, int, []byte) bool {
		once.Do(func() { time.Sleep(100 * time.Millisecond) })
		return true
	})
	r := mustRun(t, Config{Target: s.target(), Conns: 1, Rate: 2000, Duration: 200 * time.Millisecond, Load: tagged{window: 1024}, Shape: Shape{Timeout: 50 * time.Millisecond}})
	require.Equal(t, r.Counts.Intended, r.Counts.Answered)
	require.InDelta(t, 100, r.Counts.TimedOut, 60)
	require.InDelta(t, float64(r.Counts.TimedOut)/float64(r.Counts.Intended), shareAbove(r.All.Latency, 50_000), 0.1)
	require.Contains(t, joined(r), "--timeout")
}

// TestRequestTimes: each request with its three times, and what had no room counted.
func TestRequestTimes(t *testing.T) {
	s := serve(t, nil)
	cfg := Config{Target: s.target(), Conns: 4, Rate: 2000, Warmup: 20 * time.Millisecond, Duration: 200 * time.Millisecond, Load: tagged{window: 64}, Requests: 10_000, Shape: Shape{Threads: 2}}
	r := mustRun(t, cfg)
	require.EqualValues(t, r.Counts.Intended, r.Requests.Count)
	require.Zero(t, r.Requests.LeftOut)
	var text bytes.Buffer
	require.NoError(t, r.Requests.WriteCSV(&text))
	lines := csv.NewReader(&text)
	head, err := lines.Read()
	require.NoError(t, err)
	require.Equal(t, []string{"intended_ns", "sent_ns", "received_ns", "connection", "kind"}, head)
	last, sum, n := int64(0), 0.0, 0
	for {
		line, err := lines.Read()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		var at [3]int64
		for i := range at {
			at[i], err = strconv.ParseInt(line[i], 10, 64)
			require.NoError(t, err)
		}
		require.True(t, last <= at[0] && at[0] <= at[1] && at[1] < at[2], line)
		require.Less(t, at[0], int64(200_000_000))
		last, sum, n = at[0], sum+float64(at[2]-at[0])/1e3, n+1
	}
	require.InEpsilon(t, r.All.Latency.MeanUs, sum/float64(n), 0.01)

	cfg.Requests = 100
	r = mustRun(t, cfg)
	require.Equal(t, r.Counts.Intended, int64(r.Requests.Count)+r.Requests.LeftOut)
	require.Equal(t, 100, r.Requests.Count)
	require.Contains(t, joined(r), "left out")
}

// TestShapeRefused: each error names the flag to change.
func TestShapeRefused(t *testing.T) {
	for flag, shape := range map[string]Shape{
		"--arrivals": {Arrivals: "even"}, "--burst-size": {Arrivals: ArrivalsBursts}, "--ramp-from": {RampFrom: -1},
		"--reconnect-rate": {ReconnectPerS: math.NaN()}, "--storm-conns": {StormConns: -1}, "--storm-at": {StormConns: 1, StormAt: time.Second},
		"--slow-share": {SlowShare: 0.1}, "--slow-rate": {SlowShare: 0.5}, "--timeout": {Timeout: -1}, "--threads": {Threads: 5}, "--warmup-most": {WarmupMost: -1},
	} {
		_, err := Run(t.Context(), Config{Target: "127.0.0.1:1", Conns: 4, Rate: 1, Duration: time.Second, Load: tagged{window: 4}, Shape: shape})
		require.ErrorContains(t, err, flag)
	}
	_, err := Run(t.Context(), Config{Target: "127.0.0.1:1", Conns: 4, Mode: Closed, Duration: time.Second, Load: tagged{window: 4}, Shape: Shape{Arrivals: ArrivalsConstant}})
	require.ErrorContains(t, err, "closed loop")
}
