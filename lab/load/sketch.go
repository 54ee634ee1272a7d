package load

import "math/bits"

// sketch is a small histogram of nanoseconds for a slice of time: 64 buckets for each
// doubling, so that a value is right to 1 %, in 8 KiB. It allocates nothing and is
// merged by adding.
type sketch struct {
	counts [sketchBuckets]uint32
	n      int64
	sumNs  int64
	maxNs  int64
}

const (
	sketchBits    = 6
	sketchBuckets = (36-sketchBits)<<sketchBits + 1<<sketchBits // up to 2^36 ns, above longestNs
)

func (s *sketch) put(ns int64) {
	ns = min(max(ns, 0), longestNs)
	s.counts[sketchIndex(uint64(ns))]++
	s.n++
	s.sumNs += ns
	s.maxNs = max(s.maxNs, ns)
}

func sketchIndex(ns uint64) int {
	e := max(0, bits.Len64(ns)-sketchBits-1)
	return e<<sketchBits + int(ns>>e)
}

// sketchValue is the middle of a bucket.
func sketchValue(i int) int64 {
	e := max(0, i>>sketchBits-1)
	return int64(i-e<<sketchBits)<<e + 1<<e/2
}

func (s *sketch) add(o *sketch) {
	for i, c := range o.counts {
		s.counts[i] += c
	}
	s.n += o.n
	s.sumNs += o.sumNs
	s.maxNs = max(s.maxNs, o.maxNs)
}

// quantileNs of an empty sketch is 0.
func (s *sketch) quantileNs(q float64) int64 {
	rank, seen := int64(q*float64(s.n)), int64(0)
	for i, c := range s.counts {
		if seen += int64(c); seen > rank {
			return min(sketchValue(i), s.maxNs)
		}
	}
	return s.maxNs
}
