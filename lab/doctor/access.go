package doctor

import "strings"

var sensorChecks = []entry{
	{groupSensors, "perf_event_paranoid", file("proc/sys/kernel/perf_event_paranoid"), judgeParanoid},
	{groupSensors, "perf events", nil, judgePerf},
	{groupSensors, "PMU", nil, judgePMU},
	{groupSensors, "kptr_restrict", file("proc/sys/kernel/kptr_restrict"), judgeKptr},
	{groupSensors, "tracefs", file("proc/self/mountinfo"), judgeTracefs},
	{groupSensors, "BPF", file("proc/sys/kernel/unprivileged_bpf_disabled"), judgeBPF},
	{groupSensors, "resctrl", file("proc/cpuinfo"), judgeResctrl},
	{groupSensors, "pressure stall", file("proc/pressure/cpu"), judgePressure},
	{groupSensors, "real-time class", nil, judgeRealtime},
}

func judgeParanoid(m *Machine, text string, err error) verdict {
	level, err := number(text, err)
	switch {
	case err != nil:
		return unread(err)
	case m.may(capPerfmon, capAdmin):
		return ok("%d, which a capability of this process sets aside", level)
	case level > 2:
		return fault("%d", level).because("no perf events: threadlets are noticed by timers (later), and there are no counters").
			mendedBy("sysctl -w kernel.perf_event_paranoid=1")
	case level == 2:
		return note("2").because("the kernel's part of cycles and misses is not counted").mendedBy("sysctl -w kernel.perf_event_paranoid=1")
	}
	return ok("%d", level)
}

func judgePerf(m *Machine, _ string, _ error) verdict {
	if m.Perf == "" {
		return ok("a thread of this process can be watched")
	}
	return fault("%s", m.Perf).because("blocks are noticed by timers, later and not all").
		mendedBy("setcap cap_perfmon+ep $(command -v syslet)")
}

func judgePMU(m *Machine, _ string, _ error) verdict {
	if m.PMU == "" {
		return ok("hardware counters work")
	}
	v := note("%s", m.PMU).because("cycles and cache misses by the sources sim and probe only")
	if m.Virtual != "" {
		v.mend = "on the host: give the guest a PMU (QEMU: -cpu host,pmu=on; clouds: a metal instance)"
	}
	return v
}

func judgeKptr(m *Machine, text string, err error) verdict {
	level, err := number(text, err)
	switch {
	case err != nil:
		return unread(err)
	case level == 0 || level == 1 && m.may(capAdmin):
		return ok("%d", level)
	}
	return note("%d", level).because("addresses of kernel functions are hidden: profiles of the kernel's part have no names").
		mendedBy("sysctl -w kernel.kptr_restrict=0")
}

// judgeTracefs reads proc_pid_mountinfo(5): the type stands behind a lone hyphen.
func judgeTracefs(m *Machine, mounts string, err error) verdict {
	if err != nil {
		return unread(err)
	}
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if !strings.HasPrefix(after, "tracefs ") || len(fields) < 5 {
			continue
		}
		if m.may(capAdmin, capPerfmon) {
			return ok("mounted on %s", fields[4])
		}
		return fault("mounted on %s, which this user may not read", fields[4]).because("no system calls by the kernel's count").
			mendedBy("setcap cap_perfmon,cap_dac_read_search+ep $(command -v syslet)")
	}
	return fault("not mounted").because("no system calls by the kernel's count, no run-queue latency from tracepoints").
		mendedBy("mount -t tracefs tracefs /sys/kernel/tracing")
}

func judgeBPF(m *Machine, text string, err error) verdict {
	switch {
	case m.may(capBPF, capAdmin):
		return ok("permitted by a capability of this process")
	case err == nil && text == "0":
		return note("permitted to everybody, for sockets only").because("tracing needs CAP_BPF and CAP_PERFMON").
			mendedBy("setcap cap_bpf,cap_perfmon+ep $(command -v syslet)")
	}
	return fault("not permitted (no CAP_BPF)").because("no run-queue latency and off-CPU time by thread, no system calls by number").
		mendedBy("setcap cap_bpf,cap_perfmon+ep $(command -v syslet)")
}

func judgeResctrl(m *Machine, cpuinfo string, err error) verdict {
	if err != nil {
		return unread(err)
	}
	if !strings.Contains(cpuinfo, "cqm") && !strings.Contains(cpuinfo, "cat_l3") && !strings.Contains(cpuinfo, "rdt_a") {
		return ok("the CPU has none: no cache occupancy or memory bandwidth by group")
	}
	if mounts, _ := m.read("proc/self/mountinfo"); strings.Contains(mounts, " - resctrl ") {
		return ok("mounted")
	}
	return note("the CPU can, and it is not mounted").because("no cache occupancy and memory bandwidth").
		mendedBy("mount -t resctrl resctrl /sys/fs/resctrl")
}

func judgePressure(_ *Machine, _ string, err error) verdict {
	if err != nil {
		return note("not shown").because("no pressure stall figures").mendedBy("boot with psi=1")
	}
	return ok("shown")
}

func judgeRealtime(m *Machine, _ string, _ error) verdict {
	if m.may(capNice) {
		return ok("permitted (CAP_SYS_NICE): serve --realtime works")
	}
	return note("not permitted").because("serve --realtime is refused").mendedBy("setcap cap_sys_nice+ep $(command -v syslet)")
}
