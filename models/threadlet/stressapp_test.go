package threadlet_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// stressApp echoes, submits random ops at each tick and each message, and cancels some. Its plain fields are touched on the
// shard alone; the race detector watches.
type stressApp struct {
	kit  *stressKit
	rng  *rand.Rand
	fail func(format string, args ...any)

	ops      []*stressOp
	inFlight []*stressOp
	stopped  bool

	completed, queued, busy, cancelled, asked int
}

// stressOp is one op and what became of it.
type stressOp struct {
	kind     string
	y        *runtime.Syslet
	valid    func(y *runtime.Syslet) bool // the result of one that was not cancelled
	outcome  runtime.Outcome
	hopeless bool // it ends by cancellation or not at all
	asked    bool // its cancellation was asked for
	ended    bool
	inFlight int // index in stressApp.inFlight
}

func (a *stressApp) Opened(*runtime.Conn) {}

func (a *stressApp) Data(c *runtime.Conn, p []byte) int {
	_ = c.Write(p)
	a.submit(c.Shard())
	return len(p)
}

func (a *stressApp) Closed(*runtime.Conn, error) {}

func (a *stressApp) Tick(s *runtime.Shard) {
	if a.stopped {
		return
	}
	for range a.rng.IntN(4) {
		a.submit(s)
	}
	if n := len(a.inFlight); n > 0 && a.rng.IntN(2) == 0 {
		a.cancel(s, a.inFlight[a.rng.IntN(n)])
	}
}

// Stop: from here on nothing is begun, so that the server comes to rest.
func (a *stressApp) Stop(*runtime.Shard) { a.stopped = true }

func (a *stressApp) cancel(s *runtime.Shard, op *stressOp) {
	if op.y != nil && !op.asked {
		op.asked = true
		a.asked++
		s.Cancel(op.y)
	}
}

func (a *stressApp) submit(s *runtime.Shard) {
	if a.stopped {
		return
	}
	op := a.kit.op(a.rng)
	if op.y == nil {
		a.threadlet(s, op)
		return
	}
	op.y.Done = func(s *runtime.Shard, y *runtime.Syslet) { a.done(s, op, y.Errno()) }
	a.booked(op, s.Submit(op.y))
	if op.outcome == runtime.Queued && (op.hopeless || a.rng.IntN(8) == 0) {
		a.cancel(s, op) // before it has begun
	}
}

// threadlet runs a function that blocks, or ends in another way than returning.
func (a *stressApp) threadlet(s *runtime.Shard, op *stressOp) {
	fn, want := a.kit.function(a.rng)
	a.booked(op, s.Threadlet(fn, func(err error) {
		if !errors.Is(err, want) && !(want == errPanicked && errors.As(err, new(*runtime.PanicError))) {
			a.fail("a threadlet ended with %v, want %v", err, want)
		}
		a.done(s, op, 0)
	}))
}

func (a *stressApp) booked(op *stressOp, out runtime.Outcome) {
	op.outcome = out
	a.ops = append(a.ops, op)
	switch out {
	case runtime.Queued:
		a.queued++
		op.inFlight = len(a.inFlight)
		a.inFlight = append(a.inFlight, op)
		return
	case runtime.Busy:
		a.busy++
	case runtime.Completed:
		a.completed++
		a.check(op, op.y.Errno())
	}
	op.ended = true
}

func (a *stressApp) done(s *runtime.Shard, op *stressOp, errno unix.Errno) {
	if op.ended || op.outcome != runtime.Queued {
		a.fail("op of kind %s, %v: completed again", op.kind, op.outcome)
		return
	}
	op.ended = true
	last := a.inFlight[len(a.inFlight)-1]
	a.inFlight[op.inFlight], last.inFlight = last, op.inFlight
	a.inFlight = a.inFlight[:len(a.inFlight)-1]
	if op.y != nil {
		a.check(op, errno)
	}
	if a.rng.IntN(4) == 0 {
		a.submit(s)
	}
}

func (a *stressApp) check(op *stressOp, errno unix.Errno) {
	switch {
	case errno == unix.ECANCELED && op.asked:
		a.cancelled++
	case !op.valid(op.y):
		last, res := op.y.Last()
		a.fail("op of kind %s: op %d ended with %d, registers %v, cancellation asked for: %v", op.kind, last, res, op.y.Regs, op.asked)
	}
}

// stressClient sends and expects its bytes back, until the server closes the connection.
type stressClient struct {
	conn net.Conn
	err  chan error
}

func dialStress(t *testing.T, v *runtime.Server, seed uint64) *stressClient {
	conn, err := net.DialTimeout("tcp", v.Addr().String(), 10*time.Second)
	require.NoError(t, err)
	c := &stressClient{conn: conn, err: make(chan error, 1)}
	go func() { c.err <- c.run(rand.New(rand.NewPCG(seed, 3))) }()
	return c
}

var errEcho = errors.New("the echo is not what was sent")

func (c *stressClient) run(rng *rand.Rand) error {
	defer c.conn.Close()
	for {
		sent := make([]byte, 1+rng.IntN(2000))
		for i := range sent {
			sent[i] = byte(rng.Uint32())
		}
		if _, err := c.conn.Write(sent); err != nil {
			return nil // closed by the server
		}
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(c.conn, got); err != nil {
			return nil
		}
		if !bytes.Equal(sent, got) {
			return errEcho
		}
	}
}

func (c *stressClient) end(t *testing.T) {
	select {
	case err := <-c.err:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		_ = c.conn.Close()
		t.Fatal("a client was not let go")
	}
}
