package load

import (
	"fmt"
	"slices"
)

// Bounds above which a run is suspect. They say what a run on a CPU of its own
// keeps with ease.
const (
	mostLate100us = 0.01
	mostLate1ms   = 0.001
	mostBusy      = 0.9
	mostStalled   = 0.01
	// mostOfCapacity is of what the load can do at its most: beyond, its own queues are
	// part of what it measures.
	mostOfCapacity = 0.85
	leastAnswered  = 0.99
)

// suspicions are the reasons for which a reader should doubt the figures.
func (r *Report) suspicions(cfg *Config) []string {
	why := []string{}
	say := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	c, s := &r.Counts, &r.Self
	if r.Interrupted {
		say("interrupted: the window was cut to %.3f s", r.DurationS)
	}
	if s.Late1ms > mostLate1ms {
		say("the load was late: %.2f %% of its sends more than 1 ms after their time (bound %.1f %%)", 100*s.Late1ms, 100*mostLate1ms)
	}
	if s.Late100us > mostLate100us {
		say("the load was late: %.2f %% of its sends more than 100 us after their time (bound %.0f %%)", 100*s.Late100us, 100*mostLate100us)
	}
	if cfg.Shape.WarmupMost > cfg.Warmup && !r.WarmupSteady && !r.Interrupted {
		say("the answers were not steady when the warm-up ended after %.2f s, the longest it may last", r.WarmupS)
	}
	if cfg.Capacity > 0 && r.Throughput > mostOfCapacity*cfg.Capacity {
		say("the load may have been the limit: %.0f answers/s are %.0f %% of the %.0f/s that it can do by itself; it was busy for %.0f %% of the time",
			r.Throughput, 100*r.Throughput/cfg.Capacity, cfg.Capacity, 100*r.Self.Busy)
	}
	threads := r.Threads
	if len(threads) == 0 {
		threads = []Self{r.Self}
	}
	for i := range threads {
		of := ""
		if len(threads) > 1 {
			of = fmt.Sprintf("thread %d of ", i)
		}
		why = append(why, r.ofThread(of, &threads[i])...)
	}
	for _, c := range []struct {
		what string
		of   *ConnectReport
	}{{"the storm", r.Storm}, {"reconnects", r.Reconnects}} {
		if c.of != nil && c.of.Failed > 0 {
			say("%d of %d connections of %s failed", c.of.Failed, c.of.Begun, c.what)
		}
	}
	if r.Counts.TimedOut > 0 {
		say("%d requests timed out: no answer within %v (--timeout)", r.Counts.TimedOut, cfg.Shape.Timeout)
	}
	if r.Requests != nil && r.Requests.LeftOut > 0 {
		say("the times of %d requests were left out: there was room for %d", r.Requests.LeftOut, r.Requests.Count)
	}
	if r.Mode == Open && float64(c.Answered) < leastAnswered*float64(c.Intended) {
		say("%d of %d requests were answered: the server did not keep up", c.Answered, c.Intended)
	}
	if r.Mode == Open && r.Throughput < leastAnswered*r.Offered && c.Intended-c.AnsweredInWindow > 100 {
		say("throughput %.0f/s stayed behind the offered %.0f/s: the server did not keep up, latency grows with the length of the run", r.Throughput, r.Offered)
	}
	return append(why, c.suspicions()...)
}

// ofThread are the reasons that lie in one thread of the load.
func (r *Report) ofThread(of string, s *Self) []string {
	why := []string{}
	say := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	if r.DurationS > 0 && s.StallsTotal/1e6 > mostStalled*r.DurationS {
		say("%sthe load was off its CPU for %.1f ms of %.1f s, longest %.1f ms: another thread or the host took it", of, s.StallsTotal/1e3, r.DurationS, s.StallMaxUs/1e3)
	}
	if r.Mode == Open && s.Busy > mostBusy {
		say("%sthe load was busy for %.0f %% of the time at %.0f answers/s: it may be the limit, not the server", of, 100*s.Busy, s.RatePerS)
	}
	if len(s.CPUsAsked) > 0 && !slices.Equal(slices.Compact(slices.Sorted(slices.Values(s.CPUsAsked))), s.CPUs) {
		say("%sthe load was asked to run on CPUs %v and ran on %v", of, s.CPUsAsked, s.CPUs)
	}
	return why
}

// suspicions are the counts of what should not be.
func (c *Counts) suspicions() []string {
	why := []string{}
	say := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	for _, count := range []struct {
		n    int64
		what string
	}{
		{c.HeldBack, "requests were held back because the client's window was full"},
		{c.Unanswered, "requests had no answer at the end of the drain"},
		{c.Lost, "requests were lost with their connection"},
		{c.Unsent, "requests could not be sent until the end of the drain"},
		{c.Disconnects, "connections were lost"},
		{c.ProtocolErrors, "connections ended because the server broke the protocol or refused"},
		{c.StrayAnswers, "connections ended by an answer to no open request"},
		{c.ScriptErrors, "connections ended by a fault of the script itself"},
		{c.Clipped, "latencies were above 60 s and stand as 60 s"},
	} {
		if count.n > 0 {
			say("%d %s", count.n, count.what)
		}
	}
	if c.Intended == 0 {
		say("no request fell into the window")
	}
	return why
}
