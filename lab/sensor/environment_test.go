package sensor

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/syslet/syslet/lab/result"
)

func TestEnvironment(t *testing.T) {
	env := Environment(t.TempDir(), "/proc")
	require.NotEmpty(t, env.Kernel)
	require.Equal(t, runtime.Version(), env.GoVersion)
	require.Equal(t, "linux", env.OS)
	require.Positive(t, env.CPUCount)
	require.Positive(t, env.MemoryBytes)
	require.NotEmpty(t, env.OutFilesystem)
	require.Regexp(t, "^proc ", env.DataFilesystem)
	require.NotEmpty(t, env.IOUring.Detail)
	require.Contains(t, env.Perf.Detail, "perf_event_paranoid")
	_, err := json.Marshal(env)
	require.NoError(t, err)
}

func TestCachesOf(t *testing.T) {
	root := t.TempDir()
	want := []result.Cache{
		{Level: 1, Type: "Data", SizeBytes: 48 << 10, SharedCPUs: "0"},
		{Level: 1, Type: "Instruction", SizeBytes: 32 << 10, SharedCPUs: "0"},
		{Level: 2, Type: "Unified", SizeBytes: 1 << 20, SharedCPUs: "0-1"},
	}
	write := func(index, name, text string) {
		dir := filepath.Join(root, "cpu0", "cache", index)
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o644))
	}
	for i, c := range want {
		index := "index" + string(rune('0'+i))
		write(index, "level", string(rune('0'+c.Level)))
		write(index, "type", c.Type)
		write(index, "size", map[int]string{0: "48K", 1: "32K", 2: "1M"}[i])
		write(index, "shared_cpu_list", c.SharedCPUs)
	}
	write("index3", "level", "?")
	require.Equal(t, want, cachesOf(root, 0))
	require.Empty(t, cachesOf(root, 1))
	for _, bad := range []string{"", "K", "-1K", "1.5M", "99999999999G"} {
		_, err := parseCacheSize(bad)
		require.Error(t, err, bad)
	}
}

func TestParseCPUInfo(t *testing.T) {
	model, inVM := parseCPUInfo([]byte("processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu hypervisor lahf_lm\n\nprocessor\t: 1\nmodel name\t: other\n"))
	require.Equal(t, "AMD EPYC", model)
	require.True(t, inVM)
	model, inVM = parseCPUInfo([]byte("processor : 0\nBogoMIPS : 50\nFeatures : fp asimd\n"))
	require.Empty(t, model)
	require.False(t, inVM)
}

func TestFilesystemOf(t *testing.T) {
	mounts := []byte(`27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 27 0:21 / /proc rw,nosuid - proc proc rw
40 27 0:40 / /proc/with\040blank ro shared:7 master:1 - tmpfs tmpfs rw,size=4k
41 27 0:41 / /proc/with\040blank rw - xfs /dev/over rw
nonsense
`)
	require.Equal(t, "ext4 rw,relatime", filesystemOf(mounts, "/nowhere/at/all"))
	require.Equal(t, "proc rw,nosuid", filesystemOf(mounts, "/proc"))
	require.Equal(t, "ext4 rw,relatime", filesystemOf(mounts, "/process"))
	require.Equal(t, "proc rw,nosuid", filesystemOf(mounts, "/proc/sys"))
	require.Equal(t, "xfs rw", filesystemOf(mounts, "/proc/with blank"))
	require.Empty(t, filesystemOf(mounts, ""))
	require.Empty(t, filesystemOf(nil, "/"))
	require.Equal(t, `a b\c\9`, unescape(`a\040b\134c\9`))
}
