package sim

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/workloads"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// needValgrind skips by name.
func needValgrind(t *testing.T) {
	t.Helper()
	if _, err := Version(context.Background()); err != nil {
		t.Skip(err)
	}
}

// buildServer builds the program that is simulated.
func buildServer(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "syslet")
	out, err := exec.Command("go", "build", "-o", binary, "../../cmd/syslet").CombinedOutput()
	require.NoError(t, err, string(out))
	return binary
}

// TestRepeats: two starts of one server, counted alike.
func TestRepeats(t *testing.T) {
	needValgrind(t)
	r, err := Run(t.Context(), Config{Binary: buildServer(t), Model: "nonblock", Conns: 4, Requests: 500, Warmup: 500, Repeat: 2, Dir: t.TempDir()})
	require.NoError(t, err)
	require.Empty(t, r.Unavailable)
	require.Len(t, r.Repeats, 2)
	require.Greater(t, r.Median.Instructions, 500.0, "an echo is more than that")
	require.Less(t, *r.Spread.Instructions, 0.02)
	require.Len(t, r.Windows, 2)
	require.GreaterOrEqual(t, len(r.Windows[0]), fewestWindows)
	require.NotEmpty(t, r.Functions)
	found := false
	for _, f := range r.Functions {
		require.NotEqual(t, "runtime.sysmon", f.Name)
		found = found || strings.Contains(f.Name, "runtime.(*Shard)")
	}
	require.True(t, found, "the server's own functions are named: %v", r.Functions)
	m := r.Metrics()
	require.Equal(t, result.SourceSim, m[D1MissesPerOp].Source)
	require.True(t, m[D1MissesPerOp].Available())
	require.Contains(t, r.Printed().Metrics, result.Operations)
}

// TestCancelled: a run that is cut short in its window ends, and leaves no process.
func TestCancelled(t *testing.T) {
	needValgrind(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg := Config{Binary: buildServer(t), Model: "goroutine", Conns: 4, Requests: 100, Warmup: 50, Repeat: 100, Dir: t.TempDir()}
	cfg.inWindow = cancel
	_, err := Run(ctx, cfg)
	require.ErrorIs(t, err, context.Canceled)
}

func TestModelThatDoesNotRun(t *testing.T) {
	needValgrind(t)
	r, err := Run(t.Context(), Config{Binary: "/bin/true", Model: "nonblock", Conns: 1, Requests: 100, Warmup: 1, Dir: t.TempDir()})
	require.NoError(t, err)
	require.Contains(t, r.Unavailable, "ended before it listened")
	require.Contains(t, r.Metrics()[I1MissesPerOp].Unavailable, "ended before it listened")
}

func TestNoValgrind(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Run(t.Context(), Config{Binary: "x"})
	require.ErrorIs(t, err, ErrNoValgrind)
	require.ErrorContains(t, err, "apt-get install valgrind")
	require.NotEmpty(t, Info(t.Context()).Unavailable)
}

func TestRecord(t *testing.T) {
	record := func(seed uint64) *Trace {
		c := Config{Binary: "x", Workload: workloads.Files, Conns: 3, Requests: 100, Warmup: 20, Seed: seed, Dir: t.TempDir()}
		trace, err := c.RecordTrace(t.Context())
		require.NoError(t, err)
		return trace
	}
	a := record(1)
	require.Equal(t, a, record(1), "the same seed, the same trace")
	require.NotEqual(t, a.Steps, record(2).Steps)
	require.Len(t, a.Steps, 222)
	require.Greater(t, a.Steps[0].Answer, 512)
	_, err := Record(t.Context(), workloads.Game, workloads.ServerConfig{}, workloads.LoadConfig{}, 1, 1, 1)
	require.ErrorContains(t, err, "by the clock")
}

func TestTraceReadsWhatItWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		conns := rapid.IntRange(1, 9).Draw(t, "conns")
		trace := &Trace{Workload: rapid.StringN(0, 9, 99).Draw(t, "name"), Seed: rapid.Uint64().Draw(t, "seed"), Conns: conns}
		for range rapid.IntRange(1, 9).Draw(t, "steps") {
			trace.Steps = append(trace.Steps, Step{Conn: rapid.IntRange(0, conns-1).Draw(t, "conn"),
				Send: rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "send"), Answer: rapid.IntRange(1, 1000).Draw(t, "answer")})
		}
		var b bytes.Buffer
		_, err := trace.WriteTo(&b)
		require.NoError(t, err)
		whole := bytes.Clone(b.Bytes())
		got, err := ReadTrace(&b)
		require.NoError(t, err)
		require.Equal(t, trace, got)
		cut := rapid.IntRange(0, len(whole)-1).Draw(t, "cut")
		_, err = ReadTrace(bytes.NewReader(whole[:cut]))
		require.ErrorIs(t, err, errTrace)
		whole[cut] ^= 1
		_, err = ReadTrace(bytes.NewReader(whole))
		require.ErrorIs(t, err, errTrace)
	})
}

func FuzzReadTrace(f *testing.F) {
	var b bytes.Buffer
	_, err := (&Trace{Workload: "echo", Conns: 2, Steps: []Step{{Conn: 1, Send: []byte("ab"), Answer: 2}}}).WriteTo(&b)
	require.NoError(f, err)
	f.Add(b.Bytes())
	f.Add([]byte(traceMagic + "\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		trace, err := ReadTrace(bytes.NewReader(data))
		if err != nil {
			return
		}
		var again bytes.Buffer
		_, err = trace.WriteTo(&again)
		require.NoError(t, err)
		require.Equal(t, data, again.Bytes())
	})
}

const dump = `# callgrind format
version: 1
creator: callgrind-3.19.0
desc: Trigger: dump
thread: 3

positions: line
events: Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw
summary: 0
ob=(1) /bin/x
fl=(1) a.go
fn=(1) main.f
10 5 1 1 1 1
+3 2 0 0 0 0 1 0 1
cfi=(2) b.go
cfn=(2) main.g
calls=1 7
* 90 9 9 9 9 9
fi=(2)
12 1
fe=(1)
fn=(2)
* 4 0 0 0 2

totals: 12 1 1 1 3 1 0 1
`

func TestReadProfile(t *testing.T) {
	p, err := readProfile(strings.NewReader(dump))
	require.NoError(t, err)
	require.Equal(t, 3, p.thread)
	require.Equal(t, Counts{12, 1, 4, 1}, p.total)
	require.Equal(t, map[place]Counts{
		{"main.f", "a.go"}: {7, 1, 2, 1}, {"main.f", "b.go"}: {1, 0, 0, 0}, {"main.g", "a.go"}: {4, 0, 2, 0},
	}, p.places, "a call's costs are the callee's, not counted again")
	_, err = readProfile(strings.NewReader(dump[:strings.Index(dump, "totals")]))
	require.ErrorContains(t, err, "not whole")
	_, err = readProfile(strings.NewReader(strings.Replace(dump, "version: 1", "version: 2", 1)))
	require.ErrorIs(t, err, errProfile)
}

func FuzzReadProfile(f *testing.F) {
	f.Add(dump)
	f.Add("events: Ir\nfn=(1)\n1 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := readProfile(strings.NewReader(text))
		require.True(t, (p == nil) != (err == nil))
	})
}

func TestParseMonitor(t *testing.T) {
	text := "Thread 1: status = VgTs_WaitSys syscall 202 (lwpid 11)\n==1==    at 0x4: runtime.futex.abi0 (x.s:570)\n\n" +
		"Thread 2: status = VgTs_WaitSys syscall 35 (lwpid 12)\n==1==    at 0x4: runtime.usleep.abi0 (x.s:135)\n==1==    by 0x4: runtime.sysmon (proc.go:6506)\n"
	require.Equal(t, 12, threadID(text, 2))
	require.Zero(t, threadID(text, 3))
	all := []*profile{{thread: 1, places: map[place]Counts{{"runtime.futex", "a"}: {}}}, {thread: 4, places: map[place]Counts{{"runtime.sysmon", "b"}: {}}}}
	require.Equal(t, 4, monitorOf(all))
	require.Zero(t, monitorOf(all[:1]))
}

// windowOf is a window of 100 requests of that many instructions each.
func windowOf(instructions float64, frozen bool, stalls int) *window {
	return &window{requests: 100, frozen: frozen, stalls: stalls, monitor: monitor{thread: 2},
		profiles: []*profile{{thread: 1, total: Counts{Instructions: 100 * instructions}}, {thread: 2, total: Counts{Instructions: 5}}}}
}

func TestDisturbedWindowsAreDiscarded(t *testing.T) {
	stray := windowOf(2270, true, 0)
	stray.profiles = append(stray.profiles, &profile{thread: 3, total: Counts{Instructions: 157}}, &profile{thread: 4})
	s := judge([]*window{stray, windowOf(2270, true, 0), windowOf(2275, true, 0), windowOf(3469, true, 0), windowOf(2270, false, 0), windowOf(2270, false, 1), windowOf(2271, true, 0)})
	require.Len(t, s.kept, 3)
	require.Equal(t, Discarded{Running: 1, Stalled: 1, Stray: 1, Outlier: 1}, s.discarded)
	require.Empty(t, judge([]*window{windowOf(1, false, 0)}).kept)
	var r Result
	r.add(&s)
	r.finish()
	require.Equal(t, 2271.0, r.Median.Instructions, "the monitor's own are not in it")
	require.Contains(t, r.Notes[0], "4 of 7 windows discarded")
	require.Contains(t, r.Printed().Reasons[0], "only 3 windows were not disturbed")
}

// A disturbed start is made again; when none is left there is no figure, but a reason.
func TestDisturbedStarts(t *testing.T) {
	var five start
	for range wantWindows {
		five.kept = append(five.kept, windowOf(2270, true, 0))
	}
	run := func(script string) *Result {
		r, at := &Result{}, 0
		require.NoError(t, r.starts(t.Context(), &Config{Repeat: 3}, func() (*start, error) {
			at++
			if at > len(script) || script[at-1] == 'd' {
				return nil, errDisturbed
			}
			return &five, nil
		}))
		return r
	}
	r := run("dgdgg")
	require.Len(t, r.Repeats, 3)
	require.Equal(t, 2, r.Discarded.Starts)
	require.Empty(t, r.Printed().Reasons)
	r = run("ggdddd")
	require.Len(t, r.Repeats, 2)
	require.Contains(t, r.Printed().Reasons[0], "only 2 of 3 starts")
	require.Contains(t, run("dddd").Metrics()[InstructionsPerOp].Unavailable, "disturbed")
}

func TestRanges(t *testing.T) {
	all := Ranges([]Counts{{1000, 0, 1.7, 0.003}, {1005, 0.01, 1.708, 0.02}})
	held := []bool{}
	for _, g := range all {
		held = append(held, g.Repeats)
	}
	require.Equal(t, []bool{true, true, true, false}, held)
	require.False(t, Ranges([]Counts{{Instructions: 1000}, {Instructions: 1005.1}})[0].Repeats)
	require.Equal(t, "D1 misses 1.7..1.708", all[2].String())
}

func TestLastWords(t *testing.T) {
	g := guest{dir: t.TempDir()}
	require.NoError(t, g.lastWords())
	say := func(text string) error {
		require.NoError(t, os.WriteFile(filepath.Join(g.dir, "stderr"), []byte(text), 0o600))
		return g.lastWords()
	}
	require.ErrorContains(t, say("x\n--12-- WARNING: unhandled amd64-linux syscall: 437\n--12-- You may ...\nError: no openat2"), "does not know openat2(2), system call 437")
	require.ErrorContains(t, say("--12-- WARNING: unhandled arm64-linux syscall: 999\n"), "does not know system call 999")
	require.ErrorContains(t, say("Error: why\n"), "it said: Error: why")
}

func TestParseListening(t *testing.T) {
	text := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0 100 0 0 10 0\n" +
		"   1: 0100007F:1F91 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 78 1 0 100 0 0 10 0\n"
	require.Equal(t, 8080, parseListening(text, map[string]bool{"77": true}))
	require.Zero(t, parseListening(text, map[string]bool{"78": true}), "connected, not listening")
	require.Equal(t, byte('R'), stateOf([]byte("12 (a) b) R 1")))
	require.Zero(t, stateOf([]byte("12 (a)")))
}

func TestCaches(t *testing.T) {
	root := t.TempDir()
	write := func(index, level, kind, size string) {
		dir := filepath.Join(root, index)
		require.NoError(t, os.Mkdir(dir, 0o755))
		for name, text := range map[string]string{"level": level, "type": kind, "size": size, "ways_of_associativity": "12", "coherency_line_size": "64"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o644))
		}
	}
	write("index0", "1", "Data", "48K")
	require.Equal(t, "defaults", readCaches(root).From)
	write("index1", "1", "Instruction", "32K")
	write("index2", "2", "Unified", "1024K")
	write("index3", "3", "Unified", "24576K")
	c := readCaches(root)
	require.Equal(t, Caches{I1: Cache{32 << 10, 8, 64}, D1: Cache{32 << 10, 8, 64}, LL: Cache{16 << 20, 8, 64}, From: "sysfs"}, c)
	require.Equal(t, []string{"--I1=32768,512,64", "--D1=32768,512,64", "--LL=16777216,8,64"}, c.FullyAssociative().flags())
	for _, bad := range []string{"", "1,2", "a,8,64", "32768,8,63", "64,8,64", "-32768,8,64"} {
		_, err := ParseCache(bad)
		require.Error(t, err, bad)
	}
	one, err := ParseCache("32768,8,64")
	require.NoError(t, err)
	require.Equal(t, Cache{32768, 8, 64}, one)
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []Config{{}, {Binary: "x", Conns: -1}, {Binary: "x", Requests: 5}, {Binary: "x", Repeat: -1}, {Binary: "x", Caches: Caches{From: "given"}}} {
		_, err := c.withDefaults()
		require.Error(t, err)
	}
}

func TestUnavailableIsNoZero(t *testing.T) {
	r := Result{Unavailable: errors.New("why").Error()}
	for name, m := range r.Metrics() {
		require.Equal(t, "why", m.Unavailable, name)
	}
	require.NoError(t, r.WriteText(&bytes.Buffer{}, 3))
}
