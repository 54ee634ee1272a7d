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
func environment(dir string) []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/", "GOGC=off", "GODEBUG=asyncpreemptoff=1",
		"GOMAXPROCS=" + strconv.Itoa(guestProcs), "TMPDIR=" + dir}
}

// guestProcs are more than the server needs: with Go's monitor stopped, nobody takes
// one back from a thread that waits in a system call.
const guestProcs = 4

// startGuest runs argv in the simulator until it listens. On the thread that stays:
// the guest dies with it.
func startGuest(ctx context.Context, argv []string, caches Caches, dir string) (*guest, error) {
	g := &guest{dir: dir}
	args := append([]string{"--tool=callgrind", "--cache-sim=yes", "--separate-threads=yes", "--quiet",
		"--vgdb-prefix=" + filepath.Join(dir, "vgdb"), "--callgrind-out-file=" + g.out()}, caches.flags()...)
	g.cmd = exec.Command("valgrind", append(args, argv...)...)
	g.cmd.Dir, g.cmd.Env = dir, environment(dir)
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

// lastWords is what it wrote as its last, as an error.
func (g *guest) lastWords() error {
	text, _ := os.ReadFile(filepath.Join(g.dir, "stderr"))
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

// ask has the simulator do a command of its monitor (manual of callgrind): zero, dump.
func (g *guest) ask(ctx context.Context, command ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, vgdbTimeout)
	defer cancel()
	args := append([]string{"--vgdb-prefix=" + filepath.Join(g.dir, "vgdb"), "--pid=" + strconv.Itoa(g.pid())}, command...)
	out, err := exec.CommandContext(ctx, "vgdb", args...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("sim: vgdb %s: %w: %.300s", strings.Join(command, " "), err, out)
	}
	return out, nil
}

// dump writes the counts since the last zero or dump and reads them, thread by thread.
func (g *guest) dump(ctx context.Context) ([]*profile, error) {
	if _, err := g.ask(ctx, "dump"); err != nil {
		return nil, err
	}
	files, _ := filepath.Glob(g.out() + ".*") // PART-THREAD; the plain name is for the end
	var all []*profile
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

var threadLine = regexp.MustCompile(`^Thread (\d+): .*\(lwpid (\d+)\)`)

// findMonitor looks for it among the stacks of the threads.
func (g *guest) findMonitor(ctx context.Context) (monitor, error) {
	out, err := g.ask(ctx, "v.info", "scheduler")
	if err != nil {
		return monitor{}, err
	}
	return parseMonitor(string(out)), nil
}

func parseMonitor(text string) monitor {
	var m monitor
	for line := range strings.Lines(text) {
		if f := threadLine.FindStringSubmatch(line); f != nil {
			m.thread, _ = strconv.Atoi(f[1])
			m.tid, _ = strconv.Atoi(f[2])
		} else if m.tid != 0 && strings.Contains(line, "runtime.sysmon") {
			return m
		}
	}
	return monitor{}
}
