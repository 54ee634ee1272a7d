package trial

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/workloads/echo"
)

// The rules of validity, end to end: trials of this binary as server and as load, with
// something wrong that the verdict must name.

// disturbance is the server's first argument: what goes wrong with it, by the number of
// requests that it has seen, so that it falls into the window however slow the machine is.
const disturbance = "disturbed-server"

// asChild makes the test binary the server or the load of a trial.
func asChild() bool {
	switch {
	case len(os.Args) > 2 && os.Args[1] == disturbance:
		serveDisturbed(os.Args[2])
	case len(os.Args) > 1 && os.Args[1] == "load":
		if err := loadDisturbed(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		return false
	}
	return true
}

// busy starts neighbours of this process on its CPUs. They are of its process group.
func busy(n int) (end func()) {
	var all []*exec.Cmd
	for range n {
		c := exec.Command("sh", "-c", "while :; do :; done")
		if err := c.Start(); err != nil {
			panic(err)
		}
		all = append(all, c)
	}
	return func() {
		for _, c := range all {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	}
}

const (
	disturbedRate  = 2000 // requests/s
	disturbedAfter = disturbedRate * 9 / 10
)

func serveDisturbed(how string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	if how == "neighbour" {
		busy(1) // until the trial kills the group
	}
	var seen atomic.Int64 // by all connections; says how slow to be, orders nothing
	answer := func(c net.Conn) {
		b := make([]byte, echo.FrameBytes)
		for {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			n := seen.Add(1)
			switch {
			case how == "stop" && n == disturbedAfter:
				// Another process goes on where we cannot.
				_ = exec.Command("sh", "-c", fmt.Sprintf("kill -STOP %[1]d; sleep 0.3; kill -CONT %[1]d", os.Getpid())).Start()
			case how == "slower":
				time.Sleep(time.Duration(15*n) * time.Microsecond) // 6 to 50 ms
			case how == "die" && n == disturbedAfter:
				fmt.Fprintln(os.Stderr, "out of luck")
				os.Exit(3)
			}
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(Ready{Listen: l.Addr().String(), PID: os.Getpid()}); err != nil {
		panic(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go answer(c)
	}
}

// loadDisturbed is syslet load as far as a trial needs it.
func loadDisturbed(args []string) error {
	fl := flag.NewFlagSet("load", flag.ContinueOnError)
	cfg := load.Config{Load: echo.Load{}}
	var cpus string
	var starved int
	var workload string
	fl.Bool("json", true, "")
	fl.StringVar(&workload, "workload", "", "")
	fl.StringVar(&cpus, "cpus", "", "")
	fl.StringVar(&cfg.Target, "target", "", "")
	fl.IntVar(&cfg.Conns, "conns", 1, "")
	fl.Uint64Var(&cfg.Seed, "seed", 1, "")
	fl.Float64Var(&cfg.Rate, "rate", 0, "")
	fl.DurationVar(&cfg.Warmup, "warmup", 0, "")
	fl.DurationVar(&cfg.Duration, "duration", 0, "")
	fl.DurationVar(&cfg.Drain, "drain", 0, "")
	fl.DurationVar(&cfg.Tail, "tail", 0, "")
	fl.DurationVar(&cfg.ReadFor, "read-for", 0, "")
	fl.IntVar(&starved, "starved", 0, "share the CPU with so many others")
	if err := fl.Parse(args); err != nil {
		return err
	}
	for _, text := range strings.Split(cpus, ",") {
		cpu, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		cfg.CPUs = append(cfg.CPUs, cpu)
	}
	defer busy(starved)()
	out := json.NewEncoder(os.Stdout)
	cfg.OnPhase = func(p load.Phase) { _ = out.Encode(LoadLine{Phase: &p}) }
	rep, err := load.Run(context.Background(), cfg)
	if rep != nil {
		_ = out.Encode(LoadLine{Report: rep})
	}
	return err
}

// disturbed runs a trial in which that goes wrong.
func disturbed(t *testing.T, how string, loadFlags ...string) result.Trial {
	cpus := load.AllowedCPUs()
	if len(cpus) < 2 {
		t.Skip("one CPU: server and load disturb each other anyway")
	}
	s := spec(t)
	s.Binary, s.Conns, s.Rate, s.Warmup, s.Window, s.KillServer = os.Args[0], 256, disturbedRate, 200*time.Millisecond, 1500*time.Millisecond, true
	s.LoadCPUs, s.LoadFlags, s.Seed = cpus[len(cpus)-1:], loadFlags, 1
	s.Foreign = &Foreign{Argv: []string{s.Binary, disturbance, how}, NoCounters: "a server of the test"}
	out, err := Run(t.Context(), s)
	require.NoError(t, err)
	t.Logf("%s: %s", how, out.Verdict)
	for _, r := range slices.Concat(out.Reasons, out.Notes) {
		t.Log("  ", r)
	}
	return out
}

// named wants a doubtful trial with one of these rules among its reasons.
func named(t *testing.T, out result.Trial, rules ...string) {
	require.Equal(t, result.Suspect, out.Verdict)
	for _, rule := range rules {
		if strings.Contains(strings.Join(out.Reasons, "\n"), fmt.Sprintf("(rule %q", rule)) {
			return
		}
	}
	require.Fail(t, "none of the rules fired", "%v: %v", rules, out.Reasons)
}

func TestUndisturbed(t *testing.T) {
	out := disturbed(t, "nothing")
	require.NotEqual(t, result.Invalid, out.Verdict, out.Reasons)
	// The others may well fire: who knows what else runs here.
	require.NotContains(t, strings.Join(out.Reasons, "\n"), "Little's law")
	for _, name := range []string{result.MeanInFlight, result.LoadBusy, result.LoadCapacityRate} {
		v, ok := out.Value(name)
		require.True(t, ok, name)
		require.Positive(t, v, name)
	}
	require.False(t, out.Metrics[result.TimedOut].Available(), "no timeout was set")
	require.True(t, out.Metrics[result.LatencyP99].Available())
	require.Contains(t, out.Metrics[result.LatencyP999].Unavailable, "needs 5000", "3,000 requests are too few for p99.9")
}

// TestStoppedServer: for 0.3 s of 1.5 s nothing was answered.
func TestStoppedServer(t *testing.T) {
	out := disturbed(t, "stop")
	named(t, out, "standstill")
	v, _ := out.Value(result.LatencyMax)
	require.Greater(t, v, 250_000.0, "at its full length, from the intended time on")
}

func TestServerGetsSlower(t *testing.T) { named(t, disturbed(t, "slower"), "drift of p50") }

func TestBusyNeighbour(t *testing.T) { named(t, disturbed(t, "neighbour"), "neighbours") }

// TestStarvedLoad: four others want the load's CPU.
func TestStarvedLoad(t *testing.T) {
	out := disturbed(t, "nothing", "--starved", "4")
	named(t, out, "late sends", "load off its CPU", "pacing")
	named(t, out, "neighbours of the load")
}

// TestServerDies: a trial whose server ends by itself keeps its last words.
func TestServerDies(t *testing.T) {
	out := disturbed(t, "die")
	require.Equal(t, result.Invalid, out.Verdict)
	require.Contains(t, out.Reasons[0], "out of luck")
	require.Contains(t, out.Reasons[0], "exit status 3")
}
