package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mainEnv makes the test's executable be the command.
const mainEnv = "PEERS_TEST_IS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(parentEnv) != "" {
		os.Exit(parentOf(os.Args[1:]))
	}
	if os.Getenv(mainEnv) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var engineNames = []string{"gnet", "nbio", "netpoll", "evio", "net"}

// forEngines runs f against a server of each engine.
func forEngines(t *testing.T, workload string, f func(t *testing.T, s *server)) {
	for _, engine := range engineNames {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			args := []string{"--engine", engine, "--workload", workload, "--admin", "127.0.0.1:0"}
			if workload == "framed" {
				args = append(args, "--disk-file", diskFile(t))
			}
			f(t, startServer(t, engine, args...))
		})
	}
}

// server is the command, running.
type server struct {
	t             *testing.T
	engine        string
	cmd           *exec.Cmd
	out           *bufio.Reader
	listen, admin string
	pid           int
}

func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), mainEnv+"=1")
	return cmd
}

func startServer(t *testing.T, engine string, args ...string) *server {
	t.Helper()
	s := &server{t: t, engine: engine, cmd: command(args...)}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() { _ = s.cmd.Process.Kill(); _ = s.cmd.Wait() })
	s.out = bufio.NewReader(out)
	line, err := s.out.ReadBytes('\n')
	require.NoError(t, err, "no ready line")
	var ready struct {
		Listen, Admin string
		PID           int
	}
	require.NoError(t, json.Unmarshal(line, &ready), "ready line %q", line)
	s.listen, s.admin, s.pid = ready.Listen, ready.Admin, ready.PID
	return s
}

// end stops the server in good order: exit status 0 and nothing more on stdout.
func (s *server) end() {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(syscall.SIGTERM))
	rest, err := io.ReadAll(s.out)
	require.NoError(s.t, err)
	require.Empty(s.t, string(rest))
	require.NoError(s.t, s.cmd.Wait())
}

func (s *server) dial() *net.TCPConn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.listen)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = c.Close() })
	// A bound on a hang, not on speed.
	require.NoError(s.t, c.SetDeadline(time.Now().Add(60*time.Second)))
	return c.(*net.TCPConn)
}

// receive reads exactly len(want) bytes and compares.
func receive(t *testing.T, c net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// ended waits until the server has closed c.
func ended(t *testing.T, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	require.Zero(t, n)
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestReadyLineAdminAndEnd(t *testing.T) {
	forEngines(t, "echo", func(t *testing.T, s *server) {
		require.Equal(t, s.cmd.Process.Pid, s.pid)
		c := s.dial() // stays open: the end must not wait for it
		_, err := c.Write([]byte("hello"))
		require.NoError(t, err)
		receive(t, c, []byte("hello"))
		resp, err := http.Get("http://" + s.admin + "/stats?gc")
		require.NoError(t, err)
		defer resp.Body.Close()
		var st map[string]any
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&st))
		require.EqualValues(t, s.pid, st["pid"])
		for _, name := range []string{"gomaxprocs", "gc_cycles", "gc_pause_ns", "mallocs", "heap_bytes"} {
			require.Greater(t, st[name], 0.0, name)
		}
		s.end()
	})
}

func TestCPUsAreBoundInEveryThread(t *testing.T) {
	s := startServer(t, "gnet", "--engine", "gnet", "--cpus", "0")
	tasks, err := filepath.Glob("/proc/" + itoa(s.pid) + "/task/*/status")
	require.NoError(t, err)
	require.NotEmpty(t, tasks)
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		require.NoError(t, err)
		require.Contains(t, string(status), "Cpus_allowed_list:\t0\n")
	}
	s.end()
}

func TestWrongFlagsAreRefused(t *testing.T) {
	for _, args := range []string{
		"--engine libuv", "--engine gnet --workload files --root .", "--engine net --workload framed",
		"--engine net --tune et", "--engine net --cpus 1-0", "--engine net rest",
	} {
		cmd := command(strings.Fields(args)...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		var exit *exec.ExitError
		require.ErrorAs(t, cmd.Run(), &exit, args)
		require.Equal(t, exitUsage, exit.ExitCode(), args)
		require.NotEmpty(t, stderr.String(), args)
	}
}

func TestFilesAreServed(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "a.txt"), []byte("content"), 0o644))
	s := startServer(t, "net", "--engine", "net", "--workload", "files", "--root", root)
	resp, err := http.Get("http://" + s.listen + "/a.txt")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "content", string(body))
	s.end()
}
