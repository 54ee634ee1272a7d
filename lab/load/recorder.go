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
	// slow holds what slow readers asked: of all kinds, apart from them.
	slow kindRecorder
	// unsent holds the latencies of requests that never got a kind because they
	// were held back to the end.
	unsent *hdrhistogram.Histogram
	pacing *hdrhistogram.Histogram
	late   int64 // pacing above lateNs
	later  int64 // pacing above veryLateNs
	clip   int64
	// timeoutNs is Shape.Timeout, 0 for none; timedOut are requests beyond it.
	timeoutNs, timedOut int64
}

type kindRecorder struct{ latency, service, lag *hdrhistogram.Histogram }

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longestNs, figures) }

func newKindRecorder() kindRecorder {
	return kindRecorder{newHistogram(), newHistogram(), newHistogram()}
}

func newRecorder(kinds int) *recorder {
	r := &recorder{kinds: make([]kindRecorder, kinds), slow: newKindRecorder(), unsent: newHistogram(), pacing: newHistogram()}
	for i := range r.kinds {
		r.kinds[i] = newKindRecorder()
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
	r.into(&r.kinds[s.kind], s, endNs)
	r.timed(endNs - s.intendedNs)
}

func (r *recorder) into(k *kindRecorder, s *slot, endNs int64) {
	r.put(k.latency, endNs-s.intendedNs)
	r.put(k.service, endNs-s.sentNs)
	r.put(k.lag, s.sentNs-s.intendedNs)
}

// timed counts a request that waited beyond the timeout.
func (r *recorder) timed(waitedNs int64) {
	if r.timeoutNs > 0 && waitedNs > r.timeoutNs {
		r.timedOut++
	}
}

// add takes over what another thread has recorded.
func (r *recorder) add(o *recorder) {
	pair := func(a, b *kindRecorder) {
		a.latency.Merge(b.latency)
		a.service.Merge(b.service)
		a.lag.Merge(b.lag)
	}
	for i := range r.kinds {
		pair(&r.kinds[i], &o.kinds[i])
	}
	pair(&r.slow, &o.slow)
	r.unsent.Merge(o.unsent)
	r.pacing.Merge(o.pacing)
	r.late += o.late
	r.later += o.later
	r.clip += o.clip
	r.timedOut += o.timedOut
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
