package load

import (
	"fmt"
	"strconv"
	"time"
)

// Shape is how the load differs from a steady Poisson stream over connections that
// stay. The zero value is that stream.
type Shape struct {
	// Arrivals is ArrivalsPoisson (default), ArrivalsConstant, or ArrivalsBursts:
	// BurstSize requests at one moment, the moments at even distances.
	Arrivals  string
	BurstSize int
	// RampFrom, if above 0, is the rate at the begin of the window, in requests/s: it
	// grows evenly to Config.Rate at its end.
	RampFrom float64
	// ReconnectPerS connections per second are closed when they have nothing open, and
	// made anew.
	ReconnectPerS float64
	// StormConns more connections are begun at once, StormAt after the begin of the
	// window. They say hello and stay until its end; nothing is asked on them.
	StormConns int
	StormAt    time.Duration
	// SlowShare of the connections read at most SlowBytesPerS bytes/s.
	SlowShare     float64
	SlowBytesPerS int
	// Timeout, if above 0, is when a request counts as timed out. Its answer is waited
	// for all the same.
	Timeout time.Duration
	// Threads of the load, each with its share of connections and rate; default 1.
	Threads int
	// WarmupMost, if above Config.Warmup, is the longest warm-up: it lasts at least
	// Config.Warmup, and ends when the answers are steady by test.
	WarmupMost time.Duration
}

// Values of Shape.Arrivals.
const (
	ArrivalsPoisson  = "poisson"
	ArrivalsConstant = "constant"
	ArrivalsBursts   = "bursts"
)

// mostThreads bounds Shape.Threads, mostBurst Shape.BurstSize.
const (
	mostThreads = 256
	mostBurst   = 1 << 20
)

// withDefaults fills in what was left out.
func (s Shape) withDefaults() Shape {
	if s.Arrivals == "" {
		s.Arrivals = ArrivalsPoisson
	}
	s.Threads = max(s.Threads, 1)
	return s
}

// check refuses what makes no sense, naming the field and its flag.
func (s *Shape) check(c *Config) error {
	bad := func(field, flag string, value any, want string) error {
		return fmt.Errorf("load: Shape.%s (--%s) is %v: %s", field, flag, value, want)
	}
	switch {
	case s.Arrivals != ArrivalsPoisson && s.Arrivals != ArrivalsConstant && s.Arrivals != ArrivalsBursts:
		return bad("Arrivals", "arrivals", strconv.Quote(s.Arrivals), "must be poisson, constant or bursts")
	case s.Arrivals == ArrivalsBursts && (s.BurstSize < 1 || s.BurstSize > mostBurst):
		return bad("BurstSize", "burst-size", s.BurstSize, fmt.Sprintf("must be 1 to %d with arrivals in bursts", mostBurst))
	case s.Arrivals != ArrivalsBursts && s.BurstSize != 0:
		return bad("BurstSize", "burst-size", s.BurstSize, "is for --arrivals bursts alone")
	case c.Mode == Closed && (s.Arrivals != ArrivalsPoisson || s.RampFrom != 0):
		return bad("Arrivals", "arrivals, --ramp-from", s.Arrivals, "in a closed loop the answers decide when requests are sent")
	case !(s.RampFrom >= 0 && s.RampFrom <= mostRate):
		return bad("RampFrom", "ramp-from", s.RampFrom, "must be 0 (no ramp) to 1e8 requests/s")
	case !(s.ReconnectPerS >= 0 && s.ReconnectPerS <= mostRate):
		return bad("ReconnectPerS", "reconnect-rate", s.ReconnectPerS, "must be 0 to 1e8 connections/s")
	case s.StormConns < 0 || s.StormConns > mostConns-c.Conns:
		return bad("StormConns", "storm-conns", s.StormConns, fmt.Sprintf("must be 0 to %d", mostConns-c.Conns))
	case s.StormAt < 0 || s.StormConns > 0 && s.StormAt >= c.Duration:
		return bad("StormAt", "storm-at", s.StormAt, fmt.Sprintf("must lie within the window of %v", c.Duration))
	case !(s.SlowShare >= 0 && s.SlowShare <= 1):
		return bad("SlowShare", "slow-share", s.SlowShare, "must be 0 to 1")
	case s.SlowShare > 0 && slowBefore(c.Conns, s.SlowShare) == 0:
		return bad("SlowShare", "slow-share", s.SlowShare, fmt.Sprintf("of %d connections that is none", c.Conns))
	case s.SlowShare > 0 && s.SlowBytesPerS < 1:
		return bad("SlowBytesPerS", "slow-rate", s.SlowBytesPerS, "slow readers need a rate of at least 1 byte/s")
	case s.Timeout < 0:
		return bad("Timeout", "timeout", s.Timeout, "must not be negative")
	case s.Threads < 1 || s.Threads > mostThreads || s.Threads > c.Conns:
		return bad("Threads", "threads", s.Threads, fmt.Sprintf("must be 1 to %d, and each needs one of the %d connections", mostThreads, c.Conns))
	case s.WarmupMost < 0:
		return bad("WarmupMost", "warmup-most", s.WarmupMost, "must not be negative")
	}
	return nil
}

// slowBefore is how many of the first n connections read slowly: they lie evenly.
func slowBefore(n int, share float64) int { return int(float64(n)*share + 1e-9) }

func (s *Shape) slow(index int) bool {
	return s.SlowShare > 0 && slowBefore(index+1, s.SlowShare) > slowBefore(index, s.SlowShare)
}

// Flags are the flags of syslet load that say the same; none for the zero value.
func (s Shape) Flags() []string {
	var a []string
	text := func(flag, v string) {
		if v != "" && v != "0" && v != "0s" {
			a = append(a, "--"+flag, v)
		}
	}
	number := func(flag string, v float64) { text(flag, strconv.FormatFloat(v, 'g', -1, 64)) }
	text("arrivals", s.Arrivals)
	text("burst-size", strconv.Itoa(s.BurstSize))
	number("ramp-from", s.RampFrom)
	number("reconnect-rate", s.ReconnectPerS)
	text("storm-conns", strconv.Itoa(s.StormConns))
	text("storm-at", s.StormAt.String())
	number("slow-share", s.SlowShare)
	text("slow-rate", strconv.Itoa(s.SlowBytesPerS))
	text("timeout", s.Timeout.String())
	text("threads", strconv.Itoa(s.Threads))
	text("warmup-most", s.WarmupMost.String())
	return a
}
