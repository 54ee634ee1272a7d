package threadlet

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// clock reads CLOCK_MONOTONIC in nanoseconds without a system call (Go's own reading, through the vDSO), on the scale
// of the time stamps in perf records, which Go's time values do not show.
type clock struct {
	base     time.Time
	offsetNs int64
}

// newClock relates the two scales: of several bracketed readings the narrowest wins, which leaves well under 1 us.
func newClock() clock {
	c := clock{base: time.Now()}
	bestNs := int64(math.MaxInt64)
	for range 16 {
		var ts unix.Timespec
		before := int64(time.Since(c.base))
		if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
			return c
		}
		after := int64(time.Since(c.base))
		if after-before < bestNs {
			bestNs = after - before
			c.offsetNs = ts.Nano() - (before+after)/2
		}
	}
	return c
}

// nowNs may be called from any thread.
func (c *clock) nowNs() int64 { return int64(time.Since(c.base)) + c.offsetNs }
