package sensor

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/syslet/syslet/lab/result"
)

// CacheProbe estimates how much of the cache a loop displaces per request, without
// a PMU (prime and probe: Osvik, Shamir, Tromer 2006, used here on ourselves). It
// runs in the loop's own thread: it fills a buffer of three quarters of the L2
// cache (a larger one displaces itself), lets the loop serve some requests, and times how long the buffer takes to come
// back. Lines that the loop pushed out cost as much as cold ones:
//
//	displaced = (t - warm) / (cold - warm) * lines
//
// where warm is taken anew before each sample, because clock and neighbours change.
// The kernel's part, interrupts, threads that run while the loop waits and, on a
// shared cache, the neighbours' are in it. A sample in which the loop's thread was
// preempted is left out: what displaced the lines was not the loop.
// It is lines displaced, not lines touched: a cache lets go of what was streamed
// through before what is used again.
// A buffer's line is displaced once at most, so the figure saturates, and requests
// that touch the same lines share them: it falls with the number of requests
// between. Compare only figures of the same ProbeConfig.
//
// Each sample costs the loop four to twelve walks through the buffer (some 50 us
// each): use it in trials of its own, or with a long Rest.
//
// Beside it, and in turn with it, a probe samples the other levels in the same way
// (levels.go): level 1 with a buffer of three quarters of it, the last with a sample of
// its lines. A level that the calibration cannot tell from the next is refused.
type CacheProbe struct {
	cfg ProbeConfig
	// levels[0] is level 2, which LinesPerRequest is about; those refused are not in it.
	levels  []*cacheLevel
	refused []LevelResult

	// active is read in every turn of the loop. It publishes nothing but itself.
	active atomic.Bool
	// begun counts Starts, so that the loop notices that it is to begin anew.
	begun atomic.Uint64

	// The loop's alone.
	seen    uint64
	stage   probeStage
	turnOf  int // levels[turnOf] is sampled
	pending uint64
	restNs  int64 // no sample before this time
	base    time.Time
	costNs  int64          // of this sample's filling
	filled  threadSwitches // when the buffer was filled
	warmNs  int64          // a walk then

	// mu guards sums: taken once per sample, after a walk of 100 us, never in an
	// ordinary turn.
	mu      sync.Mutex
	startNs int64 // of the last Start
	spentNs int64 // by samples since then
}

// ProbeConfig says how to sample.
type ProbeConfig struct {
	// BufferBytes defaults to 3/4 of the L2 cache, taken for 1 MiB if it is unknown.
	BufferBytes int
	// Every is the number of requests between filling and timing; default 8. A turn
	// of the loop is not cut in two, so it may be more.
	Every uint64
	// Rest is the time between two samples; default 3 ms, negative for none.
	Rest time.Duration
}

// ProbeCalibration is what was measured when the probe was made.
type ProbeCalibration struct {
	// WarmNs and ColdNs are the durations of a walk when all lines are there, and
	// when four times the L2 cache was read in between; FarNs when twice the last
	// level was. Only their difference enters the samples.
	WarmNs, ColdNs, FarNs int64
}

// ProbeResult is what was found since the last Start.
type ProbeResult struct {
	// LinesPerRequest is the median over the samples, MeanLinesPerRequest the mean:
	// one sample disturbed by a neighbour moves only the mean, and so does a rare
	// request that displaces much.
	LinesPerRequest     float64 `json:"lines_per_request"`
	MeanLinesPerRequest float64 `json:"mean_lines_per_request"`
	Samples             int64   `json:"samples"`
	// Requests lay between filling and timing, over all samples.
	Requests uint64 `json:"requests"`
	// Saturated samples found the whole buffer displaced: the true figure is higher.
	Saturated int64 `json:"saturated"`
	// Disturbed samples are left out: the thread was preempted, or the walk took
	// longer than any cache miss explains.
	Disturbed   int64   `json:"disturbed"`
	BufferBytes int     `json:"buffer_bytes"`
	WarmNsLine  float64 `json:"warm_ns_per_line"`
	ColdNsLine  float64 `json:"cold_ns_per_line"`
	Source      string  `json:"source"`
	// Levels are all levels, 1 first, those that are refused with the reason.
	Levels []LevelResult `json:"levels,omitempty"`
	// SampleNs is what a sample cost the loop, as a mean over the levels, and Share the
	// samples' part of the time since Start, 0 to 1.
	SampleNs float64 `json:"sample_ns"`
	Share    float64 `json:"share"`
}

type probeStage uint8

const (
	probeResting probeStage = iota
	probeCounting
)

type probeSums struct {
	samples, disturbed, saturated int64
	requests                      uint64
	lines                         float64
	// perRequest keeps the last samples for the median; samples says how many.
	perRequest [keptSamples]float32
}

const keptSamples = 4096

const (
	defaultL1Bytes    = 32 << 10
	defaultL2Bytes    = 1 << 20
	defaultProbeEvery = 8
	defaultProbeRest  = 3 * time.Millisecond
	// A busy neighbour can spoil a calibration; it is made anew this often.
	calibrationTries = 3
)

// NewCacheProbe maps the buffers and calibrates, which takes about half a second
// on the calling thread: call it on the loop's thread before the loop runs, or
// anywhere on the same kind of CPU. Error: no memory, a buffer of senseless size, or
// a machine on which level 2's cold lines cost no more than warm ones.
func NewCacheProbe(cfg ProbeConfig) (*CacheProbe, error) {
	z := machineSizes()
	if cfg.BufferBytes == 0 {
		cfg.BufferBytes = int(z.l2 / 4 * 3)
	}
	if cfg.Every == 0 {
		cfg.Every = defaultProbeEvery
	}
	if cfg.Rest == 0 {
		cfg.Rest = defaultProbeRest
	}
	p := &CacheProbe{cfg: cfg, base: time.Now()}
	if err := p.openLevels(z); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// Close frees the buffers. The loop must not call OnTurn any more.
func (p *CacheProbe) Close() (err error) {
	for _, l := range p.levels {
		err = errors.Join(err, l.close())
	}
	p.levels = nil
	return err
}

// Calibration is what was measured of level 2 when the probe was made.
func (p *CacheProbe) Calibration() ProbeCalibration { return p.levels[0].calibration }

// Start begins anew with the loop's next turn. Any goroutine.
func (p *CacheProbe) Start() {
	p.mu.Lock()
	for _, l := range p.levels {
		l.sums = probeSums{}
	}
	p.startNs, p.spentNs = int64(time.Since(p.base)), 0
	p.mu.Unlock()
	p.begun.Add(1)
	p.active.Store(true)
}

// Stop ends the sampling; what was found stays until the next Start. Any goroutine.
func (p *CacheProbe) Stop() { p.active.Store(false) }

// OnTurn is called by the loop's thread after each turn, with the number of
// requests that the turn served. While the probe is stopped it costs one load.
func (p *CacheProbe) OnTurn(requests uint64) {
	if p.active.Load() {
		p.turn(requests)
	}
}

func (p *CacheProbe) turn(requests uint64) {
	if begun := p.begun.Load(); begun != p.seen {
		p.seen, p.stage, p.restNs = begun, probeResting, 0
	}
	now := int64(time.Since(p.base))
	l := p.levels[p.turnOf]
	if p.stage == probeResting {
		if now < p.restNs {
			return
		}
		p.warmNs = l.fill()
		p.filled = switchesOfThread()
		p.stage, p.pending = probeCounting, 0
		p.costNs = int64(time.Since(p.base)) - now
		return
	}
	if p.pending += requests; p.pending < p.cfg.Every {
		return
	}
	took := l.chase.timedWalk()
	p.book(l, took, p.filled.preemptedSince())
	p.stage = probeResting
	p.turnOf = (p.turnOf + 1) % len(p.levels)
	p.restNs = int64(time.Since(p.base)) + int64(p.cfg.Rest)
}

// book enters a sample, unless a Start came in between.
func (p *CacheProbe) book(l *cacheLevel, tookNs int64, preempted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen != p.begun.Load() {
		return
	}
	p.spentNs += p.costNs + tookNs
	l.book(tookNs, p.warmNs, p.pending, preempted)
}

// displaced estimates the lines that a walk of this duration had to fetch, if one
// that had to fetch none took warmNs just before. It may be slightly negative:
// cutting that off in each sample would bend the mean.
func (c ProbeCalibration) displaced(tookNs, warmNs int64, lines int) (n float64, saturated, disturbed bool) {
	if tookNs > 2*max(c.FarNs, c.ColdNs) || warmNs > c.ColdNs {
		return 0, false, true
	}
	n = float64(tookNs-warmNs) / float64(c.ColdNs-c.WarmNs) * float64(lines)
	if n >= float64(lines) {
		return float64(lines), true, false
	}
	return n, false, false
}

// Result is what was found since the last Start. Any goroutine.
func (p *CacheProbe) Result() ProbeResult {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.levels[0]
	two := l.result()
	r := ProbeResult{
		LinesPerRequest: two.LinesPerRequest, MeanLinesPerRequest: two.MeanLinesPerRequest,
		Samples: two.Samples, Requests: two.Requests, Saturated: two.Saturated, Disturbed: two.Disturbed,
		BufferBytes: p.cfg.BufferBytes, Source: result.SourceProbe,
		WarmNsLine: two.WarmNsLine, ColdNsLine: two.ColdNsLine,
		Levels: append([]LevelResult{two}, p.refused...),
	}
	samples := r.Samples + r.Disturbed
	for _, l := range p.levels[1:] {
		one := l.result()
		r.Levels = append(r.Levels, one)
		samples += one.Samples + one.Disturbed
	}
	slices.SortFunc(r.Levels, func(a, b LevelResult) int { return a.Level - b.Level })
	if lasted := int64(time.Since(p.base)) - p.startNs; samples > 0 && lasted > 0 {
		r.SampleNs, r.Share = float64(p.spentNs)/float64(samples), float64(p.spentNs)/float64(lasted)
	}
	return r
}

// fewestSamples below which a mean says nothing.
const fewestSamples = 10

// Metric is the result as result.CacheMissesPerOp: lines of level 2 displaced.
func (r ProbeResult) Metric() result.Metric {
	if r.Samples < fewestSamples {
		return result.Missing(fmt.Sprintf("the cache probe got %d samples (%d disturbed), fewer than %d", r.Samples, r.Disturbed, fewestSamples), "1", result.SourceProbe)
	}
	if r.Saturated > r.Samples/2 {
		return result.Missing(fmt.Sprintf("more than the probe can tell: in %d of %d samples the whole buffer of %d KiB was displaced",
			r.Saturated, r.Samples, r.BufferBytes>>10), "1", result.SourceProbe)
	}
	return result.Of(r.LinesPerRequest, "1", result.SourceProbe)
}
