package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

const sysCPU = "sys/devices/system/cpu"

var cpuChecks = []entry{
	{groupCPU, "CPUs", nil, judgeCPUs},
	{groupCPU, "governor", governors, judgeGovernor},
	{groupCPU, "turbo", turbo, judgeTurbo},
	{groupCPU, "SMT siblings", siblings, judgeSiblings},
	{groupCPU, "isolated CPUs", file(sysCPU + "/isolated"), judgeIsolated},
	{groupCPU, "short time slices", nil, judgeSlices},
}

func judgeCPUs(m *Machine, _ string, _ error) verdict {
	if len(m.CPUs) < 2 {
		return fault("%d may be used", len(m.CPUs)).because("server and load share it and disturb each other: figures are of little use").
			mendedBy("give it two: taskset -c 0,1 syslet ..., --cpuset-cpus of docker, or a larger machine")
	}
	return ok("%d; the server gets CPU %d, the load CPU %d", len(m.CPUs), m.CPUs[0], m.CPUs[len(m.CPUs)-1])
}

// governors lists the CPUs' governors, each once.
func governors(m *Machine) (string, error) {
	paths, _ := filepath.Glob(filepath.Join(m.Root, sysCPU, "cpu[0-9]*/cpufreq/scaling_governor"))
	var names []string
	for _, path := range paths {
		rel, _ := filepath.Rel(m.Root, path)
		name, err := m.read(rel)
		if err != nil {
			return "", err
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " "), nil
}

func judgeGovernor(m *Machine, names string, err error) verdict {
	switch {
	case err != nil:
		return unread(err)
	case names == "" && m.Virtual != "":
		return ok("not ours to set: the host decides")
	case names == "":
		return note("no frequency control is shown")
	case names == "performance":
		return ok("performance")
	}
	return fault("%s", names).because("the frequency follows the load: CPU time per request depends on what ran before").
		mendedBy("cpupower frequency-set -g performance")
}

// turbo is "path value" of the switch that this driver has.
func turbo(m *Machine) (string, error) {
	for _, path := range []string{sysCPU + "/intel_pstate/no_turbo", sysCPU + "/cpufreq/boost"} {
		if text, err := m.read(path); err == nil {
			return path + " " + text, nil
		}
	}
	return "", nil
}

func judgeTurbo(_ *Machine, text string, _ error) verdict {
	path, value, found := strings.Cut(text, " ")
	off := "0"
	if strings.HasSuffix(path, "no_turbo") {
		off = "1"
	}
	switch {
	case !found:
		return ok("no switch is shown")
	case value == off:
		return ok("off")
	}
	return note("on").because("the clock depends on temperature and on what other cores do").mendedBy("echo %s > /%s", off, path)
}

// siblings are the CPUs that share a core with the server's, itself left out.
func siblings(m *Machine) (string, error) {
	if len(m.CPUs) == 0 {
		return "", nil
	}
	return m.read(fmt.Sprintf("%s/cpu%d/topology/thread_siblings_list", sysCPU, m.CPUs[0]))
}

func judgeSiblings(m *Machine, list string, err error) verdict {
	if err != nil {
		return unread(err)
	}
	others := slices.DeleteFunc(expandCPUs(list), func(c int) bool { return c == m.CPUs[0] })
	switch {
	case len(others) == 0:
		return ok("the server's CPU has its core to itself, as far as is shown")
	case len(m.CPUs) > 1 && slices.Contains(others, m.CPUs[len(m.CPUs)-1]):
		return fault("server and load are siblings on one core").because("each slows the other down by a third or so, by how busy it is").
			mendedBy("echo off > /sys/devices/system/cpu/smt/control    # or taskset -c")
	}
	return note("the server's CPU shares its core with %v", others).because("whatever runs there slows the server down").
		mendedBy("echo off > /sys/devices/system/cpu/smt/control")
}

// expandCPUs reads "0,2-3"; what is no number is left out.
func expandCPUs(list string) (cpus []int) {
	for part := range strings.SplitSeq(list, ",") {
		var lo, hi int
		if n, _ := fmt.Sscanf(part, "%d-%d", &lo, &hi); n == 1 {
			hi = lo
		} else if n == 0 || hi-lo > 4096 {
			continue
		}
		for c := lo; c <= hi; c++ {
			cpus = append(cpus, c)
		}
	}
	return cpus
}

func judgeIsolated(m *Machine, list string, err error) verdict {
	switch {
	case err != nil:
		return unread(err)
	case list != "":
		return ok("%s (run the lab with taskset -c on them)", list)
	case len(m.CPUs) < 4:
		return ok("none, of %d", len(m.CPUs))
	}
	last := len(m.CPUs) - 1
	return note("none").because("any program may run on the server's and the load's CPU").
		mendedBy("boot with isolcpus=%d,%d nohz_full=%d,%d, then taskset -c %d,%d syslet ...",
			m.CPUs[last-1], m.CPUs[last], m.CPUs[last-1], m.CPUs[last], m.CPUs[last-1], m.CPUs[last])
}

func judgeSlices(m *Machine, _ string, _ error) verdict {
	if m.Slices == "" {
		return ok("a loop's thread may ask for them (sched_setattr)")
	}
	return note("%s", m.Slices).because("what computes beside a loop delays it by a whole slice (about 3 ms)").mendedBy("install Linux 6.12 or newer")
}
