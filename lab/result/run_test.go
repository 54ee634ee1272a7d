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
	want.Schema = Schema
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

func TestReadTornAndBrokenFiles(t *testing.T) {
	trial := sample(1)
	trial.Schema = Schema
	line, err := encodeLine(&trial)
	require.NoError(t, err)
	whole := string(line)
	for _, c := range []struct {
		name, file string
		trials     int
		warning    string
		err        string
	}{
		{"whole", whole + whole, 2, "", ""},
		{"torn in the middle of the last line", whole + whole[:len(whole)/2], 1, "f:2: torn last line", ""},
		{"torn just before the newline", whole + strings.TrimSuffix(whole, "\n"), 2, "", ""},
		{"empty", "", 0, "", ""},
		{"broken line that is not the last", whole[:40] + "\n" + whole, 0, "", "f:1: "},
		{"broken last line with a newline", whole + whole[:40] + "\n", 0, "", "f:2: "},
		{"newer schema", whole + strings.Replace(whole, `"schema":1`, `"schema":2`, 1), 0, "", "f:2: unknown schema: 2, this version reads 1"},
		{"schema of another kind", strings.Replace(whole, `"schema":1`, `"schema":"x/1"`, 1), 0, "", `f:1: unknown schema: "x/1"`},
		{"no schema", "{}\n", 0, "", "f:1: unknown schema: there is none"},
		{"whole but unfit last line without newline", whole + `{"schema":1}`, 0, "", "f:2: trial has no experiment"},
	} {
		t.Run(c.name, func(t *testing.T) {
			trials, warnings, err := readTrials(strings.NewReader(c.file), "f")
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Len(t, trials, c.trials)
			if c.warning == "" {
				require.Empty(t, warnings)
			} else {
				require.Contains(t, strings.Join(warnings, ";"), c.warning)
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
// trial it yields can be written and comes back the same.
func FuzzReadTrials(f *testing.F) {
	trial := sample(1)
	trial.Schema = Schema
	line, err := encodeLine(&trial)
	require.NoError(f, err)
	f.Add(line)
	f.Add(append(bytes.Clone(line), line[:100]...))
	f.Add([]byte("{}\n"))
	f.Add([]byte(`{"schema":1,"factors":{"a":-0}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		trials, _, err := readTrials(bytes.NewReader(data), "fuzz")
		if err != nil {
			return
		}
		for i := range trials {
			line, err := encodeLine(&trials[i])
			require.NoError(t, err)
			again, warnings, err := readTrials(bytes.NewReader(line), "again")
			require.NoError(t, err)
			require.Empty(t, warnings)
			require.Len(t, again, 1)
			second, err := encodeLine(&again[0])
			require.NoError(t, err)
			require.Equal(t, string(line), string(second))
		}
	})
}
