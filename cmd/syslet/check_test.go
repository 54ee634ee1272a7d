package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/check"
	"github.com/syslet/syslet/lab/doctor"
	"github.com/syslet/syslet/lab/result"
)

// What so few trials say is not looked at: exit code 4 is as good as 0.

// TestCheckAA runs one pair of comparisons through the command, and reads its folder.
func TestCheckAA(t *testing.T) {
	out := filepath.Join(t.TempDir(), "check")
	text, err := command(patience(t), "lab", "check", "aa", "--quick", "--rounds", "2", "--models", "nonblock", "--seed", "3", "--out", out).CombinedOutput()
	require.Contains(t, []int{0, exitInvalid}, exitCode(err), string(text))
	require.Regexp(t, `nonblock 2000/s +cpu_per_op +\d\+\d `, string(text))
	require.Regexp(t, `aa: (NOT )?held: \d of 2 comparisons`, string(text))
	run, err := result.Read(filepath.Join(out, "aa"))
	require.NoError(t, err)
	require.Len(t, run.Trials, 4)
	for _, trial := range run.Trials {
		require.Contains(t, []string{"nonblock-a", "nonblock-b"}, trial.Model)
	}
	text, err = command(patience(t), "lab", "compare", run.Dir, run.Dir).CombinedOutput()
	require.NoError(t, err, string(text))
}

// TestCheckAB runs one try of each handicap, with a handicap in the second arm's
// command line.
func TestCheckAB(t *testing.T) {
	out := filepath.Join(t.TempDir(), "check")
	text, err := command(patience(t), "lab", "check", "ab", "--quick", "--tries", "1", "--rounds", "2", "--models", "nonblock", "--seed", "3", "--out", out).CombinedOutput()
	require.Contains(t, []int{0, exitInvalid}, exitCode(err), string(text))
	require.Regexp(t, `10 % more CPU per request was found in \d of 1 tries; 1 ms later for 1 % of requests was found in \d of 1 tries`, string(text))
	run, err := result.Read(filepath.Join(out, "ab"))
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Join(out, "ab", "work"))
	flags := map[string]int{}
	for _, trial := range run.Trials {
		for _, arg := range trial.Command.Server {
			flags[trial.Model+" "+arg]++
		}
	}
	require.Equal(t, 2, flags["nonblock-cpu --handicap-cpu-ns"])
	require.Equal(t, 2, flags["nonblock-delay --handicap-delay"])
	require.Zero(t, flags["nonblock --handicap-cpu-ns"]+flags["nonblock --handicap-delay"])
}

// TestHandicapFlags: what makes no sense is refused before anything is served.
func TestHandicapFlags(t *testing.T) {
	for _, flags := range [][]string{
		{"--handicap-delay", "1ms"}, {"--handicap-share", "0.1"}, {"--handicap-cpu-ns", "-1"},
		{"--handicap-delay", "1ms", "--handicap-share", "1.5"},
	} {
		text, err := command(patience(t), append([]string{"serve", "--workload", "echo", "--listen", "127.0.0.1:0"}, flags...)...).CombinedOutput()
		require.Equal(t, exitUsage, exitCode(err), string(text))
	}
	text, err := command(patience(t), "serve", "--workload", "fanout", "--listen", "127.0.0.1:0", "--handicap-cpu-ns", "5").CombinedOutput()
	require.Equal(t, exitError, exitCode(err), string(text))
	require.Contains(t, string(text), "fanout has no handicaps")
}

func TestDoctor(t *testing.T) {
	text, err := command(patience(t), "doctor", "--noise-trials", "2", "--json").Output()
	require.NoError(t, err)
	var r doctor.Report
	require.NoError(t, json.Unmarshal(text, &r))
	require.NotEmpty(t, r.Findings)
	if r.NoiseFailed != "" { // two short trials beside other tests: one may be invalid
		require.Contains(t, r.NoiseFailed, "noise needs two")
	} else {
		require.Equal(t, 2, r.Noise.Trials)
	}

	text, err = command(patience(t), "doctor", "--no-noise", "--strict").Output()
	want := 0
	if doctor.Count(r.Findings, doctor.Fault) > 0 {
		want = exitError
	}
	if exitCode(err) != want { // other load comes and goes between the two
		require.Contains(t, string(text), "other load")
	}
	require.NotContains(t, string(text), "Noise floor")
}

// TestCheckParts runs those checks that need neither much time nor a quiet machine,
// through the command, and reads what it leaves.
func TestCheckParts(t *testing.T) {
	out := filepath.Join(t.TempDir(), "check")
	text, err := command(patience(t), "lab", "check", "stall", "pacing", "--quick", "--seed", "3", "--out", out).CombinedOutput()
	require.Contains(t, []int{0, exitInvalid}, exitCode(err), string(text))
	require.Regexp(t, `(?m)^closed loop, .*: \d+ answers, p50 `, string(text))
	require.Regexp(t, `(?m)^run  3: `, string(text))
	require.Regexp(t, `(?m)^pacing    (NOT )?held: p99 of how late`, string(text))
	kept, err := os.ReadFile(filepath.Join(out, "stall", "check.txt"))
	require.NoError(t, err)
	require.Regexp(t, `stall: held: stopped for 2\d\d\.\d ms`, string(kept), "a slow machine makes a stall only longer")

	text, err = command(patience(t), "lab", "check", "sensors", "--out", out).CombinedOutput()
	require.Contains(t, []int{0, exitInvalid}, exitCode(err), string(text))
	require.Regexp(t, `(?m)^CPU time +CPU clock \d+ us, /proc/PID/stat \d+ us: `, string(text))
}

// TestCheckOptions: a flag that a check does not heed is refused.
func TestCheckOptions(t *testing.T) {
	for _, args := range [][]string{{"sensors", "--seed", "1"}, {"aa", "--tries", "3"}, {"ab", "stall", "--rounds", "2"}, {"probe", "--models", "nonblock"}} {
		text, err := command(patience(t), append([]string{"lab", "check"}, args...)...).CombinedOutput()
		require.Equal(t, exitUsage, exitCode(err), string(text))
		require.Contains(t, string(text), "does not heed it")
	}
	all, err := check.Select([]string{"all"})
	require.NoError(t, err)
	require.NoError(t, unheeded(all, []check.Option{check.OptionSeed, check.OptionTries}, true))
	require.Error(t, unheeded(all, []check.Option{"nonsense"}, true))
}

// TestConclude: an error goes before a check that does not hold, and neither is a pass.
func TestConclude(t *testing.T) {
	held, part := outcome{name: "a", verdict: check.Verdict{Held: true}}, outcome{name: "b", verdict: check.Verdict{Held: true, NotChecked: []string{"x"}}}
	require.NoError(t, conclude([]outcome{held, held}))
	err := conclude([]outcome{held, part})
	var coded exitErr
	require.ErrorAs(t, err, &coded)
	require.Equal(t, exitInvalid, coded.code)
	err = conclude([]outcome{part, {name: "c", err: errors.New("no server")}})
	require.ErrorContains(t, err, "c: no server")
	require.False(t, errors.As(err, &coded))
}
