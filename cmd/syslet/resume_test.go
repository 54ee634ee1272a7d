package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab"
	"github.com/syslet/syslet/lab/plan"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/workloads"
)

// shortLab as first argument makes the command run a plan of many short trials into
// the folder that follows: real servers under real load, for a moment each.
const shortLab = "short-lab"

const (
	shortRounds = 9
	shortTrials = shortRounds * 2 * 2
)

func runShortLab(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	e := plan.Experiment{
		Name: "short", Workload: workloads.Echo, Models: []string{"nonblock", "goroutine"}, Rounds: shortRounds,
		Factors: []plan.Factor{plan.Over(plan.BlockingShare, "0", "50")}, Conns: 4, Rate: 3000,
		Warmup: 30 * time.Millisecond, Window: 120 * time.Millisecond, NeedsDiskFile: true, DiskBytes: 1 << 20,
	}
	p, err := lab.Prepare(lab.Options{Experiments: []plan.Experiment{e}, Seed: 5, Out: dir, Binary: os.Args[0], CommandLine: []string{"test"}})
	if err == nil {
		err = p.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitError
	}
	return 0
}

// mark in the environment finds the processes of a test, also orphans.
const mark = "SYSLET_TEST_MARK"

func marked(c *exec.Cmd, value string) *exec.Cmd {
	c.Env = append(c.Env, mark+"="+value)
	return c
}

// alive are the running processes with the mark: PID and command line.
func alive(value string) (found []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		env, _ := os.ReadFile(path) // of one that has ended it is empty
		if bytes.Contains(env, []byte(mark+"="+value+"\x00")) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			found = append(found, filepath.Base(filepath.Dir(path))+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// eventually polls, because what it waits for (the death of another process, a line in
// its file) tells nobody.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

func trialLines(dir string) int {
	b, _ := os.ReadFile(filepath.Join(dir, result.TrialsFile))
	return bytes.Count(b, []byte("\n"))
}

func planOf(t *testing.T, dir string) (ids []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, lab.PlanFile))
	require.NoError(t, err)
	var f struct{ Trials []trial.Spec }
	require.NoError(t, json.Unmarshal(text, &f))
	for i := range f.Trials {
		ids = append(ids, f.Trials[i].ID())
	}
	return ids
}

// TestKilledLabGoesOn: a lab that is killed ten times at random, with torn writes
// besides, gives a complete run in the end; nothing outlives it, and no two labs are in
// one folder.
func TestKilledLabGoesOn(t *testing.T) {
	const kills = 10
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SYSLET_TEST_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("SYSLET_TEST_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	dir, value := filepath.Join(t.TempDir(), "run"), strconv.FormatUint(seed, 36)
	var before []string
	for kill := range kills {
		var said bytes.Buffer
		c := marked(command(patience(t), shortLab, dir), value)
		if kill > 0 {
			c = marked(command(patience(t), "lab", "resume", dir), value)
		}
		c.Stderr = &said
		require.NoError(t, c.Start())
		until := trialLines(dir) + rng.IntN(3)
		if kill == 0 {
			eventually(t, "the plan", func() bool { _, err := os.Stat(filepath.Join(dir, lab.PlanFile)); return err == nil })
			refusedWhileLocked(t, dir)
		}
		eventually(t, "trials", func() bool { return trialLines(dir) >= until })
		time.Sleep(time.Duration(rng.IntN(350)) * time.Millisecond) // anywhere within a trial
		require.NoError(t, c.Process.Kill())
		_ = c.Wait() // says that it was killed
		eventually(t, "the death of servers and loads", func() bool { return len(alive(value)) == 0 })

		torn := ""
		if rng.IntN(2) == 0 {
			torn = tear(t, dir, rng)
		}
		run, err := result.Read(dir)
		require.NoError(t, err, said.String())
		now := idsOf(run)
		require.Subset(t, now, before, "a trial was lost")
		t.Logf("kill %d: %d of %d trials%s", kill+1, len(now), shortTrials, torn)
		before = now
	}
	var said bytes.Buffer
	last := command(patience(t), "lab", "resume", dir)
	last.Stderr = &said
	out, err := last.Output()
	requireReport(t, err, said.String())
	require.Contains(t, string(out), "sittings from")
	complete(t, dir, 2, kills+1) // one that is killed before it writes is no sitting
}

// complete wants each trial of the plan in one line, and all lines readable.
func complete(t *testing.T, dir string, least, most int) {
	t.Helper()
	run, err := result.Read(dir)
	require.NoError(t, err)
	ids := planOf(t, dir)
	require.Len(t, ids, shortTrials)
	require.ElementsMatch(t, ids, idsOf(run))
	require.Equal(t, len(ids), trialLines(dir))
	require.NotContains(t, strings.Join(run.Warnings, ";"), "only the first counts")
	require.NotContains(t, strings.Join(run.Warnings, ";"), "torn")
	sittings := len(run.Environment.Sittings)
	require.GreaterOrEqual(t, sittings, least)
	require.LessOrEqual(t, sittings, most)
	sum := 0
	for _, s := range run.Environment.Sittings {
		sum += s.Trials
		require.False(t, s.End.Before(s.Start))
	}
	require.Equal(t, len(ids), sum)
	require.Equal(t, result.SittingFinished, run.Environment.Sittings[sittings-1].Ended)
	for i := range run.Trials {
		_, ok := run.Trials[i].Value(result.Throughput)
		require.True(t, ok, "%s did not run: %v", run.Trials[i].ID, run.Trials[i].Reasons)
		require.Positive(t, run.Trials[i].ElapsedS)
	}
	require.FileExists(t, filepath.Join(dir, "report.html"))
	require.NoDirExists(t, filepath.Join(dir, "work"))
}

// requireReport: the run went through. On a busy machine trials as short as these may
// all be invalid, which is an exit code, but not what is tested here.
func requireReport(t *testing.T, err error, said string) {
	t.Helper()
	require.Contains(t, []int{0, exitInvalid}, exitCode(err), said)
}

func idsOf(run *result.Run) (ids []string) {
	for i := range run.Trials {
		ids = append(ids, run.Trials[i].ID)
	}
	return ids
}

// tear leaves a part of a line at the file's end, as a write that was cut off would.
func tear(t *testing.T, dir string, rng *rand.Rand) (what string) {
	t.Helper()
	path := filepath.Join(dir, result.TrialsFile)
	all, err := os.ReadFile(path)
	require.NoError(t, err)
	line, _, _ := bytes.Cut(all, []byte("\n"))
	if len(line) == 0 {
		line = []byte(`{"schema":2,"id":"short/1/nonblock"}`)
	}
	n := 1 + rng.IntN(len(line)-1)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = f.Write(line[:n])
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return fmt.Sprintf(", and %d bytes of a torn line", n)
}

// refusedWhileLocked: neither a second run nor a resumption gets into a folder in use.
func refusedWhileLocked(t *testing.T, dir string) {
	t.Helper()
	for _, args := range [][]string{{shortLab, dir}, {"lab", "resume", dir}} {
		out, err := command(patience(t), args...).CombinedOutput()
		require.Equal(t, exitError, exitCode(err), "%s", out)
		require.Contains(t, string(out), "another lab is at work in this folder")
	}
}

// TestInterruptedLabGoesOn: a signal asks for an orderly end, whose folder goes on.
func TestInterruptedLabGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	for i, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		c := command(patience(t), shortLab, dir)
		if i > 0 {
			c = command(patience(t), "lab", "resume", dir)
		}
		var said bytes.Buffer
		c.Stderr = &said
		require.NoError(t, c.Start())
		until := trialLines(dir) + 2
		eventually(t, "trials", func() bool { return trialLines(dir) >= until })
		require.NoError(t, c.Process.Signal(sig))
		require.Equal(t, exitError, exitCode(c.Wait()), said.String())
		run, err := result.Read(dir)
		require.NoError(t, err)
		require.Equal(t, result.SittingInterrupted, run.Environment.Sittings[i].Ended)
		require.NoDirExists(t, filepath.Join(dir, "work"))
		if i > 0 {
			require.Contains(t, said.String(), "go on with: syslet lab resume "+dir)
			require.FileExists(t, filepath.Join(dir, "report.html"))
		}
	}
	out, err := command(patience(t), "lab", "resume", dir).CombinedOutput()
	requireReport(t, err, string(out))
	complete(t, dir, 3, 3)

	// Once it is finished there is nothing to resume; the report is written all the same.
	require.NoError(t, os.Remove(filepath.Join(dir, "report.html")))
	out, err = command(patience(t), "lab", "resume", dir).CombinedOutput()
	requireReport(t, err, string(out))
	require.Contains(t, string(out), "the run is finished")
	complete(t, dir, 3, 3)

	elsewhere(t, dir)
}

// elsewhere: a run of another machine is refused, with what differs.
func elsewhere(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, result.EnvironmentFile)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bytes.Replace(text, []byte(`"cpu_count": `), []byte(`"cpu_count": 100`), 1), 0o644))
	out, err := command(patience(t), "lab", "resume", dir).CombinedOutput()
	require.Equal(t, exitError, exitCode(err))
	require.Regexp(t, `number of CPUs: 100\d+ then, \d+ now`, string(out))
	out, err = command(patience(t), "lab", "resume", "--force", dir).CombinedOutput()
	requireReport(t, err, string(out))
}

// TestSecondSignalEndsAtOnce: whoever cannot wait for the report need not.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	c := command(patience(t), shortLab, dir)
	out, err := c.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	eventually(t, "a trial", func() bool { return trialLines(dir) >= 1 })
	// The first signal may be answered before the second one comes: then the end was
	// orderly. Else the second one killed.
	require.NoError(t, c.Process.Signal(os.Interrupt))
	eventually(t, "the end", func() bool {
		return c.Process.Signal(os.Interrupt) != nil || ended(c.Process.Pid)
	})
	_, _ = io.Copy(io.Discard, out)
	require.Error(t, c.Wait())
	after, err := command(patience(t), "lab", "resume", dir).CombinedOutput()
	requireReport(t, err, string(after))
	complete(t, dir, 2, 2)
}

// ended reports whether a child of ours is a zombie.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	return err != nil || strings.HasPrefix(rest, "Z")
}
