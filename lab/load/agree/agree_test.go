package agree

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// built is the syslet executable of this tree.
func built(t testing.TB) string {
	path := filepath.Join(t.TempDir(), "syslet")
	out, err := exec.Command("go", "build", "-o", path, "github.com/syslet/syslet/cmd/syslet").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// TestRun: both pairs give figures, or say what is missing. How near they are is no
// matter of a test: BenchmarkAgree.
func TestRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "work")
	results, err := Run(t.Context(), Config{Binary: built(t), WorkDir: dir, Conns: 4, Rounds: 2, For: 50 * time.Millisecond})
	require.NoError(t, err)
	require.Len(t, results, 2)
	for _, r := range results {
		if r.Unavailable != "" {
			t.Logf("not compared: %s", &r)
			continue
		}
		require.Len(t, r.Ours, 2)
		require.Len(t, r.Theirs, 2)
		require.Len(t, r.Busy, 2)
		require.Positive(t, r.Busy[0], "%s", &r)
		require.Positive(t, r.Ratio, "%s", &r)
	}
	_, err = os.Stat(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAgrees(t *testing.T) {
	for ratio, want := range map[float64]bool{1: true, 0.951: true, 1.049: true, 0.94: false, 1.06: false, 0: false} {
		require.Equal(t, want, (&Result{Ratio: ratio}).Agrees(), ratio)
	}
	require.False(t, (&Result{Ratio: 1, Unavailable: "no wrk"}).Agrees())
}

func TestServerWasLimit(t *testing.T) {
	require.True(t, (&Result{Busy: []float64{0.99, 0.2, 0.96}}).ServerWasLimit())
	require.False(t, (&Result{Busy: []float64{0.9, 0.2, 1}}).ServerWasLimit())
	require.False(t, (&Result{}).ServerWasLimit())
}

const wrkOut = `Running 1s test @ http://127.0.0.1:1/
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    41.38us   20.36us   1.02ms   97.71%
    Req/Sec    91.72k     3.34k   95.51k    90.91%
  100364 requests in 1.10s, 110.54MB read
Requests/sec:  91240.52
Transfer/sec:    100.49MB
`

func FuzzParseWrk(f *testing.F) {
	f.Add(wrkOut)
	f.Add("Requests/sec: 1\nNon-2xx or 3xx responses: 5\n")
	f.Add("  Socket errors: connect 0, read 5\nRequests/sec: 1")
	f.Add("Requests/sec: ...")
	f.Fuzz(func(t *testing.T, out string) {
		v, err := parseWrk(out)
		if err == nil && !(v >= 0) {
			t.Errorf("%q gives %v", out, v)
		}
	})
}

func TestParseWrk(t *testing.T) {
	v, err := parseWrk(wrkOut)
	require.NoError(t, err)
	require.Equal(t, 91240.52, v)
	for _, bad := range []string{"", wrkOut + "Non-2xx or 3xx responses: 5\n", "Socket errors: connect 1\n" + wrkOut} {
		_, err := parseWrk(bad)
		require.Error(t, err)
	}
}

// BenchmarkAgree is the comparison itself; the server on the first CPU, clients on the
// last.
func BenchmarkAgree(b *testing.B) {
	binary := built(b)
	for b.Loop() {
		results, err := Run(context.Background(), Config{Binary: binary, WorkDir: filepath.Join(b.TempDir(), "work"), ServerCPUs: []int{0}, LoadCPUs: []int{runtime.NumCPU() - 1}})
		require.NoError(b, err)
		for _, r := range results {
			b.Log(&r)
			b.ReportMetric(100*(r.Ratio-1), r.Server+"-apart-%")
		}
	}
}
