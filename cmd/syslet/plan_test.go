package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/plan"
	"github.com/syslet/syslet/lab/result"
)

// someServer is a user's server: it echoes, at an address from its environment, and
// says a lot. With a number of bytes it ends by itself after so many.
const someServer = `package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

func main() {
	most, _ := strconv.ParseInt(os.Args[1], 10, 64)
	l, err := net.Listen("tcp", os.Getenv("AT"))
	if err != nil {
		panic(err)
	}
	fmt.Println(strings.Repeat("chatter ", 20000)) // more than a pipe holds
	var echoed atomic.Int64
	for {
		c, err := l.Accept()
		if err != nil {
			panic(err)
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 4096)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				c.Write(buf[:n])
				if most > 0 && echoed.Add(int64(n)) > most {
					fmt.Fprintln(os.Stderr, "out of luck")
					os.Exit(3)
				}
			}
		}()
	}
}
`

// theirs builds someServer.
func theirs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	src, bin := filepath.Join(dir, "main.go"), filepath.Join(dir, "their server")
	require.NoError(t, os.WriteFile(src, []byte(someServer), 0o600))
	out, err := exec.Command("go", "build", "-o", bin, src).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return bin
}

// TestUsersServer runs a user's plan in which servers of his are models, one of which
// dies in the midst of a trial.
func TestUsersServer(t *testing.T) {
	bin, dir := theirs(t), t.TempDir()
	path := filepath.Join(dir, "plan.yaml")
	require.NoError(t, os.WriteFile(path, []byte(fmt.Sprintf(`name: theirs
question: Is it ours?
workload: echo
models: [theirs, dying, shell, ours, goroutine]
servers:
  theirs: {command: [%[1]q, "0"], env: {AT: "{addr}"}}
  dying: {command: [%[1]q, "4000"], env: {AT: "127.0.0.1:{port}"}}
  shell: {command: [sh, -c, '"$0" 0; echo never said', %[1]q], env: {AT: "{addr}"}}
  ours: {model: nonblock, flags: [--files, inline]}
rounds: 1
conns: 4
rate: 2000
size: 64
warmup: 100ms
window: 300ms
saturate: 100ms
thresholds: [latency_p99 <= 1ns]
`, bin)), 0o600))
	dry, err := command(patience(t), "lab", "run", "--plan", path, "--dry-run").CombinedOutput()
	require.ErrorContains(t, err, "exit status 2", "--files is the lab's own: %s", dry)
	require.Contains(t, string(dry), path+":9: servers.ours.flags: --files is set by the field models (nonblock-inline)")

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), "[--files, inline]", "[--max-unsent, '1000000']", 1)), 0o600))
	dry, err = command(patience(t), "lab", "run", "--plan", path, "--dry-run").CombinedOutput()
	require.NoError(t, err, "%s", dry)
	for _, want := range []string{"round 1  theirs", bin + " 4000", "--max-unsent 1000000", "threshold of theirs: latency_p99 <= 1ns", "5 trials, about"} {
		require.Contains(t, string(dry), want)
	}
	out := filepath.Join(dir, "out")
	said, err := command(patience(t), "lab", "run", "--plan", path, "--out", out, "--seed", "7").CombinedOutput()
	require.NoError(t, err, "%s", said)
	run, err := result.Read(out)
	require.NoError(t, err)
	require.Len(t, run.Trials, 5)
	for i := range run.Trials {
		checkTheirs(t, &run.Trials[i], bin)
	}
	require.Contains(t, string(said), "- theirs ours conns=4 rate=2000: latency_p99 <= 1ns unmet: median ")
	require.Contains(t, string(said), "- theirs dying conns=4 rate=2000: latency_p99 <= 1ns unmet; not measured in any round that counts")
}

func checkTheirs(t *testing.T, tr *result.Trial, bin string) {
	t.Helper()
	if tr.Model == "dying" {
		require.Equal(t, result.Invalid, tr.Verdict)
		require.Contains(t, tr.Reasons[0], "the server ended by itself (exit status 3)")
		require.Contains(t, tr.Reasons[0], "out of luck", "its last words")
		return
	}
	require.NotEqual(t, result.Invalid, tr.Verdict, "%s: %v", tr.Model, tr.Reasons)
	for _, name := range []string{result.LatencyP99, result.CPUPerOp, result.SaturationThroughput, result.RSS} {
		_, ok := tr.Value(name)
		require.True(t, ok, "%s of %s: %v", name, tr.Model, tr.Metrics[name].Unavailable)
	}
	_, own := tr.Value(result.SyscallsPerOp)
	switch tr.Model {
	case "ours":
		require.True(t, own)
		require.Contains(t, strings.Join(tr.Command.Server, " "), "--model nonblock")
		require.Contains(t, tr.Command.Server, "--max-unsent")
	case "theirs":
		require.Equal(t, []string{bin, "0"}, tr.Command.Server)
		fallthrough
	case "shell":
		require.Equal(t, tr.Model == "shell", strings.Contains(strings.Join(tr.Reasons, " "), "further processes"), tr.Reasons)
		require.False(t, own)
		require.Contains(t, tr.Metrics[result.AllocsPerOp].Unavailable, "does not say")
	}
}

// TestLabShow: the text of each built-in experiment is a plan.
func TestLabShow(t *testing.T) {
	text, err := command(patience(t), "lab", "show", plan.BlockingCurve).Output()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "plan.yaml")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	dry, err := command(patience(t), "lab", "run", "--dry-run", "--quick", "--plan", path).CombinedOutput()
	require.NoError(t, err, "%s", dry)
	require.Contains(t, string(dry), "15 trials")
	for args, want := range map[string]string{
		"lab show": "wants the name", "lab show blocking-curv": "did you mean blocking-curve?",
		"lab run --dry-run --plan /no/such/plan":                    "no such file",
		"lab run --dry-run --experiment gc --plan /no/such/plan":    "want one of them",
		"lab run --dry-run --experiment gc --levels ballast=5":      "ballast=1073741824",
		"lab run --dry-run --experiment fileservers --models inner": "did you mean fileserver?",
	} {
		out, err := command(patience(t), strings.Fields(args)...).CombinedOutput()
		require.Equal(t, exitUsage, exitCode(err), args)
		require.Contains(t, string(out), want, args)
	}
}
