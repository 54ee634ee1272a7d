package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

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
