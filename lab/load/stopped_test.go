package load

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stoppedServerEnv makes the test binary an echo server in a process of its own.
const stoppedServerEnv = "SYSLET_LOAD_TEST_SERVER"

// runStoppedServer prints its address and echoes until its parent closes stdin.
func runStoppedServer() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	s := &server{listener: listener, open: map[net.Conn]struct{}{}}
	s.wg.Go(s.accept)
	fmt.Println(s.target())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	s.stop()
}

// TestStoppedProcess stops a real server process for 200 ms with SIGSTOP. Of 3 s that
// is a share of 7 %: the open loop shows it at full length in p99.9. The closed loop,
// which stands still along with the server, has one long wait on each connection.
func TestStoppedProcess(t *testing.T) {
	const stop, window = 200 * time.Millisecond, 3 * time.Second
	open := runWithStop(t, Open, stop, window)
	require.Equal(t, open.Counts.Intended, open.Counts.Answered)
	require.Greater(t, open.All.Latency.P999Us, 190_000.0)
	require.Greater(t, shareAbove(open.All.Latency, 50_000), 0.03)
	worst := 0.0
	for _, sl := range open.Series {
		worst = max(worst, sl.MaxUs)
	}
	require.InEpsilon(t, open.All.Latency.MaxUs, worst, 0.01, "the series shows when")

	closed := runWithStop(t, Closed, stop, window)
	require.Greater(t, closed.All.Latency.MaxUs, 150_000.0)
	require.Less(t, shareAbove(closed.All.Latency, 150_000), shareAbove(open.All.Latency, 150_000)/5)
}

// runWithStop drives a server in a process of its own that stands still for a while
// within the window.
func runWithStop(t *testing.T, mode Mode, stop, window time.Duration) *Report {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), stoppedServerEnv+"=1")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() {
		stdin.Close()
		require.NoError(t, cmd.Wait())
	}()
	target, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	return mustRun(t, Config{
		Target: strings.TrimSpace(target), Conns: 20, Rate: 2000, Mode: mode, Duration: window, Seed: 11, Load: tagged{window: 256},
		OnPhase: func(p Phase) {
			if p.Name != PhaseMeasure {
				return
			}
			if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Error(err)
			}
			time.Sleep(stop) // the length of the stop
			if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		},
	})
}
