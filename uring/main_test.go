//go:build linux

package uring

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain fails the suite if a descriptor, a mapping of a ring, or a goroutine is
// left over.
func TestMain(m *testing.M) {
	if os.Getenv(forbiddenEnv) != "" {
		forbiddenChild()
		return
	}
	wakePoller()
	before := openFds()
	code := m.Run()
	for fd, target := range openFds() {
		if was, there := before[fd]; code == 0 && (!there || was != target) {
			fmt.Fprintf(os.Stderr, "descriptor %s (%s) leaked\n", fd, target)
			code = 1
		}
	}
	if n := ringMappings(); code == 0 && n > 0 {
		fmt.Fprintf(os.Stderr, "%d mappings of rings leaked\n", n)
		code = 1
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// need skips the test where the kernel lacks a feature, and names it.
func need(t testing.TB, features ...Feature) {
	t.Helper()
	if err := Probe().Require(append(append([]Feature{}, baseFeatures...), features...)...); err != nil {
		t.Skip(err)
	}
}

// openTest opens a ring on this goroutine, locked to its thread for the test.
func openTest(t testing.TB, cfg Config, features ...Feature) *Ring {
	t.Helper()
	need(t, features...)
	runtime.LockOSThread()
	r, err := Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, r.Close())
		runtime.UnlockOSThread()
	})
	return r
}

// patience bounds a wait that a sane kernel ends at once.
const patience = int64(20 * time.Second)

// collect submits and harvests until n completions are there.
func collect(t testing.TB, r *Ring, n int) []CQE {
	t.Helper()
	deadline := time.Now().Add(time.Duration(patience))
	var got []CQE
	for len(got) < n {
		require.True(t, time.Now().Before(deadline), "only %d of %d completions", len(got), n)
		_, err := r.SubmitAndWait(n-len(got), patience)
		require.NoError(t, err)
		var batch [32]CQE
		for k := -1; k != 0; got = append(got, batch[:k]...) {
			k = r.Harvest(batch[:min(len(batch), n-len(got))]) // not one more than asked
		}
	}
	return got
}

// byUserData gives the results by user data; each may occur once.
func byUserData(t testing.TB, cqes []CQE) map[uint64]int32 {
	t.Helper()
	m := make(map[uint64]int32)
	for i := range cqes {
		_, twice := m[cqes[i].UserData()]
		require.False(t, twice, "two completions for %d", cqes[i].UserData())
		m[cqes[i].UserData()] = cqes[i].Res()
	}
	return m
}

// path is a zero-terminated path.
func path(s string) *byte { return &append([]byte(s), 0)[0] }

// openFds gives the open descriptors and what they are.
func openFds() map[string]string {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	fds := make(map[string]string)
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil { // but the listing's own
			fds[e.Name()] = target
		}
	}
	return fds
}

// wakePoller has the Go runtime open its own epoll descriptors now.
func wakePoller() {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	_, _ = r.Close(), w.Close()
}
