package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/lab/yardstick"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/models/threadlet"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/uring"
)

// Machine is what checks look at: files below Root, and what only system calls tell.
type Machine struct {
	// Root is "/", or a folder with the same files.
	Root string
	// CPUs are those that this process may use.
	CPUs []int
	// Kernel is the release.
	Kernel string
	// Virtual names the hypervisor; empty on bare metal or if unknown.
	Virtual string
	// Descriptors and Memlock are limits of this process, in files and bytes.
	Descriptors, Memlock unix.Rlimit
	// Uring is what io_uring can do here, UringRefused why it is not there.
	Uring        []uring.Finding
	UringRefused string
	// PMU, Perf and Slices say why there is no such thing; empty: it works.
	PMU, Perf, Slices string
	// Programs are the models, detectors and programs, already judged.
	Programs []Finding
}

// Here is the machine that this process runs on.
func Here() *Machine {
	e := sensor.Environment(".", ".")
	m := &Machine{Root: "/", CPUs: load.AllowedCPUs(), Virtual: e.Virtual, Uring: uring.Probe().List()}
	m.Kernel, _, _ = strings.Cut(e.Kernel, " ")
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &m.Descriptors) // fails for an unknown resource only
	_ = unix.Getrlimit(unix.RLIMIT_MEMLOCK, &m.Memlock)
	if !e.IOUring.Available {
		m.UringRefused = e.IOUring.Detail
	}
	if !e.Perf.Available {
		m.Perf = e.Perf.Detail
	}
	if err := runtime.SlicesKnown(); err != nil {
		m.Slices = err.Error()
	}
	m.PMU = missingPMU()
	m.Programs = programs(m.CPUs)
	return m
}

func missingPMU() string {
	pmu := sensor.NewPMU(os.Getpid())
	defer pmu.Close()
	pmu.Start()
	readings, _ := pmu.Stop()
	for _, r := range readings {
		if !r.Metric.Available() {
			return r.Metric.Unavailable
		}
	}
	return ""
}

// programs are what can be run and compared.
func programs(cpus []int) (f []Finding) {
	add := func(name, what string, err error, state State) {
		x := Finding{Group: groupModels, Name: name, State: OK, Value: what}
		if err != nil {
			x.State, x.Value = state, "refused: "+err.Error()
		}
		f = append(f, x)
	}
	for _, name := range models.AllNames() {
		add("model "+name, models.Describe(name), models.Refused(name), Note)
	}
	cpu := -1
	if len(cpus) > 0 {
		cpu = cpus[0]
	}
	for _, d := range threadlet.Detectors(cpu) {
		add("detector "+d.Name, "notices a threadlet that blocks", d.Refused, Note)
	}
	for _, name := range yardstick.Names() {
		add("program "+name, yardstick.Describe(name), yardstick.Refused(name), Note)
	}
	return f
}

// read is a file's text below the root, without blanks around it.
func (m *Machine) read(path string) (string, error) {
	text, err := os.ReadFile(filepath.Join(m.Root, path))
	return strings.TrimSpace(string(text)), err
}

// file is a probe of one file.
func file(path string) func(m *Machine) (string, error) {
	return func(m *Machine) (string, error) { return m.read(path) }
}

var errNoNumber = errors.New("not a number")

// number is a whole number, alone in a file.
func number(text string, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", text, errNoNumber)
	}
	return n, nil
}

// unread is for what this kernel does not show.
func unread(err error) verdict {
	if errors.Is(err, os.ErrNotExist) {
		return note("not shown by this system")
	}
	return note("cannot be read: %v", err)
}

// Capabilities of capabilities(7), by bit.
const (
	capIPCLock = 14
	capAdmin   = 21
	capNice    = 23
	capPerfmon = 38
	capBPF     = 39
)

// may reports whether this process has any of those capabilities.
func (m *Machine) may(caps ...int) bool {
	text, _ := m.read("proc/self/status")
	for line := range strings.Lines(text) {
		if hex, found := strings.CutPrefix(line, "CapEff:"); found {
			set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			for _, c := range caps {
				if err == nil && set&(1<<c) != 0 {
					return true
				}
			}
		}
	}
	return false
}

// olderThan compares the kernel's release.
func (m *Machine) olderThan(major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(m.Kernel, "%d.%d", &a, &b); n < 2 {
		return false
	}
	return a < major || a == major && b < minor
}
