package plan

import (
	"strconv"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/files"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/lab/yardstick"
	"github.com/syslet/syslet/models"
)

// FileWork is the factor of the experiments on file work: KIND-DEPTH, where the depth
// is the number of ops in flight. Reads: "direct" is O_DIRECT, "hot" from the page
// cache, "cold" through it, empty at the start. Writes: "fsync" and "fdatasync" are
// what follows each.
const FileWork = "file_work"

const (
	filesBytes      = 1 << 30
	filesBytesQuick = 256 << 20
)

// fileWork asks how many reads and writes each model makes of a device, beside fio
// on the same file: two experiments, because fio's asynchronous engines do not let
// a sync wait for its write.
func fileWork(quick bool) []Experiment {
	reads := Experiment{
		Name: result.Files, Workload: "filework", Models: models.Names(), Rounds: 10, OptIn: true, Together: true,
		Question: "How many random 4 KiB reads a second does each model make on one CPU, beside fio on the same file?",
		Factor:   FileWork, Levels: []string{"direct-1", "direct-8", "direct-32", "direct-64", "hot-32", "cold-32"},
		Warmup: 200 * time.Millisecond, Window: time.Second, NeedsDiskFile: true, DiskBytes: filesBytes,
		Overhead: 900 * time.Millisecond, // fio's start, and filling or emptying the page cache
	}
	for _, engine := range files.Engines() {
		reads.Models = append(reads.Models, yardstick.FioName(engine))
	}
	writes := reads
	writes.Name, writes.Models = result.FilesSync, append(models.Names(), yardstick.FioName("psync"))
	writes.Question = "How many writes of 1 KiB, each with a sync behind it, does each model make on one CPU, beside fio's threads?"
	writes.Levels = []string{"fsync-1", "fsync-16", "fdatasync-1", "fdatasync-16"}
	if quick {
		reads.Rounds, reads.Window, reads.Levels = 1, 500*time.Millisecond, []string{"direct-1", "direct-32", "hot-32"}
		writes.Rounds, writes.Window, writes.Levels = 1, 500*time.Millisecond, []string{"fsync-1", "fsync-16"}
		reads.DiskBytes, writes.DiskBytes = filesBytesQuick, filesBytesQuick
	}
	reads.Vary, writes.Vary = filesTrial, filesTrial
	return []Experiment{reads, writes}
}

// filesTrial makes s a run of syslet files.
func filesTrial(s *trial.Spec, level string) {
	delete(s.Factors, "rate")
	delete(s.Factors, "conns")
	kind, depth, _ := strings.Cut(level, "-")
	a := []string{"{syslet}", "files", "--json", "--file", "{disk}", "--size", strconv.FormatInt(s.DiskBytes, 10), "--cpus", "{cpus}",
		"--depth", depth, "--duration", s.Window.String(), "--warmup", s.Warmup.String(), "--seed", strconv.FormatUint(s.Seed, 10)}
	switch kind {
	case "direct", "hot":
		a = append(a, "--block", "4096", "--"+kind)
	case "cold":
		a = append(a, "--block", "4096")
	case "fsync":
		a = append(a, "--block", "1024", "--hot", "--pattern", "writesync")
	case "fdatasync":
		a = append(a, "--block", "1024", "--hot", "--pattern", "writedatasync")
	}
	for _, engine := range files.Engines() {
		if s.Model == yardstick.FioName(engine) {
			s.Program = &trial.Program{Argv: append(a, "--fio", engine)}
			return
		}
	}
	s.Program = &trial.Program{Argv: append(a, "--model", s.Model)}
}
