package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/admin"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads"
)

// asSyslet in the environment makes the test binary be the command.
const asSyslet = "SYSLET_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asSyslet) != "" {
		if len(os.Args) == 3 && os.Args[1] == shortLab {
			os.Exit(runShortLab(os.Args[2]))
		}
		main()
	}
	os.Exit(m.Run())
}

func command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, os.Args[0], args...)
	c.Env = append(os.Environ(), asSyslet+"=1")
	return c
}

func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// TestHelp: every command explains itself, and what its text shows works.
func TestHelp(t *testing.T) {
	for _, args := range []string{"", "serve", "load", "lab", "lab run", "lab resume", "lab list", "lab claims", "lab compare", "lab check", "report", "doctor"} {
		out, err := command(patience(t), append(strings.Fields(args), "--help")...).CombinedOutput()
		require.NoError(t, err, args)
		for _, l := range regexp.MustCompile(`(?m)^  syslet ((?:serve|load|lab|doctor) .*)$`).FindAllStringSubmatch(string(out), -1) {
			cmd, rest, err := newRoot().Find(strings.Fields(l[1]))
			require.NoError(t, err, l[0])
			require.NoError(t, cmd.ParseFlags(rest), l[0])
		}
	}
}

func exitCode(err error) int {
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	return 0
}

func TestExitCodes(t *testing.T) {
	for args, want := range map[string]int{
		"lab list": 0, "lab claims": 0, "lab check": 0, "doctor --no-noise": 0, "lab check nonsense": exitUsage, "lab check aa --tries -1": exitUsage, "doctor --noise-trials 1": exitUsage, "lab run --dry-run --quick": 0,
		"report /no/such/folder": exitError, "serve --model nonblock --workload echo --listen 256.0.0.1:1": exitError,
		"nonsense": exitUsage, "lab nonsense": exitUsage, "serve --nonsense": exitUsage, "lab compare one": exitUsage,
		"lab resume": exitUsage, "lab resume /no/such/folder": exitError, "lab run --dry-run --precision 0": exitUsage, "lab run --dry-run --precision x": exitUsage,
		"lab run --dry-run --precision 2% --precision-of nonsense": exitUsage, "lab run --dry-run --budget 1s": exitUsage, "lab run --dry-run --budget -1s": exitUsage,
		"lab run --dry-run --precision 2% --budget 1h": 0,
		"lab run --experiment nonsense":                exitUsage, "lab run --models nonsense --dry-run": exitUsage, "serve --cpus x": exitUsage, "serve --listen=": exitUsage,
		"lab run --dry-run --experiment peers-echo --levels 64": 0, "lab run --dry-run --experiment peers-echo --levels 7": exitUsage,
		"serve --files nonsense": exitUsage, "serve --unsent-policy nonsense": exitUsage, "load --workload nonsense": exitUsage,
		"load --workload echo --size 15": exitUsage, "load --workload fanout --size 65537": exitUsage,
	} {
		out, err := command(patience(t), strings.Fields(args)...).CombinedOutput()
		require.Equal(t, want, exitCode(err), "%s: %s", args, out)
	}
}

// TestServeAndLoad runs the two commands apart, over TCP, for every workload
// under every model.
func TestServeAndLoad(t *testing.T) {
	for _, model := range models.AllNames() {
		for _, workload := range workloads.Names() {
			t.Run(model+"/"+workload, func(t *testing.T) {
				if err := models.Refused(model); err != nil {
					t.Skipf("model refused: %v", err)
				}
				serveAndLoad(t, model, workload)
			})
		}
	}
}

func serveAndLoad(t *testing.T, model, workload string) {
	ctx := patience(t)
	site := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(site, "index.html"), []byte("<p>served</p>"), 0o644))
	srv := command(ctx, "serve", "--json", "--model", model, "--workload", workload, "--listen", "127.0.0.1:0",
		"--admin", "127.0.0.1:0", "--dir", t.TempDir(), "--root", site)
	if model == models.Inline {
		srv.Args = append(srv.Args[:3:3], append([]string{"--model", "nonblock", "--files", "inline"}, srv.Args[5:]...)...)
	}
	var errs bytes.Buffer
	srv.Stderr = &errs
	out, err := srv.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, srv.Start())
	defer srv.Process.Kill()
	var ready trial.Ready
	require.NoError(t, json.NewDecoder(out).Decode(&ready), errs.String())

	report, err := command(ctx, "load", "--json", "--workload", workload, "--target", ready.Listen, "--conns", "20", "--rate", "500",
		"--warmup", "100ms", "--duration", "500ms").Output()
	require.NoError(t, err, "%s", report)
	lines := strings.Split(strings.TrimSpace(string(report)), "\n")
	var last trial.LoadLine
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	require.NotNil(t, last.Report)
	require.Zero(t, last.Report.Counts.Errors(), "%+v", last.Report)
	require.Positive(t, last.Report.Counts.Answered)
	if workload == workloads.Fanout { // each of 20 connections hears what any of them says
		require.InEpsilon(t, 20*last.Report.Throughput, last.Report.Deliveries, 0.2)
	}

	snap := snapshotOf(t, ready.Admin)
	require.GreaterOrEqual(t, snap.Sum.Accepted, uint64(20))
	require.NoError(t, srv.Process.Signal(syscall.SIGTERM))
	require.NoError(t, srv.Wait(), errs.String())
}

func snapshotOf(t *testing.T, addr string) admin.Snapshot {
	t.Helper()
	var snap admin.Snapshot
	body := httpGet(t, "http://"+addr+"/stats")
	require.NoError(t, json.Unmarshal(body, &snap))
	require.Contains(t, string(httpGet(t, "http://"+addr+"/metrics")), "syslet_accepted_total")
	return snap
}

func httpGet(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", body)
	return body
}

// TestRealtime: the loop's thread gets the class, no other, and what is asked for in
// vain is refused.
func TestRealtime(t *testing.T) {
	srv := command(patience(t), "serve", "--json", "--model", "nonblock", "--workload", "echo", "--listen", "127.0.0.1:0",
		"--admin", "127.0.0.1:0", "--realtime", "--ballast", "1000000", "--garbage", "10000000")
	var errs strings.Builder
	srv.Stderr = &errs
	out, err := srv.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, srv.Start())
	defer srv.Process.Kill()
	var ready trial.Ready
	if err := json.NewDecoder(out).Decode(&ready); err != nil {
		require.Error(t, srv.Wait())
		if strings.Contains(errs.String(), "CAP_SYS_NICE") {
			t.Skip(errs.String())
		}
		t.Fatal(errs.String())
	}
	snapshotOf(t, ready.Admin)
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", ready.PID))
	require.NoError(t, err)
	loops, others := 0, 0
	for _, task := range tasks {
		stat, err := os.ReadFile(task)
		require.NoError(t, err)
		name, rest, _ := strings.Cut(string(stat), ") ")
		class := strings.Fields(rest)[38] // field 41 of proc_pid_stat(5)
		if strings.Contains(name, "(shard") {
			require.Equal(t, "2", class, "SCHED_RR")
			loops++
			continue
		}
		require.NotEqual(t, "2", class, name)
		others++
	}
	require.Equal(t, 1, loops)
	require.Positive(t, others)
	require.NoError(t, srv.Process.Signal(syscall.SIGTERM))
	require.NoError(t, srv.Wait())

	refused, err := command(patience(t), "serve", "--model", "goroutine", "--workload", "echo", "--listen", "127.0.0.1:0", "--realtime").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(refused), "has none")
}

// TestLabRun runs a small real experiment to its report, and interrupts one.
func TestLabRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	out, err := command(patience(t), "lab", "run", "--quick", "--rounds", "1", "--models", "nonblock,goroutine", "--experiment", "blocking-curve",
		"--out", dir, "--seed", "7").CombinedOutput()
	require.NoError(t, err, string(out))
	run, err := result.Read(dir)
	require.NoError(t, err)
	require.Len(t, run.Trials, 6)
	for _, trial := range run.Trials {
		require.NotEqual(t, result.Invalid, trial.Verdict, "%v", trial.Reasons)
		_, ok := trial.Value(result.LatencyP99)
		require.True(t, ok)
	}
	for _, f := range []string{"report.html", "summary.md", "summary.csv", "bench.txt", "environment.json"} {
		require.FileExists(t, filepath.Join(dir, f))
	}
	require.NoDirExists(t, filepath.Join(dir, "work"))
	out, err = command(patience(t), "lab", "compare", dir, dir).CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = command(patience(t), "lab", "claims", dir).CombinedOutput()
	require.NoError(t, err, string(out))
}
