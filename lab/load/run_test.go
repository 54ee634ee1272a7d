package load

import (
	"context"
	"encoding/json"
	"math"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/syslet/syslet/workloads/script"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(stoppedServerEnv) != "" {
		runStoppedServer()
		return
	}
	before := openFiles()
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println("leaked goroutines:", err.Error())
			code = 1
		}
		if after := openFiles(); after > before+2 { // the runtime's own poller may have come
			println("leaked descriptors: before", before, "after", after)
			code = 1
		}
	}
	os.Exit(code)
}

func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

func TestOpenLoop(t *testing.T) {
	s := serve(t, nil)
	var mu sync.Mutex
	var told []string
	cfg := Config{
		Target: s.target(), Conns: 20, Rate: 2000, Warmup: 100 * time.Millisecond, Duration: 500 * time.Millisecond,
		Seed: 7, Load: tagged{window: 16, hello: true},
		OnPhase: func(p Phase) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, p.Name)
		},
	}
	r := mustRun(t, cfg)
	require.Equal(t, []string{PhaseConnect, PhaseWarmup, PhaseMeasure, PhaseDrain, PhaseDone}, told)
	require.Len(t, r.Phases, 5)
	// The count is decided by the seed alone: 1,000 expected, within 6 sigma.
	require.InDelta(t, 1000, r.Counts.Intended, 6*math.Sqrt(1000))
	require.Equal(t, r.Counts.Intended, r.Counts.Answered)
	require.InDelta(t, 0.5, r.DurationS, 1e-9)
	require.InDelta(t, float64(r.Counts.Intended)/0.5, r.Offered, 1e-6)
	require.Len(t, r.Kinds, 2)
	require.Positive(t, r.Kinds[1].Latency.Count)
	require.Greater(t, r.Kinds[0].Latency.Count, r.Kinds[1].Latency.Count)
	require.GreaterOrEqual(t, r.All.Latency.P50Us, r.All.Service.P50Us*0.9)
	require.Positive(t, r.Self.CPUTimeS)
	require.Positive(t, r.Counts.BytesIn)
	require.NotEmpty(t, r.Self.CPUs)
	data, err := json.Marshal(r)
	require.NoError(t, err)
	var back Report
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, r.Counts, back.Counts)
}

func TestClosedLoop(t *testing.T) {
	s := serve(t, nil)
	r := mustRun(t, Config{
		Target: s.target(), Conns: 4, Mode: Closed, Outstanding: 8, Warmup: 50 * time.Millisecond,
		Duration: 300 * time.Millisecond, Load: tagged{window: 16},
	})
	require.Positive(t, r.Throughput)
	require.Zero(t, r.Counts.Errors())
	require.Zero(t, r.Self.Pacing.Count)
	require.Equal(t, r.All.Latency.MaxUs, r.All.Service.MaxUs)
	require.Greater(t, r.Counts.Intended, int64(4*8))
}

// TestHeldBack: with one tag per connection and answers that take their time,
// arrivals are held back, all are answered, and their wait is in the latency.
func TestHeldBack(t *testing.T) {
	s := serve(t, func(net.Conn, int, []byte) bool { time.Sleep(2 * time.Millisecond); return true })
	r := mustRun(t, Config{
		Target: s.target(), Conns: 2, Rate: 2000, Duration: 200 * time.Millisecond, Drain: 10 * time.Second,
		Load: tagged{window: 1},
	})
	require.Positive(t, r.Counts.HeldBack)
	require.Equal(t, r.Counts.Intended, r.Counts.Answered)
	// At most 2 connections x 0.2 s / 2 ms = 200 of about 400 fit the window: the
	// last waits long, and not because its answer took long.
	require.Greater(t, r.All.Latency.MaxUs, 50_000.0)
	require.Greater(t, r.All.SendLag.MaxUs, 50_000.0)
	require.Contains(t, joined(r), "held back")
	require.Contains(t, joined(r), "did not keep up")
}

// TestStandstill is the test for coordinated omission: the server stands still for
// 200 ms, and the open loop must show as many long waits as players would have
// had, up to the whole length.
func TestStandstill(t *testing.T) {
	const pause, rate = 200 * time.Millisecond, 2000
	run := func(mode Mode) *Report {
		s := serve(t, nil)
		var paused time.Duration
		r := mustRun(t, Config{
			Target: s.target(), Conns: 10, Rate: rate, Mode: mode, Duration: time.Second, Load: tagged{window: 256}, Seed: 3,
			OnPhase: func(p Phase) {
				if p.Name == PhaseMeasure {
					s.paused.Lock()
					began := time.Now()
					time.Sleep(pause) // the standstill itself
					paused = time.Since(began)
					s.paused.Unlock()
				}
			},
		})
		require.GreaterOrEqual(t, paused, pause)
		return r
	}
	open := run(Open)
	require.Equal(t, open.Counts.Intended, open.Counts.Answered)
	// Of about 400 arrivals in the standstill, those in its first 150 ms wait 50 ms
	// and more: 300 of 2,000.
	require.Greater(t, shareAbove(open.All.Latency, 50_000), 0.10)
	require.Greater(t, open.All.Latency.P999Us, 190_000.0)
	require.Greater(t, open.All.Latency.P99Us, 150_000.0)

	// The closed loop sees the same standstill once per connection and no more.
	closed := run(Closed)
	require.Greater(t, closed.All.Latency.MaxUs, 150_000.0)
	require.LessOrEqual(t, shareAbove(closed.All.Latency, 150_000)*float64(closed.Counts.Intended), 10.5)
}

// shareAbove is the share of samples above us, read off the curve.
func shareAbove(s Summary, us float64) float64 {
	for _, p := range s.Curve {
		if p.ValueUs() > us {
			return 1 - p.Percentile()/100
		}
	}
	return 0
}

// TestDeadServer: a server that accepts and never answers ends the run in time,
// with every request in the histogram at what it waited.
func TestDeadServer(t *testing.T) {
	s := serve(t, func(_ net.Conn, n int, p []byte) bool { return true })
	s.paused.Lock()
	defer s.paused.Unlock()
	r := mustRun(t, Config{
		Target: s.target(), Conns: 3, Rate: 500, Duration: 200 * time.Millisecond, Drain: 200 * time.Millisecond,
		Load: tagged{window: 16},
	})
	require.Zero(t, r.Counts.Answered)
	require.Positive(t, r.Counts.Unanswered)
	require.Positive(t, r.Counts.Unsent, "the window is full: 3 x 16 of about 100")
	require.GreaterOrEqual(t, r.All.Latency.MaxUs, 200_000.0)
	require.GreaterOrEqual(t, r.All.Latency.P50Us, 200_000.0)
	require.Contains(t, joined(r), "no answer")
}

// TestLostConnections: some break in mid-run; the run goes on with the others.
func TestLostConnections(t *testing.T) {
	var mu sync.Mutex
	broken := 0
	s := serve(t, func(_ net.Conn, n int, p []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		if n == 20 && broken < 3 {
			broken++
			return false
		}
		return true
	})
	r := mustRun(t, Config{Target: s.target(), Conns: 8, Rate: 4000, Duration: 300 * time.Millisecond, Drain: time.Second, Load: tagged{window: 64}})
	require.EqualValues(t, 3, r.Counts.Disconnects)
	require.GreaterOrEqual(t, r.Counts.Lost, int64(3))
	require.Positive(t, r.Counts.Answered)
	require.Contains(t, joined(r), "connections were lost")
	require.NotEmpty(t, r.LastFailure)
}

func TestAllConnectionsLost(t *testing.T) {
	s := serve(t, func(_ net.Conn, n int, p []byte) bool { return n < 20 })
	r, err := Run(context.Background(), Config{Target: s.target(), Conns: 4, Rate: 4000, Duration: 10 * time.Second, Load: tagged{window: 64}})
	require.ErrorIs(t, err, errAllGone)
	require.NotNil(t, r)
	checkBalance(t, r)
	require.True(t, r.Interrupted)
	require.Positive(t, r.Counts.Answered)
	require.Positive(t, r.Counts.Lost)
	require.Less(t, r.DurationS, 10.0)
}

func TestProtocolFaults(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(p []byte)
		count func(*Counts) int64
	}{
		"violation":    {func(p []byte) { copy(p, "\xff\xff\xff\xff") }, func(c *Counts) int64 { return c.ProtocolErrors }},
		"out of range": {func(p []byte) { copy(p, "\x00\x01\x00\x00") }, func(c *Counts) int64 { return c.StrayAnswers }},
		"twice":        {func(p []byte) { p[0] ^= 32 }, func(c *Counts) int64 { return c.StrayAnswers }},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(conn net.Conn, n int, p []byte) bool {
				if n == 10 {
					c.spoil(p)
				}
				return true
			})
			r, err := Run(context.Background(), Config{Target: s.target(), Conns: 2, Rate: 1000, Duration: 5 * time.Second, Load: tagged{window: 64}})
			require.ErrorIs(t, err, errAllGone)
			checkBalance(t, r)
			require.EqualValues(t, 2, c.count(&r.Counts))
		})
	}
}

// badScript hands out a tag that is in use.
type badScript struct{ tagged }

func (b badScript) Client(i int, seed uint64) script.Client {
	return badClient{b.tagged.Client(i, seed)}
}

type badClient struct{ script.Client }

func (b badClient) Request(dst []byte) ([]byte, uint32, int) {
	dst, _, _ = b.Client.Request(dst)
	return dst, 5, 0
}

func TestScriptFault(t *testing.T) {
	s := serve(t, nil)
	s.paused.Lock()
	defer s.paused.Unlock()
	r, err := Run(context.Background(), Config{Target: s.target(), Conns: 2, Rate: 1000, Duration: time.Second, Load: badScript{tagged{window: 64}}})
	require.ErrorIs(t, err, errAllGone)
	checkBalance(t, r)
	require.EqualValues(t, 2, r.Counts.ScriptErrors)
}

func TestConnectFailures(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := free.Addr().String()
	free.Close()
	cfg := Config{Target: nobody, Conns: 3, Rate: 10, Duration: time.Second, Load: tagged{window: 4, hello: true}}
	_, err = Run(context.Background(), cfg)
	require.ErrorContains(t, err, "connection refused")

	s := serve(t, nil)
	s.paused.Lock()
	defer s.paused.Unlock()
	cfg.Target, cfg.ConnectTimeout = s.target(), 50*time.Millisecond
	_, err = Run(context.Background(), cfg)
	require.ErrorContains(t, err, "Config.ConnectTimeout")
	require.ErrorContains(t, err, "3 connected, 0 ready")

	cfg.Target = "127.0.0.1"
	_, err = Run(context.Background(), cfg)
	require.ErrorContains(t, err, "Config.Target")
}

func TestContextEndsTheRun(t *testing.T) {
	s := serve(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cfg := Config{Target: s.target(), Conns: 3, Rate: 1000, Duration: time.Hour, Load: tagged{window: 64}}
	cfg.OnProgress = func(p Progress) {
		if p.Answered > 50 {
			cancel()
		}
	}
	r, err := Run(ctx, cfg)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, r.Interrupted)
	checkBalance(t, r)
	require.Positive(t, r.Counts.Answered)

	_, err = Run(ctx, cfg) // cancelled before it begins
	require.ErrorIs(t, err, context.Canceled)
}

func TestConfigRefused(t *testing.T) {
	good := Config{Target: "127.0.0.1:1", Conns: 1, Rate: 1, Duration: time.Second, Load: tagged{window: 4}}
	for field, spoil := range map[string]func(*Config){
		"Load":           func(c *Config) { c.Load = nil },
		"Target":         func(c *Config) { c.Target = "" },
		"Conns":          func(c *Config) { c.Conns = 0 },
		"Rate":           func(c *Config) { c.Rate = math.NaN() },
		"Mode":           func(c *Config) { c.Mode = "half" },
		"Outstanding":    func(c *Config) { c.Mode, c.Outstanding = Closed, 5 },
		"Duration":       func(c *Config) { c.Duration = 0 },
		"Warmup":         func(c *Config) { c.Warmup = -1 },
		"ConnectRate":    func(c *Config) { c.ConnectRate = -1 },
		"Window":         func(c *Config) { c.Load = tagged{window: 3} },
		"ConnectTimeout": func(c *Config) { c.ConnectTimeout = -1 },
	} {
		cfg := good
		spoil(&cfg)
		_, err := Run(context.Background(), cfg)
		require.ErrorContains(t, err, field)
	}
	good.CPUs = []int{1000}
	_, err := Run(context.Background(), good)
	require.ErrorContains(t, err, "Config.CPUs")
}

// TestOneProc: confined to one P, the callbacks still run beside the spinning loop.
func TestOneProc(t *testing.T) {
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	s := serve(t, nil)
	told := 0
	mustRun(t, Config{
		Target: s.target(), Conns: 2, Rate: 5000, Duration: 100 * time.Millisecond, Load: tagged{window: 64},
		OnPhase: func(Phase) { told++ },
	})
	require.Equal(t, 5, told)
	require.Equal(t, 1, runtime.GOMAXPROCS(0))
}

// TestNoAllocationPerRequest counts what the whole process allocates within the
// window; the echo server allocates nothing per message either.
func TestNoAllocationPerRequest(t *testing.T) {
	s := serve(t, nil)
	var from, until runtime.MemStats
	cfg := Config{
		Target: s.target(), Conns: 10, Mode: Closed, Outstanding: 4, Warmup: 100 * time.Millisecond, Duration: 300 * time.Millisecond,
		Load: tagged{window: 16},
		OnPhase: func(p Phase) {
			switch p.Name {
			case PhaseMeasure:
				runtime.ReadMemStats(&from)
			case PhaseDrain:
				runtime.ReadMemStats(&until)
			}
		},
	}
	r := mustRun(t, cfg)
	require.Less(t, float64(until.Mallocs-from.Mallocs), 0.05*float64(r.Counts.Answered)+200)
}

func joined(r *Report) string {
	out := ""
	for _, s := range r.Suspicions {
		out += s + "\n"
	}
	return out
}
