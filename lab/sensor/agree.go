package sensor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/lab/result"
)

// MostApart is by how much a sensor may differ from the tool or file that it is held
// against, relatively.
const MostApart = 0.02

// Pair is one quantity of the same work, by a sensor of ours and by another way.
type Pair struct {
	Quantity, Unit string
	// Ours and Theirs say who counted, OurValue and TheirValue what.
	Ours, Theirs         string
	OurValue, TheirValue float64
	// Unavailable says why there are no two figures.
	Unavailable string
}

// Apart is by how much ours differs, relative to theirs; of two zeros 0.
func (p *Pair) Apart() float64 {
	if p.OurValue == p.TheirValue {
		return 0
	}
	return p.OurValue/p.TheirValue - 1
}

// Agrees reports whether there are two figures within MostApart of each other.
func (p *Pair) Agrees() bool { return p.Unavailable == "" && math.Abs(p.Apart()) <= MostApart }

func (p *Pair) String() string {
	if p.Unavailable != "" {
		return fmt.Sprintf("%-16s %s against %s: unavailable: %s", p.Quantity, p.Ours, p.Theirs, p.Unavailable)
	}
	unit := ""
	if p.Unit != "1" {
		unit = " " + p.Unit
	}
	return fmt.Sprintf("%-16s %s %.0f%s, %s %.0f%s: %+.2f %%", p.Quantity, p.Ours, p.OurValue, unit, p.Theirs, p.TheirValue, unit, 100*p.Apart())
}

// Kinds of BusyWork.
const (
	// WorkSwitches has threads pass bytes to each other, then calls the kernel and computes.
	WorkSwitches = "switches"
	// WorkComputes calls the kernel and computes.
	WorkComputes = "computes"
)

const (
	workPairs  = 2
	workRounds = 5000 // of a byte there and back, for each pair
	workCalls  = 20000
	workCPUNs  = 1.2e9
)

// BusyWork is a program of known work, for a process of its own: it says "ready", begins
// when a line comes in, says "done", and returns at the next line or the end of in.
func BusyWork(kind string, in io.Reader, out io.Writer) error {
	if kind != WorkSwitches && kind != WorkComputes {
		return fmt.Errorf("busy work: no kind %q; there are %s and %s", kind, WorkSwitches, WorkComputes)
	}
	lines := bufio.NewReader(in)
	fmt.Fprintln(out, "ready")
	if _, err := lines.ReadString('\n'); err != nil {
		return nil // whoever wanted it is gone
	}
	if kind == WorkSwitches {
		if err := passBytes(); err != nil {
			return err
		}
	}
	for range workCalls {
		unix.Getppid()
	}
	for {
		ns, err := processCPUNs(os.Getpid())
		if err != nil {
			return err
		}
		if ns >= workCPUNs {
			break
		}
		for i := range 1_000_000 {
			touched.Add(uint32(i))
		}
	}
	fmt.Fprintln(out, "done")
	_, _ = lines.ReadString('\n') // until it is let go
	return nil
}

// passBytes has pairs of threads wait for each other.
func passBytes() error {
	var pairs sync.WaitGroup
	var failed [workPairs]error
	for i := range workPairs {
		pairs.Go(func() {
			e, err := newEventClock(nil)
			if err != nil {
				failed[i] = err
				return
			}
			defer e.close()
			for range workRounds * 2 / costSwitches {
				e.eventNs(perSwitch)
			}
		})
	}
	pairs.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// worker is a process that does BusyWork.
type worker struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

// startWorker returns when it is ready to begin. End it.
func startWorker(ctx context.Context, argv, env []string, kind string) (*worker, error) {
	cmd := exec.CommandContext(ctx, argv[0], append(argv[1:len(argv):len(argv)], kind)...)
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("busy work: %w", err)
	}
	w := &worker{cmd, stdin, bufio.NewReader(stdout)}
	if err := w.hear("ready"); err != nil {
		w.end()
		return nil, err
	}
	return w, nil
}

func (w *worker) hear(word string) error {
	line, err := w.out.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != word {
		return fmt.Errorf("busy work: it said %q, not %q: %w", line, word, orEOF(err))
	}
	return nil
}

func orEOF(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

// work has it work from begin to end.
func (w *worker) work() error {
	if _, err := io.WriteString(w.stdin, "go\n"); err != nil {
		return fmt.Errorf("busy work: %w", err)
	}
	return w.hear("done")
}

func (w *worker) end() {
	w.stdin.Close()
	_ = w.cmd.Wait() // how it ends says nothing of what was counted
}

// Agree holds the sensors against perf stat and /proc, over the same work of another
// process. argv, with env beside this process' own, is a program that does BusyWork of the
// kind that is appended to it. What is missing here is a Pair that says so. It takes about
// five seconds.
func Agree(ctx context.Context, argv, env []string) (pairs []Pair, err error) {
	for _, one := range []struct {
		kind, event string
		hold        func(w *worker, t *perfStat) ([]Pair, error)
	}{
		{WorkSwitches, "context-switches", agreeOnSwitches},
		// It does not switch: task-clock leaves out what a switch itself takes, with perf
		// counting about 1 us of CPU time each.
		{WorkComputes, "task-clock", agreeOnCPUTime},
		{WorkSwitches, "raw_syscalls:sys_enter", agreeOnCalls},
	} {
		w, err := startWorker(ctx, argv, env, one.kind)
		if err != nil {
			return pairs, err
		}
		tool := startPerfStat(ctx, w.cmd.Process.Pid, one.event)
		some, err := one.hold(w, tool)
		tool.end()
		w.end()
		if err != nil {
			return pairs, err
		}
		pairs = append(pairs, some...)
	}
	return pairs, ctx.Err()
}

const toolName = "perf stat"

// pairOf relates two readings: either may be unavailable.
func pairOf(quantity, ours string, our result.Metric, theirs string, their result.Metric) Pair {
	return Pair{Quantity: quantity, Unit: our.Unit, Ours: ours, Theirs: theirs, OurValue: our.Value, TheirValue: their.Value,
		Unavailable: firstText(our.Unavailable, their.Unavailable)}
}

// among finds a reading, the sum of several.
func among(readings []Reading, names ...string) (sum result.Metric) {
	for _, name := range names {
		found := false
		for _, r := range readings {
			if r.Name == name {
				found = true
				sum = result.Metric{Value: sum.Value + r.Metric.Value, Unit: r.Metric.Unit, Source: r.Metric.Source,
					Unavailable: firstText(sum.Unavailable, r.Metric.Unavailable)}
			}
		}
		if !found {
			sum.Unavailable = firstText(sum.Unavailable, "no reading "+name)
		}
	}
	return sum
}

// over runs the work with the sensors and the tool around it.
func over(w *worker, t *perfStat, sensors ...Sensor) (readings []Reading, err error) {
	set := Set{sensors}
	defer set.Close()
	t.enable()
	set.Start()
	if err := w.work(); err != nil {
		return nil, err
	}
	readings, _ = set.Stop()
	t.disable()
	return readings, nil
}

func agreeOnSwitches(w *worker, t *perfStat) ([]Pair, error) {
	pid := w.cmd.Process.Pid
	readings, err := over(w, t, NewSwitches(pid), NewPerfSwitches(pid))
	if err != nil {
		return nil, err
	}
	theirs := t.count("context-switches", 1, "1")
	return []Pair{
		pairOf("context switches", "/proc/PID/task", among(readings, "switches_voluntary", "switches_involuntary"), toolName, theirs),
		pairOf("context switches", "perf event", among(readings, "switches_perf"), toolName, theirs),
	}, nil
}

func agreeOnCPUTime(w *worker, t *perfStat) ([]Pair, error) {
	readings, err := over(w, t, NewCPUTime(w.cmd.Process.Pid))
	if err != nil {
		return nil, err
	}
	clock := among(readings, "cpu")
	return []Pair{
		pairOf("CPU time", "CPU clock", clock, toolName, t.count("task-clock", 1e3, "us")),
		// Two figures in ticks, each cut off at both ends: 1.7 % of this work.
		pairOf("CPU time", "CPU clock", clock, "/proc/PID/stat", among(readings, "cpu_user", "cpu_system")),
	}, nil
}

func agreeOnCalls(w *worker, t *perfStat) ([]Pair, error) {
	readings, err := over(w, t, NewSyscalls(w.cmd.Process.Pid))
	if err != nil {
		return nil, err
	}
	all, getppid := among(readings, "syscalls_kernel"), among(readings, "syscall:getppid")
	getppid.Unavailable = firstText(all.Unavailable, getppid.Unavailable)
	return []Pair{
		pairOf("system calls", "bpf", all, toolName, t.count("raw_syscalls:sys_enter", 1, "1")),
		pairOf("getppid", "bpf", getppid, "as made", result.Of(workCalls, "1", "program")),
	}, nil
}
