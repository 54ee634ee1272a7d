package server

import "time"

// beat says when the ticks of a map are due: once per period, at a phase of the
// map's own, without drift. A shard's maps have phases that are spread evenly, so
// that what a tick sends is one map's and no request waits behind the sends of all.
type beat struct {
	periodNs int64
	dueNs    int64 // of the next tick. Invariant: the phase, modulo periodNs
}

// newBeat is the beat of map index of that many maps.
func newBeat(period time.Duration, index, maps int) beat {
	p := int64(period)
	return beat{periodNs: p, dueNs: p/int64(maps)*int64(index) - p}
}

// next moves on to the first due time after nowNs, over those that were missed, and gives
// the wait until then.
func (b *beat) next(nowNs int64) time.Duration {
	late := max(nowNs-b.dueNs, 0)
	b.dueNs += (late/b.periodNs + 1) * b.periodNs
	return time.Duration(b.dueNs - nowNs)
}
