package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	return string(b)
}

// TestReadmeServer builds the README's server and talks to it.
func TestReadmeServer(t *testing.T) {
	code := regexp.MustCompile("(?s)```go\n(package main.*?)```").FindStringSubmatch(readme(t))
	require.NotNil(t, code, "README has no program")
	dir := t.TempDir()
	src, bin := filepath.Join(dir, "main.go"), filepath.Join(dir, "echo")
	require.NoError(t, os.WriteFile(src, []byte(code[1]), 0o600))
	out, err := exec.Command("go", "build", "-o", bin, src).CombinedOutput()
	require.NoError(t, err, string(out))
	cmd := exec.Command(bin)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	c, err := net.Dial("tcp", strings.TrimSpace(addr))
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	_, err = c.Write([]byte("hello"))
	require.NoError(t, err)
	got := make([]byte, 5)
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
}

// TestReadmeCommands: every command line that README shows is one that the
// program understands.
func TestReadmeCommands(t *testing.T) {
	lines := regexp.MustCompile(`(?m)^(?:syslet|go run \./cmd/syslet) (.*)$`).FindAllStringSubmatch(readme(t), -1)
	require.NotEmpty(t, lines)
	for _, l := range lines {
		text, _, _ := strings.Cut(l[1], "#")
		cmd, args, err := newRoot().Find(strings.Fields(text))
		require.NoError(t, err, text)
		require.NotEqual(t, "syslet", cmd.Name(), text)
		require.NoError(t, cmd.ParseFlags(args), text)
		require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), text)
	}
}

// TestReadmeLinks: what README links to is there.
func TestReadmeLinks(t *testing.T) {
	for _, l := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(readme(t), -1) {
		require.FileExists(t, filepath.Join("../..", l[1]))
	}
	for _, l := range regexp.MustCompile("(?m)^\\| `([a-z/]+)` \\|").FindAllStringSubmatch(readme(t), -1) {
		require.DirExists(t, filepath.Join("../..", l[1]))
	}
}
