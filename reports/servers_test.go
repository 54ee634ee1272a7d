package reports

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/result"
)

// peersCPU is the CPU per message in us that the synthetic servers need; invented.
var peersCPU = map[string]float64{"nonblock": 6.4, "iouring": 5.3, "threadlet": 6.9, "goroutine": 9.1, "gnet": 6.6, "nbio": 7.2, "netpoll": 7.9,
	"evio": 8.8, "net": 9.3, "c-epoll": 6.3, "c-iouring": 5.2}

// peersRun is a run of all parts with servers that are not ours.
func peersRun(rounds int, seed uint64) *result.Run {
	rng := rand.New(rand.NewPCG(seed, 2))
	env := fixtureEnvironment()
	env.Plan = nil
	env.Refused = []result.Refusal{{Model: "nginx", Reason: "no nginx in PATH (apt-get install nginx)"}}
	run := &result.Run{Environment: &env}
	for _, e := range []struct {
		name, workload string
		levels         []string
	}{{result.PeersEcho, "echo", []string{"1", "64", "1000", "10000"}}, {result.PeersFiles, "echo", []string{"64"}}, {result.PeersFanout, "fanout", []string{"500", "5000"}}} {
		models := slices.Concat(known[:4], known[ourModels:12])
		env.Plan = append(env.Plan, result.Planned{Experiment: e.name, Workload: e.workload, Question: "What does a message cost?", Models: models, Rounds: rounds,
			Trials: rounds * 11 * len(e.levels)})
		for round := 1; round <= rounds; round++ {
			for _, level := range e.levels {
				slow := jitter(rng, 0.3) // the machine, in this round
				for _, m := range models {
					run.Trials = append(run.Trials, peersTrial(rng, e.name, e.workload, level, m, round, slow))
				}
			}
		}
	}
	return run
}

func peersTrial(rng *rand.Rand, experiment, workload, level, model string, round int, slow float64) result.Trial {
	cpu := peersCPU[model] * slow * jitter(rng, 0.004)
	t := result.Trial{Schema: 1, Experiment: experiment, Workload: workload, Model: model, Round: round, Verdict: result.Valid, DurationS: 0.8,
		Factors: result.Factors{result.Conns: level}, Metrics: map[string]result.Metric{}}
	set := func(name string, v float64) { t.Metrics[name] = result.Of(v, result.Describe(name).Unit, "x") }
	set(result.CPUPerOp, cpu)
	set(result.SyscallsKernelPerOp, 2.2*jitter(rng, 0.01))
	set(result.SwitchesVoluntaryPerOp, 0.4*jitter(rng, 0.05))
	set(result.LatencyP50, 30*jitter(rng, 0.02))
	set(result.LatencyP99, 20*cpu*jitter(rng, 0.02))
	set(result.SaturationThroughput, 1e6/cpu)
	set(result.SaturationCPUPerOp, cpu)
	set(result.SaturationP99, 64*cpu)
	if strings.HasPrefix(model, "c-") {
		t.Metrics[result.AllocsPerOp] = result.Missing("a C program's allocations are not counted", "1", "x")
		t.Notes = []string{fmt.Sprintf("in the closed loop the load was the limit, not the server: it was busy for 100 %% of the time, the server for %d %%", 80+round)}
	} else {
		set(result.AllocsPerOp, 0.01)
	}
	if experiment == result.PeersFanout {
		set(result.CPUPerDelivery, cpu/2)
		set(result.Deliveries, 40000)
	}
	return t
}

func rowsOf(t *testing.T, rows []targetRow, where, metric, model, against string) targetRow {
	t.Helper()
	for _, r := range rows {
		if r.Where == where && r.Metric == metric && r.Model == model && r.Against == against {
			return r
		}
	}
	require.Fail(t, "no row", "%s %s %s %s", where, metric, model, against)
	return targetRow{}
}

// TestTargets: each verdict, and what it was held against.
func TestTargets(t *testing.T) {
	rows := judgeTargets(views(peersRun(10, 1)))
	require.Len(t, rows, 18, "of the experiments of this run")
	const where, cpu = "peers-echo, 64 connections", "CPU per request"
	met := rowsOf(t, rows, where, cpu, "nonblock", "C on epoll")
	require.Equal(t, targetMet, met.Verdict, met)
	require.Equal(t, "c-epoll", met.Best)
	require.Contains(t, met.Ratio, "1.01")
	best := rowsOf(t, rows, where, cpu, "nonblock", bestGo)
	require.Equal(t, "gnet", best.Best, "the best of five")
	require.Equal(t, targetMet, best.Verdict, best)
	met = rowsOf(t, rows, where, cpu, "iouring", bestGo) // 5.3/6.6
	require.Equal(t, targetMet, met.Verdict, met)
	missed := rowsOf(t, rows, "peers-fanout, 500 connections", "CPU per delivered message", "iouring", "C on io_uring")
	require.Equal(t, targetMet, missed.Verdict, missed)

	slower := peersRun(10, 1)
	for i := range slower.Trials {
		if tr := &slower.Trials[i]; tr.Model == "iouring" {
			m := tr.Metrics[result.CPUPerOp]
			m.Value *= 1.2
			tr.Metrics[result.CPUPerOp] = m
		}
	}
	for i := range slower.Trials {
		if tr := &slower.Trials[i]; tr.Model == "iouring" {
			tr.Metrics[result.SaturationServerBusy] = result.Of(80, "%", "x")
			tr.Metrics[result.SaturationLoadBusy] = result.Of(100, "%", "x")
		}
	}
	rows = judgeTargets(views(slower))
	limited := rowsOf(t, rows, "peers-echo, 1,000 connections", "p99 latency at saturation", "iouring", bestGo)
	require.Equal(t, "the load was the limit for iouring", limited.Why)
	missed = rowsOf(t, rows, where, cpu, "iouring", "C on io_uring")
	require.Equal(t, targetMissed, missed.Verdict, missed)
	require.Equal(t, "at most 1.05", missed.Bound)

	for _, r := range judgeTargets(views(peersRun(9, 1))) {
		require.Equal(t, targetUndecided, r.Verdict, r)
		require.Contains(t, r.Why, "9 rounds; the rule wants 10")
	}
}

// TestTargetAtTheBound: an interval that contains the bound decides nothing, and a
// server that is not there leaves its rules untested.
func TestTargetAtTheBound(t *testing.T) {
	run := peersRun(10, 1)
	for i := range run.Trials {
		if tr := &run.Trials[i]; tr.Model == "c-epoll" {
			tr.Metrics[result.CPUPerOp] = result.Of(6.4/1.05*(0.8+0.04*float64(tr.Round)), "us", "x")
		}
		if tr := &run.Trials[i]; tr.Model == "c-iouring" {
			tr.Verdict, tr.Reasons = result.Invalid, []string{"killed"}
		}
	}
	rows := judgeTargets(views(run))
	r := rowsOf(t, rows, "peers-echo, 64 connections", "CPU per request", "nonblock", "C on epoll")
	require.Equal(t, targetUndecided, r.Verdict, r)
	r = rowsOf(t, rows, "peers-echo, 64 connections", "CPU per request", "iouring", "C on io_uring")
	require.Equal(t, targetUntested, r.Verdict)
	require.Equal(t, "no usable trial of c-iouring", r.Why)
	require.Empty(t, judgeTargets(views(writeFixture(t, t.TempDir(), 1))))

	least := target{experiment: "e", metric: result.SaturationThroughput, model: "iouring", against: []string{"gnet", "net"}, bound: 0.97, atLeast: true}
	v := views(peersRun(10, 1))[1]
	row := least.judge(v)
	require.Equal(t, "gnet", row.Best, "the highest rate")
	require.Equal(t, targetMet, row.Verdict, row)
	require.Equal(t, "at least 0.97", row.Bound)
	least.bound = 1.3
	require.Equal(t, targetMissed, least.judge(v).Verdict)
}

// TestTargetOfALevelWithAName: a level that is no number has a view of its own, and
// fio measures itself.
func TestTargetOfALevelWithAName(t *testing.T) {
	run := &result.Run{}
	for round := 1; round <= 10; round++ {
		for _, work := range []string{"direct-1", "direct-32"} {
			for model, rate := range map[string]float64{"iouring": 80, "threadlet": 70, "fio-io_uring": 79, "fio-io_uring-fixed": 81, "fio-psync": 90} {
				source := "server"
				if isForeign(model) {
					source = "fio"
				}
				run.Trials = append(run.Trials, result.Trial{Experiment: result.Files, Workload: "w", Model: model, Round: round, Verdict: result.Valid,
					Factors: result.Factors{"file_work": work}, Metrics: map[string]result.Metric{result.Throughput: result.Of(rate+0.01*float64(round), "1/s", source)}})
			}
		}
	}
	rows := judgeTargets(views(run))
	require.Len(t, rows, 2)
	require.Equal(t, "fio-io_uring-fixed", rows[0].Best)
	require.Equal(t, targetMet, rows[0].Verdict, rows[0])
	require.Equal(t, "each measured itself (server, fio)", rows[0].Why)
	require.Equal(t, "files (file_work=direct-32)", rows[0].Where)
	require.Equal(t, targetMissed, rows[1].Verdict, rows[1])
}

// TestServersReport: the page, the summary and the README's tables of such a run.
func TestServersReport(t *testing.T) {
	run := peersRun(10, 1)
	dir := t.TempDir()
	if *lookAt != "" {
		dir = filepath.Join(*lookAt, "servers")
	}
	require.NoError(t, Write(run, dir))
	page := report(t, run)
	for _, want := range []string{`<h2 id="targets">Targets</h2>`, "1,000\u00a0connections", "nginx was refused", "CPU per delivery"} {
		require.Contains(t, strings.ReplaceAll(page, "1,000 connections", "1,000\u00a0connections"), want)
	}
	summary := read(t, dir, "summary.md")
	require.Contains(t, summary, "| server | CPU per message, µs |")
	require.Contains(t, summary, "c-epoll (10 of 10 rounds: in the closed loop the load was the limit")
	require.NotContains(t, summary, "| metric |", "too wide with that many servers")
	var readme strings.Builder
	require.NoError(t, Readme(&readme, run))
	require.Regexp(t, `\| \*\*[0-9]`, readme.String(), "the best is bold")
	require.NotContains(t, readme.String(), `\*`)
	for _, want := range []string{"| where | what |", "### 64 connections", "| c-iouring |", "Not run: nginx", "--seed 42"} {
		require.Contains(t, readme.String(), want)
	}
	require.NotContains(t, readme.String(), "memory, MiB")
	require.Error(t, Readme(&readme, writeFixture(t, t.TempDir(), 1)))
}
