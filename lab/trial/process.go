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
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/syslet/syslet/lab/admin"
	"github.com/syslet/syslet/lab/sensor"
)

// process is a child of ours, with its last words.
type process struct {
	cmd    *exec.Cmd
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

// start runs argv. The child dies with us, so that a lab that is killed leaves
// no server behind.
func start(argv []string) (*process, error) {
	p := &process{cmd: exec.Command(argv[0], argv[1:]...)}
	p.cmd.Stderr = &p.errs
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdout = bufio.NewScanner(out)
	p.stdout.Buffer(make([]byte, 64<<10), 16<<20)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", argv[0], err)
	}
	return p, nil
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

func (p *process) kill() { _ = p.cmd.Process.Kill() }

// server is a running syslet serve.
type server struct {
	*process
	ready Ready
}

func startServer(argv []string) (*server, error) {
	p, err := start(argv)
	if err != nil {
		return nil, err
	}
	timer := time.AfterFunc(startTimeout, p.kill)
	defer timer.Stop()
	s := &server{process: p}
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

// stop ends the server in good order, or kills it when that takes too long.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.kill()
	}
	timer := time.AfterFunc(stopTimeout, s.kill)
	defer timer.Stop()
	for s.stdout.Scan() {
	}
	return s.wait()
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

func (s *server) snapshot(ctx context.Context) (admin.Snapshot, error) {
	var snap admin.Snapshot
	err := s.ask(ctx, http.MethodGet, "/stats", &snap)
	return snap, err
}

func (s *server) probe(ctx context.Context, act string) (sensor.ProbeResult, error) {
	var res sensor.ProbeResult
	err := s.ask(ctx, http.MethodPost, "/probe/"+act, &res)
	return res, err
}
