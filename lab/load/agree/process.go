package agree

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/trial"
)

// Server is a syslet serve in a process of its own.
type Server struct {
	// Target is where it listens.
	Target string
	PID    int
	cmd    *exec.Cmd
}

// Serve starts binary as syslet serve on a free port of loopback, on those CPUs, any if
// there are none. args say what is served. Stop it.
func Serve(ctx context.Context, binary string, cpus []int, args ...string) (*Server, error) {
	argv := append([]string{"serve", "--json", "--listen", "127.0.0.1:0"}, args...)
	if len(cpus) > 0 {
		argv = append(argv, "--cpus", trial.CPUList(cpus))
	}
	cmd := exec.CommandContext(ctx, binary, argv...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := start(cmd, cpus); err != nil {
		return nil, err
	}
	s := &Server{cmd: cmd}
	var ready trial.Ready
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		s.Stop()
		return nil, fmt.Errorf("the server did not start: %w", err)
	}
	s.Target, s.PID = ready.Listen, ready.PID
	return s, nil
}

// Stop kills it.
func (s *Server) Stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // says that it was killed
}

// Signal sends it a signal.
func (s *Server) Signal(signal os.Signal) error { return s.cmd.Process.Signal(signal) }

// Load runs binary as syslet load on those CPUs, any if there are none; args say what is
// asked. onPhase, if set, is told each phase as it begins; the load does not wait for it.
func Load(ctx context.Context, binary string, cpus []int, onPhase func(load.Phase), args ...string) (*load.Report, error) {
	argv := append([]string{"load", "--json"}, args...)
	if len(cpus) > 0 {
		argv = append(argv, "--cpus", trial.CPUList(cpus))
	}
	cmd := exec.CommandContext(ctx, binary, argv...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := start(cmd, cpus); err != nil {
		return nil, err
	}
	report, err := readLoad(json.NewDecoder(out), onPhase)
	if err != nil {
		_ = cmd.Process.Kill()
	}
	if e := cmd.Wait(); err == nil && e != nil {
		err = e
	}
	if err != nil {
		return nil, fmt.Errorf("our load: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return report, nil
}

// readLoad reads to the report.
func readLoad(in *json.Decoder, onPhase func(load.Phase)) (*load.Report, error) {
	for {
		var l trial.LoadLine
		if err := in.Decode(&l); err != nil {
			return nil, fmt.Errorf("it ended without a report: %w", err)
		}
		if l.Phase != nil && onPhase != nil {
			onPhase(*l.Phase)
		}
		if l.Report == nil {
			continue
		}
		if l.Report.Counts.Intended == 0 && l.Report.Counts.Answered == 0 {
			return nil, errors.New("it asked nothing")
		}
		if n := l.Report.Counts.Errors(); n > 0 {
			return nil, fmt.Errorf("it met %d errors: %s", n, l.Report.LastFailure)
		}
		return l.Report, nil
	}
}

// start starts a process on these CPUs: a child takes them over from the thread that
// forks, which ends after that.
func start(cmd *exec.Cmd, cpus []int) error {
	if len(cpus) == 0 {
		return cmd.Start()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the pinning ends with the thread
		var set unix.CPUSet
		for _, c := range cpus {
			set.Set(c)
		}
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			done <- fmt.Errorf("bind to CPUs %v: %w", cpus, err)
			return
		}
		done <- cmd.Start()
	}()
	return <-done
}

func output(cmd *exec.Cmd, cpus []int) (string, error) {
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := start(cmd, cpus); err != nil {
		return "", err
	}
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, said.String())
	}
	return out.String(), nil
}
