package doctor

import (
	"fmt"
	"math"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/uring"
)

var uringChecks = []entry{
	{groupUring, "kernel.io_uring_disabled", file("proc/sys/kernel/io_uring_disabled"), judgeDisabled},
	{groupUring, "io_uring", nil, judgeUring},
	{groupUring, "features", nil, judgeFeatures},
}

func judgeDisabled(_ *Machine, text string, err error) verdict {
	switch {
	case err != nil:
		return ok("this kernel has no such setting")
	case text == "0":
		return ok("0")
	}
	return fault("%s", text).because("1 keeps it from all but root and io_uring_group, 2 from everybody: the model iouring is refused").
		mendedBy("sysctl -w kernel.io_uring_disabled=0")
}

func judgeUring(m *Machine, _ string, _ error) verdict {
	if m.UringRefused == "" {
		return ok("works")
	}
	v := fault("%s", m.UringRefused).because("the model iouring is refused")
	if strings.Contains(m.UringRefused, "seccomp") {
		return v.mendedBy("use a seccomp profile that permits it (docker: --security-opt seccomp=unconfined)")
	}
	return v.mendedBy("sysctl -w kernel.io_uring_disabled=0")
}

func judgeFeatures(m *Machine, _ string, _ error) verdict {
	if m.UringRefused != "" {
		return note("not known while io_uring is refused")
	}
	var there, lacking []string
	for _, f := range m.Uring {
		if f.State == uring.Present {
			there = append(there, f.Name)
			continue
		}
		lacking = append(lacking, fmt.Sprintf("%s (%s, since Linux %s)", f.Name, f.State, f.Since))
	}
	if len(lacking) == 0 {
		return ok("all %d: %s", len(there), strings.Join(there, " "))
	}
	v := note("%d of %d; lacking: %s", len(there), len(m.Uring), strings.Join(lacking, ", "))
	if len(there) > 0 {
		v.value += "; there are: " + strings.Join(there, " ")
	}
	return v.because("what needs them is done in another way, or the model iouring is refused").mendedBy("install a newer kernel")
}

var limitChecks = []entry{
	{groupLimits, "descriptors", file("proc/sys/fs/nr_open"), judgeDescriptors},
	{groupLimits, "locked memory", nil, judgeMemlock},
	{groupLimits, "net.core.somaxconn", file("proc/sys/net/core/somaxconn"), atLeast("net.core.somaxconn", backlog, Fault,
		"the backlog of a listening socket (4096) is cut to it: in a storm connects are dropped and tried again after 1 s")},
	{groupLimits, "tcp_max_syn_backlog", file("proc/sys/net/ipv4/tcp_max_syn_backlog"), atLeast("net.ipv4.tcp_max_syn_backlog", 1024, Note,
		"half-open connections beyond it get SYN cookies, or are dropped")},
	{groupLimits, "ip_local_port_range", file("proc/sys/net/ipv4/ip_local_port_range"), judgePorts},
}

const (
	// backlog is the server's default.
	backlog = 4096
	// The largest built-in experiments hold 10,000 connections (peers) and 100,000
	// (idle, spread over processes if need be).
	filesFault, filesNote = 10_500, 101_000
	portsLeast            = 20_000
	memlockLeast          = 8 << 20
)

func limitText(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

// judgeDescriptors looks at the hard limit: Go raises the soft one to it by itself.
func judgeDescriptors(m *Machine, text string, err error) verdict {
	open, readErr := number(text, err)
	value := fmt.Sprintf("soft %s, hard %s, fs.nr_open %s", limitText(m.Descriptors.Cur), limitText(m.Descriptors.Max), text)
	if readErr != nil {
		open, value = math.MaxInt64, strings.TrimSuffix(value, text)+"not shown"
	}
	var v verdict
	switch {
	case m.Descriptors.Max < filesFault:
		v = fault("%s", value).because("10,000 connections (experiment peers-echo) do not fit in a process")
	case m.Descriptors.Max < filesNote:
		v = note("%s", value).because("100,000 connections (experiment idle) are held by several processes")
	default:
		return ok("%s", value)
	}
	const want = 1 << 20
	v.mend = fmt.Sprintf("ulimit -n %d    # as root", want)
	if open < want {
		v.mend = fmt.Sprintf("sysctl -w fs.nr_open=%d && %s", want, v.mend)
	}
	return v
}

func judgeMemlock(m *Machine, _ string, _ error) verdict {
	value := limitText(m.Memlock.Max) + " bytes"
	switch {
	case m.Memlock.Max == unix.RLIM_INFINITY:
		return ok("unlimited")
	case m.may(capIPCLock):
		return ok("%s, which CAP_IPC_LOCK sets aside", value)
	case m.Memlock.Max >= memlockLeast:
		return ok("%s", value)
	}
	v := note("%s", value).because("perf rings of many threads do not fit: blocks are noticed by timers instead")
	if m.olderThan(5, 12) {
		v = fault("%s", value).because("before Linux 5.12 rings and registered buffers count against it: the model iouring is refused")
	}
	return v.mendedBy("ulimit -l unlimited    # as root; or LimitMEMLOCK=infinity of systemd")
}

// atLeast judges a sysctl that should not be less than a number.
func atLeast(name string, least int64, state State, cost string) func(*Machine, string, error) verdict {
	return func(_ *Machine, text string, err error) verdict {
		n, err := number(text, err)
		switch {
		case err != nil:
			return unread(err)
		case n >= least:
			return ok("%d", n)
		}
		return verdict{state: state, value: text, cost: cost, mend: fmt.Sprintf("sysctl -w %s=%d", name, least)}
	}
}

func judgePorts(_ *Machine, text string, err error) verdict {
	if err != nil {
		return unread(err)
	}
	var lo, hi int
	if n, _ := fmt.Sscanf(text, "%d %d", &lo, &hi); n != 2 {
		return note("says %q", text)
	}
	if ports := hi - lo + 1; ports < portsLeast {
		return fault("%d to %d: %d ports", lo, hi, ports).because("so many connections at most from one address to a server").
			mendedBy(`sysctl -w net.ipv4.ip_local_port_range="1024 65535"`)
	}
	return ok("%d to %d: %d ports", lo, hi, hi-lo+1)
}
