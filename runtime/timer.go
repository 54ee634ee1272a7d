package runtime

import (
	"math"
	"time"
)

// Timer calls a function on its shard once after a delay. It belongs to one
// shard; its maker keeps it and may arm it again and again without allocation.
type Timer struct {
	fire   func(s *Shard)
	dueNs  int64
	index  int // place in the heap plus one; 0: not armed
	serial uint64
}

// NewTimer makes a timer that is not armed.
func NewTimer(fire func(s *Shard)) *Timer { return &Timer{fire: fire} }

// Armed reports whether the timer will fire.
func (t *Timer) Armed() bool { return t.index != 0 }

// Arm makes t fire after d, instead of when it would have. On the shard only.
func (s *Shard) Arm(t *Timer, d time.Duration) {
	s.Disarm(t)
	t.dueNs = addNs(s.nowNs, max(int64(d), 0))
	s.timers.serial++
	t.serial = s.timers.serial
	s.timers.push(t)
}

// addNs is the time d ns after t, or the end of time. Neither is negative.
func addNs(t, d int64) int64 {
	if sum := t + d; sum >= t {
		return sum
	}
	return math.MaxInt64
}

// Disarm makes t not fire. On the shard only.
func (s *Shard) Disarm(t *Timer) {
	if t.index != 0 {
		s.timers.remove(t.index - 1)
	}
}

// timerHeap is a 4-ary heap by due time, then by order of arming: shallower
// than a binary heap, and four children share a cache line of pointers.
type timerHeap struct {
	h      []*Timer
	serial uint64
}

func (t *Timer) before(u *Timer) bool {
	return t.dueNs < u.dueNs || t.dueNs == u.dueNs && t.serial < u.serial
}

func (q *timerHeap) push(t *Timer) {
	q.h = append(q.h, t)
	q.up(len(q.h)-1, t)
}

func (q *timerHeap) up(i int, t *Timer) {
	for i > 0 {
		parent := (i - 1) / 4
		if !t.before(q.h[parent]) {
			break
		}
		q.set(i, q.h[parent])
		i = parent
	}
	q.set(i, t)
}

func (q *timerHeap) down(i int, t *Timer) {
	for {
		least := 4*i + 1
		if least >= len(q.h) {
			break
		}
		for c := least + 1; c < min(4*i+5, len(q.h)); c++ {
			if q.h[c].before(q.h[least]) {
				least = c
			}
		}
		if !q.h[least].before(t) {
			break
		}
		q.set(i, q.h[least])
		i = least
	}
	q.set(i, t)
}

func (q *timerHeap) set(i int, t *Timer) { q.h[i], t.index = t, i+1 }

func (q *timerHeap) remove(i int) {
	q.h[i].index = 0
	last := len(q.h) - 1
	t := q.h[last]
	q.h[last] = nil
	q.h = q.h[:last]
	if i == last {
		return
	}
	if i > 0 && t.before(q.h[(i-1)/4]) {
		q.up(i, t)
		return
	}
	q.down(i, t)
}

// next is the due time of the first timer; ok is false if there is none.
func (q *timerHeap) next() (dueNs int64, ok bool) {
	if len(q.h) == 0 {
		return 0, false
	}
	return q.h[0].dueNs, true
}

// runTimers fires what is due at the turn's clock. A timer that is armed again
// while it fires waits for a later turn, even with no delay.
func (s *Shard) runTimers() {
	limit := s.timers.serial
	for len(s.timers.h) > 0 {
		t := s.timers.h[0]
		if t.dueNs > s.nowNs || t.serial > limit {
			return
		}
		s.timers.remove(0)
		s.Stats.TimersFired++
		s.calling(cbTimer)
		t.fire(s)
		if s.called() {
			s.bookCalled(cbTimer, codeOf(t.fire))
		}
	}
}
