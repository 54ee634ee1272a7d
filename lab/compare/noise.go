package compare

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
)

// Noise is the relative change below which a difference is of no interest even if
// it is there: two runs of one program differ by more than the rounds of one run
// say, because the machine's hour, the layout of memory and the order of links
// differ between them. The zero value is the default.
type Noise struct {
	// every is of all metrics without a bound of their own; 0 for the default.
	every float64
	by    map[string]float64
}

// defaultNoise is 5 %; of tails, which few requests stand behind, more.
const defaultNoise = 0.05

var tailNoise = map[string]float64{
	result.LatencyP99: 0.10, result.SliceMaxP50: 0.10, result.SaturationP99: 0.10, result.BlockedP99: 0.10, result.UnblockedP99: 0.10, result.ServiceP99: 0.10, result.RankingP99: 0.10,
	result.LatencyP999: 0.20, result.SaturationP999: 0.20, result.BlockedP999: 0.20, result.UnblockedP999: 0.20, result.LatencyMax: 0.20,
}

// Of is the bound of a metric, as a share: 0.05.
func (n Noise) Of(metric string) float64 {
	if b, ok := n.by[metric]; ok {
		return b
	}
	if n.every > 0 {
		return n.every
	}
	if b, ok := tailNoise[metric]; ok {
		return b
	}
	return defaultNoise
}

// ParseNoise reads "5%", "latency_p99=15%" or several with commas between; a later
// one goes before an earlier one. Empty text is the default.
func ParseNoise(text string) (Noise, error) {
	n := Noise{by: map[string]float64{}}
	if text == "" {
		return n, nil
	}
	for _, part := range strings.Split(text, ",") {
		metric, bound, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found {
			metric, bound = "", metric
		} else if metric == "" {
			return Noise{}, fmt.Errorf("noise bound %q: no metric before the =", part)
		}
		number, percent := strings.CutSuffix(bound, "%")
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !percent || !(v > 0 && v <= 1000) {
			return Noise{}, fmt.Errorf("noise bound %q: want a percentage like 5%%, above 0 and at most 1000%%", part)
		}
		if metric == "" {
			n.every = v / 100
		} else {
			n.by[metric] = v / 100
		}
	}
	return n, nil
}

// ownNoise is by how much a run differs from itself: the larger of two A/A
// comparisons of its own rounds, odd against even ones (chance) and the first half
// against the second (drift). 0 with fewer than four rounds or values that are not
// positive: they say nothing.
func ownNoise(values []float64) float64 {
	n := len(values)
	if n < 4 {
		return 0
	}
	var odd, even []float64
	for i, v := range values {
		if !(v > 0) {
			return 0
		}
		if i%2 == 0 {
			odd = append(odd, v)
		} else {
			even = append(even, v)
		}
	}
	median := func(v []float64) float64 { return stats.Summarize(v).Median }
	own := max(apart(median(odd)/median(even)), apart(median(values[:n/2])/median(values[n/2:])))
	if math.IsInf(own, 0) || math.IsNaN(own) {
		return 0
	}
	return own
}

// Resolution is the smallest change, as a share, that these rounds would have shown
// as a difference beyond the bound, given how much they scatter: the smallest
// factor by which NEW, brought to BASE's median, must be scaled to be told from it.
// ok is false where no change up to a hundredfold would have been.
func (c *Change) Resolution() (share float64, ok bool) {
	if !c.hasRatio() {
		return 0, false
	}
	scaled := make([]float64, len(c.new))
	shown := func(by float64) bool {
		for i, v := range c.new {
			scaled[i] = v / c.Ratio.Ratio * by
		}
		r := stats.Compare(scaled, c.base)
		return r.P*float64(c.family) <= stats.Alpha && r.Lo > 1
	}
	lo, hi := 0.0, math.Log(100)
	if !shown(math.Exp(hi)) {
		return 0, false
	}
	for range 12 { // to a thousandth of a factor of 100: half a percent at 1
		if mid := (lo + hi) / 2; shown(math.Exp(mid)) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return max(math.Exp(hi)-1, c.Bound), true
}
