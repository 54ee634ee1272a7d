package trial

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/lab/admin"
	"github.com/syslet/syslet/lab/sensor"
)

// process is a child of ours, with its last words.
type process struct {
	cmd *exec.Cmd
	// out is standard output, stdout the same line by line: use one of them.
	out    io.Reader
	stdout *bufio.Scanner
	errs   tail
}

// tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailBytes = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - tailBytes; over > 0 {
		t.b = t.b[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.b))
}

// start runs argv on these CPUs, any if there are none. The child dies with us,
// so that a lab that is killed leaves no server behind.
func start(argv []string, cpus []int) (*process, error) {
	p := prepare(argv)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out, p.stdout = out, bufio.NewScanner(out)
	p.stdout.Buffer(make([]byte, 64<<10), 16<<20)
	return p, p.fork(cpus)
}

// startSilent runs argv with that environment. Nothing is read from it: what it
// prints is only kept, its end at least, for the case that it fails.
func startSilent(argv, env []string, cpus []int) (*process, error) {
	p := prepare(argv)
	p.cmd.Env, p.cmd.Stdout = env, &p.errs
	// What it started itself may outlive it and hold the pipe.
	p.cmd.WaitDelay = time.Second
	p.stdout = bufio.NewScanner(strings.NewReader(""))
	return p, p.fork(cpus)
}

func prepare(argv []string) *process {
	p := &process{cmd: exec.Command(argv[0], argv[1:]...)}
	p.cmd.Stderr = &p.errs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return p
}

func (p *process) fork(cpus []int) error {
	if err := bound(cpus, p.cmd.Start); err != nil {
		return fmt.Errorf("cannot start %s: %w", p.cmd.Path, err)
	}
	return nil
}

// gone reports whether it has ended, and leaves it to be waited for.
func (p *process) gone() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo == int32(unix.SIGCHLD)
}

// forks takes what is to run on the one thread from which all children come. The
// kernel takes the death of the thread that forked for that of the parent
// (PR_SET_PDEATHSIG), and Go ends threads as it likes: this one never ends.
var forks = sync.OnceValue(func() chan<- func() {
	ch := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range ch {
			f()
		}
	}()
	return ch
})

// bound calls fork on a thread that may run on these CPUs only, any if there are
// none: a child takes that over from the thread that forks, so that even one that
// cannot bind itself finds its CPUs before its first instruction.
func bound(cpus []int, fork func() error) error {
	done := make(chan error)
	forks() <- func() { done <- onCPUs(cpus, fork) }
	return <-done
}

// onCPUs calls f with the calling thread bound for that time.
func onCPUs(cpus []int, f func() error) error {
	if len(cpus) == 0 {
		return f()
	}
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	for _, c := range cpus {
		set.Set(c)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("cannot bind it to CPUs %v: %w", cpus, err)
	}
	return errors.Join(f(), unix.SchedSetaffinity(0, &before))
}

// line reads the next line of JSON into v; false at the end.
func (p *process) line(v any) (bool, error) {
	if !p.stdout.Scan() {
		return false, p.stdout.Err()
	}
	if err := json.Unmarshal(p.stdout.Bytes(), v); err != nil {
		return false, fmt.Errorf("%q is no line of JSON: %w", bytes.TrimSpace(p.stdout.Bytes()), err)
	}
	return true, nil
}

// wait waits for the end; stdout must have been read to its end.
func (p *process) wait() error {
	err := p.cmd.Wait()
	if err != nil && p.errs.String() != "" {
		err = fmt.Errorf("%w: %s", err, p.errs.String())
	}
	return err
}

// kill ends it and all that it started: it leads a group of its own.
func (p *process) kill() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

// usage is what a process that was waited for has used up.
type usage struct {
	cpuUs                  float64
	voluntary, involuntary int64
}

// usage may be called after wait.
func (p *process) usage() usage {
	state := p.cmd.ProcessState
	u := usage{cpuUs: float64(state.UserTime()+state.SystemTime()) / float64(time.Microsecond)}
	if ru, ok := state.SysUsage().(*syscall.Rusage); ok {
		u.voluntary, u.involuntary = ru.Nvcsw, ru.Nivcsw
	}
	return u
}

// server is a running server, ours or not.
type server struct {
	*process
	argv  []string
	ready Ready
	// silent servers are not ours: they know no orderly end but SIGTERM.
	silent bool
}

func startServer(argv []string, cpus []int) (*server, error) {
	p, err := start(argv, cpus)
	if err != nil {
		return nil, err
	}
	timer := time.AfterFunc(startTimeout, p.kill)
	defer timer.Stop()
	s := &server{process: p, argv: argv}
	ok, err := p.line(&s.ready)
	if !ok {
		p.kill()
		return nil, errors.Join(fmt.Errorf("the server did not start: %w", orEOF(err)), p.wait())
	}
	return s, nil
}

func orEOF(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

// stop ends the server in good order, or kills it when that takes too long. A
// server that has ended before by itself is an error, with its last words.
func (s *server) stop() error {
	early := s.gone()
	switch {
	case s.silent:
		// Also once it is gone: what it started may not be.
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM)
	case s.cmd.Process.Signal(os.Interrupt) != nil:
		s.kill()
	}
	timer := time.AfterFunc(stopTimeout, s.kill)
	defer timer.Stop()
	for s.stdout.Scan() {
	}
	err := s.wait()
	status, _ := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case early:
		return fmt.Errorf("the server ended by itself (%v): %s", s.cmd.ProcessState, s.errs.String())
	case s.silent && status.Signaled() && status.Signal() == syscall.SIGKILL:
		return fmt.Errorf("the server did not end within %v of SIGTERM and was killed: %s", stopTimeout, s.errs.String())
	case s.silent:
		return nil // an end on demand, whatever it is called
	}
	return err
}

// hasChildren reports whether the process has any, as far as the kernel says it
// (CONFIG_PROC_CHILDREN).
func (p *process) hasChildren() bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	return slices.ContainsFunc(tasks, func(path string) bool {
		text, err := os.ReadFile(path)
		return err == nil && len(bytes.TrimSpace(text)) > 0
	})
}

// endServer ends the server as the plan says; err is what went wrong before. That
// the server had ended by itself explains that, and comes first.
func (r *run) endServer(err error) error {
	early := r.server.gone()
	if r.server.silent && !early && r.server.hasChildren() {
		r.evidence.Flaws = append(r.evidence.Flaws, "the server has started further processes, whose CPU time, switches and memory are not counted (command: one process, e.g. by exec)")
	}
	if r.spec.KillServer && !early {
		r.server.end()
		return err
	}
	e := r.server.stop()
	switch {
	case e == nil || err != nil && !early:
		return err
	case err != nil:
		return fmt.Errorf("%w; %w", e, err)
	case early:
		return e
	}
	return fmt.Errorf("the server did not end in good order: %w", e)
}

// end kills the server.
func (s *server) end() {
	s.kill()
	for s.stdout.Scan() {
	}
	_ = s.wait() // says that it was killed
}

var client = &http.Client{Timeout: 10 * time.Second}

func (s *server) ask(ctx context.Context, method, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.ready.Admin+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return errors.New(strings.TrimSpace(string(text)))
	}
	return json.NewDecoder(resp.Body).Decode(v)
}

// snapshot reads the server's counters, none if it has none.
func (s *server) snapshot(ctx context.Context) (admin.Snapshot, error) {
	var snap admin.Snapshot
	if s.ready.Admin == "" {
		return snap, nil
	}
	err := s.ask(ctx, http.MethodGet, "/stats", &snap)
	return snap, err
}

func (s *server) probe(ctx context.Context, act string) (sensor.ProbeResult, error) {
	var res sensor.ProbeResult
	if s.ready.Admin == "" {
		return res, errors.New("the server has no cache probe")
	}
	err := s.ask(ctx, http.MethodPost, "/probe/"+act, &res)
	return res, err
}
