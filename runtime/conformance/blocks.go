package conformance

import (
	"io"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// The block profile: what holds a head up is counted, and its line is found.

const (
	blockSleeps  = 17
	blockSleepNs = int64(4e6)
)

// here is the line from which it is called.
func here() int64 {
	_, _, line, _ := goruntime.Caller(1)
	return int64(line)
}

// rude is an App whose callbacks do what they must not, each on a line of its
// own, and then answer with a byte.
type rude struct {
	mu sync.Mutex // held by the test while it lets the head wait

	// Each the line that blocks, stored by the head before it does. Atomic: the
	// test reads them after an answer, which is no order that Go knows of.
	sleepLine, otherLine, lockLine, computeLine atomic.Int64
}

func (r *rude) data(c *runtime.Conn, p []byte) int {
	for _, what := range p {
		left := unix.NsecToTimespec(blockSleepNs)
		switch what {
		case 's':
			r.sleepLine.Store(here() + 1)
			for unix.Nanosleep(&left, &left) == unix.EINTR {
			}
		case 'o':
			r.otherLine.Store(here() + 1)
			for unix.Nanosleep(&left, &left) == unix.EINTR {
			}
		case 'l':
			r.lockLine.Store(here() + 1)
			r.mu.Lock()
			r.mu.Unlock()
		case 'c':
			compute(r, 5*time.Millisecond)
		}
	}
	_ = c.Write(p)
	return len(p)
}

// compute works for d. Its work is on one line: a stack is taken anywhere in it.
func compute(r *rude, d time.Duration) {
	r.computeLine.Store(here() + 1)
	for x, until := uint64(1), time.Now().Add(d); x != 0 && time.Now().Before(until); x = x*6364136223846793005 | 1 {
	}
}

// blocksOf serves rude and gives a function that has it do something.
func (s suite) blocksOf(t *testing.T, o runtime.Options) (*runtime.Server, *rude, func(what byte)) {
	r := &rude{}
	v := s.serve(t, o, &app{data: r.data})
	c := dial(t, v)
	return v, r, func(what byte) {
		_, err := c.Write([]byte{what})
		require.NoError(t, err)
		_, err = io.ReadFull(c, make([]byte, 1))
		require.NoError(t, err, "%v", v.Blocks())
	}
}

func siteAt(v *runtime.Server, kind runtime.BlockKind, line int64) runtime.BlockSite {
	sites := v.Blocks().Sites
	i := slices.IndexFunc(sites, func(b runtime.BlockSite) bool { return b.Kind == kind && int64(b.Line) == line })
	if i < 0 {
		return runtime.BlockSite{}
	}
	return sites[i]
}

// until has ok become true, by trying.
func until(t *testing.T, v *runtime.Server, try func(), ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("the block profile does not show it:\n%v", v.Blocks())
		}
		try()
	}
}

// blocksSleep: two lines that sleep are told apart, and each block is counted
// once, sampled or not.
func (s suite) blocksSleep(t *testing.T) {
	v, r, do := s.blocksOf(t, runtime.Options{CountEveryBlock: true})
	sent, start := uint64(0), time.Now()
	both := func() { do('s'); do('o'); sent += 2 }
	until(t, v, both, func() bool {
		return siteAt(v, runtime.BlockCallback, r.sleepLine.Load()).Count >= blockSleeps &&
			siteAt(v, runtime.BlockCallback, r.otherLine.Load()).Count >= blockSleeps
	})
	do(0) // the last one is booked before this is answered
	report := v.Blocks()
	for _, line := range []int64{r.sleepLine.Load(), r.otherLine.Load()} {
		site := siteAt(v, runtime.BlockCallback, line)
		require.Contains(t, site.Function, "(*rude).data")
		require.Contains(t, site.File, "conformance/blocks.go")
		require.Equal(t, "Data", site.Callback)
		require.True(t, site.Sampled)
		require.Equal(t, "unix.Nanosleep", site.Call)
		require.GreaterOrEqual(t, site.MaxNs, uint64(blockSleepNs))
		require.GreaterOrEqual(t, site.TotalNs, site.Count*uint64(blockSleepNs)*9/10, "%v", report)
	}
	if report.Shards[0].Method == runtime.BlocksBySwitch {
		// A signal can make two blocks of one sleep.
		n, totalNs := longBlocks(report)
		require.LessOrEqual(t, totalNs, uint64(time.Since(start)), "each once\n%v", report)
		// One whose time runs out while others have the CPU never blocks.
		stalls, stalledNs := stalled(report)
		require.GreaterOrEqual(t, n+stalls, sent, "%v", report)
		require.GreaterOrEqual(t, totalNs+stalledNs, sent*uint64(blockSleepNs), "%v", report)
	}
}

// blocksSync: an op that its maker wants made there and then is named without a
// sample: by the line that submitted it, and by what it is.
func (s suite) blocksSync(t *testing.T) {
	var submitted atomic.Int64
	v := s.serve(t, runtime.Options{CountEveryBlock: true}, &app{data: func(c *runtime.Conn, p []byte) int {
		y := runtime.NewSyslet(runtime.Nop(runtime.Imm(0)), runtime.Sleep(runtime.Imm(blockSleepNs)).With(runtime.Sync))
		submitted.Store(here() + 1)
		c.Shard().Submit(y)
		_ = c.Write(p)
		return len(p)
	}})
	c := dial(t, v)
	for range 3 {
		_, err := c.Write([]byte{1})
		require.NoError(t, err)
		_, err = io.ReadFull(c, make([]byte, 1))
		require.NoError(t, err)
	}
	if method := v.Blocks().Shards[0].Method; method != runtime.BlocksBySwitch {
		return // there the watcher has to see it, as anything else
	}
	site := siteAt(v, runtime.BlockCallback, submitted.Load())
	require.GreaterOrEqual(t, site.Count, uint64(3), "%v", v.Blocks())
	require.Equal(t, "sleep (op 1)", site.Call)
	require.Equal(t, "Submit", site.Callback)
	require.GreaterOrEqual(t, site.TotalNs, 3*uint64(blockSleepNs))
}

// blocksShards: two heads that are held up at the same time are told apart.
func (s suite) blocksShards(t *testing.T) {
	var lines [2]atomic.Int64
	v := s.serve(t, runtime.Options{Shards: len(lines)}, &app{})
	sleep := func(sh *runtime.Shard) {
		left := unix.NsecToTimespec(blockSleepNs)
		if sh.Index() == 0 {
			lines[0].Store(here() + 1)
			for unix.Nanosleep(&left, &left) == unix.EINTR {
			}
			return
		}
		lines[1].Store(here() + 1)
		for unix.Nanosleep(&left, &left) == unix.EINTR {
		}
	}
	until(t, v, func() {
		done := make(chan struct{}, len(lines))
		for _, sh := range v.Shards() {
			sh.Do(func(sh *runtime.Shard) { sleep(sh); done <- struct{}{} })
		}
		for range lines {
			await(t, done)
		}
	}, func() bool {
		return siteAt(v, runtime.BlockCallback, lines[0].Load()).Count > 2 && siteAt(v, runtime.BlockCallback, lines[1].Load()).Count > 2
	})
	for i := range lines {
		for _, site := range v.Shards()[i].Blocks() {
			require.Equal(t, i, site.Shard)
			require.NotEqual(t, lines[1-i].Load(), int64(site.Line), "the other shard's line\n%v", v.Blocks())
		}
	}
}

// blocksDefault: with the options that a server has if nobody says otherwise,
// the lines are found, too.
func (s suite) blocksDefault(t *testing.T) {
	v, r, do := s.blocksOf(t, runtime.Options{})
	until(t, v, func() { do('s'); do('o') }, func() bool {
		return siteAt(v, runtime.BlockCallback, r.sleepLine.Load()).Count > 2 &&
			siteAt(v, runtime.BlockCallback, r.otherLine.Load()).Count > 2
	})
	require.NotEqual(t, runtime.BlocksOff, v.Blocks().Shards[0].Method)
}

// longBlocks adds up the blocks in callbacks. Their number is that of those
// longer than a quarter of a sleep.
func longBlocks(r runtime.BlockReport) (n, totalNs uint64) {
	for i := range r.Sites {
		if r.Sites[i].Kind != runtime.BlockCallback {
			continue
		}
		totalNs += r.Sites[i].TotalNs
		for b, count := range r.Sites[i].Histogram {
			if _, to := runtime.BlockBucketNs(b); to > blockSleepNs/4 {
				n += count
			}
		}
	}
	return n, totalNs
}

// stalled is what is booked as callbacks that computed for long.
func stalled(r runtime.BlockReport) (n, totalNs uint64) {
	for i := range r.Sites {
		if r.Sites[i].Kind == runtime.BlockStall && r.Sites[i].Callback == "Data" {
			n += r.Sites[i].Count
			totalNs += r.Sites[i].TotalNs
		}
	}
	return n, totalNs
}

// blocksLock: a lock that somebody else holds. It is let go when the watcher has
// looked.
func (s suite) blocksLock(t *testing.T) {
	v, r, do := s.blocksOf(t, runtime.Options{})
	until(t, v, func() {
		r.mu.Lock()
		seen := v.Blocks().Samples
		released := make(chan struct{})
		go func() {
			defer close(released)
			for deadline := time.Now().Add(patience); v.Blocks().Samples == seen && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			r.mu.Unlock()
		}()
		do('l')
		await(t, released)
	}, func() bool {
		// Other stacks at this line are possible: Go may stop the thread there, too.
		return slices.ContainsFunc(v.Blocks().Sites, func(b runtime.BlockSite) bool {
			return b.Kind == runtime.BlockCallback && int64(b.Line) == r.lockLine.Load() && b.Call == "sync.(*Mutex).Lock"
		})
	})
}

// blocksCompute: work that takes too long is no block, and found all the same.
func (s suite) blocksCompute(t *testing.T) {
	v, r, do := s.blocksOf(t, runtime.Options{})
	until(t, v, func() { do('c') }, func() bool {
		return siteAt(v, runtime.BlockStall, r.computeLine.Load()).Count > 0 || siteAt(v, runtime.BlockStall, r.computeLine.Load()+1).Count > 0
	})
}

// blocksOff: no profile, no watcher.
func (s suite) blocksOff(t *testing.T) {
	r := &rude{}
	v := s.serve(t, runtime.Options{BlockThreshold: -1}, &app{data: r.data})
	c := dial(t, v)
	_, err := c.Write([]byte("s"))
	require.NoError(t, err)
	_, err = io.ReadFull(c, make([]byte, 1))
	require.NoError(t, err)
	report := v.Blocks()
	require.Equal(t, runtime.BlocksOff, report.Shards[0].Method)
	require.Empty(t, report.Sites)
}

// blocksStalls: the profile and Stats.Stalls tell of the same turns.
func (s suite) blocksStalls(t *testing.T) {
	v := s.serve(t, runtime.Options{StallBudget: time.Millisecond}, &app{data: (&rude{}).data})
	c := dial(t, v)
	for range blockSleeps {
		_, err := c.Write([]byte("s"))
		require.NoError(t, err)
		_, err = io.ReadFull(c, make([]byte, 1))
		require.NoError(t, err)
	}
	st := statsOf(t, v) // comes after the last turn's end
	require.GreaterOrEqual(t, st.Stalls, uint64(blockSleeps))
	var n uint64
	for _, total := range v.Blocks().Shards[0].Totals {
		n += total.Count
		require.LessOrEqual(t, total.MaxNs, st.StallMaxNs)
	}
	require.GreaterOrEqual(t, n, st.Stalls, "%v", v.Blocks())
}
