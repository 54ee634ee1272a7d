package stats

import "math"

// EnoughLeast is the number of rounds below which Enough says no: six are the fewest
// whose interval reaches Confidence, and the rule looks at the last two intervals.
const EnoughLeast = 7

// Enough reports whether the rounds, in the order in which they were run, tell the
// median so closely that no more are needed: the half width of its interval is at
// most precision (0.02: 2 %) of it, now and one round ago.
//
// Who looks after each round and stops when he likes what he sees stops too often on
// rounds that lie close together by luck: the interval then holds the true median
// less often than it says. That is why one narrow interval is not enough. What is
// left is measured in TestEnoughKeepsCoverage: of runs that stop by this rule, 95 % or more
// of the intervals hold the median for smooth, skewed and disturbed noise; 87 % where
// rounds fall into two heaps and precision is half the distance of a heap from the
// middle, where there is next to nothing that the median could be.
func Enough(values []float64, precision float64) bool {
	n := len(values)
	return n >= EnoughLeast && HalfWidth(values) <= precision && HalfWidth(values[:n-1]) <= precision
}

// HalfWidth is half the width of the median's interval as a share of the median; +Inf
// if there are too few rounds for Confidence or the median is 0.
func HalfWidth(values []float64) float64 {
	s := Summarize(values)
	if !s.Enough() || s.Median == 0 {
		return math.Inf(1)
	}
	return (s.Hi - s.Lo) / 2 / math.Abs(s.Median)
}
