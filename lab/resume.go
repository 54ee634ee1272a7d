package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/lab/yardstick"
)

// ResumeOptions say which run is to go on.
type ResumeOptions struct {
	// Dir is the run's folder.
	Dir string
	// Binary is the syslet executable.
	Binary string
	// Force goes on although machine or build are others; the folder then says so.
	Force bool
	// On is as in Options.
	On func(Event)
}

// ErrOther is wrapped by Resume for a run of another machine or build.
var ErrOther = errors.New("the run was begun elsewhere")

// Resume reads the folder of a run that was interrupted, and locks it: Close must be
// called. The error wraps ErrLocked, ErrOther or result.ErrSchema for what these say.
func Resume(o ResumeOptions) (p *Prepared, err error) {
	if _, err := os.Stat(o.Dir); err != nil {
		return nil, fmt.Errorf("lab: no such run: %w", err)
	}
	p = &Prepared{opts: Options{Out: o.Dir, Binary: o.Binary, On: o.On}, resumed: true, made: true}
	if p.lock, err = takeLock(o.Dir); err != nil {
		return nil, err
	}
	if err := p.load(o.Force); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close lets other labs into the folder. Run does it, too.
func (p *Prepared) Close() { p.lock.release() }

// load reads what earlier sittings left.
func (p *Prepared) load(force bool) error {
	dir := p.opts.Out
	f, err := readPlan(dir)
	if err != nil {
		return err
	}
	env, err := result.ReadEnvironment(dir)
	if err != nil {
		return fmt.Errorf("lab: the machine of the run is not known: %w", err)
	}
	if p.read, err = result.Read(dir); errors.Is(err, os.ErrNotExist) {
		p.read, err = &result.Run{Dir: dir}, nil // it died before the file was made
	}
	if err != nil {
		return err
	}
	p.env, p.specs, p.opts.Seed = *env, f.Trials, f.Seed
	if env.Stopping != nil {
		p.opts.Stopping = *env.Stopping
	}
	if err := p.compareMachine(force); err != nil {
		return err
	}
	p.place()
	closeSittings(&p.env, len(p.read.Trials), modified(filepath.Join(dir, result.TrialsFile)))
	return nil
}

// compareMachine refuses what is not the machine and the build that the run was
// begun with.
func (p *Prepared) compareMachine(force bool) error {
	out := existing(p.opts.Out)
	now := sensor.Environment(out, out)
	if err := identify(&now, p.opts.Binary); err != nil {
		return err
	}
	forServer, forLoad, _ := splitCPUs()
	p.forServer, p.forLoad = forServer, forLoad
	now.ServerCPUs, now.LoadCPUs = trial.CPUList(forServer), trial.CPUList(forLoad)
	differ := differences(&p.env, &now)
	if len(differ) == 0 {
		return nil
	}
	what := strings.Join(differ, "; ")
	if !force {
		return fmt.Errorf("lab: %s: %w: %s: its trials would not compare with those that are there (--force goes on all the same, and the report says so)", p.opts.Out, ErrOther, what)
	}
	if p.env.ServerCPUs != now.ServerCPUs || p.env.LoadCPUs != now.LoadCPUs {
		for i := range p.specs {
			p.specs[i].ServerCPUs, p.specs[i].LoadCPUs = forServer, forLoad
		}
	}
	warning := fmt.Sprintf("the run went on by force after %d trials although these differ: %s", len(p.read.Trials), what)
	if !slices.Contains(p.env.Warnings, warning) {
		p.env.Warnings = append(p.env.Warnings, warning)
	}
	return nil
}

// differences says what about machine and build would make trials of one run
// incomparable: name, then and now.
func differences(then, now *result.Environment) (out []string) {
	differ := func(name string, a, b any) {
		if a != b {
			out = append(out, fmt.Sprintf("%s: %v then, %v now", name, orNone(a), orNone(b)))
		}
	}
	differ("CPU", then.CPUModel, now.CPUModel)
	differ("number of CPUs", then.CPUCount, now.CPUCount)
	differ("architecture", then.Arch, now.Arch)
	differ("kernel", then.Kernel, now.Kernel)
	differ("hypervisor", then.Virtual, now.Virtual)
	differ("memory", gibibytes(then.MemoryBytes), gibibytes(now.MemoryBytes))
	differ("CPU frequency governor", then.Governor, now.Governor)
	differ("CPUs of the server", then.ServerCPUs, now.ServerCPUs)
	differ("CPUs of the load", then.LoadCPUs, now.LoadCPUs)
	differ("user", then.UID, now.UID)
	differ("io_uring usable", then.IOUring.Available, now.IOUring.Available)
	differ("perf events usable", then.Perf.Available, now.Perf.Available)
	if then.BinarySHA256 != now.BinarySHA256 {
		out = append(out, fmt.Sprintf("build of syslet: %s then, %s now", build(then), build(now)))
	}
	return out
}

func orNone(v any) any {
	if v == "" {
		return "unknown"
	}
	return v
}

// gibibytes is rounded: what a kernel keeps for itself changes from boot to boot.
func gibibytes(n uint64) string { return fmt.Sprintf("%d GiB", (n+1<<29)>>30) }

func build(e *result.Environment) string {
	if e.BinarySHA256 == "" {
		return "unknown"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %.12s sha256:%.12s", e.Version, e.Commit, e.BinarySHA256))
}

// closeSittings gives a sitting that was killed the end that its last trial had.
func closeSittings(e *result.Environment, trials int, last time.Time) {
	if len(e.Sittings) == 0 {
		return
	}
	s := &e.Sittings[len(e.Sittings)-1]
	if s.Ended != "" {
		return
	}
	for _, earlier := range e.Sittings[:len(e.Sittings)-1] {
		trials -= earlier.Trials
	}
	s.Trials, s.Ended, s.End = trials, result.SittingKilled, s.Start
	if trials > 0 && last.After(s.Start) {
		s.End = last
	}
}

// modified is when a file was last written, the zero time if it is not there.
func modified(path string) time.Time {
	st, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return st.ModTime()
}

// makeAgain has the programs built that are not ours, as Make does for a new run:
// none may be missing now.
func (p *Prepared) makeAgain(ctx context.Context) error {
	made := map[string]bool{}
	for i := range p.specs {
		s := &p.specs[i]
		if s.Variant != nil || made[s.Model] || !yardstick.Known(s.Model) {
			continue
		}
		made[s.Model] = true
		if err := yardstick.Make(ctx, s.Model); err != nil {
			return fmt.Errorf("lab: %s was there when the run began and cannot be had now: %w", s.Model, err)
		}
	}
	return nil
}
