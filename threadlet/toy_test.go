package threadlet

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	// A body may block with its P; the tests' pools are small, but several bodies block at once.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 8))
	// The Go poller's own two descriptors appear with the first pipe; not in the midst of a test.
	if r, w, err := os.Pipe(); err == nil {
		_, _ = r.Close(), w.Close()
	}
	goleak.VerifyTestMain(m)
}

// body is one event of the toy's list.
type body struct {
	announce bool   // hand over before fn
	outside  bool   // run fn as a callback, in no body
	fn       func() // may block
	done     atomic.Int32
	kept     bool // Leave said: still head. Written by the body's thread before done.
}

// toy is a shard with one list of bodies. Its plain fields are touched by the head alone; the race detector watches.
type toy struct {
	pool    *Pool
	bodies  []*body
	next    int
	turns   int
	owner   atomic.Int32 // 1 while a head touches the shard
	doubled atomic.Int32 // times that two heads were seen
	left    atomic.Int32 // bodies not completed
	wake    int          // eventfd: a demoted body has completed, or quit
}

func newToy(t testing.TB, cfg Config, bodies ...*body) *toy {
	s := &toy{bodies: bodies}
	s.left.Store(int32(len(bodies)))
	var err error
	s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	cfg.Name, cfg.Loop = "toy", s.loop
	s.pool, err = Open(cfg)
	require.NoError(t, err)
	return s
}

func (s *toy) own() {
	if !s.owner.CompareAndSwap(0, 1) {
		s.doubled.Add(1)
	}
}

func (s *toy) disown() { s.owner.Store(0) }

// loop runs the bodies in order and ends when each has completed, here or elsewhere.
func (s *toy) loop() {
	s.own()
	for s.next < len(s.bodies) {
		b := s.bodies[s.next]
		s.next++
		s.turns++
		if !s.step(b) {
			return
		}
	}
	for s.left.Load() > 0 {
		s.pool.Idle()
		var buf [8]byte
		_, _ = unix.Read(s.wake, buf[:])
	}
	s.disown()
}

// step runs one body and says whether this thread is head still.
func (s *toy) step(b *body) bool {
	if b.outside {
		b.fn()
		s.complete(b)
		return true
	}
	s.disown()
	ticket := s.pool.Enter()
	if b.announce {
		s.pool.HandOver(ticket)
	}
	b.fn()
	kept := s.pool.Leave(ticket)
	b.kept = kept
	if kept {
		s.own()
	}
	s.complete(b)
	return kept
}

func (s *toy) complete(b *body) {
	b.done.Add(1)
	if s.left.Add(-1) == 0 {
		signalEventfd(s.wake)
	}
}

// run runs the toy to its end and checks what must always hold.
func (s *toy) run(t testing.TB) Stats {
	before := openDescriptors(t)
	result := make(chan error, 1)
	go func() { result <- s.pool.Run() }()
	select {
	case err := <-result:
		require.NoError(t, err)
	case <-time.After(30 * time.Second):
		buf := make([]byte, 1<<16)
		t.Fatalf("the loop stands still: word %#x, stats %+v\n%s", s.pool.word.Load(), brief(s.pool.Stats()), buf[:runtime.Stack(buf, true)])
	}
	require.NoError(t, unix.Close(s.wake))
	require.Zero(t, s.doubled.Load(), "two heads at once")
	for i, b := range s.bodies {
		require.EqualValues(t, 1, b.done.Load(), "body %d", i)
	}
	require.Equal(t, len(s.bodies), s.turns)
	require.Equal(t, ended, word(s.pool.word.Load()).state())
	require.Equal(t, before-1, openDescriptors(t), "descriptors left open")
	requireNoThreads(t, "toy-tl")
	requireNoPerfMappings(t)
	return s.pool.Stats()
}

func brief(s Stats) string {
	return fmt.Sprintf("takeovers %v visits %d atBound %d/%d falseAlarms %d (%d preempted) free %d", s.Takeovers, s.Visits, s.AtBound, s.AtBoundAnnounced, s.FalseAlarms, s.FalsePreempted, s.FreeStandbys)
}

func openDescriptors(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

// requireNoThreads waits until no thread's name holds the given text: a thread dies shortly after its goroutine.
func requireNoThreads(t testing.TB, part string) {
	require.Eventually(t, func() bool {
		tasks, err := os.ReadDir("/proc/self/task")
		require.NoError(t, err)
		for _, task := range tasks {
			comm, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/comm")
			if strings.Contains(string(comm), part) {
				return false
			}
		}
		return true
	}, 2*time.Second, time.Millisecond, "threads named %s* are left", part)
}

func requireNoPerfMappings(t testing.TB) {
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	require.NotContains(t, string(maps), "perf_event", "a ring is still mapped")
}

// eachSetting runs f for each detector that can detect, unbound and with all threads on one CPU.
func eachSetting(t *testing.T, detectors []string, f func(t *testing.T, cfg Config)) {
	for _, d := range detectors {
		for _, cpu := range []int{-1, anyCPU(t)} {
			place := "unbound"
			if cpu >= 0 {
				place = "oneCPU"
			}
			t.Run(d+"/"+place, func(t *testing.T) {
				needDetector(t, d, cpu)
				f(t, Config{CPU: cpu, Standbys: 3, Detector: d})
			})
		}
	}
}

var (
	detecting = []string{DetectorIdle, DetectorSwitch, DetectorTimer}
	allKinds  = []string{DetectorIdle, DetectorSwitch, DetectorTimer, DetectorExplicit}
)

func needDetector(t testing.TB, name string, cpu int) {
	if _, _, err := chooseDetector(name, cpu); err != nil {
		t.Skipf("missing kernel feature for detector %s: %v", name, err)
	}
}

// anyCPU is the highest processor this process may use.
func anyCPU(t testing.TB) int {
	var set unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &set))
	for cpu := len(set)*64 - 1; cpu >= 0; cpu-- {
		if set.IsSet(cpu) {
			return cpu
		}
	}
	return -1
}

func sleepNs(ns int64) {
	ts := unix.NsecToTimespec(ns)
	for unix.Nanosleep(&ts, &ts) == unix.EINTR {
	}
}
