package load

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/syslet/syslet/workloads/script"
)

// Mode is how requests are paced.
type Mode string

const (
	// Open sends at intended times that do not depend on the answers.
	Open Mode = "open"
	// Closed sends the next request when an answer came.
	Closed Mode = "closed"
)

// Config is what Run is told.
type Config struct {
	// Target is "host:port" of the server, TCP.
	Target string
	// Conns is the number of connections, all of them open before the warm-up.
	Conns int
	// Rate is in requests per second over all connections (open loop).
	Rate float64
	// Warmup, Duration and Drain are the lengths of the phases. Drain is the
	// longest wait for the last answers; default 5 s.
	Warmup, Duration, Drain time.Duration
	// ProbeFor is how long the load goes on, unmeasured, between warm-up and window,
	// for a sensor that disturbs what it measures: the phase PhaseProbe.
	ProbeFor time.Duration
	// ReadFor is how long the load goes on, unmeasured but for the number of its answers,
	// directly before the window, for reading the server's sensors: asking a server costs
	// it some milliseconds, which would be the first requests' latency. PhaseRead.
	ReadFor time.Duration
	// Slices is in how many the window is divided for Report.Series; default 20.
	Slices int
	// Tail is how long requests go on after the window, of which nothing is
	// measured but how many were answered: for sensors that disturb.
	Tail time.Duration
	// Seed decides gaps, picks and what the clients ask.
	Seed uint64
	// Load makes the clients.
	Load script.Load
	// CPUs to which the load's threads are pinned, one each if there are enough for
	// several, otherwise all to all; empty leaves them alone.
	CPUs []int
	// Capacity, if above 0, is how many requests/s the load can do by itself
	// (Calibrate): near to it a run is suspect.
	Capacity float64
	// Shape is how the load differs from a steady stream.
	Shape Shape
	// Requests, if above 0, is of how many requests of the window Report.Requests keeps
	// the times; the rest is counted. Each takes 40 bytes.
	Requests int
	// Mode defaults to Open.
	Mode Mode
	// Outstanding requests of each connection (closed loop); default 1.
	Outstanding int
	// Speakers are how many of the connections ask in the closed loop, the others
	// only listen; 0 is all.
	Speakers int
	// ConnectRate is the largest number of connects begun per second; 0 is no limit.
	ConnectRate float64
	// ConnectsInFlight is the largest number of connections that are begun and not
	// ready yet; default 64.
	ConnectsInFlight int
	// ConnectTimeout is the longest that the phase connect may last; default 30 s.
	ConnectTimeout time.Duration
	// OnPhase, if set, is told each phase as it begins: at PhaseMeasure and at its
	// end (PhaseTail if there is one, otherwise PhaseDrain) sensors of the server are read. It runs on another goroutine than
	// the loop, one call at a time, and may take its time: the loop goes on.
	OnPhase func(Phase)
	// OnProgress, if set, is called about ten times a second on another goroutine.
	OnProgress func(Progress)
}

const (
	defaultDrain          = 5 * time.Second
	defaultConnectTimeout = 30 * time.Second
	defaultInFlight       = 64
	// mostConns keeps a connection's number within epoll's 32-bit data.
	mostConns = 1 << 24
	// mostKinds bounds the histograms: each kind has three of about 200 KiB.
	mostKinds = 256
	mostRate  = 1e8
	// Each slice takes 8 KiB a thread.
	defaultSlices, mostSlices = 20, 1000
	mostRequests              = 1 << 26
)

// withDefaults fills in what was left out and refuses what makes no sense,
// naming the field.
func (c Config) withDefaults() (Config, error) {
	if c.Mode == "" {
		c.Mode = Open
	}
	if c.Outstanding == 0 {
		c.Outstanding = 1
	}
	if c.Drain == 0 {
		c.Drain = defaultDrain
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = defaultConnectTimeout
	}
	if c.ConnectsInFlight == 0 {
		c.ConnectsInFlight = defaultInFlight
	}
	if c.Slices == 0 {
		c.Slices = defaultSlices
	}
	c.Shape = c.Shape.withDefaults()
	if err := c.check(); err != nil {
		return c, err
	}
	return c, c.Shape.check(&c)
}

func (c *Config) check() error {
	if c.Load == nil {
		return errors.New("load: Config.Load is nil: there is nothing to ask")
	}
	window, kinds := c.Load.Window(), len(c.Load.Kinds())
	switch {
	case c.Target == "":
		return errors.New("load: Config.Target is empty: give host:port of the server")
	case c.Conns < 1 || c.Conns > mostConns:
		return fmt.Errorf("load: Config.Conns is %d: must be 1 to %d", c.Conns, mostConns)
	case c.Mode != Open && c.Mode != Closed:
		return fmt.Errorf("load: Config.Mode is %q: must be %q or %q", c.Mode, Open, Closed)
	case c.Mode == Open && !(c.Rate > 0 && c.Rate <= mostRate):
		return fmt.Errorf("load: Config.Rate is %v requests/s: must be above 0 and at most 1e8", c.Rate)
	case window < 1 || window&(window-1) != 0 || window > math.MaxInt32:
		return fmt.Errorf("load: Window of the script is %d: must be a power of two", window)
	case kinds < 1 || kinds > mostKinds:
		return fmt.Errorf("load: the script has %d kinds: must be 1 to %d", kinds, mostKinds)
	case c.Mode == Closed && (c.Outstanding < 1 || c.Outstanding > window):
		return fmt.Errorf("load: Config.Outstanding is %d: must be 1 to the script's window %d", c.Outstanding, window)
	case c.Speakers < 0 || c.Speakers > c.Conns:
		return fmt.Errorf("load: Config.Speakers is %d: must be 0 to Conns %d", c.Speakers, c.Conns)
	case c.Duration <= 0:
		return fmt.Errorf("load: Config.Duration is %v: must be above 0", c.Duration)
	case c.Warmup < 0 || c.ProbeFor < 0 || c.ReadFor < 0 || c.Tail < 0 || c.Drain < 0 || c.ConnectTimeout < 0:
		return fmt.Errorf("load: Config.Warmup %v, ProbeFor %v, ReadFor %v, Tail %v, Drain %v, ConnectTimeout %v: none may be negative", c.Warmup, c.ProbeFor, c.ReadFor, c.Tail, c.Drain, c.ConnectTimeout)
	case c.Slices < 1 || c.Slices > mostSlices:
		return fmt.Errorf("load: Config.Slices (--slices) is %d: must be 1 to %d", c.Slices, mostSlices)
	case c.Requests < 0 || c.Requests > mostRequests:
		return fmt.Errorf("load: Config.Requests (--requests-most) is %d: must be 0 to %d", c.Requests, mostRequests)
	case c.ConnectRate < 0 || c.ConnectsInFlight < 0:
		return fmt.Errorf("load: Config.ConnectRate %v, ConnectsInFlight %d: none may be negative", c.ConnectRate, c.ConnectsInFlight)
	}
	return nil
}

// Names of the phases, in order.
const (
	PhaseConnect = "connect"
	PhaseWarmup  = "warmup"
	PhaseProbe   = "probe" // only with Config.ProbeFor
	PhaseRead    = "read"  // only with Config.ReadFor
	PhaseMeasure = "measure"
	PhaseTail    = "tail" // only with Config.Tail
	PhaseDrain   = "drain"
	PhaseDone    = "done"
)

// Phase is a phase and when it began.
type Phase struct {
	Name string `json:"name"`
	// Start is wall time.
	Start time.Time `json:"start"`
	// OffsetNs is nanoseconds of the monotonic clock since the run began.
	OffsetNs int64 `json:"offset_ns"`
}

// Progress is how far a run is.
type Progress struct {
	Phase string
	// Connected and Ready count connections; Sent and Answered requests, those of
	// the warm-up included.
	Connected, Ready, Sent, Answered int64
}
