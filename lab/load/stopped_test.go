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

// TestStoppedProcess stops a real server process for 200 ms with SIGSTOP.
func TestStoppedProcess(t *testing.T) {
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

	r := mustRun(t, Config{
		Target: strings.TrimSpace(target), Conns: 20, Rate: 2000, Duration: time.Second, Seed: 11, Load: tagged{window: 256},
		OnPhase: func(p Phase) {
			if p.Name != PhaseMeasure {
				return
			}
			if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Error(err)
			}
			time.Sleep(200 * time.Millisecond) // the length of the stop
			if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		},
	})
	require.Equal(t, r.Counts.Intended, r.Counts.Answered)
	require.Greater(t, r.All.Latency.P999Us, 190_000.0)
	require.Greater(t, shareAbove(r.All.Latency, 50_000), 0.10)
}
