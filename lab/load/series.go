package load

import (
	"sync/atomic"

	"github.com/syslet/syslet/lab/result"
)

// series counts a stretch of time in slices of equal length, and the area under the
// number of requests without answer, by the clock. It allocates nothing once made:
// when the slices are used up, the oldest begins anew. Written by the loop's thread.
type series struct {
	startNs, sliceNs int64
	// endNs is the end of the current slice, lastNs up to where the area is booked.
	endNs, lastNs int64
	at            int64 // number of the current slice, from 0 on
	slices        []slice
	// whole is how many slices are over. The leader reads slices of other threads:
	// the store makes what was written before visible to who loads it.
	whole atomic.Int64
}

// slice is one of a series. The sketch holds the latencies of the answers received in it.
type slice struct {
	intended int64
	areaNs   int64 // requests without answer times nanoseconds
	sketch   sketch
}

func newSeries(slices int) *series {
	s := &series{slices: make([]slice, slices)}
	for i := range s.slices {
		s.slices[i].sketch = sketch{} // touches its pages before time counts
	}
	return s
}

// begin starts the first slice.
func (s *series) begin(startNs, sliceNs int64) {
	s.startNs, s.sliceNs, s.endNs, s.lastNs, s.at = startNs, sliceNs, startNs+sliceNs, startNs, 0
	s.slices[0] = slice{}
}

func (s *series) slice(at int64) *slice { return &s.slices[at%int64(len(s.slices))] }

// move books the time up to now, in which waiting requests had no answer.
func (s *series) move(now, waiting int64) {
	for now >= s.endNs {
		s.slice(s.at).areaNs += waiting * max(0, s.endNs-s.lastNs)
		s.lastNs = max(s.lastNs, s.endNs)
		s.endNs += s.sliceNs
		s.at++
		*s.slice(s.at) = slice{}
		s.whole.Store(s.at)
	}
	if now > s.lastNs {
		s.slice(s.at).areaNs += waiting * (now - s.lastNs)
		s.lastNs = now
	}
}

// intended books a request that was meant for due and noticed now: without answer
// from then on. What lies before the oldest slice that is kept is lost.
func (s *series) intended(due, now int64) {
	at := s.at
	for begin := s.endNs - s.sliceNs; due < begin; begin -= s.sliceNs {
		if at == 0 || s.at-at >= int64(len(s.slices))-1 {
			return // of the time before the series, or too late to be told
		}
		s.slice(at).areaNs += now - begin
		now = begin
		at--
	}
	sl := s.slice(at)
	sl.intended++
	sl.areaNs += now - due
}

func (s *series) answered(latencyNs int64) { s.slice(s.at).sketch.put(latencyNs) }

// answeredIn adds up the sketches of one slice that all threads have ended: they do not
// change any more, which intended and areaNs do (series.intended), so that one thread may
// read those of the others in mid-run.
func answeredIn(of []*series, at int64) (total sketch) {
	for _, s := range of {
		total.add(&s.slice(at).sketch)
	}
	return total
}

// sum adds up one slice of all threads, after the run.
func sum(of []*series, at int64) (total slice) {
	for _, s := range of {
		sl := s.slice(at)
		total.intended += sl.intended
		total.areaNs += sl.areaNs
		total.sketch.add(&sl.sketch)
	}
	return total
}

// reportSeries describes the slices of the window, which lasted until untilNs, and
// the mean number of requests without answer over all of it.
func reportSeries(of []*series, untilNs int64) (slices []result.Slice, meanInFlight float64) {
	first := of[0]
	if first.sliceNs == 0 || untilNs <= first.startNs {
		return nil, 0
	}
	area := 0.0
	for i := range int64(len(first.slices) - 1) {
		from := first.startNs + i*first.sliceNs
		until := min(from+first.sliceNs, untilNs)
		if from >= untilNs {
			break
		}
		sl := sum(of, i)
		seconds := float64(until-from) / 1e9
		r := result.Slice{OffsetS: float64(from-first.startNs) / 1e9, DurationS: seconds, Intended: sl.intended,
			Answered: sl.sketch.n, InFlight: float64(sl.areaNs) / 1e9 / seconds}
		if k := &sl.sketch; k.n > 0 {
			r.MeanUs, r.MaxUs = float64(k.sumNs)/float64(k.n)/1e3, us(k.maxNs)
			r.P50Us, r.P99Us = us(k.quantileNs(0.5)), us(k.quantileNs(0.99))
		}
		slices = append(slices, r)
		area += float64(sl.areaNs)
	}
	return slices, area / float64(untilNs-first.startNs)
}
