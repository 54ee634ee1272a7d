package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// SLO is a bound on latency that a rate keeps or not.
type SLO struct {
	// Quantile, in (0,1), of the requests' latencies from their intended send times
	// must be at most Bound.
	Quantile float64
	Bound    time.Duration
	// Precision is how near the rate is found, relatively: 0.05 for 5 %, the default.
	Precision float64
	// For is how long each try lasts; default 1 s. A rate so low that the quantile
	// would stand on fewer than ten requests beyond it is tried longer, up to ten times.
	For time.Duration
}

const (
	defaultPrecision = 0.05
	defaultTryFor    = time.Second
	// beyondQuantile is how many requests should lie beyond the quantile.
	beyondQuantile = 10
	longestTries   = 10
	// leastRate is below all that a search is for, in requests/s.
	leastRate = 1
	// A rate is kept if two of three tries keep it: one try may meet the noise of a
	// shared machine, or a moment of luck.
	majority, mostTries = 2, 3
)

// ParseSLO reads "p99=1ms", "p99.9=500us".
func ParseSLO(text string) (SLO, error) {
	name, bound, ok := strings.Cut(text, "=")
	percent, isP := strings.CutPrefix(name, "p")
	q, err := strconv.ParseFloat(percent, 64)
	d, err2 := time.ParseDuration(bound)
	if !ok || !isP || err != nil || err2 != nil {
		return SLO{}, fmt.Errorf("load: SLO (--slo) %q: want a percentile and a time, as in p99=1ms", text)
	}
	s := SLO{Quantile: q / 100, Bound: d}
	s, err = s.withDefaults()
	return s, err
}

// String is what ParseSLO reads.
func (s SLO) String() string {
	return "p" + strconv.FormatFloat(math.Round(s.Quantile*1e8)/1e6, 'f', -1, 64) + "=" + strings.Replace(s.Bound.String(), "µs", "us", 1)
}

func (s SLO) withDefaults() (SLO, error) {
	if s.Precision == 0 {
		s.Precision = defaultPrecision
	}
	if s.For == 0 {
		s.For = defaultTryFor
	}
	switch {
	case !(s.Quantile > 0 && s.Quantile < 1):
		return s, fmt.Errorf("load: SLO (--slo): the percentile is %v: must be above 0 and below 100", 100*s.Quantile)
	case s.Bound <= 0:
		return s, fmt.Errorf("load: SLO (--slo): the bound is %v: must be above 0", s.Bound)
	case !(s.Precision >= 0.001 && s.Precision <= 1):
		return s, fmt.Errorf("load: SLO (--slo-precision) is %v: must be 0.001 to 1 (0.1 to 100 %%)", s.Precision)
	case s.For < 0:
		return s, fmt.Errorf("load: SLO (--slo-for) is %v: must be above 0", s.For)
	}
	return s, nil
}

// SLOReport is what a search found.
type SLOReport struct {
	SLO string `json:"slo"`
	// RatePerS is the highest rate that was kept, in requests/s; 0 if none was.
	RatePerS float64 `json:"rate_per_s"`
	// Limit is LimitServer, LimitLoad or LimitNone; Why says it in words.
	Limit string `json:"limit"`
	Why   string `json:"why"`
	// Tried are all tries, in order.
	Tried []SLOTry `json:"tried"`
}

// What kept the rate from being higher.
const (
	LimitServer = "server"
	LimitLoad   = "load" // the server may do more
	LimitNone   = "none" // no rate that can be tried was kept
)

// SLOTry is one run at one rate.
type SLOTry struct {
	RatePerS float64 `json:"rate_per_s"`
	// ValueUs is the quantile's latency, 0 if nothing was measured.
	ValueUs    float64 `json:"value_us"`
	Throughput float64 `json:"throughput"`
	Kept       bool    `json:"kept"`
	// Why not, or what the load has to say against itself.
	Why string `json:"why,omitempty"`
	// LoadBusy is the share of the time that the load had something to do, PacingUs
	// how late it was itself at the SLO's quantile.
	LoadBusy float64 `json:"load_busy"`
	PacingUs float64 `json:"pacing_us"`
	// LoadWasLimit: this try says nothing of the server.
	LoadWasLimit bool    `json:"load_was_limit,omitempty"`
	DurationS    float64 `json:"duration_s"`
}

// SearchSLO looks for the highest open-loop rate that keeps the SLO: it doubles or
// halves cfg.Rate until it has one rate that is kept and one that is not, and then
// bisects. cfg.Warmup and the like are those of each try; cfg.Duration is not used.
// onTry, if not nil, is told each try as it ends.
//
// The first error of a run ends the search, but for the loss of all connections,
// which is a rate that is not kept.
func SearchSLO(ctx context.Context, cfg Config, slo SLO, onTry func(SLOTry)) (*SLOReport, error) {
	slo, err := slo.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.Mode == Closed {
		return nil, errors.New("load: an SLO (--slo) is of the open loop: leave out --closed")
	}
	s := search{cfg: cfg, slo: slo, report: SLOReport{SLO: slo.String()}, onTry: onTry}
	if err := s.find(ctx, func(ctx context.Context, rate float64) (SLOTry, error) { return s.run(ctx, rate) }); err != nil {
		return nil, err
	}
	return &s.report, nil
}

type search struct {
	cfg    Config
	slo    SLO
	report SLOReport
	onTry  func(SLOTry)
}

// find does the search with whatever tries a rate.
func (s *search) find(ctx context.Context, try func(context.Context, float64) (SLOTry, error)) error {
	kept, failed := 0.0, math.Inf(1) // brackets of the rate
	rate := s.cfg.Rate
	for failed > kept*(1+s.slo.Precision) {
		ok, limit, err := s.decide(ctx, rate, try)
		if err != nil {
			return err
		}
		if ok {
			kept = rate
		} else {
			failed = rate
			s.limitedBy(limit, rate)
		}
		switch {
		case math.IsInf(failed, 1) && rate >= mostRate:
			s.limitedBy(true, rate)
			failed = rate
		case math.IsInf(failed, 1):
			rate = min(2*rate, mostRate)
		case kept == 0 && rate <= leastRate:
			s.report.Limit, s.report.Why = LimitNone, fmt.Sprintf("even %.3g requests/s did not keep it", rate)
			return nil
		case kept == 0:
			rate = max(rate/2, leastRate)
		default:
			rate = math.Sqrt(kept * failed)
		}
	}
	s.report.RatePerS = kept
	return nil
}

func (s *search) limitedBy(load bool, rate float64) {
	last := s.report.Tried[len(s.report.Tried)-1]
	s.report.Limit = LimitServer
	s.report.Why = fmt.Sprintf("at %.0f requests/s: %s", rate, last.Why)
	if load {
		s.report.Limit = LimitLoad
		s.report.Why = fmt.Sprintf("at %.0f requests/s the load was the limit, the server may do more: busy for %.0f %% of the time, %.0f us late", rate, 100*last.LoadBusy, last.PacingUs)
	}
}

// decide tries a rate until a majority agrees. loadLimit is whether it was the load
// that kept it from being kept.
func (s *search) decide(ctx context.Context, rate float64, try func(context.Context, float64) (SLOTry, error)) (ok, loadLimit bool, err error) {
	kept, not, byLoad := 0, 0, 0
	for range mostTries {
		t, err := try(ctx, rate)
		if err != nil {
			return false, false, err
		}
		s.report.Tried = append(s.report.Tried, t)
		if s.onTry != nil {
			s.onTry(t)
		}
		if t.Kept {
			kept++
		} else {
			not++
		}
		if t.LoadWasLimit {
			byLoad++
		}
		if kept == majority || not == majority {
			break
		}
	}
	return kept >= majority, byLoad >= majority, nil
}

// run tries a rate once.
func (s *search) run(ctx context.Context, rate float64) (SLOTry, error) {
	cfg := s.cfg
	cfg.Rate, cfg.Requests, cfg.Tail = rate, 0, 0
	wanted := beyondQuantile / (1 - s.slo.Quantile) / rate * float64(time.Second)
	cfg.Duration = min(max(s.slo.For, time.Duration(min(wanted, 1e15))), longestTries*s.slo.For)
	// What is not answered by then breaks the bound whatever else comes.
	cfg.Drain = max(2*s.slo.Bound, 200*time.Millisecond)
	r, hist, err := run(ctx, cfg)
	if r == nil || err != nil && !errors.Is(err, errAllGone) {
		return SLOTry{}, err
	}
	return s.judge(rate, r, hist, err), nil
}

// Bounds of a try in which the load itself is in doubt: it was busy nearly all the
// time, or so late itself that a good part of the bound is its own.
const (
	loadLimitBusy   = 0.95
	loadLimitPacing = 0.5
)

func (s *search) judge(rate float64, r *Report, hist *hdrhistogram.Histogram, err error) SLOTry {
	t := SLOTry{RatePerS: rate, Throughput: r.Throughput, LoadBusy: r.Self.Busy, DurationS: r.DurationS}
	q := 100 * s.slo.Quantile
	t.ValueUs, t.PacingUs = us(hist.ValueAtPercentile(q)), r.Self.Pacing.at(q)
	bound := float64(s.slo.Bound) / 1e3
	switch {
	case err != nil:
		t.Why = err.Error()
	case r.Counts.Intended == 0:
		t.Why = "no request fell into the try: it is too short for this rate (--slo-for)"
	case t.ValueUs > bound:
		t.Why = fmt.Sprintf("%s was %.1f us", s.slo.name(), t.ValueUs)
	case float64(r.Counts.Errors()) > (1-s.slo.Quantile)*float64(r.Counts.Intended):
		t.Why = fmt.Sprintf("%d errors", r.Counts.Errors())
	case float64(r.Counts.Intended) < rate*r.DurationS/2:
		t.Why = "the load did not reach half of the rate"
	default:
		t.Kept = true
	}
	t.LoadWasLimit = !t.Kept && (t.LoadBusy > loadLimitBusy || t.PacingUs > loadLimitPacing*bound)
	return t
}

func (s SLO) name() string { name, _, _ := strings.Cut(s.String(), "="); return name }

// at is the value at a percentile as the curve tells it: that of the next point of it.
func (s *Summary) at(percentile float64) float64 {
	for _, p := range s.Curve {
		if p.Percentile() >= percentile {
			return p.ValueUs()
		}
	}
	return s.MaxUs
}
