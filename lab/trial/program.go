package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"github.com/syslet/syslet/lab/result"
)

// Program is a trial of the other kind: a program that does its work on
// ServerCPUs, measures itself, prints what it found and ends. Argv and Files are
// as in Foreign.
type Program struct {
	Argv  []string
	Files map[string]string
	// Parse reads all of what the program printed on standard output; nil: a
	// Printed in JSON in its last line. A plan with a function cannot be kept in a file.
	Parse func(stdout []byte) (Printed, error) `json:"-"`
	// Timeout ends a program that takes longer; 0: 60 s.
	Timeout time.Duration
	// EveryCPU leaves the program unbound.
	EveryCPU bool
}

// Printed is what a program found.
type Printed struct {
	// Metrics by the names of package result. With result.Operations there, and
	// CPU or switches per operation not, these are added from the kernel's account of
	// the whole program, its start included.
	Metrics map[string]result.Metric `json:"metrics"`
	// DurationS is the length of the measured part, in seconds.
	DurationS float64 `json:"duration_s,omitempty"`
	// Reasons make the trial suspect.
	Reasons []string `json:"reasons,omitempty"`
	// Distributions as in result.Trial.
	Distributions map[string][]result.Point `json:"distributions,omitempty"`
}

const programTimeout = 60 * time.Second

func (r *run) runProgram(ctx context.Context) error {
	s := &r.spec
	expander := s.expander("")
	if err := s.writeFiles(s.Program.Files, expander); err != nil {
		return err
	}
	argv := expand(expander, s.Program.Argv)
	r.out.Command = result.Command{Server: argv}
	cpus := s.ServerCPUs
	if s.Program.EveryCPU {
		cpus = nil
	}
	p, err := start(argv, cpus)
	if err != nil {
		return err
	}
	timeout := s.Program.Timeout
	if timeout == 0 {
		timeout = programTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(ctx, p.kill)()
	stdout, err := io.ReadAll(p.out)
	if err = errors.Join(err, p.wait()); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("ended after %v: %w", timeout, err)
		}
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	parse := s.Program.Parse
	if parse == nil {
		parse = lastLine
	}
	printed, err := parse(stdout)
	if err != nil {
		return fmt.Errorf("what %s printed: %w", argv[0], err)
	}
	return r.take(&printed, p)
}

// lastLine reads a Printed from the last line that is not empty.
func lastLine(stdout []byte) (Printed, error) {
	var out Printed
	lines := bytes.Split(bytes.TrimSpace(stdout), []byte("\n"))
	last := lines[len(lines)-1]
	if err := json.Unmarshal(last, &out); err != nil {
		return out, fmt.Errorf("its last line %.200q is no result in JSON: %w", last, err)
	}
	return out, nil
}

// sourceRusage is the account that the kernel gives of a process when it is
// waited for.
const sourceRusage = result.SourceRusage + " (whole program)"

func (r *run) take(printed *Printed, p *process) error {
	if len(printed.Metrics) == 0 {
		return errors.New("the program printed no metric")
	}
	maps.Copy(r.out.Metrics, printed.Metrics)
	r.out.DurationS = printed.DurationS
	if printed.Distributions != nil {
		r.out.Distributions = printed.Distributions
	}
	r.evidence.Flaws = append(r.evidence.Flaws, printed.Reasons...)
	ops, ok := r.out.Value(result.Operations)
	if !ok {
		return fmt.Errorf("the program printed no metric %q", result.Operations)
	}
	r.evidence.Operations = int64(ops)
	add := func(name string, total float64, unit string) {
		if _, there := r.out.Metrics[name]; !there {
			r.out.Metrics[name] = result.PerOp(total, ops, unit, sourceRusage)
		}
	}
	used := p.usage()
	add(result.CPUPerOp, used.cpuUs, "us")
	add(result.SwitchesVoluntaryPerOp, float64(used.voluntary), "1")
	add(result.SwitchesInvoluntaryPerOp, float64(used.involuntary), "1")
	return nil
}
