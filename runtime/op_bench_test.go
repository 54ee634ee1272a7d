package runtime_test

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models"
	srt "github.com/syslet/syslet/runtime"
)

// What an op costs: by itself, and when the threadlet model runs it. One table,
// BenchmarkOp/<op>/<way>:
//
//	bare       the call as a Go program makes it, with x/sys/unix
//	syslet     a syslet of that op that finds what it asks for and does not block,
//	           from Submit to Completed, or to Done where it runs in place
//	plain      the same under StrategyDetect: not tried, but called in place; of ops
//	           that have a nonblocking form
//	threadlet  a Go function that makes the bare call, from Shard.Threadlet to done
//	announced  the op blocks, and that is known: the shard is handed over first
//	detected   the op blocks, and nobody has said so
//
// ns/op of what does not block is the median of chunks of calls: a chunk that
// another process interrupted says nothing. over-bare-ns is what a way adds to the
// bare call: the median of pairs of chunks, one of each, made in turn on the same
// thread, so that a noisy machine is the same for both. p50-ns and p99-ns are the
// driver's own figures, from the announcement or the block to the loop going on.

// chunkMax is the number of calls between two looks at the clock.
const chunkMax = 64

// pairCount is the number of pairs of chunks behind over-bare-ns.
const pairCount = 301

// opCase is an op with all in place that it asks for, so that it does not block.
type opCase struct {
	ops []srt.Op
	// bare makes the calls i, ..., to-1 of a chunk, and moves i.
	bare  func() error
	i, to int
	// set gives a syslet what differs from call to call, got looks at its result.
	set, got func(y *srt.Syslet, i int)
	// prepare and cleanup come before and after a chunk of n calls, off the clock.
	prepare, cleanup func(n int)
}

func BenchmarkOp(b *testing.B) {
	for _, c := range opCases {
		b.Run(c.name, func(b *testing.B) {
			for _, way := range []way{bareCall, asSyslet, asPlain, asThreadlet} {
				if c.open == nil || way == asPlain && !c.open(b).ops[0].HasNonblockingForm() {
					continue
				}
				b.Run(way.String(), func(b *testing.B) { measure(b, c.open(b), way) })
			}
			if c.announced != nil {
				b.Run("announced", func(b *testing.B) { measureBlocked(b, c.announced(b), true) })
			}
			if c.detected != nil {
				b.Run("detected", func(b *testing.B) { measureBlocked(b, c.detected(b), false) })
			}
		})
	}
}

type way int

const (
	bareCall way = iota
	asSyslet
	asPlain
	asThreadlet
)

func (w way) String() string { return [...]string{"bare", "syslet", "plain", "threadlet"}[w] }

// meter makes the calls of one way, in chunks, on the shard.
type meter struct {
	*opCase
	way  way
	s    *srt.Shard
	y    *srt.Syslet
	done func(error)

	n     int // calls of this chunk
	began time.Time
	left  int       // calls to count, this chunk's included
	spans []float64 // ns per call in the chunks counted
	pairs []float64 // ns per call more than bare, once none is left to count
	stop  func()    // ends the counting
	err   error
	end   chan struct{}
}

func measure(b *testing.B, c *opCase, way way) {
	m := &meter{opCase: c, way: way, left: b.N, stop: b.StopTimer, end: make(chan struct{})}
	m.y = srt.NewSyslet(c.ops...)
	m.y.Done = func(*srt.Shard, *srt.Syslet) { m.ended(); m.next() }
	m.done = func(err error) { m.fail(err); m.i = m.to; m.next() }
	m.spans = make([]float64, 0, b.N/chunkMax+1)
	m.pairs = make([]float64, 0, pairCount)
	strategy := srt.StrategyTry
	if way == asPlain {
		strategy = srt.StrategyDetect
	}
	v := serve(b, strategy)
	b.ReportAllocs()
	v.Shards()[0].Do(func(s *srt.Shard) {
		m.s = s
		b.ResetTimer()
		m.begin(min(chunkMax, m.left))
		m.next()
	})
	<-m.end
	if m.err != nil {
		b.Fatal(m.err)
	}
	b.ReportMetric(median(m.spans), "ns/op")
	if way != bareCall {
		b.ReportMetric(median(m.pairs), "over-bare-ns")
	}
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

func (m *meter) begin(n int) {
	if m.i, m.n = 0, n; m.prepare != nil {
		m.prepare(n)
	}
	m.began = time.Now()
}

func (m *meter) over() time.Duration {
	took := time.Since(m.began)
	if m.cleanup != nil {
		m.cleanup(m.n)
	}
	return took
}

// next goes on with the calls, until one is queued, whose end then goes on, or
// all are made. The calls are made here, not a function further down: see Exec.
func (m *meter) next() {
	for {
		for m.i < m.n {
			switch m.way {
			case bareCall:
				m.to = m.n
				m.fail(m.bare())
				m.i = m.n
			case asSyslet, asPlain:
				if m.set != nil {
					m.set(m.y, m.i)
				}
				m.i++
				if m.s.Submit(m.y) == srt.Queued {
					return
				}
				m.ended()
			case asThreadlet:
				m.to = m.i + 1
				if m.s.Threadlet(m.bare, m.done) == srt.Queued {
					return
				}
			}
		}
		if !m.turn() {
			close(m.end)
			return
		}
	}
}

func (m *meter) ended() {
	if m.y.Result() < 0 {
		m.fail(m.y.Errno())
	}
	if m.got != nil {
		m.got(m.y, m.i-1)
	}
}

func (m *meter) fail(err error) {
	if err != nil {
		m.err = err
	}
}

// turn books the chunk that is over and begins another. False: no more.
func (m *meter) turn() bool {
	took := m.over()
	if m.left > 0 {
		m.spans = append(m.spans, float64(took)/float64(m.n))
		if m.left -= m.n; m.left > 0 {
			m.begin(min(chunkMax, m.left))
			return true
		}
		m.stop()
	} else {
		m.begin(chunkMax)
		m.to = m.n
		m.fail(m.bare())
		m.pairs = append(m.pairs, float64(took-m.over())/float64(m.n))
	}
	if m.way == bareCall || len(m.pairs) == pairCount || m.err != nil {
		return false
	}
	m.begin(chunkMax)
	return true
}

// idler is an App without connections.
type idler struct{}

func (idler) Opened(*srt.Conn)           {}
func (idler) Data(*srt.Conn, []byte) int { return 0 }
func (idler) Closed(*srt.Conn, error)    {}

// serve starts one shard under the threadlet model, on one CPU.
func serve(b *testing.B, strategy srt.Strategy) *srt.Server {
	procs := runtime.GOMAXPROCS(0) // the server raises it
	b.Cleanup(func() { runtime.GOMAXPROCS(procs) })
	v, err := models.Open("threadlet", srt.Options{Listen: "127.0.0.1:0", CPUs: lastCPU(b), Strategy: strategy})
	check(b, err)
	check(b, v.Start(func(*srt.Shard) (srt.App, error) { return idler{}, nil }))
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		check(b, v.Stop(ctx))
	})
	return v
}

func lastCPU(b *testing.B) []int {
	var set unix.CPUSet
	check(b, unix.SchedGetaffinity(0, &set))
	for cpu := len(set)*64 - 1; cpu >= 0; cpu-- {
		if set.IsSet(cpu) {
			return []int{cpu}
		}
	}
	return nil
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
