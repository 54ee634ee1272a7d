package trial

import (
	"path/filepath"
	"strconv"

	"github.com/syslet/syslet/models"
)

// What the processes of a trial are started with.

// Commands are what the trial's server and load are started with, or its program,
// and no load. What is known only when it runs stands in braces.
func (s *Spec) Commands() (server, load []string) {
	if s.Program != nil {
		return s.Program.Argv, nil
	}
	return s.serverArgs(), s.loadArgs("{addr}")
}

func (s *Spec) serverArgs() []string {
	if s.Foreign != nil {
		return s.Foreign.Argv
	}
	model, files := s.Under(), "helpers"
	if model == models.Inline {
		model, files = "nonblock", "inline"
	}
	a := []string{s.Binary, "serve", "--json", "--model", model, "--files", files, "--workload", s.Workload, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}
	if len(s.ServerCPUs) > 0 {
		a = append(a, "--cpus", CPUList(s.ServerCPUs))
	}
	if s.ProbeFor > 0 {
		a = append(a, "--probe")
	}
	if s.DiskFile != "" {
		a = append(a, "--disk-file", s.DiskFile)
	}
	if s.Ledger != "" {
		a = append(a, "--ledger", s.Ledger)
	}
	if s.Variant != nil {
		a = append(a, expand(s.expander(""), s.Variant.Flags)...)
	}
	return append(append(a, "--dir", filepath.Join(s.WorkDir, "players")), expand(s.expander(""), s.ServeFlags)...)
}

func (s *Spec) loadBase(target string) []string {
	a := []string{s.Binary, "load", "--json", "--workload", s.Workload, "--target", target, "--conns", strconv.Itoa(s.Conns),
		"--seed", strconv.FormatUint(s.Seed, 10), "--drain", drainFor.String()}
	if len(s.LoadCPUs) > 0 {
		a = append(a, "--cpus", CPUList(s.LoadCPUs))
	}
	if m := s.Mix; m != (Mix{}) {
		a = append(a, "--moves", strconv.Itoa(m.Moves), "--chats", strconv.Itoa(m.Chats), "--pings", strconv.Itoa(m.Pings), "--saves", strconv.Itoa(m.Saves), "--rankings", strconv.Itoa(m.Rankings))
	}
	if s.DiskShare > 0 {
		a = append(a, "--disk-share", strconv.FormatFloat(s.DiskShare, 'g', -1, 64))
	}
	return append(a, expand(s.expander(""), s.LoadFlags)...)
}

func (s *Spec) loadArgs(target string) []string {
	a := append(s.loadBase(target), "--rate", strconv.FormatFloat(s.Rate, 'g', -1, 64),
		"--warmup", s.Warmup.String(), "--duration", s.Window.String(), "--tail", s.CountFor.String())
	if s.ProbeFor > 0 {
		a = append(a, "--probe-for", (s.ProbeFor + probeGap).String())
	}
	if s.Capacity > 0 {
		a = append(a, "--capacity", strconv.FormatFloat(s.Capacity, 'g', -1, 64))
	}
	return append(append(a, "--read-for", readFor.String()), s.Shape.Flags()...)
}

func (s *Spec) saturateArgs(target string) []string {
	return append(s.loadBase(target), "--closed", "--outstanding", strconv.Itoa(s.Outstanding), "--speakers", strconv.Itoa(s.Speakers),
		"--warmup", (s.Saturate / 4).String(), "--duration", s.Saturate.String())
}
