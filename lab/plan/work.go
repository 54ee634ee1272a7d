package plan

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/files"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/lab/yardstick"
	"github.com/syslet/syslet/workloads"
)

// What the settings that are no setting of a trial mean for its processes.

// FileWork is the workload that is no server: reads and writes of a file by syslet
// files, under a model or by fio.
const FileWork = "filework"

// workloadNames are those of servers, and FileWork.
func workloadNames() []string { return append(workloads.Names(), FileWork) }

// peers are the programs that are not ours and do the experiment's work.
func (e *Experiment) peers() []string {
	switch {
	case e.Workload == FileWork:
		var names []string
		for _, engine := range files.Engines() {
			names = append(names, yardstick.FioName(engine))
		}
		return names
	case e.Workload == workloads.Echo && e.NeedsDiskFile:
		return yardstick.Servers(yardstick.Framed)
	}
	return yardstick.Servers(e.Workload)
}

func (c *cell) serveFlags() []string {
	var a []string
	if c.Ballast > 0 {
		a = append(a, "--ballast", strconv.FormatInt(c.Ballast, 10))
	}
	if c.Garbage > 0 {
		a = append(a, "--garbage", strconv.FormatInt(c.Garbage, 10))
	}
	if c.GOGC > 0 {
		a = append(a, "--gogc", strconv.Itoa(c.GOGC))
	}
	if c.Realtime {
		a = append(a, "--realtime")
	}
	if c.Shards > 0 {
		a = append(a, "--shards", strconv.Itoa(c.Shards))
	}
	if c.Workload == workloads.Files {
		a = append(a, "--root", "{dir}/www")
	}
	return append(a, c.ServeFlags...)
}

func (c *cell) loadFlags() []string {
	var a []string
	if c.Size > 0 {
		a = append(a, "--size", strconv.FormatInt(c.Size, 10))
	}
	if c.Workload == workloads.Files {
		a = append(a, "--path", "/file.txt", "--root", "{dir}/www")
	}
	return append(a, c.LoadFlags...)
}

// fileWorkFlags are syslet files' own for each kind of work. KIND-DEPTH is a level,
// where the depth is the number of ops in flight. Reads: "direct" is O_DIRECT, "hot"
// from the page cache, "cold" through it, empty at the start. Writes: "fsync" and
// "fdatasync" are what follows each.
var fileWorkFlags = map[string][]string{
	"direct":    {"--block", "4096", "--direct"},
	"hot":       {"--block", "4096", "--hot"},
	"cold":      {"--block", "4096"},
	"fsync":     {"--block", "1024", "--hot", "--pattern", "writesync"},
	"fdatasync": {"--block", "1024", "--hot", "--pattern", "writedatasync"},
}

const fileWorkDepthMost = 4096

// parseFileWork takes KIND-DEPTH apart.
func parseFileWork(text string) (kind, depth string, ok bool) {
	kind, depth, _ = strings.Cut(text, "-")
	n, err := strconv.Atoi(depth)
	return kind, depth, fileWorkFlags[kind] != nil && err == nil && n >= 1 && n <= fileWorkDepthMost && strconv.Itoa(n) == depth
}

// fileWorkBytes is the file of file work if the plan does not say.
const fileWorkBytes = 1 << 30

// simulationTimeout bounds a start of a server in the simulator.
const simulationTimeout = 2 * time.Minute

// simulation is a run of syslet lab sim, on every CPU: its counts are no times. Every
// round replays the same trace: a round is a repeat.
func (c *cell) simulation(s *trial.Spec) *trial.Program {
	return &trial.Program{EveryCPU: true, Timeout: time.Duration(c.Simulate) * simulationTimeout,
		Argv: []string{"{syslet}", "lab", "sim", "--json", "--model", s.Under(), "--workload", c.Workload, "--conns", strconv.Itoa(c.Conns),
			"--repeat", strconv.Itoa(c.Simulate)}}
}

// program is a run of syslet files.
func (c *cell) program(s *trial.Spec) *trial.Program {
	kind, depth, _ := parseFileWork(c.FileWork)
	a := []string{"{syslet}", "files", "--json", "--file", "{disk}", "--size", strconv.FormatInt(s.DiskBytes, 10), "--cpus", "{cpus}",
		"--depth", depth, "--duration", s.Window.String(), "--warmup", s.Warmup.String(), "--seed", strconv.FormatUint(s.Seed, 10)}
	a = append(a, fileWorkFlags[kind]...)
	engines := files.Engines()
	if i := slices.IndexFunc(engines, func(engine string) bool { return s.Model == yardstick.FioName(engine) }); i >= 0 {
		return &trial.Program{Argv: append(a, "--fio", engines[i])}
	}
	a = append(a, "--model", s.Under())
	if s.Variant != nil {
		a = append(a, s.Variant.Flags...)
	}
	return &trial.Program{Argv: a}
}
