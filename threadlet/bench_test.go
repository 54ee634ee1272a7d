package threadlet

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// BenchmarkEnterLeave is what a body that does not block costs.
func BenchmarkEnterLeave(b *testing.B) {
	b.ReportAllocs()
	left := b.N
	var p *Pool
	p = open(b, Config{CPU: anyCPU(b), Standbys: 2, Loop: func() {
		for ; left > 0; left-- { // another thread goes on if this one has been off its CPU
			if !p.Leave(p.Enter()) {
				return
			}
		}
	}})
	b.ResetTimer()
	require.NoError(b, p.Run())
}

// BenchmarkBodyAndIdle is what an idle wait costs on top of the wait, if a body was run before it.
func BenchmarkBodyAndIdle(b *testing.B) {
	b.ReportAllocs()
	left := b.N
	var p *Pool
	p = open(b, Config{CPU: anyCPU(b), Standbys: 2, Loop: func() {
		for ; left > 0; left-- { // another thread goes on if this one has been off its CPU
			if !p.Leave(p.Enter()) {
				return
			}
			p.Idle()
		}
	}})
	b.ResetTimer()
	require.NoError(b, p.Run())
}

func open(b *testing.B, cfg Config) *Pool {
	cfg.Name = "bench"
	p, err := Open(cfg)
	require.NoError(b, err)
	return p
}

// BenchmarkTakeover measures from just before the body blocks to the next head in its loop.
func BenchmarkTakeover(b *testing.B) {
	read := func(fd int) { _, _ = unix.Read(fd, make([]byte, 8)) }
	sleep := func(int) { sleepNs(200_000) }
	for _, c := range []struct {
		name     string
		detector string
		announce bool
		block    func(fd int)
	}{
		{"announced/read", DetectorExplicit, true, read},
		{"announced+switch/read", DetectorSwitch, true, read},
		{"announced+idle/read", DetectorIdle, true, read},
		{"idle/read", DetectorIdle, false, read},
		{"idle/nanosleep", DetectorIdle, false, sleep},
		{"switch/read", DetectorSwitch, false, read},
		{"switch/nanosleep", DetectorSwitch, false, sleep},
		{"timer/read", DetectorTimer, false, read},
	} {
		for _, cpu := range []int{anyCPU(b), -1} {
			place := "oneCPU"
			if cpu < 0 {
				place = "unbound"
			}
			b.Run(c.name+"/"+place, func(b *testing.B) {
				needDetector(b, c.detector, cpu)
				r := &relay{announce: c.announce, block: c.block, rounds: b.N}
				r.run(b, Config{CPU: cpu, Standbys: 2, Detector: c.detector})
			})
		}
	}
}

// relay is a loop in which each body blocks until the next head lets it go and has waited for it to be through.
type relay struct {
	pool        *Pool
	announce    bool
	block       func(fd int)
	rounds      int
	blocked     int // eventfd that the body reads
	home        int // eventfd that the loop waits for
	began       int64
	outstanding bool
	latencies   []float64
}

func (r *relay) run(b *testing.B, cfg Config) {
	var err error
	r.blocked, err = unix.Eventfd(0, 0)
	require.NoError(b, err)
	r.home, err = unix.Eventfd(0, 0)
	require.NoError(b, err)
	r.latencies = make([]float64, 0, b.N)
	cfg.Loop = r.loop
	r.pool = open(b, cfg)
	b.ReportAllocs()
	b.ResetTimer()
	require.NoError(b, r.pool.Run())
	b.StopTimer()
	require.NoError(b, unix.Close(r.blocked))
	require.NoError(b, unix.Close(r.home))
	r.report(b)
}

func (r *relay) report(b *testing.B) {
	slices.Sort(r.latencies)
	if n := len(r.latencies); n > 0 {
		b.ReportMetric(r.latencies[n/2], "p50-ns")
		b.ReportMetric(r.latencies[n*99/100], "p99-ns")
	}
	b.ReportMetric(float64(len(r.latencies))/float64(b.N), "taken/op")
	stats := r.pool.Stats()
	b.ReportMetric(float64(stats.FalseAlarms)/float64(b.N), "false/op")
	b.ReportMetric(float64(stats.Takeovers[BySwitch])/float64(b.N), "by-alarm/op")
	b.ReportMetric(float64(stats.Misses())/float64(b.N), "missed/op")
	if own := stats.LatencyNs[r.ownReason()]; own.Count() > 0 {
		b.ReportMetric(float64(own.QuantileNs(0.5)), "own-p50-ns") // from the kernel's switch-out to the claim
	}
}

func (r *relay) loop() {
	if r.outstanding {
		r.latencies = append(r.latencies, float64(r.pool.clk.nowNs()-r.began))
		r.release()
	}
	for r.rounds > 0 {
		for r.pool.free.Load() == 0 {
			sleepNs(1000) // the last one is on its way home; blocking now would block for ever
		}
		r.rounds--
		r.outstanding = true
		ticket := r.pool.Enter()
		r.began = r.pool.clk.nowNs()
		if r.announce {
			r.pool.HandOver(ticket)
		}
		r.block(r.blocked)
		if !r.pool.Leave(ticket) {
			signalEventfd(r.home)
			return
		}
		r.outstanding = false
	}
}

func (r *relay) release() {
	signalEventfd(r.blocked)
	r.pool.Idle()
	_, _ = unix.Read(r.home, make([]byte, 8))
	r.outstanding = false
}

func (r *relay) ownReason() Reason {
	if r.pool.det.name() == DetectorIdle {
		return ByIdle
	}
	return BySwitch
}
