package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	goruntime "runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// waiter is a driver for which everything has to wait.
type waiter struct {
	Driver
	last *Syslet
}

func (w *waiter) Submit(y *Syslet) Outcome { w.last = y; return Queued }

// busyShard is a shard with a block profile, whose loop the test is.
func busyShard(t testing.TB) *Shard {
	v, err := New(Options{}, nil)
	require.NoError(t, err)
	s := &Shard{server: v, opts: &v.opts, drv: &waiter{}}
	s.block.init(&v.opts, false)
	v.shards = []*Shard{s}
	return s
}

func line() int {
	_, _, n, _ := goruntime.Caller(1)
	return n
}

// A body's block is booked at the line that submitted it, with its op.
func TestBodiesAreNamed(t *testing.T) {
	s := busyShard(t)
	y := NewSyslet(Nop(Imm(0)), Fsync(Imm(-1)))
	require.Equal(t, Queued, s.Submit(y))
	submitted := line() - 1
	s.BookBlock(y, 1, 3e6)
	s.BookBlock(y, 1, 5e6)
	require.Equal(t, Queued, s.Threadlet(waitForever, nil))
	threaded := line() - 1
	s.BookBlock(s.drv.(*waiter).last, 0, 1e6)

	sites := s.Blocks()
	require.Len(t, sites, 2)
	for i, want := range []struct {
		line int
		call string
		n    uint64
	}{{submitted, "fsync (op 1)", 2}, {threaded, modulePath + "/runtime.waitForever", 1}} {
		require.Equal(t, BlockBody, sites[i].Kind)
		require.Equal(t, want.line, sites[i].Line)
		require.Equal(t, want.call, sites[i].Call)
		require.Equal(t, want.n, sites[i].Count)
		require.True(t, strings.HasSuffix(sites[i].Function, "TestBodiesAreNamed"), sites[i].Function)
		require.True(t, strings.HasSuffix(sites[i].File, "blocks_test.go"))
	}
	require.EqualValues(t, 8e6, sites[0].TotalNs)
	require.EqualValues(t, 5e6, sites[0].MaxNs)
}

func waitForever() error { return nil }

// What a syslet that completes at once costs stays what it was: its site is not
// even looked at.
func TestCompletedIsNotNamed(t *testing.T) {
	s := busyShard(t)
	s.drv = completer{}
	y := NewSyslet(Nop(Imm(0)))
	require.Equal(t, Completed, s.Submit(y))
	require.Zero(t, y.from)
}

type completer struct{ Driver }

func (completer) Submit(y *Syslet) Outcome { y.RunBlocking(); return Completed }

// TestSitesAreBounded: what has no room is counted as such.
func TestSitesAreBounded(t *testing.T) {
	s := busyShard(t)
	y := NewSyslet(Nop(Imm(0)))
	for i := range blockSitesMax + 10 {
		y.from = callSite{uintptr(i + 1)}
		s.BookBlock(y, 0, 1000)
	}
	require.Len(t, s.block.table.entries, blockSitesMax)
	c := s.block.counting(s)
	require.EqualValues(t, 10, c.Overflow)
	require.EqualValues(t, blockSitesMax+10, c.Totals[BlockBody].Count)
	require.Contains(t, c.String(), "10 blocks in no line of their own")
}

func TestBlockHistogram(t *testing.T) {
	last := int64(0)
	for i := range blockBucketsLen {
		from, to := BlockBucketNs(i)
		require.Equal(t, last, from, "bucket %d begins where the last one ends", i)
		require.Greater(t, to, from)
		require.Equal(t, i, blockBucket(from))
		if i < blockBucketsLen-1 {
			require.Equal(t, i, blockBucket(to-1))
		}
		last = to
	}
	require.Equal(t, blockBucketsLen-1, blockBucket(1<<62))
	require.Equal(t, 0, blockBucket(-1))
	var x BlockTimes
	for i := range int64(100) {
		x.add((i + 1) * 1e6)
	}
	require.InEpsilon(t, 50e6, x.QuantileNs(0.5), 0.2)
	require.InEpsilon(t, 99e6, x.QuantileNs(0.99), 0.2)
	require.LessOrEqual(t, x.QuantileNs(1), int64(100e6))
	require.Zero(t, (&BlockTimes{}).QuantileNs(0.5))
}

// A report survives the way through JSON, and the difference of two is what came
// between.
func TestBlockReports(t *testing.T) {
	s := busyShard(t)
	y := NewSyslet(Sleep(Imm(1)))
	s.BookBlock(y, 0, 9e6)
	before := s.server.Blocks()
	s.BookBlock(y, 0, 4e6)
	s.block.table.book(siteKey{kind: BlockStall, callback: cbTick}, 2e6)
	after := s.server.Blocks()
	text, err := json.Marshal(after)
	require.NoError(t, err)
	var back BlockReport
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, after, back)
	require.Less(t, len(text), 2000, "empty buckets are left out")

	d := after.Since(before)
	require.Len(t, d.Sites, 2)
	require.EqualValues(t, 1, d.Sites[0].Count)
	require.EqualValues(t, 4e6, d.Sites[0].TotalNs)
	require.InEpsilon(t, 4e6, d.Sites[0].MaxNs, 0.2)
	require.EqualValues(t, 1, d.Shards[0].Totals[BlockBody].Count)
	require.EqualValues(t, 2, after.Shards[0].Totals[BlockBody].Count, "what was given is left as it is")
	require.Empty(t, after.Since(after).Sites)

	require.Contains(t, after.String(), "body   shard 0  (submitted by the runtime)")
	require.Contains(t, after.String(), "in sleep (op 0)")
	require.Contains(t, after.String(), "2 blocks  total 13ms")
	require.Contains(t, after.String(), "1 stalls  total 2ms")
	require.Contains(t, d.Sites[1].String(), "Tick of <nil>, line not sampled")
	require.ErrorContains(t, json.Unmarshal([]byte(`{"kind":"nap"}`), &back.Sites[0]), "nap")
}

// Where a goroutine stands is found by its label, and told from what it calls.
func TestStacks(t *testing.T) {
	var mu sync.Mutex
	mu.Lock()
	s := &Shard{index: 7, app: lockApp{&mu}}
	v, err := New(Options{}, nil)
	require.NoError(t, err)
	s.server, s.opts = v, &v.opts
	s.block.init(&v.opts, true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(headLabel, headLabelValue(7, 12))))
		s.Received(&Conn{shard: s, state: connOpen}, []byte("x"))
	}()
	var st headStack
	for deadline := time.Now().Add(10 * time.Second); !st.parked && time.Now().Before(deadline); goruntime.Gosched() {
		var b bytes.Buffer
		require.NoError(t, takeStacks(&b))
		st, _ = readStack(b.Bytes(), 7, 12)
		_, other := readStack(b.Bytes(), 7, 1)
		require.False(t, other, "another thread's label")
	}
	mu.Unlock()
	<-done
	require.True(t, st.parked)
	require.False(t, st.inBody)
	require.True(t, strings.HasSuffix(st.line.function, "lockApp.Data"), "%+v", st)
	require.True(t, strings.HasSuffix(st.line.file, "blocks_test.go"))
	require.Equal(t, "sync.(*Mutex).Lock", st.line.call)
}

type lockApp struct{ mu *sync.Mutex }

func (lockApp) Opened(*Conn)        {}
func (lockApp) Closed(*Conn, error) {}
func (a lockApp) Data(_ *Conn, p []byte) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(p)
}

func TestWhoseFrames(t *testing.T) {
	require.NotEmpty(t, goRoot)
	for _, c := range []struct {
		function, file string
		own, ofGo      bool
	}{
		{modulePath + "/runtime.(*Shard).EndTurn", "/x/runtime/shard.go", true, false},
		{modulePath + "/runtime.TestStacks", "/x/runtime/blocks_test.go", false, false},
		{modulePath + "/runtime/conformance.echo", "/x/runtime/conformance/streams.go", false, false},
		{modulePath + "/models/threadlet.(*Driver).Turn", "/x/models/threadlet/driver.go", true, false},
		{modulePath + "/workloads/game/server.(*App).Data", "/x/app.go", false, false},
		{"os.(*File).Sync", goRoot + "os/file.go", false, true},
		{"golang.org/x/sys/unix.Nanosleep", "/go/pkg/mod/golang.org/x/sys/unix/z.go", false, true},
		{"main.main", "/x/main.go", false, false},
		{"example.org/app.(*App).Data", "/x/app.go", false, false},
	} {
		require.Equal(t, c.own, ownFrame(c.function, c.file), c.function)
		if !c.own {
			require.Equal(t, c.ofGo, goFrame(c.function, c.file), c.function)
		}
	}
	defer func(was string) { goRoot = was }(goRoot)
	goRoot = "" // as with -trimpath
	for function, ofGo := range map[string]bool{"os.(*File).Sync": true, "internal/poll.(*FD).Fsync": true, "main.main": false,
		"example.org/app.(*App).Data": false, "golang.org/x/sys/unix.Nanosleep": true} {
		require.Equal(t, ofGo, goFrame(function, "x/y.go"), function)
	}
}

func BenchmarkCallSite(b *testing.B) {
	b.Run("frame-pointers", func(b *testing.B) {
		var c callSite
		for b.Loop() {
			takeCallSite(&c)
		}
	})
	b.Run("runtime.Callers", func(b *testing.B) {
		var c callSite
		for b.Loop() {
			goruntime.Callers(2, c[:])
		}
	})
}

// BenchmarkCallback is what the profile adds to a callback that does nothing
// wrong.
func BenchmarkCallback(b *testing.B) {
	s := busyShard(b)
	for b.Loop() {
		s.calling(cbData)
		if s.called() {
			b.Fatal(fmt.Errorf("nothing happened"))
		}
	}
}
