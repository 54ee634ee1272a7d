package sensor

import "math/bits"

// The histogram that a bpf program fills: of durations in ns, 16 steps to each power
// of two, so that a value is known to 6 %.
const (
	histogramStepBits = 4
	histogramSteps    = 1 << histogramStepBits
	histogramBuckets  = 1024
	// histogramMaxNs is the longest that is told apart, 18 minutes.
	histogramMaxNs = 1<<40 - 1
)

// histogramBucket is the bucket of a duration: below 32 ns its own; above, the
// shift that leaves 16 to 31 of it, times 16, plus these.
func histogramBucket(ns uint64) int {
	ns = min(ns, histogramMaxNs)
	shift := max(0, bits.Len64(ns)-histogramStepBits-1)
	return shift<<histogramStepBits + int(ns>>shift)
}

// histogramBounds are a bucket's least value and the next bucket's.
func histogramBounds(bucket int) (from, until float64) {
	shift := max(0, bucket>>histogramStepBits-1)
	low := uint64(bucket-shift<<histogramStepBits) << shift
	return float64(low), float64(low + 1<<shift)
}

// histogramQuantile is the value at q of 0 to 1, in ns, interpolated within its
// bucket; the upper end of the last one for 1. -1 if the histogram is empty.
func histogramQuantile(counts []uint64, q float64) float64 {
	var all uint64
	for _, n := range counts {
		all += n
	}
	rank, seen := q*float64(all), 0.0
	for bucket, n := range counts {
		if n == 0 {
			continue
		}
		if seen += float64(n); seen >= rank {
			from, until := histogramBounds(bucket)
			return until - (until-from)*(seen-rank)/float64(n)
		}
	}
	return -1
}
