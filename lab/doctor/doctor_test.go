package doctor

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/lab/check"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/uring"
)

var update = flag.Bool("update", false, "write the golden files anew")

// healthy is a machine without faults, as a folder of files.
var healthy = map[string]string{
	"sys/devices/system/clocksource/clocksource0/current_clocksource":   "tsc\n",
	"sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc hpet acpi_pm\n",
	"proc/stat":         "cpu  1000 0 1000 8000 0 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n",
	"proc/loadavg":      "0.10 0.20 0.30 1/200 4242\n",
	"proc/self/cgroup":  "0::/user.slice/session.scope\n",
	"proc/meminfo":      "MemTotal:       8000000 kB\nSwapTotal:      0 kB\nSwapFree:       0 kB\n",
	"proc/self/status":  "Name:\tsyslet\nCapEff:\t000001ffffffffff\n",
	"proc/cpuinfo":      "flags\t\t: fpu sse\n",
	"proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
	"proc/self/mountinfo": "24 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n" +
		"31 24 0:12 / /sys/kernel/tracing rw,nosuid shared:13 - tracefs tracefs rw\n",
	"sys/kernel/mm/transparent_hugepage/enabled":                "always [madvise] never\n",
	"sys/fs/cgroup/user.slice/cpu.max":                          "max 100000\n",
	"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor":      "performance\n",
	"sys/devices/system/cpu/cpu1/cpufreq/scaling_governor":      "performance\n",
	"sys/devices/system/cpu/intel_pstate/no_turbo":              "1\n",
	"sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0\n",
	"sys/devices/system/cpu/isolated":                           "\n",
	"proc/sys/kernel/io_uring_disabled":                         "0\n",
	"proc/sys/fs/nr_open":                                       "1048576\n",
	"proc/sys/net/core/somaxconn":                               "4096\n",
	"proc/sys/net/ipv4/tcp_max_syn_backlog":                     "2048\n",
	"proc/sys/net/ipv4/ip_local_port_range":                     "32768\t60999\n",
	"proc/sys/kernel/perf_event_paranoid":                       "1\n",
	"proc/sys/kernel/kptr_restrict":                             "0\n",
	"proc/sys/kernel/unprivileged_bpf_disabled":                 "2\n",
}

// sick is one with every fault there is; what is not named is as in healthy.
var sick = map[string]string{
	"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n",
	"proc/stat":           "cpu  1000 0 1000 7000 0 0 0 1000 0 0\n",
	"proc/loadavg":        "3.50 2.00 1.00 4/200 4242\n",
	"proc/meminfo":        "MemTotal:       8000000 kB\nSwapTotal:      2097152 kB\nSwapFree:       1048576 kB\n",
	"proc/self/status":    "Name:\tsyslet\nCapEff:\t0000000000000000\n",
	"proc/cpuinfo":        "flags\t\t: fpu sse cqm_llc cat_l3\n",
	"proc/self/mountinfo": "24 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n",
	"sys/kernel/mm/transparent_hugepage/enabled":                "[always] madvise never\n",
	"sys/fs/cgroup/user.slice/cpu.max":                          "150000 100000\n",
	"sys/devices/system/cpu/cpu1/cpufreq/scaling_governor":      "powersave\n",
	"sys/devices/system/cpu/intel_pstate/no_turbo":              "0\n",
	"sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0-1\n",
	"proc/sys/kernel/io_uring_disabled":                         "2\n",
	"proc/sys/fs/nr_open":                                       "4096\n",
	"proc/sys/net/core/somaxconn":                               "128\n",
	"proc/sys/net/ipv4/tcp_max_syn_backlog":                     "128\n",
	"proc/sys/net/ipv4/ip_local_port_range":                     "50000\t60000\n",
	"proc/sys/kernel/perf_event_paranoid":                       "4\n",
	"proc/sys/kernel/kptr_restrict":                             "2\n",
	"proc/pressure/cpu":                                         "",
	"sys/kernel/mm/damon/admin/kdamonds/0/state":                "on\n",
}

func tree(t *testing.T, layers ...map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for _, files := range layers {
		for name, text := range files {
			path := filepath.Join(root, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		}
	}
	return root
}

func healthyMachine(t *testing.T) *Machine {
	return &Machine{Root: tree(t, healthy), CPUs: []int{0, 1}, Kernel: "6.18.1",
		Descriptors: unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}, Memlock: unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY},
		Uring:    []uring.Finding{{Name: "SETUP_CLAMP", Since: "5.6", State: uring.Present}, {Name: "OP_NOP", Since: "5.1", State: uring.Present}},
		Programs: []Finding{{Group: groupModels, Name: "model nonblock", State: OK, Value: "state machines on epoll"}}}
}

func sickMachine(t *testing.T) *Machine {
	root := tree(t, healthy, sick)
	require.NoError(t, os.Remove(filepath.Join(root, "proc/pressure/cpu")))
	return &Machine{Root: root, CPUs: []int{0, 1}, Kernel: "5.10.0", Virtual: "QEMU KVM",
		Descriptors: unix.Rlimit{Cur: 1024, Max: 4096}, Memlock: unix.Rlimit{Cur: 65536, Max: 65536},
		Uring:        []uring.Finding{{Name: "io_uring_setup", Since: "5.1", State: uring.Forbidden}, {Name: "OP_NOP", Since: "5.1", State: uring.Unknown}},
		UringRefused: "io_uring_setup: EPERM: kernel.io_uring_disabled is 2 (0 allows it)",
		PMU:          "no hardware PMU", Perf: "not permitted (perf_event_paranoid 4)", Slices: "the kernel has no slices of its own choice",
		Programs: []Finding{{Group: groupModels, Name: "model iouring", State: Note, Value: "refused: io_uring is forbidden here"}}}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run with -update, and look at what it wrote")
	require.Equal(t, string(want), string(got))
}

// TestGolden prints a machine without faults and one with all of them.
func TestGolden(t *testing.T) {
	cost := 1500.0
	for name, r := range map[string]Report{
		"healthy.txt": {Findings: Examine(healthyMachine(t))},
		"sick.txt": {Findings: Examine(sickMachine(t)), Noise: &check.Noise{Model: "nonblock", RatePS: 10000, Conns: 64, Trials: 10, Suspect: 3,
			Window: 250 * time.Millisecond, Seed: 7, Floors: []check.Floor{{Metric: "latency_p50", Unit: "us", Median: 41.5, Spread: 0.05}}},
			Sensors: []result.SensorInfo{{Name: "switches", Source: "procfs", OverheadNs: &cost}, {Name: "pmu", Source: "pmu", Unavailable: "no hardware PMU"}}},
	} {
		var b bytes.Buffer
		require.NoError(t, r.Text(&b, false))
		for line := range strings.Lines(b.String()) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), width, line)
		}
		require.NotContains(t, b.String(), "\x1b")
		golden(t, name, b.Bytes())
	}
}

// TestFaultsAreMendable: whatever is a fault says what it costs and how it is mended; a
// healthy machine has none, and every line of the table can be one or a note.
func TestFaultsAreMendable(t *testing.T) {
	well, ill := Examine(healthyMachine(t)), Examine(sickMachine(t))
	for _, f := range well {
		require.Equal(t, OK, f.State, "%+v", f)
	}
	require.Len(t, ill, len(well))
	for _, f := range ill {
		if f.State == Fault {
			require.NotEmpty(t, f.Cost, "%+v", f)
			require.NotEmpty(t, f.Mend, "%+v", f)
		}
		if f.Name != "CPUs" && f.Name != "isolated CPUs" {
			require.NotEqual(t, OK, f.State, "%+v", f)
		}
	}
	require.GreaterOrEqual(t, Count(ill, Fault), 15)
}

// TestBareTree: a system that shows nothing is full of notes, and no check fails.
func TestBareTree(t *testing.T) {
	m := &Machine{Root: t.TempDir(), Kernel: "6.18"}
	for _, f := range Examine(m) {
		require.NotEmpty(t, f.Value, "%+v", f)
	}
}

func TestCPUTables(t *testing.T) {
	one := healthyMachine(t)
	one.CPUs = []int{0}
	require.Equal(t, Fault, judgeCPUs(one, "", nil).state)
	many := healthyMachine(t)
	many.CPUs = []int{0, 1, 2, 3}
	v := judgeIsolated(many, "", nil)
	require.Equal(t, Note, v.state)
	require.Contains(t, v.mend, "isolcpus=2,3")
	require.Equal(t, []int{0, 2, 3}, expandCPUs("0,2-3"))
	require.Empty(t, expandCPUs("nonsense"))
}

func TestOldUring(t *testing.T) {
	m := healthyMachine(t)
	m.Uring[1].State = uring.Missing
	v := judgeFeatures(m, "", nil)
	require.Equal(t, Note, v.state)
	require.Contains(t, v.value, "1 of 2; lacking: OP_NOP (missing, since Linux 5.1); there are: SETUP_CLAMP")
	require.Contains(t, v.mend, "newer kernel")
}

func TestJSON(t *testing.T) {
	r := Report{Findings: Examine(sickMachine(t)), NoiseFailed: "no load"}
	var b bytes.Buffer
	require.NoError(t, r.JSON(&b))
	var back Report
	require.NoError(t, json.Unmarshal(b.Bytes(), &back))
	require.Equal(t, r, back)
}

// TestHere: this machine can be examined, whatever it is.
func TestHere(t *testing.T) {
	require.NotEmpty(t, Examine(Here()))
}
