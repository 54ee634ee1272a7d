package threadlet

import (
	"math/bits"
	"sync/atomic"
)

const (
	subBits    = 3 // eight buckets per power of two: a quantile is right within 12.5 %
	subBuckets = 1 << subBits
	maxPower   = 40 // 2^40 ns is 18 minutes; what is longer counts as that
	numBuckets = (maxPower - subBits + 1) * subBuckets
)

// Histogram counts durations in nanoseconds in logarithmic buckets of fixed number.
type Histogram struct {
	Counts [numBuckets]uint64
}

// Count is the number of durations recorded.
func (h *Histogram) Count() uint64 {
	var n uint64
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Add adds what o has counted.
func (h *Histogram) Add(o *Histogram) {
	for i, n := range o.Counts {
		h.Counts[i] += n
	}
}

// QuantileNs is the upper end, in nanoseconds, of the bucket in which quantile q (0..1) lies; 0 if nothing was recorded.
func (h *Histogram) QuantileNs(q float64) int64 {
	total := h.Count()
	if total == 0 {
		return 0
	}
	rank := uint64(q * float64(total))
	var n uint64
	for i, c := range h.Counts {
		n += c
		if n > rank {
			return bucketEndNs(i)
		}
	}
	return bucketEndNs(numBuckets - 1)
}

func bucketOf(ns int64) int {
	if ns < subBuckets {
		return int(max(ns, 0))
	}
	power := bits.Len64(uint64(ns)) - 1
	if power >= maxPower {
		return numBuckets - 1
	}
	sub := int(ns>>(power-subBits)) - subBuckets
	return (power-subBits+1)*subBuckets + sub
}

func bucketEndNs(i int) int64 {
	if i < subBuckets {
		return int64(i)
	}
	power := i/subBuckets + subBits - 1
	sub := int64(i%subBuckets) + subBuckets
	return (sub+1)<<(power-subBits) - 1
}

// recorder is the histogram while it is being written. Counters are atomic because Stats reads them from any thread;
// no order among them is needed.
type recorder struct {
	counts [numBuckets]atomic.Uint64
}

func (r *recorder) recordNs(ns int64) { r.counts[bucketOf(ns)].Add(1) }

func (r *recorder) snapshot() (h Histogram) {
	for i := range r.counts {
		h.Counts[i] = r.counts[i].Load()
	}
	return h
}
