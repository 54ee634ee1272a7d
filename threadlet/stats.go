package threadlet

import "sync/atomic"

// Reason is why the head role changed hands.
type Reason int

const (
	Announced  Reason = iota // HandOver
	ByIdle                   // the watcher of the idle detector got the head's processor
	BySwitch                 // a perf switch record woke a standby
	ByTimer                  // the timer detector sampled a blocked head
	ByBackstop               // the timed check behind the idle and switch detectors: they missed it, or did not get the processor
	ByOverrun                // a body computed for longer than Config.Overrun
	ByReturn                 // a thread came home and found the head blocked, for want of a free standby until then
	numReasons
)

func (r Reason) String() string {
	return [...]string{"announced", "idle", "switch", "timer", "backstop", "overrun", "return"}[r]
}

// Stats is what a pool has counted since Open.
type Stats struct {
	Takeovers [numReasons]uint64 // by Reason

	AtBound          uint64 // bodies that blocked while no standby was free, so that the loop stood still
	AtBoundAnnounced uint64 // HandOver calls refused for the same cause
	FalseAlarms      uint64 // a standby was woken by the detector and there was nothing to take over
	FalsePreempted   uint64 // of these: the head was in a body, but not blocked (preempted, or running again)

	// LatencyNs is the time from the announcement (Announced), or from the kernel's switch-out (ByIdle, BySwitch,
	// ByBackstop), to the new head about to run its loop. The timer detector does not know when the block began.
	LatencyNs [numReasons]Histogram

	Visits uint64 // times that a thread acted for a head that had parked

	Threads      int // size of the pool, the head included
	FreeStandbys int
}

// Announced is the number of hand-overs that were announced.
func (s *Stats) Announced() uint64 { return s.Takeovers[Announced] }

// Detected is the number of takeovers from blocks that nobody announced.
func (s *Stats) Detected() uint64 {
	var n uint64
	for r := ByIdle; r < numReasons; r++ {
		n += s.Takeovers[r]
	}
	return n
}

// Misses is the number of blocks that the detector overlooked and the backstop caught.
func (s *Stats) Misses() uint64 { return s.Takeovers[ByBackstop] }

// counters are written at hand-overs and by woken standbys, never by a body that does not block. Atomic because Stats reads
// them from any thread; no order among them is needed.
type counters struct {
	takeovers        [numReasons]atomic.Uint64
	latency          [numReasons]recorder
	visits           atomic.Uint64
	atBound          atomic.Uint64
	atBoundAnnounced atomic.Uint64
	falseAlarms      atomic.Uint64
	falsePreempted   atomic.Uint64
}

// Stats may be called from any thread at any time.
func (p *Pool) Stats() Stats {
	s := Stats{
		Visits:           p.count.visits.Load(),
		AtBound:          p.count.atBound.Load(),
		AtBoundAnnounced: p.count.atBoundAnnounced.Load(),
		FalseAlarms:      p.count.falseAlarms.Load(),
		FalsePreempted:   p.count.falsePreempted.Load(),
		Threads:          len(p.threads),
		FreeStandbys:     int(max(p.free.Load(), 0)),
	}
	for r := range s.Takeovers {
		s.Takeovers[r] = p.count.takeovers[r].Load()
		s.LatencyNs[r] = p.count.latency[r].snapshot()
	}
	return s
}
