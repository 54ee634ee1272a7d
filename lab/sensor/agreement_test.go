package sensor

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The sensors against the tools and files that everyone knows, over the same work:
// a process that switches threads, calls the kernel and computes when told to.

const childVariable = "SENSOR_TEST_CHILD"

const (
	childSwitches = "switches"
	childComputes = "computes"
	childPairs    = 2
	childRounds   = 5000
	childCalls    = 20000
	childCPUNs    = 1.2e9
)

// busyChild is that process: this test's program, started with childVariable set.
func busyChild() {
	in := bufio.NewReader(os.Stdin)
	fmt.Println("ready")
	if _, err := in.ReadString('\n'); err != nil {
		return
	}
	var pairs sync.WaitGroup
	for range childPairs {
		if os.Getenv(childVariable) == childSwitches {
			pairs.Go(passBytes)
		}
	}
	pairs.Wait()
	for range childCalls {
		unix.Getppid()
	}
	for n := int64(0); n < childCPUNs; {
		for i := range 1_000_000 {
			touched.Add(uint32(i))
		}
		n, _ = processCPUNs(os.Getpid())
	}
	fmt.Println("done")
	_, _ = in.ReadString('\n') // until we are killed or left alone
}

// passBytes has two threads wait for each other.
func passBytes() {
	e, err := newEventClock(nil)
	if err != nil {
		panic(err)
	}
	defer e.close()
	for range childRounds * 2 / costSwitches {
		e.eventNs(perSwitch)
	}
}

// startBusyChild returns when it is ready. run has it work, and returns when it is done.
func startBusyChild(t *testing.T, work string) (pid int, run func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+work)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	out := bufio.NewReader(stdout)
	t.Cleanup(func() {
		stdin.Close()
		require.NoError(t, cmd.Wait())
	})
	hear := func(word string) {
		line, err := out.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, word+"\n", line)
	}
	hear("ready")
	return cmd.Process.Pid, func() {
		_, err := io.WriteString(stdin, "go\n")
		require.NoError(t, err)
		hear("done")
	}
}

// perfStat is the tool, counting a process from begin to end. It is told when by a
// pair of pipes, so that nobody has to guess.
type perfStat struct {
	cmd      *exec.Cmd
	out      bytes.Buffer
	control  *os.File
	answered *bufio.Reader
}

// startPerfStat skips the test if the tool or the right to use it is missing. Events
// that are tracepoints need tracefs, which is mounted for the tool alone.
func startPerfStat(t *testing.T, pid int, events string) *perfStat {
	t.Helper()
	for _, tool := range []string{"perf", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s: %v", tool, err)
		}
	}
	theirControl, control, err := os.Pipe()
	require.NoError(t, err)
	answers, theirAnswers, err := os.Pipe()
	require.NoError(t, err)
	argv := fmt.Sprintf("exec perf stat -x, -e %s -p %d -D -1 --control fd:3,4", events, pid)
	if strings.Contains(events, ":") {
		argv = "mount --make-rprivate / && mount -t tracefs tracefs /sys/kernel/tracing && " + argv
	}
	p := &perfStat{cmd: exec.Command("unshare", "--mount", "sh", "-c", argv), control: control, answered: bufio.NewReader(answers)}
	p.cmd.ExtraFiles, p.cmd.Stderr = []*os.File{theirControl, theirAnswers}, &p.out
	require.NoError(t, p.cmd.Start())
	theirControl.Close()
	theirAnswers.Close()
	t.Cleanup(func() {
		control.Close()
		answers.Close()
	})
	if !p.tell("enable") {
		_ = p.cmd.Wait()
		t.Skipf("perf stat does not count here: %s", p.out.String())
	}
	return p
}

func (p *perfStat) tell(word string) bool {
	if _, err := io.WriteString(p.control, word+"\n"); err != nil {
		return false
	}
	line, err := p.answered.ReadString('\n')
	return err == nil && strings.Contains(line, "ack")
}

// stop returns what was counted, by event.
func (p *perfStat) stop(t *testing.T) map[string]float64 {
	t.Helper()
	require.True(t, p.tell("disable"))
	require.NoError(t, p.cmd.Process.Signal(unix.SIGINT))
	_ = p.cmd.Wait() // says that it was interrupted
	counts := map[string]float64{}
	for line := range strings.Lines(p.out.String()) {
		if fields := strings.Split(line, ","); len(fields) > 2 {
			if v, err := strconv.ParseFloat(fields[0], 64); err == nil {
				counts[fields[2]] = v
			}
		}
	}
	require.NotEmpty(t, counts, p.out.String())
	return counts
}

// agree asks for two figures of one quantity that differ by a share at most.
func agree(t *testing.T, share float64, what string, ours, theirs float64) {
	t.Helper()
	t.Logf("%-44s %12.0f against %12.0f: %+.2f %%", what, ours, theirs, 100*(ours/theirs-1))
	require.Positive(t, theirs, what)
	require.LessOrEqual(t, math.Abs(ours-theirs), share*theirs, what)
}

const agreement = 0.02

// TestAgreeOnSwitches: procfs, perf's software event, bpf and the tool.
func TestAgreeOnSwitches(t *testing.T) {
	pid, run := startBusyChild(t, childSwitches)
	tool := startPerfStat(t, pid, "context-switches")
	set := Set{[]Sensor{NewSwitches(pid), NewPerfSwitches(pid)}}
	defer set.Close()
	sched := NewScheduling(pid)
	defer sched.Close()
	sched.Start()
	set.Start()
	run()
	readings, _ := set.Stop()
	theirs := tool.stop(t)["context-switches"]
	require.GreaterOrEqual(t, theirs, float64(2*childPairs*childRounds))
	agree(t, agreement, "switches: procfs, perf stat", find(t, readings, "switches_voluntary").Value+find(t, readings, "switches_involuntary").Value, theirs)
	agree(t, agreement, "switches: our perf event, perf stat", find(t, readings, "switches_perf").Value, theirs)
	skipWithoutBPF(t, sched.why)
	until, err := sched.tracer.read()
	require.NoError(t, err)
	agree(t, agreement, "switches: bpf, perf stat", float64(until[schedSwitches]-sched.from[schedSwitches]), theirs)
	preempted, involuntary := float64(until[schedPreempted]-sched.from[schedPreempted]), find(t, readings, "switches_involuntary").Value
	t.Logf("preempted: bpf %.0f, involuntary: procfs %.0f", preempted, involuntary)
	require.InDelta(t, involuntary, preempted, agreement*involuntary+5, "they may be few")
}

// TestAgreeOnCPUTime: the process' CPU clock, /proc/PID/stat and the tool's task-clock.
// The child does not switch: task-clock leaves out what a switch itself takes, with
// perf counting about 1 us of CPU time each.
func TestAgreeOnCPUTime(t *testing.T) {
	pid, run := startBusyChild(t, childComputes)
	tool := startPerfStat(t, pid, "task-clock")
	s := NewCPUTime(pid)
	s.Start()
	run()
	readings, _ := s.Stop()
	theirs := tool.stop(t)["task-clock"] * 1e3 // us
	clock := find(t, readings, "cpu").Value
	agree(t, agreement, "CPU: clock, perf stat's task-clock (us)", clock, theirs)
	// Two figures in ticks, each cut off at both ends.
	ticks := find(t, readings, "cpu_user").Value + find(t, readings, "cpu_system").Value
	agree(t, max(agreement, 2*1e6/userHz/clock), "CPU: clock, /proc/PID/stat (us)", clock, ticks)
}

// TestAgreeOnSyscalls: bpf and the tool's count at the tracepoint.
func TestAgreeOnSyscalls(t *testing.T) {
	pid, run := startBusyChild(t, childSwitches)
	s := NewSyscalls(pid)
	defer s.Close()
	skipWithoutBPF(t, s.why)
	tool := startPerfStat(t, pid, "raw_syscalls:sys_enter")
	s.Start()
	run()
	readings, _ := s.Stop()
	theirs := tool.stop(t)["raw_syscalls:sys_enter"]
	agree(t, agreement, "system calls: bpf, perf stat", find(t, readings, "syscalls_kernel").Value, theirs)
	agree(t, agreement, "getppid: bpf, as made", find(t, readings, "syscall:getppid").Value, childCalls)
}

// TestAgreeOnRunQueueWait: the waits that bpf sums and those of schedstat. The two
// look at the clock at different moments of a switch, so that they differ by some
// tenths of a microsecond per wait: they agree on long waits, not on short ones.
func TestAgreeOnRunQueueWait(t *testing.T) {
	pid, run := startBusyChild(t, childSwitches)
	w, s := NewRunQueueWait(pid), NewScheduling(pid)
	defer s.Close()
	skipWithoutBPF(t, s.why)
	s.Start()
	w.Start()
	run()
	readings, _ := w.Stop()
	until, err := s.tracer.read()
	require.NoError(t, err)
	waits := float64(until[schedWait+timesCount] - s.from[schedWait+timesCount])
	ours := float64(until[schedWait+timesSumNs]-s.from[schedWait+timesSumNs]) / 1e3
	theirs := find(t, readings, "runqueue_wait").Value
	t.Logf("run-queue wait: bpf %.0f us, schedstat %.0f us: %+.1f %%; %.0f waits, %+.3f us each", ours, theirs, 100*(ours/theirs-1), waits, (ours-theirs)/waits)
	require.LessOrEqual(t, math.Abs(ours-theirs), 0.02*theirs+1*waits, "2 % and a microsecond per wait")
}
