package doctor

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

var machineChecks = []entry{
	{groupMachine, "kernel", nil, judgeKernel},
	{groupMachine, "virtualisation", nil, judgeVirtual},
	{groupMachine, "clock source", file("sys/devices/system/clocksource/clocksource0/current_clocksource"), judgeClock},
	{groupMachine, "steal", file("proc/stat"), judgeSteal},
	{groupMachine, "other load", file("proc/loadavg"), judgeLoad},
	{groupMachine, "CPU limit (cgroup)", cpuLimit, judgeCPULimit},
	{groupMachine, "memory monitor (DAMON)", damon, judgeDAMON},
	{groupMachine, "swap", file("proc/meminfo"), judgeSwap},
	{groupMachine, "huge pages (THP)", file("sys/kernel/mm/transparent_hugepage/enabled"), judgeTHP},
}

func judgeKernel(m *Machine, _ string, _ error) verdict {
	switch {
	case m.olderThan(5, 11):
		return fault("Linux %s", m.Kernel).because("no epoll_pwait2: the load paces to 1 ms; the model iouring is refused").
			mendedBy("install Linux 6.1 or newer")
	case m.olderThan(6, 1):
		return note("Linux %s", m.Kernel).because("io_uring without DEFER_TASKRUN: the model iouring is refused or slower").
			mendedBy("install Linux 6.1 or newer")
	}
	return ok("Linux %s", m.Kernel)
}

func judgeVirtual(m *Machine, _ string, _ error) verdict {
	if m.Virtual == "" {
		return ok("none seen")
	}
	return note("%s", m.Virtual).because("timers and wake-ups leave the virtual machine, and neighbours take time: compare within one run")
}

func judgeClock(m *Machine, clock string, err error) verdict {
	if err != nil {
		return unread(err)
	}
	switch clock {
	case "tsc", "arch_sys_counter", "kvm-clock", "hyperv_clocksource_tsc_page":
		return ok("%s", clock)
	}
	const dir = "/sys/devices/system/clocksource/clocksource0/"
	cost := "reading the time may be a system call or leave the virtual machine: every latency carries that"
	if others, _ := m.read(dir + "available_clocksource"); slices.Contains(strings.Fields(others), "tsc") {
		return fault("%s", clock).because(cost).mendedBy("echo tsc > %scurrent_clocksource", dir)
	}
	return fault("%s, and tsc is not on offer", clock).because(cost).
		mendedBy("boot with clocksource=tsc tsc=reliable (if the CPU's counter is invariant)")
}

// Shares of the CPU time since boot, in percent.
const (
	stealNote  = 0.5
	stealFault = 5
)

func judgeSteal(_ *Machine, stat string, err error) verdict {
	if err != nil {
		return unread(err)
	}
	line, _, _ := strings.Cut(stat, "\n")
	var sum, steal float64
	for i, field := range strings.Fields(strings.TrimPrefix(line, "cpu ")) {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return note("/proc/stat says %q", line)
		}
		if i < 8 { // guest time is in user time already
			sum += n
		}
		if i == 7 {
			steal = n
		}
	}
	if sum == 0 {
		return note("/proc/stat counts nothing")
	}
	share := 100 * steal / sum
	v := ok("%.2f %% of the CPU time since boot", share)
	switch {
	case share > stealFault:
		v = fault("%s", v.value).mendedBy("ask for dedicated CPUs, or run when the host is quiet (vmstat 1 shows it as st)")
	case share > stealNote:
		v = note("%s", v.value)
	}
	if v.state != OK {
		v.cost = "the hypervisor gives the CPUs to others: tails of latency are theirs"
	}
	return v
}

func judgeLoad(m *Machine, text string, err error) verdict {
	if err != nil {
		return unread(err)
	}
	first, _, _ := strings.Cut(text, " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return note("/proc/loadavg says %q", text)
	}
	if most := 0.5 * float64(len(m.CPUs)); load > most {
		return fault("load average %.2f on %d CPUs", load, len(m.CPUs)).because("other programs use the CPUs: trials become suspect and intervals wide").
			mendedBy("ps aux --sort=-%%cpu | head    # and end what is busy")
	}
	return ok("load average %.2f on %d CPUs", load, len(m.CPUs))
}

// cpuLimit finds the narrowest cpu.max from our cgroup (version 2) up to the top, as
// "path quota period".
func cpuLimit(m *Machine) (string, error) {
	text, err := m.read("proc/self/cgroup")
	if err != nil {
		return "", err
	}
	group := ""
	for line := range strings.Lines(text) {
		if path, found := strings.CutPrefix(strings.TrimSpace(line), "0::"); found {
			group = path
		}
	}
	narrowest, least := "", 0.0
	for group != "" {
		path := "/sys/fs/cgroup" + strings.TrimSuffix(group, "/") + "/cpu.max"
		var quota, period float64
		if limit, err := m.read(path); err == nil {
			if n, _ := fmt.Sscanf(limit, "%f %f", &quota, &period); n == 2 && period > 0 && (narrowest == "" || quota/period < least) {
				narrowest, least = fmt.Sprintf("%s %g", path, quota/period), quota/period
			}
		}
		if group == "/" {
			break
		}
		if i := strings.LastIndexByte(group, '/'); i > 0 {
			group = group[:i]
		} else {
			group = "/"
		}
	}
	return narrowest, nil
}

func judgeCPULimit(m *Machine, narrowest string, err error) verdict {
	if err != nil {
		return unread(err)
	}
	path, limit, found := strings.Cut(narrowest, " ")
	if !found {
		return ok("none")
	}
	cpus, _ := strconv.ParseFloat(limit, 64)
	value := fmt.Sprintf("%.2f CPUs of %d (%s)", cpus, len(m.CPUs), path)
	if cpus >= float64(len(m.CPUs)) {
		return note("%s", value).because("short bursts may still be throttled within a period")
	}
	return fault("%s", value).because("whoever uses it up stands still until the period (100 ms) ends: p99 is the throttle's").
		mendedBy("echo max > %s    # systemd: CPUQuota=", path)
}

// damon is "on" if any of the kernel's memory monitors runs.
func damon(m *Machine) (string, error) {
	states, _ := filepath.Glob(filepath.Join(m.Root, "sys/kernel/mm/damon/admin/kdamonds/*/state"))
	switches, _ := filepath.Glob(filepath.Join(m.Root, "sys/module/damon_*/parameters/enabled"))
	for _, path := range append(states, switches...) {
		rel, _ := filepath.Rel(m.Root, path)
		if text, err := m.read(rel); err == nil && (text == "on" || text == "Y") {
			return rel, nil
		}
	}
	return "", nil
}

func judgeDAMON(_ *Machine, running string, _ error) verdict {
	if running == "" {
		return ok("does not run")
	}
	v := fault("runs").because("its kernel thread takes a CPU for milliseconds at a time, several times a second when memory is in use: " +
		"p99 and above are its")
	if strings.HasSuffix(running, "enabled") {
		return v.mendedBy("echo N > /%s", running)
	}
	return v.mendedBy("echo off > /%s    # if nobody needs it", running)
}

func judgeSwap(_ *Machine, meminfo string, err error) verdict {
	if err != nil {
		return unread(err)
	}
	kib := map[string]int64{}
	for line := range strings.Lines(meminfo) {
		name, value, _ := strings.Cut(line, ":")
		kib[name], _ = strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
	}
	used := kib["SwapTotal"] - kib["SwapFree"]
	switch {
	case kib["SwapTotal"] == 0:
		return ok("none")
	case used > 64<<10:
		return fault("%d MiB of %d are used", used>>10, kib["SwapTotal"]>>10).because("a page that comes back from disk blocks the loop for milliseconds").
			mendedBy("swapoff -a")
	}
	return ok("%d MiB, %d used", kib["SwapTotal"]>>10, used>>10)
}

func judgeTHP(_ *Machine, text string, err error) verdict {
	if err != nil {
		return unread(err)
	}
	_, rest, _ := strings.Cut(text, "[")
	mode, _, _ := strings.Cut(rest, "]")
	if mode != "always" {
		return ok("%s", mode)
	}
	return note("always").because("memory per connection and the cost of page faults depend on what khugepaged has merged so far").
		mendedBy("echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")
}
