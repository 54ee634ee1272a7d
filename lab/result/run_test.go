package result

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func sample(round int) Trial {
	return Trial{
		Experiment: "game-mix", Workload: "game", Model: "threadlet", Round: round, Seed: 1<<63 + 1,
		Factors: Factors{"rate": "5000"}, Start: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), DurationS: 2.5,
		Verdict: Suspect, Reasons: []string{"late <sends>\nover 1 %"},
		Metrics: map[string]Metric{
			LatencyP99:       Of(812.25, "us", SourceLoad),
			CacheMissesPerOp: Missing("no PMU here", "1", SourcePMU),
		},
		Command:       Command{Server: []string{"syslet", "serve"}, Load: []string{"syslet", "load"}},
		Distributions: map[string][]Point{"latency": {{50, 100}, {99, 812.25}, {100, 1500}}},
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs", "one")
	w, err := Create(dir)
	require.NoError(t, err)
	env := Environment{Kernel: "6.18", CommandLine: []string{"syslet", "lab", "run"}, Refused: []Refusal{{"iouring", "ENOSYS"}}}
	require.NoError(t, w.WriteEnvironment(env))
	require.NoError(t, w.Append(sample(1)))
	require.NoError(t, w.Append(sample(2)))
	env.Warnings = []string{"CPU frequency changes"}
	require.NoError(t, w.WriteEnvironment(env))
	require.NoError(t, w.Close())

	run, err := Read(dir)
	require.NoError(t, err)
	require.Empty(t, run.Warnings)
	want := sample(2)
	want.upgrade()
	require.Equal(t, "game-mix/2/threadlet rate=5000", want.ID)
	require.Len(t, run.Trials, 2)
	require.Equal(t, want, run.Trials[1])
	env.Schema = Schema
	require.Equal(t, env, *run.Environment)

	_, err = Create(dir)
	require.ErrorIs(t, err, ErrHoldsRun)
}

func TestTrialsFromManyGoroutinesAreWholeLines(t *testing.T) {
	w, err := Create(t.TempDir())
	require.NoError(t, err)
	var all sync.WaitGroup
	for round := 1; round <= 50; round++ {
		all.Go(func() {
			if err := w.Append(sample(round)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.NoError(t, w.Close())
	run, err := Read(w.Dir())
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, trial := range run.Trials {
		seen[trial.Round] = true
	}
	require.Len(t, seen, 50)
}

func TestAppendRefusesWhatReadWouldRefuse(t *testing.T) {
	w, err := Create(t.TempDir())
	require.NoError(t, err)
	defer w.Close()
	for name, spoil := range map[string]func(*Trial){
		"experiment": func(t *Trial) { t.Experiment = "" },
		"workload":   func(t *Trial) { t.Workload = "" },
		"model":      func(t *Trial) { t.Model = "" },
		"round":      func(t *Trial) { t.Round = 0 },
		"verdict":    func(t *Trial) { t.Verdict = "fine" },
		"reasons":    func(t *Trial) { t.Verdict, t.Reasons = Invalid, nil },
		"duration_s": func(t *Trial) { t.DurationS = math.NaN() },
		"elapsed_s":  func(t *Trial) { t.ElapsedS = math.Inf(1) },
		"latency_p99": func(t *Trial) {
			t.Metrics = map[string]Metric{LatencyP99: Of(math.Inf(1), "us", SourceLoad)}
		},
		"percentile": func(t *Trial) { t.Distributions = map[string][]Point{"latency": {{99, 1}, {50, 1}}} },
	} {
		trial := sample(1)
		spoil(&trial)
		err := w.Append(trial)
		require.ErrorContains(t, err, name)
	}
	data, err := os.ReadFile(filepath.Join(w.Dir(), TrialsFile))
	require.NoError(t, err)
	require.Empty(t, data)
}

func lineOf(t testing.TB, trial Trial) string {
	t.Helper()
	trial.upgrade()
	line, err := encodeLine(&trial)
	require.NoError(t, err)
	return string(line)
}

func TestReadTornAndBrokenFiles(t *testing.T) {
	whole, second := lineOf(t, sample(1)), lineOf(t, sample(2))
	later := func(schema string) string { return strings.Replace(second, `"schema":2`, `"schema":`+schema, 1) }
	for _, c := range []struct {
		name, file string
		trials     int
		warning    string
		err        string
	}{
		{"whole", whole + second, 2, "", ""},
		{"torn in the middle of the last line", whole + second[:len(second)/2], 1, "f:2: torn last line", ""},
		{"torn just before the newline", whole + strings.TrimSuffix(second, "\n"), 2, "", ""},
		{"a tail of zeros", whole + strings.Repeat("\x00", 100), 1, "f:2: torn last line", ""},
		{"empty", "", 0, "", ""},
		{"a trial twice", whole + second + whole, 2, `f:3: trial "game-mix/1/threadlet rate=5000" is in line 1 already`, ""},
		{"a trial twice, once of schema 1", strings.Replace(strings.Replace(whole, `"id":"game-mix/1/threadlet rate=5000",`, "", 1), `"schema":2`, `"schema":1`, 1) + whole,
			1, "f:2: trial", ""},
		{"broken line that is not the last", whole[:40] + "\n" + whole, 0, "", "f:1: "},
		{"broken last line with a newline", whole + whole[:40] + "\n", 0, "", "f:2: "},
		{"newer schema", whole + later("3"), 0, "", "f:2: unknown schema: 3, this version reads 1 to 2: a later version of syslet wrote it"},
		{"newer schema without newline", whole + strings.TrimSpace(later("3")), 0, "", "f:2: unknown schema: 3"},
		{"schema 0", later("0"), 0, "", "f:1: unknown schema: 0, this version reads 1 to 2"},
		{"schema of another kind", later(`"x/1"`), 0, "", `f:1: unknown schema: "x/1"`},
		{"no schema", "{}\n", 0, "", "f:1: unknown schema: there is none"},
		{"whole but unfit last line without newline", whole + `{"schema":1}`, 0, "", "f:2: trial has no experiment"},
	} {
		t.Run(c.name, func(t *testing.T) {
			read, err := readTrials(strings.NewReader(c.file), "f")
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Len(t, read.trials, c.trials)
			if c.warning == "" {
				require.Empty(t, read.warnings)
			} else {
				require.Contains(t, strings.Join(read.warnings, ";"), c.warning)
			}
		})
	}
}

func TestReadWithoutEnvironmentWarns(t *testing.T) {
	dir := t.TempDir()
	_, err := Read(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(filepath.Join(dir, TrialsFile), nil, 0o644))
	run, err := Read(dir)
	require.NoError(t, err)
	require.Nil(t, run.Environment)
	require.Len(t, run.Warnings, 2)
	require.NoError(t, os.WriteFile(filepath.Join(dir, EnvironmentFile), []byte(`{"schema":7}`), 0o644))
	_, err = Read(dir)
	require.ErrorIs(t, err, ErrSchema)
	require.ErrorContains(t, err, EnvironmentFile)
}

func TestFactorLevelsAreText(t *testing.T) {
	var f Factors
	require.NoError(t, f.UnmarshalJSON([]byte(`{"share":5,"direct":true,"kind":"fsync","frac":0.50}`)))
	require.Equal(t, Factors{"share": "5", "direct": "true", "kind": "fsync", "frac": "0.50"}, f)
	require.Equal(t, "direct=true frac=0.50 kind=fsync share=5", f.String())
	v, ok := f.Number("frac")
	require.True(t, ok)
	require.Equal(t, 0.5, v)
	_, ok = f.Number("kind")
	require.False(t, ok)
	require.Error(t, f.UnmarshalJSON([]byte(`{"a":null}`)))
	require.Error(t, f.UnmarshalJSON([]byte(`{"a":[1]}`)))
}

// FuzzReadTrials: whatever is in the file, reading does not panic, and every
// trial it yields can be written and comes back the same; reopening the file leaves
// one that is read without a warning, and can be appended to.
func FuzzReadTrials(f *testing.F) {
	line := lineOf(f, sample(1))
	f.Add([]byte(line))
	f.Add([]byte(line + line[:100]))
	f.Add([]byte(line + line))
	f.Add([]byte(strings.TrimSpace(line)))
	f.Add([]byte("{}\n"))
	f.Add([]byte(`{"schema":1,"factors":{"a":-0}}`))
	f.Add([]byte(strings.Replace(line, `"schema":2,"id":"game-mix/1/threadlet rate=5000"`, `"schema":1`, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		read, err := readTrials(bytes.NewReader(data), "fuzz")
		if err != nil {
			return
		}
		for i := range read.trials {
			line, err := encodeLine(&read.trials[i])
			require.NoError(t, err)
			again, err := readTrials(bytes.NewReader(line), "again")
			require.NoError(t, err)
			require.Empty(t, again.warnings)
			require.Len(t, again.trials, 1)
			second, err := encodeLine(&again.trials[0])
			require.NoError(t, err)
			require.Equal(t, string(line), string(second))
		}
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, TrialsFile), data, 0o644))
		reopened(t, dir, read.trials)
	})
}

// reopened appends one more trial to a file, and reads what was there and that one.
func reopened(t *testing.T, dir string, want []Trial) {
	t.Helper()
	w, trials, _, err := Reopen(dir)
	require.NoError(t, err)
	require.Equal(t, len(want), len(trials))
	one := sample(1)
	one.Experiment = "appended"
	require.NoError(t, w.Append(one))
	require.NoError(t, w.Close())
	run, err := Read(dir)
	require.NoError(t, err)
	require.NotContains(t, strings.Join(run.Warnings, ";"), "torn last line")
	require.Len(t, run.Trials, len(want)+1)
}

func TestReopenMendsTheEnd(t *testing.T) {
	whole, second := lineOf(t, sample(1)), lineOf(t, sample(2))
	for name, c := range map[string]struct {
		file, after, warning string
		trials               int
	}{
		"whole":                  {whole + second, whole + second, "", 2},
		"torn":                   {whole + second[:77], whole, "torn last line was cut off", 1},
		"torn in the first byte": {whole + "{", whole, "torn last line was cut off", 1},
		"only a newline missing": {whole + strings.TrimSpace(second), whole + second, "", 2},
		"nothing but a part":     {whole[:10], "", "torn last line was cut off", 0},
		"empty":                  {"", "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, TrialsFile)
			require.NoError(t, os.WriteFile(path, []byte(c.file), 0o644))
			w, trials, warnings, err := Reopen(dir)
			require.NoError(t, err)
			require.Len(t, trials, c.trials)
			require.Contains(t, strings.Join(warnings, ";"), c.warning)
			require.Equal(t, c.warning == "", len(warnings) == 0)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c.after, string(after))
			require.NoError(t, w.Close())
			reopened(t, dir, trials)
		})
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, TrialsFile), []byte("broken\n"+whole), 0o644))
	_, _, _, err := Reopen(dir)
	require.ErrorContains(t, err, TrialsFile+":1: ")
}

// TestSchema1: testdata/schema1 was written by the last version that wrote schema 1.
func TestSchema1(t *testing.T) {
	run, err := Read(filepath.Join("testdata", "schema1"))
	require.NoError(t, err)
	require.Empty(t, run.Warnings)
	require.Len(t, run.Trials, 4)
	seen := map[string]bool{}
	for i := range run.Trials {
		trial := &run.Trials[i]
		seen[trial.ID] = true
		require.Equal(t, Schema, trial.Schema)
		require.Empty(t, trial.Series)
		require.Equal(t, uint64(12), trial.Seed)
		_, ok := trial.Value(LatencyP50)
		require.True(t, ok)
	}
	require.Contains(t, seen, "blocking-curve/1/goroutine blocking_share=100 conns=64 rate=6000")
	require.Len(t, seen, 4)
	require.Equal(t, 4, run.Environment.PlannedTrials())
	require.Equal(t, Schema, run.Environment.Schema)
	require.Equal(t, "AMD EPYC", run.Environment.CPUModel)
}

func TestHistory(t *testing.T) {
	at := func(s int) time.Time { return time.Date(2026, 1, 2, 3, 4, s, 0, time.UTC) }
	env := Environment{Plan: []Planned{{Experiment: "e", Trials: 4}},
		Sittings: []Sitting{{Start: at(0), End: at(5), Trials: 2, Ended: SittingKilled}, {Start: at(12), End: at(20), Trials: 2, Ended: SittingFinished}}}
	require.Equal(t, []string{"the run was interrupted and resumed: 2 sittings from 2026-01-02 03:04:00 on, with 7s between them; rounds of different sittings are further apart than others"},
		env.history(4))
	env.Sittings = env.Sittings[:1]
	require.Equal(t, []string{"the run is not finished (killed): 2 of 4 trials are there; syslet lab resume goes on with it"}, env.history(2))
	env.Sittings[0].Ended = SittingFinished
	require.Empty(t, env.history(4))
	env.Plan[0].Stopped, env.Plan[0].LastRound, env.Plan[0].LeftOut = "known well enough", 6, 8
	require.Equal(t, []string{"e stopped early: known well enough; its last round is 6, and 8 planned trials were left out"}, env.history(4))
}
