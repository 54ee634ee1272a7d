package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// parentEnv makes the test's executable be a process that starts the one which its
// arguments name and waits for it.
const parentEnv = "PEERS_TEST_IS_PARENT"

func parentOf(argv []string) int {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	_ = os.Unsetenv(parentEnv) // the child would be one, too
	if cmd.Run() != nil {
		return 1
	}
	return 0
}

// outlived starts argv as the child of a process that is then killed, while the
// server has a connection in the midst of something, and wants it gone.
func outlived(t *testing.T, argv ...string) {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		t.Skip("the kernel has no pidfd_open (Linux 5.3)")
	}
	require.NoError(t, unix.Close(fd))
	out, in, err := os.Pipe()
	require.NoError(t, err)
	defer out.Close()
	parent := exec.Command(os.Args[0], argv...)
	parent.Env = append(os.Environ(), parentEnv+"=1", mainEnv+"=1")
	parent.Stdout = in
	require.NoError(t, parent.Start())
	defer func() { _ = parent.Process.Kill(); _ = parent.Wait() }()
	require.NoError(t, in.Close())
	// A bound on a hang, not on speed.
	require.NoError(t, out.SetReadDeadline(time.Now().Add(30*time.Second)))
	r := bufio.NewReader(out)
	line, err := r.ReadBytes('\n')
	require.NoError(t, err, "no ready line")
	var ready struct {
		Listen string
		PID    int
	}
	require.NoError(t, json.Unmarshal(line, &ready))
	c, err := net.Dial("tcp", ready.Listen)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write(make([]byte, 1<<16)) // nobody reads the answer
	require.NoError(t, err)

	require.NoError(t, parent.Process.Kill())
	// The pipe ends when the last process that holds it does.
	if _, err := io.Copy(io.Discard, r); err != nil {
		_ = unix.Kill(ready.PID, unix.SIGKILL)
		t.Fatalf("process %d serves on although the one that started it was killed: %v", ready.PID, err)
	}
}

func TestEndsWithItsParent(t *testing.T) {
	for _, engine := range engineNames {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			outlived(t, os.Args[0], "--engine", engine, "--admin", "127.0.0.1:0")
		})
	}
}

func TestCProgramsEndWithTheirParent(t *testing.T) {
	for name, libs := range map[string][]string{"epoll": {"-pthread"}, "iouring": {"-luring", "-pthread"}} {
		t.Run("c-"+name, func(t *testing.T) {
			t.Parallel()
			cc, err := exec.LookPath("cc")
			if err != nil {
				t.Skip("no C compiler in PATH")
			}
			if name == "iouring" {
				if _, err := os.Stat("/usr/include/liburing.h"); err != nil {
					t.Skip("no liburing.h")
				}
			}
			path := filepath.Join(t.TempDir(), name)
			args := append([]string{"-O1", "-std=gnu11", "-D_GNU_SOURCE", "-o", path, filepath.Join("c", name+".c")}, libs...)
			text, err := exec.Command(cc, args...).CombinedOutput()
			require.NoError(t, err, string(text))
			outlived(t, path)
		})
	}
}
