package sensor

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The sensors against the tools and files that everyone knows, over the same work:
// a process that switches threads, calls the kernel and computes when told to.

// childVariable makes this test's program do BusyWork.
const childVariable = "SENSOR_TEST_CHILD"

func startTestWorker(t *testing.T, kind string) *worker {
	t.Helper()
	w, err := startWorker(t.Context(), os.Args[:1], []string{childVariable + "=1"}, kind)
	require.NoError(t, err)
	t.Cleanup(w.end)
	return w
}

// TestAgree: every pair that is to be had here agrees. Of CPU time only that it is the
// same quantity: what a hypervisor or interrupts take is in perf's clock alone, and grows
// with what else the machine does. The bound itself is for syslet lab check sensors.
func TestAgree(t *testing.T) {
	pairs, err := Agree(t.Context(), os.Args[:1], []string{childVariable + "=1"})
	require.NoError(t, err)
	require.Len(t, pairs, 6)
	for i := range pairs {
		p := &pairs[i]
		t.Log(p)
		switch {
		case p.Unavailable != "":
		case p.Unit == "us":
			require.InDelta(t, 0, p.Apart(), 0.25, "%s", p)
		default:
			require.True(t, p.Agrees(), "%s", p)
			require.Positive(t, p.TheirValue)
		}
	}
	require.Equal(t, "/proc/PID/stat", pairs[3].Theirs)
	require.Empty(t, pairs[3].Unavailable, "it needs no tool")
	if pairs[0].Unavailable == "" {
		require.GreaterOrEqual(t, pairs[0].TheirValue, float64(2*workPairs*workRounds))
	}
}

func TestPair(t *testing.T) {
	for _, c := range []struct {
		ours, theirs float64
		agrees       bool
	}{{100, 100, true}, {101.9, 100, true}, {102.1, 100, false}, {97, 100, false}, {1, 0, false}, {0, 0, true}, {0, 1, false}} {
		p := Pair{OurValue: c.ours, TheirValue: c.theirs}
		require.Equal(t, c.agrees, p.Agrees(), "%v", c)
	}
	require.False(t, (&Pair{OurValue: 1, TheirValue: 1, Unavailable: "no perf"}).Agrees())
}

func TestBusyWorkOfUnknownKind(t *testing.T) {
	require.ErrorContains(t, BusyWork("nonsense", strings.NewReader(""), nil), "nonsense")
}

func TestParsePerfStat(t *testing.T) {
	require.Equal(t, map[string]float64{"context-switches": 21000, "task-clock": 1203.5},
		parsePerfStat("Events enabled\n21000,,context-switches,1200,100.00,,\n1203.5,msec,task-clock,1,100.00,,\n<not supported>,,cycles,0,100.00,,\n"))
}

// TestSwitchesByBPF: the switches that the bpf program saw are those of /proc, and those
// of threads that would have gone on are the involuntary ones.
func TestSwitchesByBPF(t *testing.T) {
	w := startTestWorker(t, WorkSwitches)
	pid := w.cmd.Process.Pid
	switches, sched := NewSwitches(pid), NewScheduling(pid)
	defer sched.Close()
	skipWithoutBPF(t, sched.why)
	sched.Start()
	switches.Start()
	require.NoError(t, w.work())
	readings, _ := switches.Stop()
	until, err := sched.tracer.read()
	require.NoError(t, err)
	involuntary := find(t, readings, "switches_involuntary").Value
	theirs := find(t, readings, "switches_voluntary").Value + involuntary
	require.InEpsilon(t, theirs, float64(until[schedSwitches]-sched.from[schedSwitches]), MostApart)
	preempted := float64(until[schedPreempted] - sched.from[schedPreempted])
	require.InDelta(t, involuntary, preempted, MostApart*involuntary+5, "they may be few")
}

// TestAgreeOnRunQueueWait: the waits that bpf sums and those of schedstat. The two
// look at the clock at different moments of a switch, so that they differ by some
// tenths of a microsecond per wait: they agree on long waits, not on short ones.
func TestAgreeOnRunQueueWait(t *testing.T) {
	worker := startTestWorker(t, WorkSwitches)
	pid := worker.cmd.Process.Pid
	w, s := NewRunQueueWait(pid), NewScheduling(pid)
	defer s.Close()
	skipWithoutBPF(t, s.why)
	s.Start()
	w.Start()
	require.NoError(t, worker.work())
	readings, _ := w.Stop()
	until, err := s.tracer.read()
	require.NoError(t, err)
	waits := float64(until[schedWait+timesCount] - s.from[schedWait+timesCount])
	ours := float64(until[schedWait+timesSumNs]-s.from[schedWait+timesSumNs]) / 1e3
	theirs := find(t, readings, "runqueue_wait").Value
	require.LessOrEqual(t, math.Abs(ours-theirs), 0.02*theirs+1*waits,
		fmt.Sprintf("2 %% and a microsecond per wait: bpf %.0f us, schedstat %.0f us, %.0f waits", ours, theirs, waits))
}
