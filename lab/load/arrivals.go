package load

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// arrivals is a seeded Poisson process: when the next request is intended, and
// who sends it. Gaps and picks are two streams, so that a lost connection does
// not change when the later requests arrive.
type arrivals struct {
	gaps, picks rand.PCG
	meanNs      float64
	// nextNs is the intended time of the next arrival on the loop's clock. A
	// float64 holds the nanoseconds of 100 days exactly enough (2^53).
	nextNs float64
}

func newArrivals(seed uint64, ratePerS float64) arrivals {
	a := arrivals{meanNs: 1e9 / ratePerS}
	a.gaps.Seed(seed, 0x67617073)
	a.picks.Seed(seed, 0x7069636b)
	return a
}

// begin lets the process start at startNs: the first gap counts from there.
func (a *arrivals) begin(startNs int64) {
	a.nextNs = float64(startNs)
	a.advance()
}

// due is the intended time of the next arrival.
func (a *arrivals) due() int64 { return int64(a.nextNs) }

// advance moves to the following arrival.
func (a *arrivals) advance() {
	u := float64(a.gaps.Uint64()>>11) * 0x1p-53 // [0,1)
	a.nextNs += -math.Log1p(-u) * a.meanNs
}

// pick is one of n with equal chance (multiply and take the high word; the bias
// is below n/2^64).
func (a *arrivals) pick(n int) int {
	hi, _ := bits.Mul64(a.picks.Uint64(), uint64(n))
	return int(hi)
}
