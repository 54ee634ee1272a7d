package plan

import (
	"strconv"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/lab/yardstick"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads"
)

const (
	// FileServer is the experiment on static files over HTTP.
	FileServer = "fileserver"
	// FileBytes is its factor: the length of the file that is asked for.
	FileBytes = "file_bytes"
)

// fileRates are such that the slowest server has half of its CPU to spare.
var fileRates = map[string]float64{"1024": 30000, "65536": 20000}

// fileServer asks for one file, which is in the page cache, on connections that are
// kept: what a server does for each request is all that differs.
func fileServer(quick bool) Experiment {
	e := Experiment{
		Name: FileServer, Workload: workloads.Files, Models: append(models.Names(), yardstick.Servers(yardstick.Files)...),
		Question: "What does a static file over HTTP cost each server, on one CPU, keep-alive, page cache hot?",
		Rounds:   10, OptIn: true, Together: true, Factor: FileBytes, Levels: []string{"1024", "65536"},
		Conns: 64, Outstanding: 1,
		Warmup: 200 * time.Millisecond, Window: 800 * time.Millisecond, CountFor: 200 * time.Millisecond, Saturate: 700 * time.Millisecond,
		Overhead: 300 * time.Millisecond, // three processes
	}
	if quick {
		e.Rounds, e.Warmup, e.Window, e.CountFor, e.Saturate = 1, 150*time.Millisecond, 500*time.Millisecond, 150*time.Millisecond, 400*time.Millisecond
	}
	e.Vary = func(s *trial.Spec, level string) {
		size, _ := strconv.Atoi(level) // levels of built-in plans are numbers
		s.Rate = fileRates[level]
		delete(s.Factors, "rate") // it goes with the level
		s.Files = map[string]string{"www/file.txt": textOf(size)}
		s.ServeFlags = []string{"--root", "{dir}/www"}
		s.LoadFlags = []string{"--path", "/file.txt", "--root", "{dir}/www"}
	}
	return e
}

// textOf is n bytes of text.
func textOf(n int) string {
	const line = "A line of a file that nobody reads but checksums: the quick brown fox jumps over the lazy dog.\n"
	return strings.Repeat(line, n/len(line)+1)[:n]
}
