package load

import "time"

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
