package runtime

import (
	"bytes"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fakeSensor has one switch for each step of its counter.
type fakeSensor struct {
	counter  uint64
	switches []Switch
	gone     uint64 // the oldest, which were overwritten
	blocked  bool
}

func (f *fakeSensor) Counter() *uint64 { return &f.counter }

func (f *fakeSensor) Blocked() (int64, bool) { return 0, f.blocked }

func (f *fakeSensor) Switches(from, to uint64, out []Switch) (n int, next, lost uint64) {
	if from < f.gone {
		from, lost = f.gone, f.gone-from
	}
	n = copy(out, f.switches[from:to])
	return n, from + uint64(n), lost
}

// off has the thread be off its CPU from one time of nanotime to another.
func (f *fakeSensor) off(fromNs, toNs int64, preempted bool) {
	f.switches = append(f.switches, Switch{fromNs + monotonicEpochNs, toNs + monotonicEpochNs, preempted})
	f.counter++
}

func sensed(t *testing.T) (*Shard, *fakeSensor) {
	s, f := busyShard(t), &fakeSensor{}
	s.app = lockApp{}
	s.SetBlockSensor(f, "")
	require.Equal(t, BlocksBySwitch, s.block.counting(s).Method)
	return s, f
}

// callBack has the shard run a callback that does what.
func callBack(s *Shard, cb callback, what func()) {
	s.calling(cb)
	what()
	if s.called() {
		s.bookCalled(cb, 0)
	}
}

func TestSwitchesAreBooked(t *testing.T) {
	s, f := sensed(t)
	callBack(s, cbData, func() {})
	f.off(10, 1010, false) // between callbacks
	callBack(s, cbTick, func() {
		f.off(2000, 5000, false)
		f.off(6000, 9000, true) // preempted: no block
	})
	for i := range 3 * switchesMax {
		at := int64(10_000 * (i + 1))
		callBack(s, cbMessage, func() { f.off(at, at+100, false) })
	}
	callBack(s, cbClosed, func() { // more than is read at once
		for i := range 2*switchesMax + 5 {
			f.off(int64(i)*1000, int64(i)*1000+7, false)
		}
	})
	got := map[string]BlockSite{}
	for _, site := range s.Blocks() {
		require.NotContains(t, got, site.Callback)
		got[site.Callback] = site
	}
	require.Len(t, got, 4)
	require.Equal(t, BlockLoop, got["loop"].Kind)
	require.EqualValues(t, 1000, got["loop"].TotalNs)
	require.EqualValues(t, 1, got["Tick"].Count)
	require.EqualValues(t, 3000, got["Tick"].TotalNs)
	require.EqualValues(t, 3*switchesMax, got["Message"].Count)
	require.EqualValues(t, 2*switchesMax+5, got["Closed"].Count)
	require.EqualValues(t, 7*(2*switchesMax+5), got["Closed"].TotalNs)
	require.Equal(t, "(Tick of runtime.lockApp, line not sampled)", got["Tick"].Function)
	require.Zero(t, s.block.lost)
}

func TestLostSwitchesAreSaid(t *testing.T) {
	s, f := sensed(t)
	callBack(s, cbData, func() {
		for range 5 {
			f.off(0, 10, false)
		}
		f.gone = 3
	})
	require.EqualValues(t, 2, s.Blocks()[0].Count)
	require.EqualValues(t, 3, s.block.counting(s).RecordsLost)
}

// What a driver ran as a body is the driver's to book, and what the profile
// itself caused is nobody's.
func TestWhoseSwitchesTheyAre(t *testing.T) {
	s, f := sensed(t)
	y := NewSyslet(Sleep(Imm(1)))
	f.off(0, 5000, false)
	s.BodyRan(y, 0, 5000)
	callBack(s, cbData, func() {})
	require.Len(t, s.Blocks(), 1)
	require.Equal(t, BlockBody, s.Blocks()[0].Kind)
	require.EqualValues(t, 5000, s.Blocks()[0].TotalNs)

	w := &s.server.watcher
	w.stops[0].fromNs, w.stops[0].toNs = 1e6, 2e6
	callBack(s, cbData, func() { f.off(1_500_000, 1_600_000, false) }) // while a stack was taken
	require.Len(t, s.Blocks(), 1)
	require.EqualValues(t, 1, s.block.counting(s).OwnStops)
	callBack(s, cbData, func() { f.off(1_500_000, 5_600_000, false) }) // that cannot be why
	require.Len(t, s.Blocks(), 2)
}

// A sample names the block in which it was taken, and no other.
func TestSamplesNameTheirBlock(t *testing.T) {
	s, f := sensed(t)
	callBack(s, cbData, func() {
		f.off(1e6, 5e6, false)
		f.off(6e6, 9e6, false)
		s.block.samples = []blockSample{{fromNs: 7e6, toNs: 7.1e6, waits: true, line: appLine{"main.app", "app.go", 41, "os.(*File).Sync"}}}
	})
	sites := s.Blocks()
	require.Len(t, sites, 2)
	require.False(t, sites[0].Sampled)
	require.EqualValues(t, 4e6, sites[0].TotalNs)
	require.True(t, sites[1].Sampled)
	require.EqualValues(t, 3e6, sites[1].TotalNs)
	require.Equal(t, 41, sites[1].Line)
	require.True(t, s.block.timing, "a long block has callbacks timed")
}

// What a long stretch of work is booked as, if nothing but its length is known.
func TestStretches(t *testing.T) {
	const ms = int64(1e6)
	for name, c := range map[string]struct {
		busyNs        int64
		calls, bodies int
		sites         int
		function      string
		stalls        uint64 // Stats.Stalls
	}{
		"short":                             {busyNs: ms / 2, calls: 1},
		"one callback":                      {busyNs: 5 * ms, calls: 1, sites: 1, function: "(Data of runtime.lockApp, line not sampled)"},
		"few that are long even on average": {busyNs: 5 * ms, calls: 3, sites: 1, function: "(a turn of several callbacks of runtime.lockApp)"},
		"many short ones":                   {busyNs: 5 * ms, calls: 200},
		"perhaps a body":                    {busyNs: 5 * ms, calls: 1, bodies: 1},
		"over the budget, whatever it was":  {busyNs: 12 * ms, calls: 200, sites: 1, function: "(a turn of several callbacks of runtime.lockApp)", stalls: 1},
	} {
		s := busyShard(t)
		s.app = lockApp{}
		s.block.beginStretch()
		s.block.stretch.now, s.block.stretch.calls, s.block.stretch.bodies = cbData, c.calls, c.bodies
		s.nowNs = c.busyNs
		s.endStretch(false)
		sites := s.Blocks()
		require.Len(t, sites, c.sites, name)
		if c.sites > 0 {
			require.Equal(t, BlockStall, sites[0].Kind, name)
			require.Equal(t, c.function, sites[0].Function, name)
			require.EqualValues(t, c.busyNs, sites[0].TotalNs, name)
		}
		require.Equal(t, c.stalls, s.Stats.Stalls, name)
		require.Equal(t, c.busyNs > ms, s.block.timing, name)
	}
}

// Without a sensor a long callback is shared out among the lines at which it was
// seen.
func TestHeldIsSharedOut(t *testing.T) {
	s := busyShard(t)
	b := &s.block
	b.began(1000)
	at := func(fromNs int64, waits bool, line int) blockSample {
		return blockSample{fromNs: fromNs, waits: waits, line: appLine{function: "main.f", file: "f.go", line: line}}
	}
	b.samples = []blockSample{at(2000, true, 1), at(4000, true, 1), at(7000, true, 2), at(9000, false, 3)}
	b.bookHeld(siteKey{callback: cbData}, 10_000)
	got := map[int]BlockSite{}
	for _, site := range s.Blocks() {
		got[site.Line] = site
		require.EqualValues(t, 1, site.Count)
	}
	require.EqualValues(t, 6000, got[1].TotalNs)
	require.EqualValues(t, 2000, got[2].TotalNs)
	require.EqualValues(t, 2000, got[3].TotalNs)
	require.Equal(t, BlockCallback, got[2].Kind)
	require.Equal(t, BlockStall, got[3].Kind)
}

// A spot check opens the sensor and closes it again, unless it finds something.
func TestSpotChecks(t *testing.T) {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	s := busyShard(t)
	s.app = lockApp{}
	f, opened, closed := &fakeSensor{}, 0, 0
	s.SetBlockSensing(func(tid int) (BlockSensor, func(), error) {
		require.Equal(t, unix.Gettid(), tid)
		opened++
		return f, func() { closed++ }, nil
	})
	require.Equal(t, BlocksAdaptive, s.block.counting(s).Method)
	require.Zero(t, opened)
	at := s.nowNs
	turn := func(afterNs int64, what func()) {
		callBack(s, cbData, what)
		at += afterNs
		s.nowNs, s.wokeNs = at, at
		s.endStretch(false)
	}
	nothing := func() {}
	s.block.provide()
	require.Equal(t, 1, opened)
	require.Nil(t, s.block.sensor, "before the head has taken it over")
	turn(1000, nothing)
	require.NotNil(t, s.block.sensor)
	s.block.provide()
	require.Equal(t, 1, opened, "one is there")
	turn(1000, nothing)
	require.Zero(t, closed)
	turn(spotNs, nothing)
	require.Equal(t, 1, closed, "it found nothing")

	s.block.provide()
	turn(1000, nothing)
	for range 50 {
		turn(1000, func() { f.off(0, 100, false) })
	}
	turn(spotNs, nothing)
	require.Equal(t, 2, opened)
	require.Equal(t, 1, closed, "it found more blocks than Go has made stops")
	turn(evidenceNs, nothing)
	turn(evidenceNs, nothing)
	require.Equal(t, 2, closed)
	require.Positive(t, s.block.sense.totalNs.Load())
	require.EqualValues(t, 50, s.Blocks()[0].Count)
}

// TestVisits: while a visitor does the head's work the watcher finds the visitor's
// stack, and behind that the head's thread again.
func TestVisits(t *testing.T) {
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	s := busyShard(t)
	var mu sync.Mutex
	mu.Lock()
	s.app = lockApp{&mu}
	s.headBegins()
	head := s.block.tid
	require.Equal(t, unix.Gettid(), head)
	visitor, done := make(chan int), make(chan struct{})
	go func() {
		defer close(done)
		goruntime.LockOSThread()
		s.VisitBegins()
		defer s.VisitEnds()
		visitor <- unix.Gettid()
		s.Received(&Conn{shard: s, state: connOpen}, []byte("x"))
	}()
	tid := <-visitor
	require.NotEqual(t, head, tid)
	var st headStack
	for deadline := time.Now().Add(10 * time.Second); !st.parked && time.Now().Before(deadline); goruntime.Gosched() {
		var b bytes.Buffer
		require.NoError(t, takeStacks(&b))
		s.block.mu.Lock()
		at := s.block.tid
		s.block.mu.Unlock()
		require.Equal(t, tid, at)
		st, _ = readStack(b.Bytes(), s.index, at)
	}
	require.True(t, strings.HasSuffix(st.line.function, "lockApp.Data"), "%+v", st)
	mu.Unlock()
	<-done
	require.Equal(t, head, s.block.tid)
}
