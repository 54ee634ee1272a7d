package load

import (
	"math"
	"slices"
	"time"

	"github.com/syslet/syslet/lab/stats"
)

// The warm-up's test, of median latency and of answers in slices: stats.Steady finds no
// trend, and the two halves of the last slices differ by little, which bounds also what
// is no trend against their noise.
const (
	// warmKept is how many slices of the warm-up are kept: those judged at most, and
	// room for threads that are ahead of the one that judges.
	warmKept, judgedMost = 64, 4 * stats.SteadyLeast
	// warmSlices of the least warm-up: the later half is judged first.
	warmSlices   = 2 * stats.SteadyLeast
	warmSliceMin = 5 * time.Millisecond
	// answersPerSlice are wanted, or a median is noise.
	answersPerSlice = 20
	// halvesDiffer is by how much medians over the halves may differ, relatively.
	halvesDiffer = 0.1
)

// warmSlice is the length of a slice of the warm-up.
func (c *Config) warmSlice() time.Duration {
	longest := max(c.Warmup, c.Shape.WarmupMost)
	slice := c.Warmup / warmSlices
	if c.Warmup == 0 {
		slice = longest / (2 * warmSlices)
	}
	if c.Mode == Open {
		rate := c.Rate
		if c.Shape.RampFrom > 0 {
			rate = c.Shape.RampFrom
		}
		wanted := time.Duration(min(answersPerSlice/rate*1e9, 1e15))
		slice = max(slice, min(wanted, longest/warmSlices))
	}
	return max(slice, warmSliceMin)
}

// steady judges the slices of the warm-up before end, which all threads have ended.
func steady(of []*series, end int64) bool {
	medians, answers := make([]float64, 0, judgedMost), make([]float64, 0, judgedMost)
	for at := max(0, end-judgedMost); at < end; at++ {
		sketch := answeredIn(of, at)
		answers = append(answers, float64(sketch.n))
		if sketch.n > 0 {
			medians = append(medians, float64(sketch.quantileNs(0.5)))
		}
	}
	if !stats.Steady(medians) || !stats.Steady(answers) {
		return false
	}
	// Counts of independent arrivals differ by their root: three of these are no change.
	noise := 3 * math.Sqrt(2/(median(answers)*stats.SteadyLeast/2))
	return even(medians, halvesDiffer) && even(answers, halvesDiffer+noise)
}

// even reports whether the halves of the last values differ by at most so much.
func even(values []float64, differ float64) bool {
	last := values[len(values)-stats.SteadyLeast:]
	a, b := median(last[:len(last)/2]), median(last[len(last)/2:])
	return math.Abs(a-b) <= differ*min(a, b)
}

func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
