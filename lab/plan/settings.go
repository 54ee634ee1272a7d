package plan

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/workloads"
)

// overhead is the one setting of a single text that is no factor: it changes nothing.
const overhead = "overhead"

// windowLeast is the shortest window in which anything is measured.
const windowLeast = 100 * time.Millisecond

// settings are all there are, in the order of the documentation.
var settings = slices.Concat(loadSettings, shapeSettings, phaseSettings, workSettings, serverSettings)

var loadSettings = []setting{
	number("rate", math.SmallestNonzeroFloat64, 1e8, "requests per second, above 0 and at most 1e8, e.g. 5000", "requests per second over all connections, whatever the answers (open loop)",
		func(e *Experiment) *float64 { return &e.Rate }).except(FileWork),
	whole("conns", 1, 1<<24, "connections", "connections of the load",
		func(e *Experiment) *int { return &e.Conns }).except(FileWork),
	{name: "mix", fixed: true, of: []string{workloads.Game}, want: "weights, e.g. {moves: 88, chats: 1, pings: 9, saves: 2}",
		doc: "weights of the requests: moves, chats, pings, saves, rankings; the others are 0", set: setMix},
	parsed("latency_of", "a kind of request of the workload, e.g. ping", "the one kind of request that latency is of; default: all",
		func(s string) (string, error) { return s, nil }, func(s string) string { return s }, func(e *Experiment) *string { return &e.LatencyOf }).except(FileWork),
	whole("outstanding", 1, 1024, "requests", "of saturate: requests in flight on each connection; default 1",
		func(e *Experiment) *int { return &e.Outstanding }).except(FileWork),
	whole("speakers", 0, 1<<24, "connections", "of saturate: connections that ask, the others only listen; 0: all",
		func(e *Experiment) *int { return &e.Speakers }).except(FileWork),
	{name: "load_flags", fixed: true, but: []string{FileWork}, want: `a list, e.g. ["--requests", "{dir}/requests"]`,
		doc: "further flags of syslet load", set: flagsInto(func(e *Experiment) *[]string { return &e.LoadFlags }, setOfLoad)},
}

var shapeSettings = []setting{
	choice("arrivals", "how requests come: at random (poisson, the default), evenly (constant), or burst_size at a time (bursts)",
		func(e *Experiment) *string { return &e.Shape.Arrivals }, load.ArrivalsPoisson, load.ArrivalsConstant, load.ArrivalsBursts).except(FileWork),
	whole("burst_size", 2, 1<<20, "requests", "of arrivals: bursts: requests at one moment",
		func(e *Experiment) *int { return &e.Shape.BurstSize }).except(FileWork),
	number("ramp_from", 0, 1e8, "requests per second, e.g. 500", "the rate grows evenly from this one to rate during the window; 0: it does not",
		func(e *Experiment) *float64 { return &e.Shape.RampFrom }).except(FileWork),
	number("reconnect_rate", 0, 1e6, "connections per second, e.g. 50", "connections per second that are closed and made anew",
		func(e *Experiment) *float64 { return &e.Shape.ReconnectPerS }).except(FileWork),
	whole("storm_conns", 0, 1<<20, "connections", "further connections, begun all at once",
		func(e *Experiment) *int { return &e.Shape.StormConns }).except(FileWork),
	period("storm_at", 0, "of storm_conns: when, after the begin of the window",
		func(e *Experiment) *time.Duration { return &e.Shape.StormAt }).except(FileWork),
	percent("slow_share", "percent of the connections that read slowly",
		func(e *Experiment) *float64 { return &e.Shape.SlowShare }).except(FileWork),
	whole("slow_rate", 1, 1<<30, "bytes per second", "of slow_share: bytes per second that each of them reads",
		func(e *Experiment) *int { return &e.Shape.SlowBytesPerS }).except(FileWork),
	period("timeout", 0, "requests without answer for so long are counted as timed out; 0: none",
		func(e *Experiment) *time.Duration { return &e.Shape.Timeout }).except(FileWork),
	whole("threads", 1, 256, "threads", "threads of the load; default 1",
		func(e *Experiment) *int { return &e.Shape.Threads }).except(FileWork),
}

var phaseSettings = []setting{
	period("warmup", 0, "how long the server is warmed up at least, before the window", func(e *Experiment) *time.Duration { return &e.Warmup }),
	period("warmup_most", 0, "the longest warm-up: it ends when answers are steady by test; 0: after warmup, steady or not",
		func(e *Experiment) *time.Duration { return &e.Shape.WarmupMost }).except(FileWork),
	period("window", windowLeast, "the measured time of each trial", func(e *Experiment) *time.Duration { return &e.Window }),
	period("probe_for", 0, "how long the cache probe samples before the window; 0: not at all", func(e *Experiment) *time.Duration { return &e.ProbeFor }).except(FileWork),
	period("count_for", 0, "how long system calls are counted by the kernel after the window; 0: not at all",
		func(e *Experiment) *time.Duration { return &e.CountFor }).except(FileWork),
	period("saturate", 0, "length of a second run in a closed loop, which asks as fast as it is answered; 0: none",
		func(e *Experiment) *time.Duration { return &e.Saturate }).except(FileWork),
	{name: "slo", but: []string{FileWork}, want: "a percentile and its bound, e.g. p99=1ms",
		doc: "search for the highest rate at which so many requests are answered in time, after the window", set: setSLO},
	percent("slo_precision", "of slo: how near to the highest rate the search comes; default 5", func(e *Experiment) *float64 { return &e.SLO.Precision }).except(FileWork),
	period("slo_for", 0, "of slo: how long each rate is tried; default 1s", func(e *Experiment) *time.Duration { return &e.SLO.For }).except(FileWork),
	period(overhead, 0, "what a trial takes beside all that, for the estimate of the time", func(e *Experiment) *time.Duration { return &e.Overhead }),
}

var workSettings = []setting{
	{name: BlockingShare, of: []string{workloads.Echo}, want: "percent, 0 to 100, e.g. 20", doc: "percent of the requests that read 4 KiB from disk; also 0 has the server speak frames",
		set: func(e *Experiment, v Value) (string, error) {
			text, err := percent("", "", func(e *Experiment) *float64 { return &e.DiskShare }).set(e, v)
			e.NeedsDiskFile = e.NeedsDiskFile || err == nil
			return text, err
		}},
	size("size", 16, 65536, "bytes, 16 to 64KiB", "bytes of a message; more than 16 on echo without blocking_share only",
		func(e *Experiment) *int64 { return &e.Size }).only(workloads.Echo, workloads.Fanout),
	size("disk_bytes", 1<<20, 1<<40, "bytes, at least 1 MiB, e.g. 64MiB", "of the file that is read from; default 64 MiB, filework 1 GiB",
		func(e *Experiment) *int64 { return &e.DiskBytes }).only(workloads.Echo, FileWork),
	{name: "file_work", of: []string{FileWork}, want: "KIND-DEPTH, e.g. direct-32; kinds are " + strings.Join(slices.Sorted(maps.Keys(fileWorkFlags)), ", "),
		doc: "what is done to the file, and how many at a time", set: setFileWork},
	size("file_bytes", 1, 1<<30, "bytes, 1 to 1 GiB, e.g. 64KiB", "length of the file that is asked for",
		func(e *Experiment) *int64 { return &e.FileBytes }).only(workloads.Files),
	whole("simulate", 1, 100, "starts of the server, e.g. 1", "count instructions and cache misses in a simulator (syslet lab sim) instead of a trial under load",
		func(e *Experiment) *int { return &e.Simulate }).only(workloads.Echo, workloads.Files),
	{name: "idle_conns", of: []string{workloads.Echo}, want: "connections, 0 to 1000000", doc: "connections beside those of the load on which nothing happens",
		set: func(e *Experiment, v Value) (string, error) {
			idle := &trial.Idle{}
			text, err := whole("", 0, 1e6, "", "", func(*Experiment) *int { return &idle.Conns }).set(e, v)
			if err == nil {
				e.Idle = idle
			}
			return text, err
		}},
	period("ledger_query", 0, "have the game keep a ledger, in which a ranking uses so much CPU time",
		func(e *Experiment) *time.Duration { return &e.LedgerQuery }).only(workloads.Game),
	number(Rankings, 0, 1e6, "requests per second, e.g. 20", "rankings per second, asked for beside rate",
		func(e *Experiment) *float64 { return &e.Rankings }).only(workloads.Game),
}

var serverSettings = []setting{
	whole("shards", 1, 1024, "loops", "loops of our own servers; default 1",
		func(e *Experiment) *int { return &e.Shards }).except(FileWork),
	size("ballast", 0, 1<<40, "bytes, e.g. 1GiB", "live heap beside our own servers, for the collector to mark",
		func(e *Experiment) *int64 { return &e.Ballast }).except(FileWork),
	size("garbage", 0, 1<<40, "bytes per second, e.g. 200MB", "garbage made beside our own servers",
		func(e *Experiment) *int64 { return &e.Garbage }).except(FileWork),
	whole("gogc", 0, 10000, "GOGC", "of ballast and garbage: GOGC of our own servers; 0: as it is",
		func(e *Experiment) *int { return &e.GOGC }).except(FileWork),
	yes("needs_gc", "doubt a window in which no collection ended", func(e *Experiment) *bool { return &e.NeedsGC }).except(FileWork),
	yes("realtime", "give the loops of our own servers a real-time class", func(e *Experiment) *bool { return &e.Realtime }).except(FileWork),
	yes("kill_server", "kill the server at the end, instead of having it close connections and save", func(e *Experiment) *bool { return &e.KillServer }).except(FileWork),
	{name: "serve_flags", fixed: true, but: []string{FileWork}, want: `a list, e.g. ["--standbys", "8"]`,
		doc: "further flags of syslet serve, for our own servers", set: flagsInto(func(e *Experiment) *[]string { return &e.ServeFlags }, setOfServe)},
}

func findSetting(name string) *setting {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return &settings[i]
}

// settingNames are those that a workload has; "" has all.
func settingNames(workload string) []string {
	var names []string
	for i := range settings {
		if workload == "" || settings[i].has(workload) {
			names = append(names, settings[i].name)
		}
	}
	return names
}

// factorNames are those that may vary.
func factorNames(workload string) []string {
	names := slices.DeleteFunc(settingNames(workload), func(name string) bool { return findSetting(name).fixed || name == overhead })
	return append(names, Case)
}

const weightMost = 1e6

func setMix(e *Experiment, v Value) (string, error) {
	if v.Map == nil {
		return "", errMap
	}
	var m trial.Mix
	weights := map[string]*int{"moves": &m.Moves, "chats": &m.Chats, "pings": &m.Pings, "saves": &m.Saves, "rankings": &m.Rankings}
	for _, name := range slices.Sorted(maps.Keys(v.Map)) {
		at := weights[name]
		if at == nil {
			return "", fmt.Errorf("there is no kind %q%s", name, didYouMean(name, slices.Sorted(maps.Keys(weights))))
		}
		var err error
		if *at, err = within(parseWhole, 0, weightMost)(v.Map[name]); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
	}
	if m == (trial.Mix{}) {
		return "", errors.New("has no weight above 0")
	}
	e.Mix = m
	return "", nil
}

func setFileWork(e *Experiment, v Value) (string, error) {
	text, err := v.text()
	if err != nil {
		return "", err
	}
	if _, _, ok := parseFileWork(text); !ok {
		return "", fmt.Errorf("there is no work %q", text)
	}
	e.FileWork, e.NeedsDiskFile = text, true
	return text, nil
}

// What the lab sets itself, with the field that says it.
var (
	setOfServe = map[string]string{"--model": "models", "--workload": "workload", "--shards": "shards", "--ballast": "ballast", "--garbage": "garbage",
		"--gogc": "gogc", "--realtime": "realtime", "--disk-file": BlockingShare, "--ledger": "ledger_query", "--files": "models (nonblock-inline)",
		"--listen": "", "--admin": "", "--json": "", "--cpus": "", "--dir": "", "--root": "", "--probe": "probe_for"}
	setOfLoad = map[string]string{"--workload": "workload", "--conns": "conns", "--rate": "rate", "--warmup": "warmup", "--duration": "window",
		"--size": "size", "--disk-share": BlockingShare, "--tail": "count_for", "--closed": "saturate", "--outstanding": "outstanding",
		"--speakers": "speakers", "--idle-conns": "idle_conns", "--moves": "mix", "--chats": "mix", "--pings": "mix", "--saves": "mix", "--rankings": "mix",
		"--arrivals": "arrivals", "--burst-size": "burst_size", "--ramp-from": "ramp_from", "--reconnect-rate": "reconnect_rate",
		"--storm-conns": "storm_conns", "--storm-at": "storm_at", "--slow-share": "slow_share", "--slow-rate": "slow_rate", "--timeout": "timeout",
		"--threads": "threads", "--warmup-most": "warmup_most", "--slo": "slo", "--slo-precision": "slo_precision", "--slo-for": "slo_for",
		"--target": "", "--json": "", "--cpus": "", "--seed": "", "--drain": "", "--path": "", "--root": ""}
)

func flagsInto(at func(*Experiment) *[]string, taken map[string]string) func(*Experiment, Value) (string, error) {
	return func(e *Experiment, v Value) (string, error) {
		if v.Map != nil || v.Text != "" {
			return "", errList
		}
		if err := checkFlags(v.List, taken); err != nil {
			return "", err
		}
		*at(e) = v.List
		return "", nil
	}
}

// checkFlags refuses flags that the lab sets itself.
func checkFlags(flags []string, taken map[string]string) error {
	for i, f := range flags {
		name, _, _ := strings.Cut(f, "=")
		switch instead, ok := taken[name]; {
		case i == 0 && !strings.HasPrefix(f, "--"):
			return fmt.Errorf("%q does not begin with --", f)
		case ok && instead != "":
			return fmt.Errorf("%s is set by the field %s", name, instead)
		case ok:
			return fmt.Errorf("%s is set by the lab itself", name)
		}
	}
	return nil
}

func setSLO(e *Experiment, v Value) (string, error) {
	text, err := v.text()
	if err != nil {
		return "", err
	}
	q, bound, ok := strings.Cut(text, "=")
	q, isP := strings.CutPrefix(strings.TrimSpace(q), "p")
	p, err1 := parseNumber(q)
	d, err2 := parseDuration(strings.TrimSpace(bound))
	if !ok || !isP || err1 != nil || err2 != nil || p <= 0 || p >= 100 || d <= 0 || d > longest {
		return "", fmt.Errorf("%q is no percentile with a bound", text)
	}
	// Rounded, so that 99.9 is the number that 0.999 is.
	e.SLO.Quantile, e.SLO.Bound = math.Round(p*1e10)/1e12, d
	return fmt.Sprintf("p%s=%v", showNumber(p), d), nil
}
