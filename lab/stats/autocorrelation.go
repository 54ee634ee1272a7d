package stats

import "math"

// Autocorrelation is how far each value of a series is foretold by the one before
// it: lag one, in [-1, 1] (Box and Jenkins, Time Series Analysis: the sum of the
// products of neighbours' deviations over that of the squares). Of n values that do
// not hang together it is about -1/n, and above 1.6/sqrt(n) for 1 series in 20. NaN
// with fewer than three values or if all are equal.
func Autocorrelation(values []float64) float64 {
	if len(values) < 3 {
		return math.NaN()
	}
	mean := 0.0
	for _, v := range values {
		mean += v / float64(len(values))
	}
	var shared, all float64
	for i, v := range values {
		all += (v - mean) * (v - mean)
		if i > 0 {
			shared += (v - mean) * (values[i-1] - mean)
		}
	}
	if r := shared / all; !math.IsInf(r, 0) { // 0/0 is NaN: all are equal
		return r
	}
	return math.NaN()
}
