package plan

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/trial"
)

var update = flag.Bool("update", false, "write the messages of testdata/bad anew")

// TestMessages: what is wrong with a file is said in these words, with these lines.
func TestMessages(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		_, err = Parse(filepath.Base(path), text, false)
		require.Error(t, err, path)
		golden := strings.TrimSuffix(path, ".yaml") + ".txt"
		got := strings.ReplaceAll(err.Error(), "\n      ", "\n") + "\n"
		if *update {
			require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), got, path)
	}
}

func one(t *testing.T, text string) Experiment {
	t.Helper()
	es, err := Parse("test.yaml", []byte(text), false)
	require.NoError(t, err)
	require.Len(t, es, 1)
	return es[0]
}

const small = "name: small\nworkload: echo\nmodels: [nonblock]\nrate: 100\nwindow: 1s\n"

// TestDefaults: what may be left out, and what it is then.
func TestDefaults(t *testing.T) {
	e := one(t, small+"conns: 5\n")
	require.Equal(t, 10, e.Rounds)
	require.False(t, e.OptIn)
	specs := Trials([]Experiment{e}, 1)
	require.Len(t, specs, 10)
	require.Equal(t, "conns=5 rate=100", specs[0].Factors.String())
	require.Equal(t, 1, specs[0].Outstanding)
	require.Nil(t, specs[0].SLO)
	require.Nil(t, specs[0].Idle)
}

// TestEverySetting: a file says each of them, and the trial has it.
func TestEverySetting(t *testing.T) {
	e := one(t, small+`conns: 1_000
latency_of: disk
outstanding: 2
speakers: 3
load_flags: [--requests, "{dir}/requests"]
arrivals: bursts
burst_size: 4
ramp_from: 50
reconnect_rate: 7.5
storm_conns: 9
storm_at: 500ms
slow_share: 12.5 %
slow_rate: 1000
timeout: 30ms
threads: 2
warmup: 100ms
warmup_most: 2s
count_for: 150ms
saturate: 250ms
slo: p99.9=1500us
slo_precision: 2
slo_for: 700ms
overhead: 1s
blocking_share: 7
disk_bytes: 2MiB
idle_conns: 11
simulate: 2
shards: 2
ballast: 3MiB
garbage: 5kB
gogc: 50
needs_gc: true
realtime: true
kill_server: true
serve_flags: [--standbys, "8"]
`)
	s := Trials([]Experiment{e}, 1)[0]
	require.Equal(t, load.Shape{Arrivals: "bursts", BurstSize: 4, RampFrom: 50, ReconnectPerS: 7.5, StormConns: 9, StormAt: 500 * time.Millisecond,
		SlowShare: 0.125, SlowBytesPerS: 1000, Timeout: 30 * time.Millisecond, Threads: 2, WarmupMost: 2 * time.Second}, s.Shape)
	require.Equal(t, &trial.SLO{Quantile: 0.999, Precision: 0.02, Bound: 1500 * time.Microsecond, For: 700 * time.Millisecond}, s.SLO)
	require.Equal(t, &trial.Idle{Conns: 11}, s.Idle)
	require.Equal(t, strings.Fields("--ballast 3145728 --garbage 5000 --gogc 50 --realtime --shards 2 --standbys 8"), s.ServeFlags)
	require.Equal(t, []string{"--requests", "{dir}/requests"}, s.LoadFlags)
	require.Equal(t, []any{1000, 2, 3, "disk", 0.07, true, int64(2 << 20), true, true}, []any{s.Conns, s.Outstanding, s.Speakers, s.LatencyOf,
		s.DiskShare, s.NeedsDiskFile, s.DiskBytes, s.KillServer, s.NeedsGC})
	require.Equal(t, []time.Duration{100e6, 1e9, 150e6, 250e6, 1e9}, []time.Duration{s.Warmup, s.Window, s.CountFor, s.Saturate, s.Overhead})
	require.Contains(t, strings.Join(s.Program.Argv, " "), "lab sim --json --model nonblock --workload echo --conns 1000 --repeat 2")
	thisFile := everySetting(t)
	for _, name := range settingNames("echo") {
		if name != "size" && name != "probe_for" && name != "rate" && name != "window" { // they do not go with blocking_share, and shards
			require.Contains(t, thisFile, "\n"+name+":", "the test leaves %s out", name)
		}
	}
}

// everySetting is this file: TestEverySetting must not forget a new setting.
func everySetting(t *testing.T) string {
	text, err := os.ReadFile("parse_test.go")
	require.NoError(t, err)
	return strings.ReplaceAll(string(text), "small+`", "\n")
}

// TestLevels: several factors make a product, levels bring settings along, and what
// they bring is no factor of a result line.
func TestLevels(t *testing.T) {
	e := one(t, small+`factors:
  conns: [1, {level: 2_0, rate: 50}]
  size: [1KiB, 16]
  case: [{level: quiet, warmup: 1s}, {level: spin, serve_flags: [--ring, spin=20us]}]
rounds: 1
`+"labels: {kernel: 6.18}\n")
	require.Empty(t, e.Rate-100)
	specs := Trials([]Experiment{e}, 1)
	require.Len(t, specs, 8)
	for _, s := range specs {
		require.NotContains(t, s.Factors, "rate", "it goes with the level of conns")
		require.Equal(t, "6.18", s.Factors["kernel"])
		require.Equal(t, map[string]float64{"1": 100, "20": 50}[s.Factors["conns"]], s.Rate)
		require.Equal(t, map[string][]string{"1024": {"--size", "1024"}, "16": {"--size", "16"}}[s.Factors["size"]], s.LoadFlags)
		require.Equal(t, s.Factors["case"] == "spin", len(s.ServeFlags) == 2)
		require.Equal(t, s.Factors["case"] == "quiet", s.Warmup == time.Second)
	}
}

// TestQuick: the section overrides, and keeps of the levels those that it names.
func TestQuick(t *testing.T) {
	text := small + `question: long?
factors:
  conns: [1, {level: 64, rate: 9}, 1000]
quick: {rounds: 2, window: 200ms, question: "short?", levels: {conns: [64]}, models: [goroutine]}
`
	es, err := Parse("test.yaml", []byte(text), true)
	require.NoError(t, err)
	e := es[0]
	require.Equal(t, []any{"short?", 2, 200 * time.Millisecond, []string{"goroutine"}, []string{"64"}},
		[]any{e.Question, e.Rounds, e.Window, e.Models, e.Factors[0].Texts()})
	require.Equal(t, 9.0, Trials(es, 1)[0].Rate)
	full := one(t, text)
	require.Equal(t, []any{"long?", 10, time.Second, 3}, []any{full.Question, full.Rounds, full.Window, len(full.Factors[0].Levels)})
}

// TestLoad: what this machine does not have is told with its line.
func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.yaml")
	require.NoError(t, os.WriteFile(path, []byte(small+`servers: {mine: {command: [/no/such/server, "{port}"]}}
factors:
  conns:
    - 5
    - 16000000
`), 0o600))
	_, err := Load(path, false)
	require.ErrorContains(t, err, path+":6: servers.mine.command: cannot be run")
	if trial.OpenFiles() < 16000000 {
		require.ErrorContains(t, err, path+":10: factors.conns[1]: 16000000 connections are more than")
		require.ErrorContains(t, err, "RLIMIT_NOFILE")
	}
	_, err = Load(path+".none", false)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestReference: the example loads, and the text names every field.
func TestReference(t *testing.T) {
	e := one(t, example)
	require.NotEmpty(t, e.Thresholds)
	text := Reference()
	for _, name := range append(ownNames(), settingNames("")...) {
		require.Contains(t, text, "\n  "+name, name)
	}
}

// TestBuiltIn: every file is in the list, loads in both forms, and passes Check; as
// JSON it is the same.
func TestBuiltIn(t *testing.T) {
	entries, err := builtIn.ReadDir("builtin")
	require.NoError(t, err)
	require.Len(t, entries, len(builtInFiles))
	for _, quick := range []bool{false, true} {
		for _, e := range BuiltIn(quick) {
			require.NoError(t, e.Check())
			require.NotEmpty(t, e.Question)
			text, err := json.Marshal(e)
			require.NoError(t, err)
			var again Experiment
			require.NoError(t, json.Unmarshal(text, &again))
			require.Equal(t, Trials([]Experiment{e}, 1), Trials([]Experiment{again}, 1))
		}
	}
	for _, e := range BuiltIn(false) {
		if e.NeedsDiskFile || e.OptIn && e.Name != "bodies" && e.Name != "idle" && e.Name != "gc" && e.Name != "gc-realtime" {
			continue
		}
		require.Greater(t, e.Shape.WarmupMost, 2*e.Warmup, "%s: the warm-up is by test", e.Name)
	}
}

// TestShow: what is shown loads to the same experiments.
func TestShow(t *testing.T) {
	for _, quick := range []bool{false, true} {
		for _, name := range selectable(BuiltIn(false)) {
			text, err := Text(name)
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), "plan.yaml")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			es, err := Parse(path, []byte(text), quick)
			require.NoError(t, err)
			want, err := Select([]string{name}, quick)
			require.NoError(t, err)
			require.Equal(t, want, es, name)
		}
	}
	_, err := Text("game-mx")
	require.ErrorContains(t, err, "did you mean game-mix?")
}
