package load

import (
	"math"
	"slices"
	"time"

	"github.com/syslet/syslet/lab/stats"
)

// The warm-up's test: of its last judged slices, median latency and answers show no
// trend (Mann-Kendall), and the two halves of them differ by little.
const (
	judged = 10
	// warmKept is how many slices of the warm-up are kept: those judged, and room
	// for threads that are ahead of the one that judges.
	warmKept = 64
	// warmSlices of the least warm-up, of which the later half is judged first.
	warmSlices   = 2 * judged
	warmSliceMin = 5 * time.Millisecond
	// answersPerSlice are wanted, or a median is noise.
	answersPerSlice = 20
	trendAlpha      = 0.05
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
	if end < judged {
		return false
	}
	medians, answers := make([]float64, 0, judged), make([]float64, 0, judged)
	for at := end - judged; at < end; at++ {
		sl := sum(of, at)
		if sl.sketch.n == 0 {
			return false
		}
		medians = append(medians, float64(sl.sketch.quantileNs(0.5)))
		answers = append(answers, float64(sl.sketch.n))
	}
	// Counts of independent arrivals differ by their root: three of these are no change.
	noise := 3 * math.Sqrt(2/(median(answers)*judged/2))
	return even(medians, halvesDiffer) && even(answers, halvesDiffer+noise)
}

// even reports whether a series shows no trend and its halves differ by at most so much.
func even(values []float64, differ float64) bool {
	if _, p := stats.MannKendall(values); p < trendAlpha {
		return false
	}
	half := len(values) / 2
	a, b := median(values[:half]), median(values[half:])
	return math.Abs(a-b) <= differ*min(a, b)
}

func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
