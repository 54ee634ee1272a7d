package stats

import "math"

const (
	// Power is the chance with which a difference shall be found by the numbers of
	// rounds that this file gives.
	Power = 0.8
	// uEfficiency is how many rounds of a t test do the work of one of Mann and Whitney's,
	// for normal noise: 3/pi. For noise with long tails it needs fewer rounds than this.
	uEfficiency = 3 / math.Pi
)

// Spread is how far rounds scatter, as a share: the standard deviation of their
// logarithms, so that 0.05 is about 5 %. NaN with fewer than two rounds or if one is not positive.
func Spread(values []float64) float64 {
	if len(values) < 2 {
		return math.NaN()
	}
	mean, n := 0.0, float64(len(values))
	for _, v := range values {
		if !(v > 0) {
			return math.NaN()
		}
		mean += math.Log(v) / n
	}
	squares := 0.0
	for _, v := range values {
		squares += (math.Log(v) - mean) * (math.Log(v) - mean)
	}
	return math.Sqrt(squares / (n - 1))
}

// Detectable is the smallest difference, as a share, that rounds rounds against as
// many show in Power of the cases, in a family of tests (at least 1), if they scatter
// by spread: "10 rounds can show differences above 3 %". +Inf if so few rounds can
// never be significant in such a family. It is a yardstick for planning: spread is
// itself known from few rounds only, to a fourth for ten.
func Detectable(spread float64, rounds, family int) float64 {
	alpha := Alpha / float64(max(1, family))
	if rounds < 1 || leastP(rounds, rounds) > alpha {
		return math.Inf(1)
	}
	sure := studentQuantile(1-alpha/2, 2*rounds-2) + normalQuantile(Power)
	return math.Exp(spread*sure*math.Sqrt(2/(uEfficiency*float64(rounds)))) - 1
}

// MinRounds is the smallest number of rounds, on each side, for which Detectable is at
// most share (0.02: 2 %); 0 if that is more than MinRoundsMost, or share is not positive.
func MinRounds(spread, share float64, family int) int {
	for n := 1; n <= MinRoundsMost; n++ {
		if Detectable(spread, n, family) <= share {
			return n
		}
	}
	return 0
}

// MinRoundsMost bounds MinRounds: nobody runs more.
const MinRoundsMost = 10000

// normalQuantile is the point below which a share p of the normal distribution lies.
func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// studentQuantile is the same of Student's distribution, by Cornish and Fisher's expansion
// (Abramowitz and Stegun 26.7.5): right to 2 % from five degrees of freedom on, for
// the levels that are used here.
func studentQuantile(p float64, degrees int) float64 {
	z, v := normalQuantile(p), float64(max(1, degrees))
	z2 := z * z
	return z + z*(z2+1)/(4*v) + z*((5*z2+16)*z2+3)/(96*v*v) + z*(((3*z2+19)*z2+17)*z2-15)/(384*v*v*v)
}
