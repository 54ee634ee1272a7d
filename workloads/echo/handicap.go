package echo

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/syslet/syslet/runtime"
)

// Handicap makes the plain server worse by a known amount, so that a lab can be
// asked whether it finds that. A server with one takes frames of FrameBytes: it must
// know where a request ends. The zero value is no handicap.
type Handicap struct {
	// CPU is computed in the callback for each request, beside its work.
	CPU time.Duration
	// Delay is how much later Share (0 to 1) of the requests are answered, by a timer:
	// the loop goes on meanwhile. Seed decides which ones, in order of arrival.
	Delay time.Duration
	Share float64
	Seed  uint64
}

// Check says what is wrong with the settings, or nil.
func (h Handicap) Check() error {
	switch {
	case h.CPU < 0 || h.CPU > time.Second:
		return fmt.Errorf("echo: handicap of %v of CPU per request (CPU), want 0 to 1s", h.CPU)
	case h.Delay < 0 || h.Delay > time.Minute:
		return fmt.Errorf("echo: handicap of %v later (Delay), want 0 to 1m", h.Delay)
	case !(h.Share >= 0 && h.Share <= 1):
		return fmt.Errorf("echo: share of requests with the handicap is %v (Share), want 0 to 1", h.Share)
	case h.Delay > 0 != (h.Share > 0):
		return errors.New("echo: a handicap of time needs both Delay and Share")
	}
	return nil
}

// active reports whether there is any.
func (h Handicap) active() bool { return h.CPU > 0 || h.Delay > 0 }

// handicapped is the plain server with a handicap.
type handicapped struct {
	Handicap
	rng  *rand.Rand
	free *late
}

// late is an answer that waits for its time, kept for reuse.
type late struct {
	timer *runtime.Timer
	conn  runtime.ConnID
	frame [FrameBytes]byte
	next  *late
}

func newHandicapped(h Handicap, s *runtime.Shard) *handicapped {
	return &handicapped{Handicap: h, rng: rand.New(rand.NewPCG(h.Seed, uint64(s.Index())))}
}

func (h *handicapped) Opened(*runtime.Conn)        {}
func (h *handicapped) Closed(*runtime.Conn, error) {}

func (h *handicapped) Data(c *runtime.Conn, p []byte) (consumed int) {
	n := len(p) / FrameBytes
	spin(time.Duration(n) * h.CPU)
	for range n {
		frame := p[consumed : consumed+FrameBytes]
		consumed += FrameBytes
		if h.Share > 0 && h.rng.Float64() < h.Share {
			h.later(c, frame)
			continue
		}
		_ = c.Write(frame)
	}
	return consumed
}

// spin computes for d. The clock decides and no count of steps: a processor that
// slows down would make that more.
func spin(d time.Duration) {
	if d <= 0 {
		return
	}
	for until := runtime.Nanotime() + int64(d); runtime.Nanotime() < until; {
	}
}

func (h *handicapped) later(c *runtime.Conn, frame []byte) {
	l := h.take()
	l.conn = c.ID()
	copy(l.frame[:], frame)
	c.Shard().Arm(l.timer, h.Delay)
}

func (h *handicapped) take() *late {
	if l := h.free; l != nil {
		h.free, l.next = l.next, nil
		return l
	}
	l := &late{}
	l.timer = runtime.NewTimer(func(s *runtime.Shard) {
		if c := s.Conn(l.conn); c != nil { // gone meanwhile: nobody waits
			_ = c.Write(l.frame[:])
		}
		l.next, h.free = h.free, l
	})
	return l
}
