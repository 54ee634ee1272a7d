package load

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// arrivals is when the next request is intended, and who sends it: a seeded Poisson
// process, even distances, or bursts. Gaps and picks are two streams, so that a lost
// connection does not change when the later requests arrive.
//
// A thread of several has its share of the rate: of a Poisson process a share is one,
// even distances are offset against each other, and of each burst it sends its part.
type arrivals struct {
	gaps, picks rand.PCG
	kind        string
	meanNs      float64
	// nextNs is the intended time of the next arrival on the loop's clock. A
	// float64 holds the nanoseconds of 100 days exactly enough (2^53).
	nextNs float64
	// first is how long after begin the first of even arrivals comes, in gaps.
	first float64
	// Of bursts: their size, and how many of this one are still to come.
	burst, left int
	ramp        ramp
}

// share is a thread of several.
type share struct{ thread, threads int }

// of is the thread's part of n things that are dealt out in turn.
func (s share) of(n int) int { return (n + s.threads - 1 - s.thread) / s.threads }

func newArrivals(seed uint64, ratePerS float64) arrivals {
	a := arrivals{kind: ArrivalsPoisson, meanNs: 1e9 / ratePerS}
	a.gaps.Seed(seed, 0x67617073)
	a.picks.Seed(seed, 0x7069636b)
	return a
}

// shapedArrivals are those of a thread's share of Config.Rate.
func shapedArrivals(c *Config, s share) arrivals {
	rate := max(c.Rate, 1e-3)
	a := newArrivals(c.Seed+uint64(s.thread)*0x9e3779b97f4a7c15, rate/float64(s.threads))
	a.kind = c.Shape.Arrivals
	a.first = float64(s.thread+1) / float64(s.threads)
	if a.kind == ArrivalsBursts {
		a.burst = s.of(c.Shape.BurstSize)
		a.meanNs = float64(c.Shape.BurstSize) / rate * 1e9
		a.first = 1
	}
	if c.Shape.RampFrom > 0 {
		a.ramp = ramp{on: true, from: c.Shape.RampFrom / rate, fromNs: math.Inf(1), untilNs: math.Inf(1)}
	}
	return a
}

// begin lets the process start at startNs: the first gap counts from there.
func (a *arrivals) begin(startNs int64) {
	a.nextNs = float64(startNs)
	if a.kind == ArrivalsPoisson {
		a.advance()
		return
	}
	a.after(a.first)
	a.left = a.burst - 1
	if a.kind == ArrivalsBursts && a.burst == 0 {
		a.nextNs = math.Inf(1) // more threads than requests in a burst
	}
}

// window tells the ramp when it is.
func (a *arrivals) window(fromNs, untilNs int64) {
	a.ramp.fromNs, a.ramp.untilNs = float64(fromNs), float64(untilNs)
}

// due is the intended time of the next arrival.
func (a *arrivals) due() int64 {
	if a.nextNs >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(a.nextNs)
}

// advance moves to the following arrival.
func (a *arrivals) advance() {
	switch {
	case a.kind == ArrivalsPoisson:
		u := float64(a.gaps.Uint64()>>11) * 0x1p-53 // [0,1)
		a.after(-math.Log1p(-u))
	case a.left > 0: // the burst goes on
		a.left--
	default:
		a.after(1)
		a.left = max(0, a.burst-1)
	}
}

// after moves on by so many mean gaps.
func (a *arrivals) after(gaps float64) {
	if a.ramp.on {
		a.nextNs = a.ramp.after(a.nextNs, gaps*a.meanNs)
		return
	}
	a.nextNs += gaps * a.meanNs
}

// pick is one of n with equal chance (multiply and take the high word; the bias
// is below n/2^64).
func (a *arrivals) pick(n int) int {
	hi, _ := bits.Mul64(a.picks.Uint64(), uint64(n))
	return int(hi)
}

// ramp is a speed that grows evenly from a value at fromNs to 1 at untilNs, the same
// before and after. A process with that rate is one of rate 1 on a clock of that speed.
type ramp struct {
	on              bool
	from            float64
	fromNs, untilNs float64
}

// after is when the clock, at t now, has moved on by dist nanoseconds.
func (r *ramp) after(t, dist float64) float64 {
	if t < r.fromNs {
		if flat := (r.fromNs - t) * r.from; dist > flat {
			t, dist = r.fromNs, dist-flat
		} else {
			return t + dist/r.from
		}
	}
	if t < r.untilNs {
		slope := (1 - r.from) / (r.untilNs - r.fromNs)
		speed := r.from + slope*(t-r.fromNs)
		rest := r.untilNs - t
		if area := rest * (speed + 1) / 2; dist > area {
			t, dist = r.untilNs, dist-area
		} else { // speed x + slope x^2/2 = dist, in the form that keeps its digits
			return t + 2*dist/(speed+math.Sqrt(max(0, speed*speed+2*slope*dist)))
		}
	}
	return t + dist
}
