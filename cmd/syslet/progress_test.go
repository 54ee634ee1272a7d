package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/lab"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
)

// shown are events of a run that was resumed after one trial, stops early, and has an
// invalid trial.
func shown() []lab.Event {
	spec := func(round int) *trial.Spec {
		return &trial.Spec{Experiment: "e", Model: "nonblock", Round: round, Factors: result.Factors{"conns": "64"}}
	}
	ended := &result.Trial{Verdict: result.Valid, Metrics: map[string]result.Metric{
		result.LatencyP50: result.Of(63, "us", "load"), result.LatencyP99: result.Of(250.4, "us", "load"), result.CPUPerOp: result.Of(14.94, "us", "procfs")}}
	program := &result.Trial{Verdict: result.Suspect, Reasons: []string{"steal"}, Metrics: map[string]result.Metric{result.Throughput: result.Of(18300, "1/s", "x")}}
	broken := &result.Trial{Verdict: result.Invalid, Reasons: []string{"the server did not start"}}
	return []lab.Event{
		{Note: "a torn last line was cut off"},
		{Trial: 2, Of: 9, Rounds: 9, Spec: spec(2), Left: 90 * time.Second},
		{Trial: 2, Of: 9, Rounds: 9, Spec: spec(2), Done: ended, Left: 80 * time.Second},
		{Trial: 3, Of: 9, Rounds: 9, Spec: spec(3), Done: program, Left: 3*time.Hour + 400*time.Millisecond},
		{Note: "e stopped early after round 3 of 9"},
		{Trial: 4, Of: 4, Rounds: 9, Spec: spec(4), Done: broken, Left: -time.Second},
	}
}

func TestProgressElsewhereIsPlainLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(path)
	require.NoError(t, err)
	p := newProgress(f)
	for _, e := range shown() {
		p.on(e)
	}
	p.end()
	require.NoError(t, f.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, `note: a torn last line was cut off
2/9 round 2/9 e nonblock conns=64: valid, p50 63 us, p99 250 us, CPU 14.9 us/op, 1m20s left
3/9 round 3/9 e nonblock conns=64: suspect, 18300/s (steal), 3h0m0s left
note: e stopped early after round 3 of 9
4/4 round 4/9 e nonblock conns=64: invalid (the server did not start), 0s left
`, string(text))
}

// terminalPair opens a pseudo-terminal of 100 columns: what is written to screen is
// read from seen.
func terminalPair(t *testing.T) (seen, screen *os.File) {
	t.Helper()
	seen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { _ = seen.Close() })
	n, err := unix.IoctlGetInt(int(seen.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(seen.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	require.NoError(t, unix.IoctlSetWinsize(int(screen.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}))
	return seen, screen
}

// TestProgressOnATerminal: a bar with the time left, and lines that stay whole above it.
func TestProgressOnATerminal(t *testing.T) {
	seen, screen := terminalPair(t)
	all := make(chan []byte, 1)
	go func() {
		var b bytes.Buffer
		_, _ = io.Copy(&b, seen) // ends with EIO when screen is closed
		all <- b.Bytes()
	}()
	p := newProgress(screen)
	for _, e := range shown() {
		p.on(e)
	}
	p.end()
	require.NoError(t, screen.Close())
	raw := string(<-all)
	lines := strings.Split(regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`).ReplaceAllString(raw, ""), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
		require.LessOrEqual(t, len([]rune(lines[i])), 100, "wider than the terminal: %q", lines[i])
	}
	require.Contains(t, lines, "note: a torn last line was cut off")
	require.Contains(t, lines, "note: e stopped early after round 3 of 9")
	require.Contains(t, lines, "4/4 round 4/9 e nonblock conns=64: invalid (the server did not start), 0s left")
	require.Regexp(t, `4/4 trials +\[=+\] +0s left, round 4/9 e nonblock conns=64`, raw)
	require.NotContains(t, raw, "valid, p50", "the bar stands for the others")
}
