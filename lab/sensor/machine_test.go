package sensor

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// put writes a file of a fixture tree.
func put(t *testing.T, text string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
}

func TestParsePressure(t *testing.T) {
	us, err := parsePressure([]byte("some avg10=0.18 avg60=0.91 avg300=2.20 total=10469429207\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"))
	require.NoError(t, err)
	require.EqualValues(t, 10469429207, us)
	for _, bad := range []string{"", "some avg10=1", "some total=x", "full total=1"} {
		_, err := parsePressure([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestPressureIsAShare(t *testing.T) {
	require.Equal(t, 25.0, stalledShare(1000, 1250, 1000))
	require.Equal(t, 100.0, stalledShare(0, 1001, 1000))
	p := &Pressure{root: t.TempDir()}
	for _, what := range pressures {
		put(t, "some avg10=0 avg60=0 avg300=0 total=1000\n", p.root, what)
	}
	p.Start()
	put(t, "some avg10=0 avg60=0 avg300=0 total=1000000001000\n", p.root, "io")
	require.NoError(t, os.Remove(filepath.Join(p.root, "memory")))
	readings, _ := p.Stop()
	require.Zero(t, find(t, readings, "psi_cpu_some").Value)
	require.Equal(t, 100.0, find(t, readings, "psi_io_some").Value, "a stall of 10^6 s")
	require.Contains(t, readings[2].Metric.Unavailable, "CONFIG_PSI")
}

func TestSchedstatBetween(t *testing.T) {
	from := map[int]threadSchedstat{1: {100, 10, 1}, 2: {5, 5, 5}, 3: {9, 9, 9}}
	sum, notes := schedstatBetween(from, map[int]threadSchedstat{1: {150, 40, 4}, 3: {1, 2, 1}, 4: {7, 8, 9}})
	require.Equal(t, threadSchedstat{50 + 1 + 7, 30 + 2 + 8, 3 + 1 + 9}, sum)
	require.Equal(t, []string{"2 threads ended within the window and took their waits along"}, notes)
	for _, bad := range []string{"", "1 2", "1 2 x", "1 2 3 4"} {
		_, err := parseSchedstat([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestFrequency(t *testing.T) {
	f := &Frequency{cpus: []int{0, 2}, sys: t.TempDir(), cpuinfo: "/nowhere"}
	for cpu, khz := range []int{2000000, 9000000, 3000000} {
		put(t, fmt.Sprintln(khz), f.sys, fmt.Sprintf("cpu%d", cpu), "cpufreq/scaling_cur_freq")
		put(t, "5\n", f.sys, fmt.Sprintf("cpu%d", cpu), "thermal_throttle/core_throttle_count")
	}
	f.Start()
	put(t, "1000000\n", f.sys, "cpu0/cpufreq/scaling_cur_freq")
	put(t, "8\n", f.sys, "cpu2/thermal_throttle/core_throttle_count")
	readings, _ := f.Stop()
	require.Equal(t, 1000.0, find(t, readings, "frequency_min").Value)
	require.Equal(t, 2250.0, find(t, readings, "frequency_mean").Value)
	require.Equal(t, 3.0, find(t, readings, "thermal_throttles").Value)

	f = &Frequency{sys: t.TempDir(), cpuinfo: "/nowhere"}
	f.Start()
	readings, _ = f.Stop()
	require.NotEmpty(t, readings[0].Metric.Unavailable)
	require.Contains(t, readings[2].Metric.Unavailable, "thermal_throttle")
}

func TestParseMHz(t *testing.T) {
	const text = "processor\t: 0\ncpu MHz\t\t: 2596.136\nflags\t\t: fpu aperfmperf\n\nprocessor\t: 1\ncpu MHz\t\t: 3100.5\nflags\t\t: fpu aperfmperf%s\n"
	mhz, err := parseMHz(fmt.Appendf(nil, text, ""), []int{1})
	require.NoError(t, err)
	require.Equal(t, []float64{3100.5}, mhz)
	_, err = parseMHz(fmt.Appendf(nil, text, " hypervisor"), nil)
	require.ErrorContains(t, err, "virtual machine")
}

func TestCPUStatPath(t *testing.T) {
	const mounts = "30 1 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n31 1 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	for groups, want := range map[string]string{
		"0::/a.slice/b\n":                       "/sys/fs/cgroup/unified/a.slice/b/cpu.stat",
		"3:cpuset:/x\n1:cpu,cpuacct:/y\n0::/\n": "/sys/fs/cgroup/cpu/y/cpu.stat",
	} {
		path, err := cpuStatPath([]byte(groups), []byte(mounts))
		require.NoError(t, err)
		require.Equal(t, want, path)
	}
	// Of a container: the mount shows a part of the tree.
	path, err := cpuStatPath([]byte("0::/docker/7/in\n"), []byte("31 1 0:27 /docker/7 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"))
	require.NoError(t, err)
	require.Equal(t, "/sys/fs/cgroup/in/cpu.stat", path)
	_, err = cpuStatPath([]byte("0::/\n"), nil)
	require.Error(t, err)
}

func TestParseThrottled(t *testing.T) {
	for text, want := range map[string]uint64{"usage_usec 9\nthrottled_usec 17\n": 17, "nr_throttled 1\nthrottled_time 17500\n": 17} {
		us, err := parseThrottled([]byte(text))
		require.NoError(t, err)
		require.Equal(t, want, us)
	}
	_, err := parseThrottled([]byte("usage_usec 9\n"))
	require.ErrorContains(t, err, "no quota")
}

// TestResctrl: on a tree that looks as the kernel's. The kernel fills a new group's
// folder with files, here the test does.
func TestResctrl(t *testing.T) {
	root := t.TempDir()
	r := newResctrl(root, os.Getpid())
	r.Start()
	readings, _ := r.Stop()
	require.Contains(t, readings[0].Metric.Unavailable, "mount -t resctrl")

	require.NoError(t, os.Mkdir(filepath.Join(root, "mon_groups"), 0o755))
	r = newResctrl(root, os.Getpid())
	require.NotEmpty(t, r.group)
	require.Contains(t, r.why, "no monitoring group", "a plain folder has no file tasks")
	put(t, "", r.group, "tasks")
	require.NoError(t, r.adopt(os.Getpid()))
	text, err := os.ReadFile(filepath.Join(r.group, "tasks"))
	require.NoError(t, err)
	require.Contains(t, string(text), fmt.Sprintln(os.Getpid()))
	r.why = ""
	for domain, n := range map[string]int{"mon_L3_00": 1000, "mon_L3_01": 500} {
		put(t, fmt.Sprintln(n), r.group, "mon_data", domain, "mbm_total_bytes")
		put(t, fmt.Sprintln(n), r.group, "mon_data", domain, "llc_occupancy")
	}
	r.Start()
	put(t, "1000000000000\n", r.group, "mon_data/mon_L3_00/mbm_total_bytes")
	readings, _ = r.Stop()
	require.Equal(t, 1500.0, find(t, readings, "llc_occupancy").Value)
	require.Greater(t, find(t, readings, "mem_bandwidth").Value, 1e9)
	put(t, "Unavailable\n", r.group, "mon_data/mon_L3_00/llc_occupancy")
	readings, _ = r.Stop()
	require.Contains(t, readings[0].Metric.Unavailable, "llc_occupancy")
	require.NoError(t, os.RemoveAll(filepath.Join(r.group, "mon_data")))
	require.NoError(t, os.Remove(filepath.Join(r.group, "tasks")))
	r.Close()
	require.NoDirExists(t, r.group)
}
