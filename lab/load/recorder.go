package load

import (
	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// longestNs is the largest value that a histogram tells apart; what is above
	// enters as this and is counted as clipped.
	longestNs = 60_000_000_000
	// figures: three significant ones, so that a value is right to 0.1 %.
	figures = 3
	// Pacing is counted late above these.
	lateNs, veryLateNs = 100_000, 1_000_000
)

// recorder holds the histograms of the measured window, in nanoseconds.
type recorder struct {
	kinds []kindRecorder
	// unsent holds the latencies of requests that never got a kind because they
	// were held back to the end.
	unsent *hdrhistogram.Histogram
	pacing *hdrhistogram.Histogram
	late   int64 // pacing above lateNs
	later  int64 // pacing above veryLateNs
	clip   int64
}

type kindRecorder struct{ latency, service, lag *hdrhistogram.Histogram }

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longestNs, figures) }

func newRecorder(kinds int) *recorder {
	r := &recorder{kinds: make([]kindRecorder, kinds), unsent: newHistogram(), pacing: newHistogram()}
	for i := range r.kinds {
		r.kinds[i] = kindRecorder{newHistogram(), newHistogram(), newHistogram()}
	}
	return r
}

// put records a duration, clipped to what the histogram can hold.
func (r *recorder) put(h *hdrhistogram.Histogram, ns int64) {
	if ns > longestNs {
		ns = longestNs
		r.clip++
	}
	if err := h.RecordValue(max(ns, 0)); err != nil {
		panic(err) // unreachable: the value is within the histogram's range
	}
}

// answered records a request of the window that has waited until endNs, whether
// its answer came then or not at all.
func (r *recorder) answered(s *slot, endNs int64) {
	k := &r.kinds[s.kind]
	r.put(k.latency, endNs-s.intendedNs)
	r.put(k.service, endNs-s.sentNs)
	r.put(k.lag, s.sentNs-s.intendedNs)
}

// paced records how late the loop came to an arrival.
func (r *recorder) paced(lateByNs int64) {
	r.put(r.pacing, lateByNs)
	if lateByNs > lateNs {
		r.late++
	}
	if lateByNs > veryLateNs {
		r.later++
	}
}

// merged is the sum over all kinds of what of selects.
func (r *recorder) merged(of func(*kindRecorder) *hdrhistogram.Histogram) *hdrhistogram.Histogram {
	sum := newHistogram()
	for i := range r.kinds {
		sum.Merge(of(&r.kinds[i]))
	}
	return sum
}
