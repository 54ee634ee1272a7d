package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoValgrind says that the simulator is not installed.
var ErrNoValgrind = errors.New("sim: valgrind is not here: install the package valgrind (apt-get install valgrind, dnf install valgrind)")

// Version is what "valgrind --version" says, such as "valgrind-3.19.0".
func Version(ctx context.Context) (string, error) {
	for _, tool := range []string{"valgrind", "vgdb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", fmt.Errorf("%w: %w", ErrNoValgrind, err)
		}
	}
	out, err := exec.CommandContext(ctx, "valgrind", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("sim: valgrind --version: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

const (
	// addrNoRandomize is ADDR_NO_RANDOMIZE of personality(2).
	addrNoRandomize = 0x0040000
	// personalityAsk reads it without a change.
	personalityAsk = 0xffffffff
	startTimeout   = 30 * time.Second
	vgdbTimeout    = 20 * time.Second
)

// guest is a server that runs in the simulator.
type guest struct {
	cmd  *exec.Cmd
	dir  string // its counts, its pipes and its last words
	port int
}

// environment is all that the guest gets: of the same size everywhere, for it lies
// at the top of the stack.
func environment(dir string, procs int) []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/", "GOGC=off", "GODEBUG=asyncpreemptoff=1",
		"GOMAXPROCS=" + strconv.Itoa(procs), "TMPDIR=" + dir}
}

// guestProcs is GOMAXPROCS. More than a loop needs: with Go's monitor stopped, nobody
// takes one back from a thread that waits in a system call. The goroutine model waits
// in Go's poller, and one shard of it is one P: with more, which thread finds the next
// goroutine is a matter of time.
func guestProcs(model string) int {
	if model == "goroutine" {
		return 1
	}
	return 4
}

// startGuest runs argv in the simulator until it listens. On the thread that stays:
// the guest dies with it.
func startGuest(ctx context.Context, argv []string, procs int, caches Caches, dir string) (*guest, error) {
	g := &guest{dir: dir}
	args := append([]string{"--tool=callgrind", "--cache-sim=yes", "--separate-threads=yes", "--quiet", "--fair-sched=no", "--vgdb-poll=1",
		"--vgdb-prefix=" + filepath.Join(dir, "vgdb"), "--callgrind-out-file=" + g.out()}, caches.flags()...)
	g.cmd = exec.Command("valgrind", append(args, argv...)...)
	g.cmd.Dir, g.cmd.Env = dir, environment(dir, procs)
	errs, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	defer errs.Close()
	g.cmd.Stderr = errs
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	before, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, personalityAsk, 0, 0)
	if errno == 0 {
		_, _, errno = unix.RawSyscall(unix.SYS_PERSONALITY, before|addrNoRandomize, 0, 0)
	}
	if errno != 0 {
		return nil, fmt.Errorf("sim: cannot switch the randomization of addresses off (personality): %w", errno)
	}
	err = g.cmd.Start()
	_, _, _ = unix.RawSyscall(unix.SYS_PERSONALITY, before, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("sim: cannot start valgrind: %w", err)
	}
	if err := g.awaitListening(ctx); err != nil {
		return nil, errors.Join(err, g.lastWords(), g.end())
	}
	return g, nil
}

func (g *guest) out() string { return filepath.Join(g.dir, "counts") }
func (g *guest) pid() int    { return g.cmd.Process.Pid }

// awaitListening finds the port in the kernel's tables: a server whose loop waits in a
// call that the simulator does not let others run beside (io_uring_enter) has no way to
// say that it is ready.
func (g *guest) awaitListening(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for ctx.Err() == nil {
		if g.port = listeningPort(g.pid()); g.port != 0 {
			return nil
		}
		if state := threadState(fmt.Sprintf("/proc/%d/stat", g.pid())); state == 'Z' || state == 0 {
			return errors.New("sim: the server ended before it listened")
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("sim: the server did not listen within %v: %w", startTimeout, ctx.Err())
}

// unknownCall is what valgrind writes when a system call is not in its table.
var unknownCall = regexp.MustCompile(`WARNING: unhandled \S+ syscall: (\d+)`)

// laterCalls are those that servers here use and some versions of valgrind do not know;
// their numbers are the same on all of Go's 64-bit systems.
var laterCalls = map[string]string{"437": "openat2"}

// lastWords is what it wrote as its last, as an error.
func (g *guest) lastWords() error {
	text, _ := os.ReadFile(filepath.Join(g.dir, "stderr"))
	if m := unknownCall.FindSubmatch(text); m != nil {
		name := "system call " + string(m[1])
		if known := laterCalls[string(m[1])]; known != "" {
			name = known + "(2), " + name
		}
		return fmt.Errorf("this valgrind does not know %s, which the server needs: it takes a newer one", name)
	}
	if text = bytes.TrimSpace(text[max(0, len(text)-2000):]); len(text) > 0 {
		return fmt.Errorf("it said: %s", text)
	}
	return nil
}

// end kills it.
func (g *guest) end() error {
	_ = syscall.Kill(-g.pid(), syscall.SIGKILL)
	var killed *exec.ExitError
	if err := g.cmd.Wait(); err != nil && !errors.As(err, &killed) {
		return fmt.Errorf("sim: %w", err)
	}
	return nil
}

func (g *guest) vgdb(ctx context.Context, args ...string) *exec.Cmd {
	args = append([]string{"--vgdb-prefix=" + filepath.Join(g.dir, "vgdb"), "--pid=" + strconv.Itoa(g.pid())}, args...)
	return exec.CommandContext(ctx, "vgdb", args...)
}

// ask has the simulator do a command of its monitor. It interrupts every thread's
// system call for that, so it is not for a window.
func (g *guest) ask(ctx context.Context, command ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, vgdbTimeout)
	defer cancel()
	out, err := g.vgdb(ctx, command...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("sim: vgdb %s: %w: %.300s", strings.Join(command, " "), err, out)
	}
	return out, nil
}

// nudgeEvery is longer than vgdb takes to write down what it wants.
const nudgeEvery = 100 * time.Millisecond

// askNudged has the simulator do a command (zero, dump) when the next request wakes the
// server's thread: no other is interrupted. It returns how many requests that took, by
// nudge; the command is done in the last, behind the system call in which the thread
// waited.
func (g *guest) askNudged(ctx context.Context, command string, nudge func() error) (nudges int, err error) {
	ctx, cancel := context.WithTimeout(ctx, vgdbTimeout)
	defer cancel()
	cmd := g.vgdb(ctx, "--max-invoke-ms=0", command)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("sim: vgdb: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case err = <-done:
			if err != nil {
				err = fmt.Errorf("sim: vgdb %s: %w: %.300s", command, err, out.Bytes())
			}
			return nudges, err
		case <-time.After(nudgeEvery):
		}
		nudges++
		if err := nudge(); err != nil {
			cancel()
			return nudges, errors.Join(err, <-done)
		}
	}
}

// dump writes the counts since the last zero or dump and reads them, thread by thread.
func (g *guest) dump(ctx context.Context, nudge func() error) (all []*profile, nudges int, err error) {
	if nudges, err = g.askNudged(ctx, "dump", nudge); err != nil {
		return nil, nudges, err
	}
	all, err = g.readCounts()
	return all, nudges, err
}

// readCounts reads what callgrind has written, and removes it.
func (g *guest) readCounts() (all []*profile, err error) {
	files, _ := filepath.Glob(g.out() + ".*") // PART-THREAD; the plain name is for the end
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("sim: %w", err)
		}
		p, err := readProfile(f)
		if err = errors.Join(err, f.Close(), os.Remove(name)); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil, errors.New("sim: callgrind wrote no counts")
	}
	return all, nil
}

// monitor is Go's monitor thread: its number in the simulator and in the kernel.
type monitor struct{ thread, tid int }

// monitorFunction is what only Go's monitor thread runs (runtime/proc.go), all its life.
const monitorFunction = "runtime.sysmon"

var threadLine = regexp.MustCompile(`^Thread (\d+): .*\(lwpid (\d+)\)`)

// findMonitor finds it by what it did since the start, as callgrind counted it. (Its
// stack tells less: in the midst of Go's assembly code it cannot be unwound.)
func (g *guest) findMonitor(ctx context.Context) (m monitor, err error) {
	if _, err := g.ask(ctx, "dump"); err != nil {
		return m, err
	}
	all, err := g.readCounts()
	if err != nil {
		return m, err
	}
	if m.thread = monitorOf(all); m.thread == 0 {
		return m, fmt.Errorf("%w: no thread has run %s, Go's monitor", errDisturbed, monitorFunction)
	}
	out, err := g.ask(ctx, "v.info", "scheduler")
	if err != nil {
		return m, err
	}
	if m.tid = threadID(string(out), m.thread); m.tid == 0 {
		return m, fmt.Errorf("%w: the simulator does not list thread %d, Go's monitor", errDisturbed, m.thread)
	}
	return m, nil
}

// monitorOf is the number of the thread that ran monitorFunction, 0 if none did.
func monitorOf(all []*profile) int {
	for _, p := range all {
		for at := range p.places {
			if at.function == monitorFunction {
				return p.thread
			}
		}
	}
	return 0
}

// threadID is the kernel's number of a thread of the simulator's list, 0 if it is not there.
func threadID(text string, thread int) int {
	for line := range strings.Lines(text) {
		if f := threadLine.FindStringSubmatch(line); f != nil && f[1] == strconv.Itoa(thread) {
			tid, _ := strconv.Atoi(f[2])
			return tid
		}
	}
	return 0
}
