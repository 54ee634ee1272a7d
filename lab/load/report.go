package load

import (
	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/workloads/script"
)

// Report is what a run found. It marshals to JSON.
type Report struct {
	Target      string  `json:"target"`
	Mode        Mode    `json:"mode"`
	Conns       int     `json:"conns"`
	Outstanding int     `json:"outstanding,omitempty"` // closed loop, per connection
	Seed        uint64  `json:"seed"`
	RateAsked   float64 `json:"rate_asked,omitempty"` // requests/s, open loop
	Phases      []Phase `json:"phases"`
	// DurationS is the length of the window as it was, in seconds.
	DurationS float64 `json:"duration_s"`
	// Interrupted runs ended before their time; the figures are of the part run.
	Interrupted bool `json:"interrupted,omitempty"`

	// Offered is intended requests per second of the window; Throughput is answers
	// received per second of the window.
	Offered    float64 `json:"offered"`
	Throughput float64 `json:"throughput"`
	// Deliveries are the messages received per second of the window, those that
	// answer nothing included; 0 if the script has only answers.
	Deliveries float64 `json:"deliveries,omitempty"`

	// TailS is the length of the tail, in seconds; AnsweredInTail the answers in it.
	TailS          float64 `json:"tail_s,omitempty"`
	AnsweredInTail int64   `json:"answered_in_tail,omitempty"`

	// WarmupS is how long the warm-up lasted, in seconds; WarmupSteady, whether the
	// answers were found steady at its end.
	WarmupS      float64 `json:"warmup_s"`
	WarmupSteady bool    `json:"warmup_steady"`
	// Series is the window in slices of equal length.
	Series []result.Slice `json:"series,omitempty"`
	// MeanInFlight is the mean over the window of the requests without answer, from
	// their intended send time on, taken by the clock and not by the requests: by
	// Little's law it is Throughput times mean latency.
	MeanInFlight float64 `json:"mean_in_flight"`

	// ReadS is the length of the phase read, in seconds; AnsweredInRead the answers in it.
	ReadS          float64 `json:"read_s,omitempty"`
	AnsweredInRead int64   `json:"answered_in_read,omitempty"`

	Counts Counts `json:"counts"`
	// Storm and Reconnects are the connects of the window beside those at the begin.
	Storm      *ConnectReport `json:"storm,omitempty"`
	Reconnects *ConnectReport `json:"reconnects,omitempty"`
	// Slow are the slow readers' requests, which are in no other figure of requests.
	Slow *SlowReport `json:"slow,omitempty"`
	// Requests are those that Config.Requests asks for.
	Requests *RequestsReport `json:"requests,omitempty"`
	// All is over every kind, unsent requests included; Kinds are in the script's order.
	All   KindReport   `json:"all"`
	Kinds []KindReport `json:"kinds"`

	// Self is of the busiest thread, but for pacing, which is over all; Threads are all
	// of them, if there are several.
	Self    Self   `json:"self"`
	Threads []Self `json:"threads,omitempty"`
	// Suspicions are reasons to doubt the figures, in words; empty is good.
	Suspicions []string `json:"suspicions"`
	// LastFailure is the last failure of a connection, if there was one.
	LastFailure string `json:"last_failure,omitempty"`
}

// Counts are of the window unless they say otherwise. Invariant:
// Intended = Answered + Unanswered + Lost + Unsent.
type Counts struct {
	Intended int64 `json:"intended"`
	// Answered are requests of the window that got their answer, until the end of
	// the drain. AnsweredInWindow were received in the window, whenever asked.
	Answered         int64 `json:"answered"`
	AnsweredInWindow int64 `json:"answered_in_window"`
	// HeldBack had to wait for a free tag (script.Load.Window).
	HeldBack int64 `json:"held_back"`
	// Unanswered at the end of the drain; Lost with their connection; Unsent are
	// those still held back at the end.
	Unanswered int64 `json:"unanswered"`
	Lost       int64 `json:"lost"`
	Unsent     int64 `json:"unsent"`
	// TimedOut had no answer within Shape.Timeout of their intended send time. They
	// are counted among the others, too, by how they ended.
	TimedOut int64 `json:"timed_out,omitempty"`
	// Clipped values were above 60 s and stand in the histograms as 60 s.
	Clipped int64 `json:"clipped"`
	// Disconnects, faults: from the warm-up to the end.
	Disconnects int64 `json:"disconnects"`
	// ProtocolErrors: the script said so. StrayAnswers: to no open request.
	// ScriptErrors: the script's own fault.
	ProtocolErrors int64 `json:"protocol_errors"`
	StrayAnswers   int64 `json:"stray_answers"`
	ScriptErrors   int64 `json:"script_errors"`
	BytesOut       int64 `json:"bytes_out"`
	BytesIn        int64 `json:"bytes_in"`
	// BytesUnsolicited came in reads that answered nothing.
	BytesUnsolicited int64 `json:"bytes_unsolicited"`
	// Delivered messages: BytesIn by their length, where script.Deliverer tells it.
	Delivered float64 `json:"delivered,omitempty"`
}

// Errors is the sum of what must not happen.
func (c *Counts) Errors() int64 {
	return c.Unanswered + c.Lost + c.Unsent + c.ProtocolErrors + c.StrayAnswers + c.ScriptErrors
}

// ConnectReport is of connects in mid-run.
type ConnectReport struct {
	// Begun = Connected and still so or not at the end + Failed. Failed were refused, or
	// ended before the run did.
	Begun     int64 `json:"begun"`
	Connected int64 `json:"connected"`
	Ready     int64 `json:"ready"`
	Failed    int64 `json:"failed"`
	// Connect is from the connect until the socket was open, which the kernel does
	// without the server while its backlog has room; Hello until the script was ready.
	Connect Summary `json:"connect"`
	Hello   Summary `json:"hello"`
	// TookS is from the storm's moment until its last connection was ready, in seconds.
	TookS float64 `json:"took_s,omitempty"`
}

// SlowReport is of slow readers. Requests that were not answered are in its latency
// with the time that they waited, if they were sent.
type SlowReport struct {
	Conns    int        `json:"conns"`
	Intended int64      `json:"intended"`
	Answered int64      `json:"answered"`
	Latency  KindReport `json:"latency"`
}

// KindReport is one kind of request.
type KindReport struct {
	Name    string  `json:"name"`
	Latency Summary `json:"latency"`
	Service Summary `json:"service"`
	SendLag Summary `json:"send_lag"`
}

// Summary is one histogram, in microseconds. With Count 0 the rest means nothing.
type Summary struct {
	Count  int64   `json:"count"`
	MeanUs float64 `json:"mean_us"`
	P50Us  float64 `json:"p50_us"`
	P90Us  float64 `json:"p90_us"`
	P99Us  float64 `json:"p99_us"`
	P999Us float64 `json:"p999_us"`
	MaxUs  float64 `json:"max_us"`
	// Curve is [percentile, us], ascending, five points for each halving of the
	// distance to 100 as far as there are samples, then the maximum at 100.
	Curve []result.Point `json:"curve,omitempty"`
}

// Self is what a thread of the load says of itself, for the window.
type Self struct {
	CPUsAsked []int `json:"cpus_asked"`
	CPUs      []int `json:"cpus"`
	// CPUTimeS is of the loop's thread, ProcessCPUTimeS of the whole process, in seconds.
	CPUTimeS        float64 `json:"cpu_time_s"`
	ProcessCPUTimeS float64 `json:"process_cpu_time_s"`
	// Busy is the share of the window in which the loop had something to do. It
	// spins in the rest, so CPU time says nothing of its load. Near 1 the load is
	// the limit.
	Busy float64 `json:"busy"`
	// RatePerS are the answers that this thread received per second of the window.
	RatePerS            float64 `json:"rate_per_s"`
	SwitchesVoluntary   int64   `json:"switches_voluntary"`
	SwitchesInvoluntary int64   `json:"switches_involuntary"`
	GCCycles            uint64  `json:"gc_cycles"`
	// Pacing is how late the loop came to each arrival (open loop).
	Pacing Summary `json:"pacing"`
	// LateSends are those that it came to more than 100 us late; Late100us and
	// Late1ms are the shares of all arrivals.
	LateSends int64   `json:"late_sends"`
	Late100us float64 `json:"late_100us"`
	Late1ms   float64 `json:"late_1ms"`
	// Stalls are times above 200 us in which the thread was idle and did not run.
	Stalls      int64   `json:"stalls"`
	StallMaxUs  float64 `json:"stall_max_us"`
	StallsTotal float64 `json:"stalls_total_us"`
}

// newReport puts the figures of all threads together, when the run is over. It
// uses the first thread's histograms up. The histogram is of all latencies.
func newReport(loops []*loop) (*Report, *hdrhistogram.Histogram) {
	lead := loops[0]
	cfg := &lead.cfg
	r := &Report{
		Target: cfg.Target, Mode: cfg.Mode, Conns: cfg.Conns, Seed: cfg.Seed,
		Phases: lead.reached, DurationS: float64(lead.untilNs-lead.fromNs) / 1e9,
		WarmupS: float64(lead.steadyNs-lead.shared.warmNs.Load()) / 1e9,
	}
	if lead.fromNs == never { // cut before it was known when the window would be
		r.DurationS, r.WarmupS = 0, 0
	}
	var count counters
	var windows []*series
	selves := make([]Self, len(loops))
	var failure error
	for i, l := range loops {
		count.add(&l.count)
		windows = append(windows, l.window)
		r.Interrupted = r.Interrupted || l.cut
		selves[i] = l.self
		selves[i].Pacing = summarize(l.rec.pacing)
		if l.failure != nil {
			failure = l.failure
		}
		if i > 0 {
			lead.rec.add(l.rec)
			lead.reconnects.times.add(l.reconnects.times)
			lead.storm.add(&l.storm)
		}
	}
	r.count(lead, &count)
	r.itself(lead, selves)
	r.WarmupSteady = lead.shared.foundSteady(cfg)
	r.Series, r.MeanInFlight = reportSeries(windows, lead.untilNs)
	r.Requests = gatherRequests(loops, cfg.Load.Kinds())
	if failure != nil {
		r.LastFailure = failure.Error()
	}
	latencies := r.distributions(lead.rec, cfg.Load.Kinds())
	r.shaped(lead, &count)
	r.Suspicions = r.suspicions(cfg)
	return r, latencies
}

// count takes over the sums.
func (r *Report) count(lead *loop, c *counters) {
	cfg := &lead.cfg
	r.Counts = Counts{
		Intended: c.intended, Answered: c.answeredOfWindow, AnsweredInWindow: c.answeredInWindow, HeldBack: c.heldBack,
		Unanswered: c.unanswered, Lost: c.lost, Unsent: c.unsent, TimedOut: lead.rec.timedOut, Clipped: lead.rec.clip, Disconnects: c.goneAfterReady,
		ProtocolErrors: c.faults[faultProtocol], StrayAnswers: c.faults[faultAnswer], ScriptErrors: c.faults[faultScript],
		BytesOut: c.windowOut, BytesIn: c.windowIn, BytesUnsolicited: c.windowUnsolicited,
	}
	if cfg.ReadFor > 0 && !r.Interrupted {
		r.ReadS, r.AnsweredInRead = float64(lead.fromNs-lead.readNs)/1e9, c.answeredInRead
	}
	if cfg.Tail > 0 && !r.Interrupted {
		r.TailS, r.AnsweredInTail = float64(lead.tailNs-lead.untilNs)/1e9, c.answeredInTail
	}
	if cfg.Mode == Open {
		r.RateAsked = cfg.Rate
	} else {
		r.Outstanding = cfg.Outstanding
	}
	if d, ok := cfg.Load.(script.Deliverer); ok {
		r.Counts.Delivered = float64(c.windowIn) / float64(d.DeliveryBytes())
	}
	if r.DurationS > 0 {
		r.Deliveries = r.Counts.Delivered / r.DurationS
		r.Offered = float64(c.intended) / r.DurationS
		r.Throughput = float64(c.answeredInWindow) / r.DurationS
	}
}

// itself takes over what the threads say of themselves.
func (r *Report) itself(lead *loop, selves []Self) {
	busiest := 0
	late, later := int64(0), 0.0
	for i := range selves {
		if selves[i].Busy > selves[busiest].Busy {
			busiest = i
		}
		late += selves[i].LateSends
		later += selves[i].Late1ms * float64(selves[i].Pacing.Count)
	}
	r.Self = selves[busiest]
	r.Self.Pacing = summarize(lead.rec.pacing)
	r.Self.LateSends = late
	if n := float64(r.Self.Pacing.Count); n > 0 {
		r.Self.Late100us, r.Self.Late1ms = float64(late)/n, later/n
	}
	if len(selves) > 1 {
		r.Threads = selves
		for i := range r.Threads {
			r.Threads[i].Pacing.Curve = nil
		}
	}
}

func (r *Report) distributions(rec *recorder, kinds []string) *hdrhistogram.Histogram {
	latency := rec.merged(func(k *kindRecorder) *hdrhistogram.Histogram { return k.latency })
	latency.Merge(rec.unsent)
	r.All = KindReport{
		Name:    "all",
		Latency: summarize(latency),
		Service: summarize(rec.merged(func(k *kindRecorder) *hdrhistogram.Histogram { return k.service })),
		SendLag: summarize(rec.merged(func(k *kindRecorder) *hdrhistogram.Histogram { return k.lag })),
	}
	for i, name := range kinds {
		r.Kinds = append(r.Kinds, rec.kinds[i].report(name))
	}
	return latency
}

func (k *kindRecorder) report(name string) KindReport {
	return KindReport{name, summarize(k.latency), summarize(k.service), summarize(k.lag)}
}

// shaped reports what the shape added.
func (r *Report) shaped(lead *loop, c *counters) {
	shape := &lead.cfg.Shape
	r.Reconnects = lead.reconnects.times.report()
	if storm := &lead.storm; shape.StormConns > 0 {
		if r.Storm = storm.times.report(); r.Storm != nil {
			r.Storm.Failed = storm.failed
			if storm.readyNs > 0 {
				r.Storm.TookS = float64(storm.readyNs-storm.beganNs) / 1e9
			}
		}
	}
	if shape.SlowShare > 0 {
		r.Slow = &SlowReport{Conns: slowBefore(lead.cfg.Conns, shape.SlowShare), Intended: c.slowIntended, Answered: c.slowAnswered,
			Latency: lead.rec.slow.report("slow readers")}
	}
}

// ownFigures are called on the loop's thread.
func (l *loop) ownFigures() Self {
	s := Self{
		CPUsAsked: l.cpus(), CPUs: AllowedCPUs(),
		Stalls: l.stalls.count, StallMaxUs: float64(l.stalls.maxNs) / 1e3, StallsTotal: float64(l.stalls.totalNs) / 1e3,
		CPUTimeS:            float64(l.atUntil.cpuNs-l.atFrom.cpuNs) / 1e9,
		ProcessCPUTimeS:     float64(l.atUntil.processCPUNs-l.atFrom.processCPUNs) / 1e9,
		SwitchesVoluntary:   l.atUntil.voluntary - l.atFrom.voluntary,
		SwitchesInvoluntary: l.atUntil.involuntary - l.atFrom.involuntary,
		GCCycles:            l.atUntil.gcCycles - l.atFrom.gcCycles,
	}
	if window := l.untilNs - l.fromNs; window > 0 {
		s.Busy = max(0, 1-float64(l.idleNs)/float64(window))
		s.RatePerS = float64(l.count.answeredInWindow) / (float64(window) / 1e9)
	}
	s.LateSends = l.rec.late
	if n := l.rec.pacing.TotalCount(); n > 0 {
		s.Late100us, s.Late1ms = float64(l.rec.late)/float64(n), float64(l.rec.later)/float64(n)
	}
	return s
}

func summarize(h *hdrhistogram.Histogram) Summary {
	n := h.TotalCount()
	if n == 0 {
		return Summary{}
	}
	at := percentiles(n)
	values := h.ValueAtPercentilesSlice(at)
	s := Summary{
		Count: n, MeanUs: h.Mean() / 1e3, MaxUs: us(h.Max()),
		P50Us: us(h.ValueAtPercentile(50)), P90Us: us(h.ValueAtPercentile(90)),
		P99Us: us(h.ValueAtPercentile(99)), P999Us: us(h.ValueAtPercentile(99.9)),
		Curve: make([]result.Point, len(at)),
	}
	for i := range at {
		s.Curve[i] = result.Point{at[i], us(values[i])}
	}
	return s
}

func us(ns int64) float64 { return float64(ns) / 1e3 }

// percentiles are 0, five points for each halving of the distance to 100 until one
// sample in n is left, and 100.
func percentiles(n int64) []float64 {
	const points = 5
	at := []float64{}
	rest := 100.0
	for rest*float64(n) >= 100 {
		for i := range points {
			at = append(at, 100-rest*(1-float64(i)/(2*points)))
		}
		rest /= 2
	}
	return append(at, 100)
}
