package yardstick

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/models"
)

// TestNames: one name, one program, and none that a model has.
func TestNames(t *testing.T) {
	names := Names()
	for _, m := range models.AllNames() {
		require.NotContains(t, names, m)
		require.False(t, Known(m))
	}
	sorted := slices.Sorted(slices.Values(names))
	require.Len(t, slices.Compact(sorted), len(names))
	for _, n := range names {
		require.NotEmpty(t, Describe(n), n)
	}
	require.ErrorIs(t, Refused("nonsense"), ErrRefused)
	require.ErrorIs(t, Make(t.Context(), "nonsense"), ErrRefused)
	_, err := Serve(t.Context(), "nonsense", Config{Workload: Echo})
	require.ErrorIs(t, err, ErrRefused)
	_, err = Serve(t.Context(), "gnet", Config{Workload: "game"})
	require.ErrorContains(t, err, `no workload "game"`)
	require.Contains(t, Servers(Echo), "gnet")
	require.Contains(t, Servers(Fanout), "c-iouring")
}

// TestServerArguments: what the contract of the peers says.
func TestServerArguments(t *testing.T) {
	f := find("gnet").serve("/x/peers", Config{Workload: Framed, DiskFile: "/d", CPUs: []int{0, 2}})
	require.Equal(t, []string{"/x/peers", "--engine", "gnet", "--workload", "framed", "--listen", "127.0.0.1:0", "--cpus", "0,2",
		"--disk-file", "/d", "--admin", "127.0.0.1:0"}, f.Argv)
	require.Empty(t, f.NoCounters)
	f = find("c-epoll").serve("/x/c-epoll", Config{Workload: Echo})
	require.Equal(t, []string{"/x/c-epoll", "--workload", "echo", "--listen", "127.0.0.1:0"}, f.Argv)
	require.NotEmpty(t, f.NoCounters)
}

func TestModuleRoot(t *testing.T) {
	dir := t.TempDir()
	_, ok := moduleRoot(dir)
	require.False(t, ok)
	deep := filepath.Join(dir, "a", "b")
	require.NoError(t, os.MkdirAll(deep, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module "+mainModule+"\n\ngo 1.26\n"), 0o644))
	// A nested module of another name is passed by.
	require.NoError(t, os.WriteFile(filepath.Join(deep, "go.mod"), []byte("module "+mainModule+"/lab/peers\n"), 0o644))
	root, ok := moduleRoot(deep)
	require.True(t, ok)
	require.Equal(t, dir, root)
}

// TestCached: what something is made of decides where it lies.
func TestCached(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	place := func(tool ...string) string {
		path, err := cached(dir, "x", []string{"c"}, tool...)
		require.NoError(t, err)
		return path
	}
	write("a.go", "1")
	first := place("v1")
	require.Equal(t, first, place("v1"))
	require.NotEqual(t, first, place("v2"))
	write("c/other.c", "not of it")
	write("a_test.go", "nor this")
	require.Equal(t, first, place("v1"))
	write("a.go", "2")
	require.NotEqual(t, first, place("v1"))
}

// TestBuild: once, whole or not at all, and a failure says what the tool said.
func TestBuild(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	path := filepath.Join(dir, "made")
	log := filepath.Join(dir, "log")
	argv := []string{"sh", "-c", "echo x >> " + log + "; echo made > {out}"}
	require.NoError(t, build(ctx, path, dir, nil, argv...))
	require.NoError(t, build(ctx, path, dir, nil, argv...))
	made.Lock()
	made.done = nil // as another process would find it
	made.Unlock()
	require.NoError(t, build(ctx, path, dir, nil, argv...))
	once, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Equal(t, "x\n", string(once))

	bad := filepath.Join(dir, "bad")
	argv = []string{"sh", "-c", "echo half > {out}; echo '# heading'; echo 'x.c:7: error: no such thing' >&2; echo more >&2; exit 1"}
	for range 2 {
		require.ErrorContains(t, build(ctx, bad, dir, nil, argv...), "bad does not build: exit status 1: x.c:7: error: no such thing")
	}
	require.NoFileExists(t, bad)
	left, err := filepath.Glob(bad + "*")
	require.NoError(t, err)
	require.Empty(t, left)

	ended, cancel := context.WithCancel(ctx)
	cancel()
	require.Error(t, build(ended, filepath.Join(dir, "late"), dir, nil, "true"))
}

func TestFirstComplaint(t *testing.T) {
	require.Equal(t, "cc: fatal error: no", firstComplaint("# peers\nwarning\n cc: fatal error: no\n"))
	require.Equal(t, "./a.go:3: undefined: x", firstComplaint("go: downloading y\n# peers\n./a.go:3: undefined: x\n./a.go:4: too\n"))
	require.Empty(t, firstComplaint(""))
}

// TestThePeersAreThere: in this tree the sources are, so that only a tool can be missing.
func TestThePeersAreThere(t *testing.T) {
	for _, name := range []string{"gnet", "c-epoll", "c-iouring"} {
		if err := Refused(name); err != nil {
			require.NotContains(t, err.Error(), "source tree")
			t.Log(err)
		}
	}
	if _, err := exec.LookPath("go"); err == nil {
		require.NoError(t, Refused("gnet"))
	}
}
