package threadlet

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// crowd is a shard that begins random ops until its pool is stopped: ops that block or compute, announced or not, inside a body or
// outside, more at a time than there are threads. Its plain fields are touched by the head alone; the race detector watches.
type crowd struct {
	pool     *Pool
	rng      *rand.Rand
	ways     []func(ns int64) // to spend time in a body
	most     int              // ops in flight
	inFlight int
	begun    []*crowdOp

	rested bool

	owner, doubled atomic.Int32
	wake           int                     // eventfd: an op has ended elsewhere, or something is asked of the loop
	finished       atomic.Pointer[crowdOp] // ended elsewhere
	rest           atomic.Bool             // asks the loop to begin nothing more
	atRest         chan struct{}           // closed by the head when nothing is in flight then

	mu      sync.Mutex
	backlog []*crowdOp // guarded by mu
	waiting atomic.Int32
}

// crowdOp is one op: fn may block, compute, or end its goroutine.
type crowdOp struct {
	kind      crowdKind
	fn        func()
	runs      atomic.Int32
	delivered int // on the head
	next      *crowdOp
}

type crowdKind int

const (
	crowdPlain    crowdKind = iota // Enter, Leave
	crowdLong                      // EnterLong, Leave
	crowdAnnounce                  // Enter, HandOver, Leave
	crowdLate                      // Enter, a block, HandOver, Leave
	crowdOffer                     // Offer, or the backlog
	crowdKinds
)

func (c *crowd) own() {
	if !c.owner.CompareAndSwap(0, 1) {
		c.doubled.Add(1)
	}
}

func (c *crowd) disown() { c.owner.Store(0) }

func (c *crowd) loop() {
	c.own()
	for !c.pool.Stopping() {
		c.takeFinished()
		rest := c.rest.Load()
		if rest && c.inFlight == 0 && !c.rested {
			c.rested = true
			close(c.atRest)
		}
		if rest || c.inFlight >= c.most || c.inFlight > 0 && c.rng.IntN(20) == 0 {
			c.wait()
			continue
		}
		if c.rng.IntN(20) == 0 {
			c.pool.Idle()
		}
		if !c.begin() {
			return
		}
	}
	c.takeFinished()
	c.disown()
}

// wait is an idle wait, parked or not.
func (c *crowd) wait() {
	parks := c.rng.IntN(4) > 0
	c.disown()
	if parks {
		c.pool.Park()
	} else {
		c.pool.Idle()
	}
	_, _ = unix.Read(c.wake, make([]byte, 8))
	if parks {
		c.pool.Unpark()
	}
	c.own()
}

// add makes a random op.
func (c *crowd) add(kind crowdKind) (op *crowdOp, ns int64) {
	way, ns := c.ways[c.rng.IntN(len(c.ways))], c.rng.Int64N(200_000)
	op = &crowdOp{kind: kind, fn: func() { way(ns) }}
	if c.rng.IntN(200) == 0 {
		op.fn = func() { way(ns); runtime.Goexit() }
	}
	c.begun = append(c.begun, op)
	c.inFlight++
	return op, ns
}

// begin begins a random op and says whether this thread is head still.
func (c *crowd) begin() (kept bool) {
	op, ns := c.add(crowdKind(c.rng.IntN(int(crowdKinds))))
	c.disown()
	if op.kind == crowdOffer {
		kept = c.offer(op)
	} else {
		kept = c.body(op, ns)
	}
	if kept {
		c.own()
	}
	return kept
}

// body runs op in a body of the head. It does not touch the shard after Leave said no.
func (c *crowd) body(op *crowdOp, ns int64) (kept bool) {
	enter := c.pool.Enter
	if op.kind == crowdLong {
		enter = c.pool.EnterLong
	}
	ticket := enter()
	defer func() {
		if kept = c.pool.Leave(ticket); kept {
			op.delivered++
			c.inFlight--
		} else {
			c.finish(op)
		}
	}()
	if op.kind == crowdLate {
		sleepNs(ns / 2)
	}
	if op.kind == crowdAnnounce || op.kind == crowdLate && c.pool.Owns(ticket) {
		c.pool.HandOver(ticket)
	}
	op.run()
	return kept
}

func (o *crowdOp) run() {
	o.runs.Add(1)
	o.fn()
}

// offer gives the shard away for op, or leaves it to a thread that comes home, as models/threadlet does.
func (c *crowd) offer(op *crowdOp) (kept bool) {
	for op != nil {
		if c.pool.Offer() {
			c.runAlone(op)
			return false
		}
		c.push(op)
		if c.pool.Free() == 0 || c.pool.Stopping() {
			return true
		}
		op = c.pop()
	}
	return true
}

func (c *crowd) runAlone(op *crowdOp) {
	defer c.handIn(op)
	op.run()
}

// handIn gives the shard op, which has run alone, and sets some more aside if the head has parked. Now and then the head is woken
// while the visitor is there.
func (c *crowd) handIn(op *crowdOp) {
	if !c.pool.Visit() {
		c.finish(op)
		return
	}
	c.own()
	op.delivered++
	c.inFlight--
	if c.rest.Load() || c.rng.IntN(3) == 0 || c.inFlight == 0 {
		signalEventfd(c.wake)
	}
	for !c.rest.Load() && c.inFlight < c.most && c.rng.IntN(3) > 0 {
		op, _ := c.add(crowdOffer)
		c.push(op)
	}
	c.disown()
	c.pool.EndVisit()
	if c.hasSpare() && c.pool.Free() > 0 {
		c.pool.WakeSpare()
	}
}

func (c *crowd) push(op *crowdOp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.backlog = append(c.backlog, op)
	c.waiting.Store(int32(len(c.backlog)))
}

func (c *crowd) pop() *crowdOp {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.backlog) == 0 {
		return nil
	}
	op := c.backlog[0]
	c.backlog = c.backlog[1:]
	c.waiting.Store(int32(len(c.backlog)))
	return op
}

func (c *crowd) spare() {
	for op := c.pop(); op != nil; op = c.pop() {
		if c.hasSpare() && c.pool.Free() > 0 {
			c.pool.WakeSpare()
		}
		c.runAlone(op)
	}
}

func (c *crowd) hasSpare() bool { return c.waiting.Load() > 0 }

// finish gives op back to the shard, from any thread.
func (c *crowd) finish(op *crowdOp) {
	for {
		op.next = c.finished.Load()
		if c.finished.CompareAndSwap(op.next, op) {
			break
		}
	}
	signalEventfd(c.wake)
}

func (c *crowd) takeFinished() {
	for op := c.finished.Swap(nil); op != nil; op = op.next {
		op.delivered++
		c.inFlight--
	}
}

// run runs the crowd, stops it after a while, in the midst of its work or at rest, and checks that nothing was lost. It returns the
// number of ops begun.
func (c *crowd) run(t *testing.T, cfg Config, after time.Duration, rest bool) (int, Stats) {
	var err error
	c.atRest = make(chan struct{})
	c.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(c.wake)
	cfg.Name, cfg.Loop, cfg.Spare, cfg.HasSpare = "crowd", c.loop, c.spare, c.hasSpare
	c.pool, err = Open(cfg)
	require.NoError(t, err)
	result := make(chan error, 1)
	go func() { result <- c.pool.Run() }()
	select {
	case err = <-result:
		t.Fatalf("the pool ended by itself: %v", err)
	case <-time.After(after):
	}
	if rest {
		c.rest.Store(true)
		signalEventfd(c.wake)
		crowdAwait(t, c, c.atRest, "come to rest")
		// A thread gives its op back before it comes home. When all have, each is counted once.
		require.Eventually(t, func() bool { return c.pool.Free() == cfg.Standbys }, 30*time.Second, time.Millisecond,
			"standbys that are counted free when all are")
	}
	c.pool.Stop()
	signalEventfd(c.wake)
	require.NoError(t, crowdAwait(t, c, result, "end"))
	c.check(t)
	return len(c.begun), c.pool.Stats()
}

func crowdAwait[T any](t *testing.T, c *crowd, ch <-chan T, what string) T {
	select {
	case x := <-ch:
		return x
	case <-time.After(30 * time.Second):
		buf := make([]byte, 1<<17)
		t.Fatalf("the pool does not %s: word %#x, backlog %d, %s\n%s", what, c.pool.word.Load(), c.waiting.Load(), brief(c.pool.Stats()),
			buf[:runtime.Stack(buf, true)])
		panic("unreachable")
	}
}

// check: no thread of the pool is left, so all may be read.
func (c *crowd) check(t *testing.T) {
	require.Zero(t, c.doubled.Load(), "two heads at once")
	if len(c.begun) > 0 { // or it was stopped before it began
		require.Equal(t, ended, word(c.pool.word.Load()).state())
	}
	c.takeFinished() // what ended after the loop
	left := 0
	for _, op := range c.backlog {
		require.Zero(t, op.runs.Load(), "an op ran and is in the backlog still")
		op.delivered++
		left++
	}
	for i, op := range c.begun {
		require.Equal(t, 1, op.delivered, "op %d of kind %d", i, op.kind)
		require.LessOrEqual(t, op.runs.Load(), int32(1), "op %d of kind %d", i, op.kind)
	}
	require.Equal(t, left, c.inFlight)
}

// crowdWays are ways to spend ns nanoseconds or less. mu and ping are shared by all bodies.
func crowdWays() []func(ns int64) {
	var mu sync.Mutex
	ping := make(chan int)
	return []func(ns int64){
		func(int64) {},
		func(int64) {},
		sleepNs,
		func(ns int64) { spin(int(ns)) },
		func(ns int64) { mu.Lock(); sleepNs(ns / 4); mu.Unlock() },
		func(int64) { go func() { ping <- 1 }(); <-ping },
		func(int64) { sleepNs(1); runtime.Gosched(); sleepNs(1) },
	}
}
