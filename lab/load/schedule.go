package load

import (
	"math"
	"sync/atomic"
	"time"
)

// schedule is what the threads of a run share: it keeps them in step. All times are
// on the run's clock. Thread 0, the leader, decides; the others follow at their next
// turn, which is why it decides a little ahead.
type schedule struct {
	base time.Time // zero of the clock
	// warm are the series of the warm-up, a thread each.
	warm []*series

	// connected counts the threads whose connections are ready.
	connected atomic.Int32
	// warmNs is when the warm-up begins, steadyNs when it ends; 0: not decided yet.
	warmNs, steadyNs atomic.Int64
	// Of the leader, read by others after the run: steady when the warm-up ended, and
	// the slice up to which was judged last.
	steady      bool
	judgedUntil int64
	// stopped is set by the context or a thread that gives up; nothing else hangs on
	// it, so its order against other memory does not matter.
	stopped atomic.Bool
}

// ahead is how far ahead of now the leader decides: each thread looks at least every
// longestWaitNs.
const ahead = 2 * longestWaitNs

// never is later than any time of a run.
const never = math.MaxInt64 / 2

// threadReady is told by each thread once, when its connections are ready.
func (s *schedule) threadReady(now int64) {
	if int(s.connected.Add(1)) < len(s.warm) {
		return
	}
	if len(s.warm) > 1 {
		now += ahead
	}
	s.warmNs.Store(max(now, 1))
}

// decide ends the warm-up once the answers are steady. Leader only.
func (s *schedule) decide(cfg *Config, now int64) {
	began := s.warmNs.Load()
	least, most := began+int64(cfg.Warmup), began+int64(cfg.Shape.WarmupMost)
	end := int64(math.MaxInt64)
	for _, w := range s.warm {
		end = min(end, w.whole.Load())
	}
	if now < most && (now < least || end == s.judgedUntil) {
		return
	}
	s.judgedUntil = end
	if s.steady = steady(s.warm, end); s.steady || now >= most {
		if len(s.warm) > 1 {
			now += ahead
		}
		s.steadyNs.Store(now)
	}
}

// foundSteady is whether the answers were steady when the warm-up ended: as decided,
// or of a warm-up of fixed length as its last slices say. After the run.
func (s *schedule) foundSteady(cfg *Config) bool {
	if cfg.Shape.WarmupMost > cfg.Warmup {
		return s.steady
	}
	end := int64(math.MaxInt64)
	for _, w := range s.warm {
		end = min(end, w.whole.Load())
	}
	return steady(s.warm, end)
}

// times are a thread's copy of what was decided.
type times struct {
	steadyNs int64 // end of the warm-up
	readNs   int64 // begin of the phase read; fromNs if there is none
	fromNs   int64 // begin of the window
	untilNs  int64 // end of the window
	tailNs   int64 // end of the tail; untilNs if there is none
	giveUpNs int64 // end of the drain
	// windowNs is fromNs as decided: where the slices begin.
	windowNs int64
}

func undecided() times { return times{never, never, never, never, never, never, never} }

func (c *Config) timesFrom(steadyNs int64) times {
	t := times{steadyNs: steadyNs}
	t.readNs = steadyNs + int64(c.ProbeFor)
	t.fromNs = t.readNs + int64(c.ReadFor)
	t.untilNs = t.fromNs + int64(c.Duration)
	t.tailNs = t.untilNs + int64(c.Tail)
	t.giveUpNs = t.tailNs + int64(c.Drain)
	return t
}

// warmUp runs through the warm-up's end as soon as that is decided.
func (l *loop) warmUp(now int64) {
	if l.steadyNs != never {
		l.book(now)
		return
	}
	l.warm.move(now, l.waitingNow)
	at := int64(0)
	if l.cfg.Shape.WarmupMost <= l.cfg.Warmup {
		at = l.shared.warmNs.Load() + int64(l.cfg.Warmup)
	} else {
		if l.leads() {
			l.shared.decide(&l.cfg, now)
		}
		if at = l.shared.steadyNs.Load(); at == 0 {
			return
		}
	}
	l.times = l.cfg.timesFrom(at)
	l.windowNs = l.fromNs
	l.arrivals.window(l.fromNs, l.untilNs)
	if l.count.sent > 0 {
		// A thread that was off its CPU learns of it late: what it has sent is not of the window.
		l.fromNs = max(l.fromNs, now+1)
	}
}
