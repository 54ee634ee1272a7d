package sensor

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const statusTail = `Umask:	0022
State:	S (sleeping)
Tgid:	1417
Threads:	7
Cpus_allowed_list:	0
voluntary_ctxt_switches:	150231
nonvoluntary_ctxt_switches:	17
x86_Thread_features:	
`

func TestParseThreadStatus(t *testing.T) {
	for comm, name := range map[string]string{
		"shard0":         "shard0",
		"shard0-tl12":    "shard0-tl12",
		"a b) (c":        "a b) (c",
		" led by blanks": " led by blanks",
		"x: 1":           "x: 1",
		`back\\slash\n`:  `back\\slash\n`,
		"":               "",
		"voluntary_ctxt": "voluntary_ctxt",
	} {
		s, err := parseThreadStatus([]byte("Name:\t" + comm + "\n" + statusTail))
		require.NoError(t, err, comm)
		require.Equal(t, threadStatus{name, 150231, 17}, s)
	}
	for _, bad := range []string{
		"", "Name:\tx\n", statusTail,
		"Name:\tx\nvoluntary_ctxt_switches:\tmany\nnonvoluntary_ctxt_switches:\t1\n",
		"Name:\tx\nvoluntary_ctxt_switches:\t-1\nnonvoluntary_ctxt_switches:\t1\n",
		"Name:\tx\nvoluntary_ctxt_switches:\t1\n",
	} {
		_, err := parseThreadStatus([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestParseProcessStat(t *testing.T) {
	// A real line; fields 14, 15 and 20 are 8721, 3502 and 9.
	const rest = " S 1 1417 1417 0 -1 4194560 2210 0 12 0 8721 3502 0 0 20 0 9 0 88433 1268944896 3077 18446744073709551615 1 1 0 0 0 0 0 0 2143420159 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
	for _, comm := range []string{"syslet", "a b", "(paren)", ") S 1 2 3", "))((", "", "new\nline"} {
		s, err := parseProcessStat([]byte("1417 (" + comm + ")" + rest))
		require.NoError(t, err, comm)
		require.Equal(t, processStat{comm, 8721, 3502, 9}, s)
	}
	for _, bad := range []string{"", "1417 syslet S 1", "1 (x) S 1 2 3", ") S (", "1 (x)" + strings.Replace(rest, "8721", "x", 1)} {
		_, err := parseProcessStat([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestParseMemory(t *testing.T) {
	rss, err := parseSmapsRollup([]byte("00400000-7ffe8 ---p 00000000 00:00 0                          [rollup]\nRss:               12308 kB\nPss:                9000 kB\n"))
	require.NoError(t, err)
	require.EqualValues(t, 12308<<10, rss)
	rss, err = parseStatm([]byte("309801 3077 1200 500 0 20000 0\n"), 4096)
	require.NoError(t, err)
	require.EqualValues(t, 3077*4096, rss)
	all, err := parseMemTotal([]byte("MemTotal:       24668988 kB\nMemFree: 1 kB\n"))
	require.NoError(t, err)
	require.EqualValues(t, 24668988<<10, all)
	for _, bad := range []string{"", "Rss: 1", "Rss: x kB", "Rss: 99999999999999999 kB"} {
		_, err := parseSmapsRollup([]byte(bad))
		require.Error(t, err, bad)
	}
	for _, bad := range []string{"", "1", "1 x", "1 99999999999999999"} {
		_, err := parseStatm([]byte(bad), 4096)
		require.Error(t, err, bad)
	}
}

func TestParseCPUTicks(t *testing.T) {
	cpus, err := parseCPUTicks([]byte("cpu  300 0 100 900 7 0 3 40 0 0\ncpu0 100 1 50 400 7 2 3 40 9 9\ncpu1 200 0 50 500 0 0 0 0 0 0\nintr 1 2\nctxt 5\n"))
	require.NoError(t, err)
	require.Equal(t, map[int]cpuTicks{0: {603, 407, 40}, 1: {750, 500, 0}}, cpus)
	for _, bad := range []string{"", "cpu 1 2 3 4 5 6 7 8\n", "cpu0 1 2 3\n", "cpux 1 2 3 4 5 6 7 8\n", "cpu0 1 2 3 4 5 6 7 x\n", "cpu-1 1 2 3 4 5 6 7 8\n"} {
		_, err := parseCPUTicks([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestTicksBetween(t *testing.T) {
	from := map[int]cpuTicks{0: {1000, 500, 10}, 1: {1000, 900, 0}, 2: {5, 5, 0}}
	until := map[int]cpuTicks{0: {1100, 530, 15}, 1: {1100, 890, 0}, 3: {9, 9, 9}}
	sum, err := ticksBetween(from, until, nil)
	require.NoError(t, err)
	require.Equal(t, cpuTicks{200, 30, 5}, sum)
	sum, err = ticksBetween(from, until, []int{0})
	require.NoError(t, err)
	require.Equal(t, cpuTicks{100, 30, 5}, sum)
	_, err = ticksBetween(from, until, []int{7})
	require.ErrorContains(t, err, "[7]")
}

func FuzzParsers(f *testing.F) {
	f.Add([]byte("Name:\tshard0\n" + statusTail))
	f.Add([]byte("1417 (a) b) S 1 1417 1417 0 -1 4194560 2210 0 12 0 8721 3502 0 0 20 0 9 0"))
	f.Add([]byte("Rss:               12308 kB\n"))
	f.Add([]byte("309801 3077 1200"))
	f.Add([]byte("cpu0 100 1 50 400 7 2 3 40 9 9\n"))
	f.Add([]byte("22 27 0:21 / /a\\040b rw,relatime shared:1 - proc proc rw\n"))
	f.Add([]byte("model name\t: AMD EPYC\nflags\t\t: fpu hypervisor\n"))
	f.Add([]byte("1356547 5948 2\n"))
	f.Add([]byte("some avg10=0.18 avg60=0.91 avg300=2.20 total=10469429207\n"))
	f.Add([]byte("throttled_usec 7\n"))
	f.Add([]byte("0::/a\n1:cpu,cpuacct:/b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := parseSchedstat(text); err == nil {
			again, err := parseSchedstat(fmt.Appendf(nil, "%d %d %d\n", s.runNs, s.waitNs, s.slices))
			require.NoError(t, err)
			require.Equal(t, s, again)
		}
		_, _ = parsePressure(text)
		_, _ = parseThrottled(text)
		_, _ = cpuStatPath(text, text)
		if mhz, err := parseMHz(text, nil); err == nil {
			require.NotEmpty(t, mhz)
		}
		if s, err := parseThreadStatus(text); err == nil {
			again, err := parseThreadStatus(fmt.Appendf(nil, "Name:\t%s\nvoluntary_ctxt_switches:\t%d\nnonvoluntary_ctxt_switches:\t%d\n", s.name, s.voluntary, s.involuntary))
			require.NoError(t, err)
			require.Equal(t, s, again)
		}
		_, _ = parseProcessStat(text)
		if rss, err := parseSmapsRollup(text); err == nil {
			require.Zero(t, rss%1024)
		}
		if rss, err := parseStatm(text, 4096); err == nil {
			require.Zero(t, rss%4096)
		}
		if cpus, err := parseCPUTicks(text); err == nil {
			require.NotEmpty(t, cpus)
			if sum, err := ticksBetween(map[int]cpuTicks{}, cpus, nil); err == nil {
				t.Fatalf("ticks out of nothing: %+v", sum)
			}
		}
		_, _ = parseMemTotal(text)
		_, _ = parseCPUInfo(text)
		_ = filesystemOf(text, "/a b/c")
		if load, err := parseLoadAverage(text); err == nil && !math.IsNaN(load) {
			_, _ = parseCacheSize(string(text))
		}
	})
}
