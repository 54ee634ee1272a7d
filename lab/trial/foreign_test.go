package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
)

// serveAt makes the test binary a server that says nothing, at that address.
const serveAt = "SYSLET_TRIAL_TEST_SERVER"

func TestMain(m *testing.M) {
	if addr := os.Getenv(serveAt); addr != "" {
		serveSilently(addr)
		return
	}
	if asChild() {
		return
	}
	os.Exit(m.Run())
}

func serveSilently(addr string) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	over := make(chan os.Signal, 1)
	signal.Notify(over, os.Interrupt)
	<-over
	_ = l.Close()
}

func spec(t *testing.T) Spec {
	return Spec{Experiment: "e", Workload: "w", Model: "m", Round: 1, Factors: result.Factors{},
		WorkDir: filepath.Join(t.TempDir(), "work"), Binary: "syslet", ServerCPUs: load.AllowedCPUs()[:1]}
}

// printing is a program that prints a result: what it was given, as reasons.
func printing(script string) *Program {
	return &Program{Argv: []string{"sh", "-c", script + `; printf '\n{"metrics":{"operations":{"value":1000,"unit":"1","source":"x"}},"duration_s":0.5}\n'`}}
}

func TestProgram(t *testing.T) {
	s := spec(t)
	s.Program = printing(`echo a lot; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done`)
	out, err := Run(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, result.Valid, out.Verdict, out.Reasons)
	require.NoError(t, out.Check())
	require.Equal(t, 0.5, out.DurationS)
	cpu, ok := out.Value(result.CPUPerOp)
	require.True(t, ok)
	require.Positive(t, cpu)
	require.Contains(t, out.Metrics[result.CPUPerOp].Source, "whole program")
	require.NoDirExists(t, s.WorkDir)
}

// TestProgramIsBound: no program has to bind itself.
func TestProgramIsBound(t *testing.T) {
	s := spec(t)
	found := ""
	s.Program = &Program{Argv: []string{"cat", "/proc/self/status"}, Parse: func(stdout []byte) (Printed, error) {
		for line := range strings.Lines(string(stdout)) {
			if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
				found = strings.TrimSpace(list)
			}
		}
		return Printed{Metrics: map[string]result.Metric{result.Operations: result.Of(1000, "1", "x")}}, nil
	}}
	_, err := Run(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, CPUList(s.ServerCPUs), found)
	s.Program.EveryCPU = true
	_, err = Run(t.Context(), s)
	require.NoError(t, err)
	if len(load.AllowedCPUs()) > 1 {
		require.NotEqual(t, CPUList(s.ServerCPUs), found, "and the lab itself is not bound")
	}
}

func TestProgramSeesWhatTheTrialKnows(t *testing.T) {
	s := spec(t)
	s.DiskFile = "/some/file"
	s.Files = map[string]string{"www/a": "in {dir}"}
	s.SiteBytes = 100_001
	s.Program = printing(`test "$(wc -c <{dir}/` + SiteFile + `)" = 100001 && test "$(cat {dir}/www/a)" = "in {dir}" && test {disk} = /some/file && test {cpus} = ` + CPUList(s.ServerCPUs) +
		` && test "$(cat {dir}/own)" = syslet`)
	s.Program.Files = map[string]string{"own": "{syslet}"}
	out, err := Run(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, result.Valid, out.Verdict, out.Reasons)
}

func TestProgramsThatFail(t *testing.T) {
	for script, want := range map[string]string{
		"echo oh dear >&2; exit 3": "oh dear",
		"echo no json; exit 0":     "no result in JSON",
		"exit 0":                   "no result in JSON",
		`echo '{"metrics":{"operations":{"unit":"1","source":"x"}}}'; exit`:          "neither value nor a reason",
		`echo '{"metrics":{"rss":{"value":1,"unit":"bytes","source":"x"}}}'; exit 0`: `no metric "operations"`,
		"kill -9 $$": "killed",
	} {
		s := spec(t)
		s.Program = printing(script)
		out, err := Run(t.Context(), s)
		require.NoError(t, err, script)
		require.Equal(t, result.Invalid, out.Verdict, script)
		require.Contains(t, out.Reasons[0], want, script)
	}
}

// TestSilentServer: a server that says nothing is ready when it accepts, and gets
// the address that was chosen for it.
func TestSilentServer(t *testing.T) {
	s := spec(t)
	require.NoError(t, os.MkdirAll(s.WorkDir, 0o755))
	s.Foreign = &Foreign{Argv: []string{"sh", "-c", `exec env ` + serveAt + `="$(cat {dir}/listen)" "$0"`, os.Args[0]}, Files: map[string]string{"listen": "{addr}"}, Silent: true}
	srv, err := s.startForeign(t.Context())
	require.NoError(t, err)
	c, err := net.Dial("tcp", srv.ready.Listen)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	cpus, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", srv.ready.PID))
	require.NoError(t, err)
	require.Contains(t, string(cpus), "Cpus_allowed_list:\t"+CPUList(s.ServerCPUs)+"\n")
	require.NoError(t, srv.stop())

	s.Foreign.Argv = []string{"sh", "-c", "echo cannot >&2; exit 7"}
	_, err = s.startForeign(t.Context())
	require.ErrorContains(t, err, "ended by itself (exit status 7): cannot", "at once, not when time is up")

	s.Foreign.Argv = []string{"sh", "-c", "echo cannot >&2; sleep 60"}
	ctx, cancel := contextThatEnds(t)
	defer cancel()
	_, err = s.startForeign(ctx)
	require.ErrorContains(t, err, "did not start")
}

// TestVariantCommand: a server of the plan's own has its environment, is ended by
// SIGTERM, which it need not know, and is told apart from one that ended by itself.
func TestVariantCommand(t *testing.T) {
	s := spec(t)
	require.NoError(t, os.MkdirAll(s.WorkDir, 0o755))
	v := Variant{Command: []string{os.Args[0], "{port}"}, Env: map[string]string{serveAt: "{addr}"}}
	s.Variant, s.Foreign = &v, v.Foreign()
	srv, err := s.startForeign(t.Context())
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(srv.ready.Listen)
	require.NoError(t, err)
	require.Equal(t, []string{os.Args[0], port}, srv.argv)
	require.False(t, srv.gone())
	require.False(t, srv.hasChildren())
	require.NoError(t, srv.stop())

	srv, err = s.startForeign(t.Context())
	require.NoError(t, err)
	require.NoError(t, srv.cmd.Process.Signal(os.Interrupt)) // somebody else's
	require.Eventually(t, srv.gone, 10*time.Second, time.Millisecond)
	r := run{spec: s, server: srv}
	err = r.endServer(errors.New("the load: refused"))
	require.ErrorContains(t, err, "the server ended by itself (exit status 0)")
	require.ErrorContains(t, err, "the load: refused")
	require.Nil(t, (&Variant{Model: "nonblock"}).Foreign())
}

// TestReadyServer keeps the contract of the line, without an admin.
func TestReadyServer(t *testing.T) {
	s := spec(t)
	line, err := json.Marshal(Ready{Listen: "127.0.0.1:1", PID: 7})
	require.NoError(t, err)
	s.Foreign = &Foreign{Argv: []string{"sh", "-c", "trap 'exit 0' INT; echo '" + string(line) + "'; while :; do sleep 0.01; done"}}
	srv, err := s.startForeign(t.Context())
	require.NoError(t, err)
	require.Equal(t, Ready{Listen: "127.0.0.1:1", PID: 7}, srv.ready)
	snap, err := srv.snapshot(t.Context())
	require.NoError(t, err)
	require.Zero(t, snap.PID)
	require.NoError(t, srv.stop())
	require.ErrorIs(t, syscall.Kill(srv.cmd.Process.Pid, 0), syscall.ESRCH)
}

// contextThatEnds ends once the server had the time to be tried several times.
func contextThatEnds(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 100*time.Millisecond)
}
