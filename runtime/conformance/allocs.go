package conformance

import (
	"io"
	goruntime "runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/runtime"
)

// allocs: in steady state a message costs no allocation, under any model.
func (s suite) allocs(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	c := dial(t, v)
	msg, got := make([]byte, 64), make([]byte, 64)
	pings := func(n int) {
		for range n {
			if _, err := c.Write(msg); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, got); err != nil {
				t.Fatal(err)
			}
		}
	}
	pings(500) // pools fill
	const n = 2000
	least := uint64(1 << 63)
	for try := 0; try < allocTries && least >= n/20; try++ {
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		pings(n)
		goruntime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	require.Less(t, least, uint64(n/20), "allocations in %d messages", n)
}

// What allocates beside what is measured (Go's background work; the block
// profile's watcher, above all when a noisy machine held up the loop) does so by
// time and in bursts: the least of a few tries is what is asked for, and well
// under one for each.
const allocTries = 50

// opAllocs: a program that is kept and run again costs no allocation, whether it
// is completed at once or runs in place, in the ring or on a helper.
func (s suite) opAllocs(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	if submit(t, v, runtime.NewSyslet(runtime.Nop(runtime.Imm(0)))) {
		return // the baseline: it starts a goroutine even for a nop
	}
	// nonblock-inline gives a Go function a goroutine each time, which it may end.
	inline := v.Options().Files == runtime.FilesInline
	for _, c := range repeatables(t) {
		if inline && c.name == "call" {
			continue
		}
		y := runtime.NewSyslet(c.ops...)
		r := &repeat{submit: func(s *runtime.Shard) runtime.Outcome { return s.Submit(y) }, feed: c.feed}
		r.ended = func() {
			if y.Result() < 0 {
				last, _ := y.Last()
				t.Errorf("%s: op %d: %v", c.name, last, y.Errno())
			}
		}
		y.Done = func(s *runtime.Shard, _ *runtime.Syslet) { r.ended(); r.next(s) }
		r.run(t, v, c.name)
	}
	if inline {
		return
	}
	r := &repeat{feed: func() {}, ended: func() {}}
	nothing, done := func() error { return nil }, func(error) { r.next(v.Shards()[0]) }
	r.submit = func(s *runtime.Shard) runtime.Outcome { return s.Threadlet(nothing, done) }
	r.run(t, v, "threadlet")
}

// repeat runs something again and again on a shard.
type repeat struct {
	submit      func(s *runtime.Shard) runtime.Outcome
	feed, ended func() // before and after each run
	left        int
	before      goruntime.MemStats
	after       goruntime.MemStats
	end         chan struct{}
}

func (r *repeat) run(t *testing.T, v *runtime.Server, name string) {
	const n = 200
	r.end = make(chan struct{}, 1)
	least := uint64(1 << 63)
	for try := 0; try < allocTries && least >= n/2; try++ {
		v.Shards()[0].Do(func(s *runtime.Shard) {
			r.left = n
			goruntime.ReadMemStats(&r.before)
			r.next(s)
		})
		await(t, r.end)
		least = min(least, r.after.Mallocs-r.before.Mallocs)
	}
	require.Less(t, least, uint64(n/2), "allocations in %d runs of %s", n, name)
}

func (r *repeat) next(s *runtime.Shard) {
	for ; r.left > 0; r.ended() {
		r.left--
		r.feed()
		if r.submit(s) == runtime.Queued {
			return
		}
	}
	goruntime.ReadMemStats(&r.after)
	r.end <- struct{}{}
}
