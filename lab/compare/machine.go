package compare

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

// ErrMachine is returned, wrapped, for runs that are not of one machine.
var ErrMachine = errors.New("the runs are of different machines")

// difference is a fact of the environment that two runs do not share.
type difference struct{ what, base, new string }

func (d difference) String() string {
	return fmt.Sprintf("%s: %s in BASE, %s in NEW", d.what, d.base, d.new)
}

// another lists what makes the machine another one: figures of the two say nothing
// about each other. A fact that a run does not know is no difference.
func another(a, b *result.Environment) []difference {
	var out []difference
	add := func(what, x, y string) {
		if x != y && x != "" && y != "" {
			out = append(out, difference{what, x, y})
		}
	}
	add("operating system", a.OS, b.OS)
	add("architecture", a.Arch, b.Arch)
	add("CPU model", a.CPUModel, b.CPUModel)
	add("CPUs", count(a.CPUCount), count(b.CPUCount))
	if a.CPUModel != "" && b.CPUModel != "" { // what is known of bare metal is an empty name
		add("virtual machine", orNone(a.Virtual), orNone(b.Virtual))
	}
	// The kernel's own share of the memory differs from one kernel to the next.
	if x, y := float64(a.MemoryBytes), float64(b.MemoryBytes); x > 0 && y > 0 && math.Abs(x-y) > 0.02*max(x, y) {
		out = append(out, difference{"memory", gib(a.MemoryBytes), gib(b.MemoryBytes)})
	}
	add("CPUs of the server", cpuCount(a.ServerCPUs), cpuCount(b.ServerCPUs))
	add("CPUs of the load", cpuCount(a.LoadCPUs), cpuCount(b.LoadCPUs))
	return out
}

// changed lists what else differs: a new kernel or Go version is often the very
// thing that is being compared, so it is told and not refused.
func changed(a, b *result.Environment) []difference {
	var out []difference
	add := func(what, x, y string) {
		if x != y && x != "" && y != "" {
			out = append(out, difference{what, x, y})
		}
	}
	add("kernel", a.Kernel, b.Kernel)
	add("Go", a.GoVersion, b.GoVersion)
	add("GOMAXPROCS", count(a.GOMAXPROCS), count(b.GOMAXPROCS))
	add("frequency governor", a.Governor, b.Governor)
	add("filesystem of the server's files", a.DataFilesystem, b.DataFilesystem)
	if cpuCount(a.ServerCPUs) == cpuCount(b.ServerCPUs) {
		add("CPUs of the server", a.ServerCPUs, b.ServerCPUs)
	}
	if cpuCount(a.LoadCPUs) == cpuCount(b.LoadCPUs) {
		add("CPUs of the load", a.LoadCPUs, b.LoadCPUs)
	}
	if a.UID != b.UID && (a.UID == 0 || b.UID == 0) {
		out = append(out, difference{"user", who(a.UID), who(b.UID)})
	}
	return append(out, capacity(a, b)...)
}

// loadSpeed is by how much the load's own capacity may differ: it runs no code of
// the server, so a larger difference is one of the machine.
const loadSpeed = 0.1

func capacity(a, b *result.Environment) []difference {
	var out []difference
	for _, x := range a.LoadCapacity {
		i := slices.IndexFunc(b.LoadCapacity, func(y result.LoadCapacity) bool { return y.Workload == x.Workload && y.Threads == x.Threads })
		if i < 0 || !(x.PerS > 0 && b.LoadCapacity[i].PerS > 0) {
			continue
		}
		if y := b.LoadCapacity[i]; apart(x.PerS/y.PerS) > loadSpeed {
			out = append(out, difference{"capacity of the load by itself (" + x.Workload + ")", fmt.Sprintf("%.0f/s", x.PerS), fmt.Sprintf("%.0f/s", y.PerS)})
		}
	}
	return out
}

// machines refuses, or warns.
func (r *Report) machines(a, b *result.Environment, force bool) error {
	var why []string
	r.differing = differing(a, b)
	if a == nil || b == nil {
		for name, e := range map[string]*result.Environment{"BASE": a, "NEW": b} {
			if e == nil {
				why = append(why, name+" has no environment.json: its machine is unknown")
			}
		}
		slices.Sort(why)
	} else {
		for _, d := range another(a, b) {
			why = append(why, d.String())
		}
		for _, d := range changed(a, b) {
			r.Warnings = append(r.Warnings, d.String())
		}
	}
	if len(why) == 0 {
		return nil
	}
	if !force {
		return fmt.Errorf("compare: %w: %s (--force compares them all the same)", ErrMachine, strings.Join(why, "; "))
	}
	r.Forced = true
	r.Warnings = append([]string{"FORCED: " + ErrMachine.Error() + ", so that a difference may be the machine's: " + strings.Join(why, "; ")}, r.Warnings...)
	return nil
}

// Differing are the names of the benchmark format's configuration lines whose values
// the runs do not share.
func (r *Report) Differing() []string { return r.differing }

func differing(a, b *result.Environment) []string {
	if a == nil || b == nil {
		return []string{"goos", "goarch", "cpu", "kernel", "go"}
	}
	var out []string
	for _, f := range [][3]string{{"goos", a.OS, b.OS}, {"goarch", a.Arch, b.Arch}, {"cpu", a.CPUModel, b.CPUModel},
		{"kernel", a.Kernel, b.Kernel}, {"go", a.GoVersion, b.GoVersion}} {
		if f[1] != f[2] {
			out = append(out, f[0])
		}
	}
	return out
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func gib(bytes uint64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }

func who(uid int) string {
	if uid == 0 {
		return "root"
	}
	return "an ordinary user"
}

// cpuCount is the number of CPUs in a list as taskset writes it, or "".
func cpuCount(list string) string {
	n := 0
	for _, part := range strings.Split(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, err := strconv.Atoi(from)
		if err != nil {
			return ""
		}
		b := a
		if isRange {
			if b, err = strconv.Atoi(to); err != nil || b < a {
				return ""
			}
		}
		n += b - a + 1
	}
	return count(n)
}
