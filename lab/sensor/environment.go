package sensor

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/syslet/syslet/lab/result"
	"golang.org/x/sys/unix"
)

// Environment describes this machine for result.Environment: what is not known
// stays empty. outDir and dataDir are the folders whose file systems matter; empty
// if there is none. Version, command, plan and CPUs are the caller's to fill in.
func Environment(outDir, dataDir string) result.Environment {
	env := result.Environment{
		Start: time.Now(), OS: runtime.GOOS, Arch: runtime.GOARCH, GoVersion: runtime.Version(),
		GOMAXPROCS: runtime.GOMAXPROCS(0), UID: os.Getuid(), CPUCount: runtime.NumCPU(),
		Kernel: kernelRelease(), Caches: cachesOf(sysCPU, 0),
		Governor: readTrimmed(filepath.Join(sysCPU, "cpu0/cpufreq/scaling_governor")),
		IOUring:  ioUring(), Perf: perf(),
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		var inVM bool
		env.CPUModel, inVM = parseCPUInfo(text)
		env.Virtual = hypervisor(inVM)
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		env.MemoryBytes, _ = parseMemTotal(text)
	}
	if text, err := os.ReadFile("/proc/self/mountinfo"); err == nil {
		env.OutFilesystem, env.DataFilesystem = filesystemOf(text, outDir), filesystemOf(text, dataDir)
	}
	env.Warnings = machineWarnings(env.CPUCount)
	return env
}

// machineWarnings say what about this machine spoils measurements.
func machineWarnings(cpus int) (why []string) {
	if clock := readTrimmed("/sys/devices/system/clocksource/clocksource0/current_clocksource"); clock != "" && clock != "tsc" && clock != "arch_sys_counter" {
		why = append(why, fmt.Sprintf("the clock source is %s: reading the time may cost a system call or leave the virtual machine", clock))
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		if load, err := parseLoadAverage(text); err == nil && load > 0.5*float64(cpus) {
			why = append(why, fmt.Sprintf("the load average was %.2f on %d CPUs at the start: something else is running", load, cpus))
		}
	}
	if governor := readTrimmed(filepath.Join(sysCPU, "cpu0/cpufreq/scaling_governor")); governor != "" && governor != "performance" {
		why = append(why, fmt.Sprintf("the CPU frequency governor is %s: `cpupower frequency-set -g performance` gives steadier figures", governor))
	}
	return why
}

func readTrimmed(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func kernelRelease() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:]) + " " + unix.ByteSliceToString(name.Version[:])
}

// parseCPUInfo returns the first model name and whether the CPU says that a
// hypervisor runs it (x86: CPUID 1, ECX bit 31).
func parseCPUInfo(text []byte) (model string, inVM bool) {
	for line := range bytes.Lines(text) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		switch string(bytes.TrimSpace(key)) {
		case "model name", "cpu model", "Processor":
			if model == "" {
				model = string(bytes.TrimSpace(value))
			}
		case "flags":
			for flag := range bytes.FieldsSeq(value) {
				inVM = inVM || string(flag) == "hypervisor"
			}
		}
	}
	return model, inVM
}

// hypervisor names what runs this machine, as far as it tells.
func hypervisor(flagged bool) string {
	if kind := readTrimmed("/sys/hypervisor/type"); kind != "" {
		return kind
	}
	vendor, product := readTrimmed("/sys/class/dmi/id/sys_vendor"), readTrimmed("/sys/class/dmi/id/product_name")
	for _, known := range []string{"QEMU", "KVM", "VMware", "VirtualBox", "Virtual Machine", "Xen", "Amazon EC2", "Google Compute Engine", "Bochs", "Parallels", "OpenStack"} {
		if strings.Contains(vendor, known) || strings.Contains(product, known) {
			return strings.TrimSpace(vendor + " " + product)
		}
	}
	if flagged {
		return "a hypervisor that does not give its name"
	}
	return ""
}

func parseLoadAverage(text []byte) (float64, error) {
	first, _, _ := bytes.Cut(text, []byte(" "))
	return strconv.ParseFloat(string(first), 64)
}

// ioUring asks the kernel for a ring and says what stands in the way.
func ioUring() result.Capability {
	disabled := readTrimmed("/proc/sys/kernel/io_uring_disabled")
	// struct io_uring_params is 120 bytes; all zero asks for nothing special.
	var params [120]byte
	fd, _, e := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
	switch {
	case e == 0:
		unix.Close(int(fd))
		return result.Capability{Available: true, Detail: "io_uring_setup works"}
	case e == unix.ENOSYS:
		return result.Capability{Detail: "io_uring_setup: ENOSYS: the kernel has no io_uring (Linux 5.1 and later), or seccomp hides it"}
	case e == unix.EPERM && disabled != "" && disabled != "0":
		return result.Capability{Detail: "io_uring_setup: EPERM: kernel.io_uring_disabled is " + disabled + " (0 allows it)"}
	}
	return result.Capability{Detail: fmt.Sprintf("io_uring_setup: %v (seccomp, as in containers?)", e)}
}

// perf says which perf events can be had: Available means that a process of our
// own can be watched at all.
func perf() result.Capability {
	details := []string{"perf_event_paranoid " + paranoid()}
	fd, err := openEvent(event{unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_DUMMY}, 0, true)
	if err == nil {
		unix.Close(fd)
	} else {
		details = append(details, "software events: "+perfReason(os.Getpid(), err))
	}
	if why := pmuMissing(); why != "" {
		details = append(details, why)
	} else {
		details = append(details, "hardware PMU")
	}
	if calls := NewSyscalls(os.Getpid()); calls.why != "" {
		details = append(details, calls.why)
	} else {
		details = append(details, "bpf")
		calls.Close()
	}
	return result.Capability{Available: err == nil, Detail: strings.Join(details, "; ")}
}
