package reports

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/syslet/syslet/lab/result"
)

// character is what the synthetic run lets a model be. The figures are invented;
// they only have plausible sizes.
type character struct {
	p50, tail, cpu, voluntary, involuntary, calls, cache, rssMiB float64
	// blockUs is what one blocking request costs everybody.
	blockUs float64
}

var characters = map[string]character{
	"nonblock":        {118, 1.05, 21.5, 0.31, 0.021, 2.41, 14.2, 31, 14},
	"iouring":         {109, 1.15, 17.9, 0.22, 0.025, 0.61, 12.9, 36, 11},
	"threadlet":       {112, 0.95, 19.8, 0.36, 0.034, 2.52, 14.8, 34, 9},
	"goroutine":       {131, 1.45, 28.4, 0.92, 0.061, 3.12, 21.4, 58, 19},
	"nonblock-inline": {115, 1.10, 20.9, 0.30, 0.020, 2.39, 14.1, 30, 240},
}

// writeFixture makes a run's folder through the real writer: five rounds of the
// mix, three of the curve, one suspect and one invalid trial, a quantity that is
// unavailable and two sources of one metric.
func writeFixture(t *testing.T, dir string, seed uint64) *result.Run {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	w, err := result.Create(dir)
	require.NoError(t, err)
	require.NoError(t, w.WriteEnvironment(fixtureEnvironment()))
	add := func(trial result.Trial) {
		trial.Start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		trial.Seed = rng.Uint64() >> 12
		require.NoError(t, w.Append(trial))
	}
	for round := 1; round <= 5; round++ {
		for _, m := range known[:4] {
			trial := mixTrial(rng, m, round)
			if m == "goroutine" && round == 2 {
				trial.Verdict, trial.Reasons = result.Suspect, []string{"1.3 % of sends were late (limit 1 %)"}
			}
			if m == "threadlet" && round == 3 {
				trial.Verdict, trial.Reasons = result.Suspect, []string{"the load was busy for 97 % of the time: it may be the limit, not the server"}
				trial.Metrics[result.LoadBusy] = result.Of(97, "%", result.SourceLoad)
			}
			if m == "iouring" && round == 4 {
				trial.Verdict, trial.Reasons = result.Invalid, []string{"the load process lost its CPU for 212 ms"}
				trial.Metrics[result.LatencyP99] = result.Of(987654, "us", result.SourceLoad)
			}
			add(trial)
		}
	}
	for round := 1; round <= 3; round++ {
		for _, m := range known[:ourModels] {
			for _, share := range []string{"0", "5", "20", "50", "100"} {
				add(curveTrial(rng, m, round, share))
			}
		}
	}
	require.NoError(t, w.Close())
	run, err := result.Read(dir)
	require.NoError(t, err)
	return run
}

func fixtureEnvironment() result.Environment {
	return result.Environment{
		Version: "v0.1.0", Commit: "0123abc", Start: time.Date(2026, 3, 1, 11, 58, 0, 0, time.UTC),
		CommandLine: []string{"go", "run", "./cmd/syslet", "lab", "run", "--seed", "42", "--out", "runs/it's here"}, Seed: 42,
		OS: "linux", Arch: "amd64", Kernel: "6.18.5", CPUModel: "Synthetic CPU & Co <test>", CPUCount: 2, Virtual: "kvm",
		Governor: "", MemoryBytes: 8 << 30, GoVersion: "go1.26.0", GOMAXPROCS: 2, UID: 1000, ServerCPUs: "0", LoadCPUs: "1",
		Caches:        []result.Cache{{Level: 1, Type: "Data", SizeBytes: 32 << 10}, {Level: 3, Type: "Unified", SizeBytes: 16 << 20, SharedCPUs: "0-1"}},
		OutFilesystem: "ext4 rw,relatime", DataFilesystem: "ext4 rw,relatime",
		IOUring: result.Capability{Available: true}, Perf: result.Capability{Detail: "no hardware counters in this virtual machine (ENOENT)"},
		Plan: []result.Planned{
			{Experiment: "game-mix", Workload: "game", Question: "Which model serves a game's mix of moves, chat, pings and saves best?", Models: known[:4], Rounds: 5, Trials: 20},
			{Experiment: "blocking-curve", Workload: "echo", Question: "What does a growing share of blocking requests cost each model?", Models: known[:ourModels], Rounds: 3, Trials: 75},
		},
		Sensors: []result.SensorInfo{
			{Name: "procfs", Quantities: []string{result.SwitchesVoluntaryPerOp, result.SwitchesInvoluntaryPerOp, result.RunqueueWaitPerOp, result.RSS},
				Units: []string{"1", "1", "us", "bytes"}, Source: result.SourceProc, OverheadNs: ns(41_300)},
			{Name: "pmu", Quantities: []string{result.CyclesPerOp, result.CacheMissesPerOp}, Units: []string{"1", "1"}, Source: result.SourcePMU,
				Unavailable: "no hardware PMU (perf_event_open: ENOENT), as is usual in a virtual machine"},
			{Name: "syscalls", Quantities: []string{"syscall:NAME_per_op"}, Units: []string{"1"}, Source: result.SourceBPF, OverheadNs: ns(85), PerEvent: "system call"},
		},
		LoadCapacity: []result.LoadCapacity{{Workload: "echo", Threads: 1, PerS: 212345, PacingP99Us: 3.2, PacingRate: 20000},
			{Workload: "game", Threads: 1, Unavailable: "the game has no server that is not the limit"}},
		Warnings: []string{"The CPUs are shared with other guests."},
	}
}

func ns(v float64) *float64 { return &v }

// fixtureCalls are as many as the table of system calls shows.
var fixtureCalls = []string{"epoll_wait", "read", "write", "recvfrom", "sendto", "futex", "io_uring_enter", "pread64", "fsync", "nanosleep", "accept4", "close"}

func jitter(rng *rand.Rand, spread float64) float64 { return math.Exp(rng.NormFloat64() * spread) }

func mixTrial(rng *rand.Rand, model string, round int) result.Trial {
	c := characters[model]
	trial := result.Trial{Experiment: "game-mix", Workload: "game", Model: model, Round: round, DurationS: 4, Verdict: result.Valid,
		Factors: result.Factors{"rate": "5000", "conns": "500"}, Metrics: map[string]result.Metric{}, Distributions: map[string][]result.Point{}}
	common(rng, &trial, c, 1)
	trial.Metrics[result.Throughput] = result.Of(5000*jitter(rng, 0.001), "1/s", result.SourceLoad)
	trial.Metrics[result.Offered] = result.Of(5000, "1/s", result.SourceLoad)
	trial.Blocks = fixtureBlocks(model)
	return trial
}

// fixtureBlocks is a profile of each sort: some blocks, none, many places, none
// to be had.
func fixtureBlocks(model string) *result.Blocks {
	counting := "blocks over 1ms are counted; shorter ones, too, and all exactly, while the kernel's switch records are read (for 0.9s)"
	site := func(kind, where, call string, n uint64, p50, max float64) result.BlockSite {
		return result.BlockSite{Kind: kind, Where: where, Call: call, Count: n, TotalUs: float64(n) * p50, P50Us: p50, MaxUs: max}
	}
	save := site(result.BlockCallback, "server.(*App).save save.go:118", "os.(*File).Sync", 17, 4012, 4330)
	switch model {
	case "nonblock":
		return &result.Blocks{Counting: counting, Sites: []result.BlockSite{save,
			site(result.BlockStall, "world.(*World).Tick world.go:77", "", 3, 1410, 2250),
			site(result.BlockCallback, "(Data of *server.App, line not sampled)", "", 9, 38, 61)}}
	case "iouring":
		return &result.Blocks{Counting: counting}
	case "threadlet":
		b := &result.Blocks{Counting: "every block is counted, by the kernel's switch records; those over 1ms get a line", More: 2, MoreUs: 812}
		b.Sites = append(b.Sites, site(result.BlockBody, "store.(*Store).save save.go:64", "fsync (op 3)", 1204, 161, 2810), save)
		for i := range 8 {
			b.Sites = append(b.Sites, site(result.BlockBody, fmt.Sprintf("store.(*Store).load load.go:%d", 40+i), "pread (op 1)", 5, 55-float64(i), 80))
		}
		return b
	}
	return &result.Blocks{Unavailable: "the server's block profile is off"}
}

func curveTrial(rng *rand.Rand, model string, round int, share string) result.Trial {
	c := characters[model]
	trial := result.Trial{Experiment: "blocking-curve", Workload: "echo", Model: model, Round: round, DurationS: 1.5, Verdict: result.Valid,
		Factors: result.Factors{"blocking_share": share, "block": "odirect"}, Metrics: map[string]result.Metric{}, Distributions: map[string][]result.Point{}}
	b, _ := trial.Factors.Number("blocking_share")
	slow := 1 + b/100*c.blockUs/20
	common(rng, &trial, c, slow)
	trial.Metrics[result.SaturationThroughput] = result.Of(52000*20/c.cpu/slow*jitter(rng, 0.03), "1/s", result.SourceLoad)
	if b > 0 {
		trial.Metrics[result.BlockedP99] = result.Of((190+c.blockUs)*slow*jitter(rng, 0.05), "us", result.SourceLoad)
	}
	if b < 100 {
		trial.Metrics[result.UnblockedP99] = result.Of(c.p50*3*slow*jitter(rng, 0.05), "us", result.SourceLoad)
	}
	return trial
}

func common(rng *rand.Rand, trial *result.Trial, c character, slow float64) {
	trial.Command = result.Command{Server: []string{"syslet", "serve", "--model", trial.Model, "--workload", trial.Workload, "--cpus", "0"},
		Load: []string{"syslet", "load", "--workload", trial.Workload, "--rate", "5000", "--cpus", "1"}}
	p50, tail := c.p50*slow*jitter(rng, 0.03), c.tail*jitter(rng, 0.04)
	curve := func(pct float64) float64 {
		n := -math.Log10(1 - pct/100)
		return p50 * math.Exp(tail*(n-0.301)*0.95+0.04*n*n)
	}
	for _, pct := range []float64{0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 99.999} {
		trial.Distributions["latency"] = append(trial.Distributions["latency"], result.Point{pct, math.Round(curve(pct)*100) / 100})
	}
	m := trial.Metrics
	load := func(name string, v float64) {
		m[name] = result.Of(math.Round(v*100)/100, result.Describe(name).Unit, result.SourceLoad)
	}
	load(result.LatencyP50, curve(50))
	load(result.LatencyP90, curve(90))
	load(result.LatencyP99, curve(99))
	load(result.LatencyP999, curve(99.9))
	load(result.LatencyMax, curve(99.99)*1.4)
	load(result.SendLagP99, 22*jitter(rng, 0.1))
	load(result.Errors, 0)
	load(result.Operations, 5000*trial.DurationS)
	m[result.CPUPerOp] = result.Of(c.cpu*math.Sqrt(slow)*jitter(rng, 0.02), "us", result.SourceRusage)
	m[result.SwitchesVoluntaryPerOp] = result.Of(c.voluntary*slow*jitter(rng, 0.04), "1", result.SourceProc)
	m[result.SwitchesInvoluntaryPerOp] = result.Of(c.involuntary*jitter(rng, 0.1), "1", result.SourceProc)
	m[result.SyscallsPerOp] = result.Of(c.calls*slow*jitter(rng, 0.01), "1", result.SourceServer)
	m[result.SyscallsKernelPerOp] = result.Missing("tracefs is not mounted, or not for this user: run as root to count in the kernel", "1", result.SourceKernel)
	for i := range 20 {
		slice := result.Slice{OffsetS: trial.DurationS / 20 * float64(i), DurationS: trial.DurationS / 20, Intended: 250, Answered: 250, MeanUs: p50 * 1.3}
		slice.P50Us, slice.P99Us, slice.MaxUs = curve(50)*jitter(rng, 0.04), curve(99)*jitter(rng, 0.15), curve(99.9)
		trial.Series = append(trial.Series, slice)
	}
	for i, call := range fixtureCalls {
		m[result.SyscallPerOp(call)] = result.Of(c.calls/float64(1+i*i)*jitter(rng, 0.02), "1", result.SourceBPF)
	}
	for i, name := range []string{result.L1DisplacedPerOp, result.L2DisplacedPerOp, result.L3DisplacedPerOp} {
		m[name] = result.Of(c.cache*float64(1+3*i)*jitter(rng, 0.08), "1", result.SourceProbe)
	}
	for i, name := range []string{result.SimI1MissesPerOp, result.SimD1MissesPerOp, result.SimLLMissesPerOp} {
		m[name] = result.Of(c.cache*8/float64(1+i*4)*jitter(rng, 0.001), "1", result.SourceSim)
	}
	for _, name := range []string{result.L1DMissesPerOp, result.LLCMissesPerOp, result.DTLBMissesPerOp} {
		m[name] = result.Missing("no hardware PMU", "1", result.SourcePMU)
	}
	m[result.RunqueueWaitPerOp] = result.Of(c.cpu/9*slow*jitter(rng, 0.06), "us", result.SourceProc)
	m[result.PSICPUSome] = result.Of(12*jitter(rng, 0.2), "%", result.SourceProc)
	m[result.CacheMissesPerOp] = result.Of(c.cache*jitter(rng, 0.08), "1", result.SourceProbe)
	m[result.RSS] = result.Of(math.Round(c.rssMiB*jitter(rng, 0.02)*(1<<20)), "bytes", result.SourceProc)
	if trial.Model == "threadlet" {
		m[result.TakeoversAnnounced] = result.Of(math.Round(300*slow*jitter(rng, 0.1)), "1", result.SourceServer)
		m[result.TakeoversDetected] = result.Of(math.Round(40*slow*jitter(rng, 0.1)), "1", result.SourceServer)
		m[result.TakeoversAtBound] = result.Of(0, "1", result.SourceServer)
		m[result.TakeoverP50] = result.Of(24*jitter(rng, 0.05), "us", result.SourceServer)
	} else {
		for _, name := range []string{result.TakeoversAnnounced, result.TakeoversDetected} {
			m[name] = result.Missing("only the threadlet model takes over", "1", result.SourceServer)
		}
	}
}
