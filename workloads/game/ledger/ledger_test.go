package ledger_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/workloads/game/ledger"
	"github.com/syslet/syslet/workloads/game/world"
)

func open(t testing.TB, dir string) *ledger.Ledger {
	l, err := ledger.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func TestRanks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a folder? with %41 signs")
	l := open(t, dir)
	require.FileExists(t, filepath.Join(dir, ledger.File))
	top, err := l.Top(3)
	require.NoError(t, err)
	require.Empty(t, top)
	require.NoError(t, l.Record(nil))
	require.NoError(t, l.Record([]world.Deed{{Player: "bob", Points: 5}, {Player: "ann", Points: 3}, {Player: "Zoe", Points: 6}, {Player: "eve", Points: 1}}))
	require.NoError(t, l.Record([]world.Deed{{Player: "ann", Points: 2, AtMs: 7}}))
	want := []world.Rank{{Player: "Zoe", Points: 6}, {Player: "ann", Points: 5}, {Player: "bob", Points: 5}}
	for _, other := range []*ledger.Ledger{l, open(t, dir)} { // a second one sees the same
		top, err = other.Top(3)
		require.NoError(t, err)
		require.Equal(t, want, top)
	}
}

// Founders are the same in every ledger, however it came to have them, and
// players' own deeds stay.
func TestFoundersAreDeterministic(t *testing.T) {
	a, b := open(t, t.TempDir()), open(t, t.TempDir())
	require.NoError(t, a.Record([]world.Deed{{Player: "ann", Points: 1 << 40}}))
	for _, n := range []int{100, 5000, 3000} {
		require.NoError(t, a.Found(n))
	}
	require.NoError(t, b.Found(3000))
	require.NoError(t, b.Record([]world.Deed{{Player: "ann", Points: 1 << 40}}))
	x, err := a.Top(2000)
	require.NoError(t, err)
	y, err := b.Top(2000)
	require.NoError(t, err)
	require.Equal(t, x, y)
	require.Greater(t, len(x), 900)
	require.Equal(t, world.Rank{Player: "ann", Points: 1 << 40}, x[0])
	n, err := a.Deeds()
	require.NoError(t, err)
	require.Equal(t, 3001, n)
}

// Writers and readers of several ledgers of one folder, at once: nothing is lost.
func TestAtOnce(t *testing.T) {
	dir := t.TempDir()
	const ledgers, writers, deeds = 2, 3, 20
	var wg sync.WaitGroup
	for i := range ledgers {
		l := open(t, dir)
		for j := range writers {
			wg.Go(func() {
				for range deeds {
					if err := l.Record([]world.Deed{{Player: fmt.Sprintf("p%d", i*writers+j), Points: 1}}); err != nil {
						t.Error(err)
					}
					if _, err := l.Top(10); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	top, err := open(t, dir).Top(10)
	require.NoError(t, err)
	require.Len(t, top, ledgers*writers)
	for _, r := range top {
		require.EqualValues(t, deeds, r.Points)
	}
}

// A calibration leaves a ledger whose ranking was measured to take what was
// asked for, or says that it could not.
func TestCalibrate(t *testing.T) {
	l := open(t, t.TempDir())
	const want = time.Millisecond
	c, err := l.Calibrate(want)
	if err != nil {
		require.ErrorContains(t, err, "--ledger-query")
		t.Skip("this machine is too unsteady: ", err)
	}
	require.InDelta(t, want, c.CPU, float64(want)/4)
	n, err := l.Deeds()
	require.NoError(t, err)
	require.Equal(t, n, c.Deeds)
	require.Contains(t, c.String(), fmt.Sprint(n))
}

func TestOpenNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, ledger.File), []byte("this is no database, but long enough to look like one's header or so"), 0o600))
	_, err := ledger.Open(dir)
	require.ErrorContains(t, err, filepath.Join(dir, ledger.File))
	_, err = ledger.Open(filepath.Join(dir, ledger.File, "below"))
	require.ErrorContains(t, err, "folder")
}

// BenchmarkTop is a ranking, and what it costs a deed.
func BenchmarkTop(b *testing.B) {
	l := open(b, b.TempDir())
	const deeds = 20000
	require.NoError(b, l.Found(deeds))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Top(10); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/deeds, "ns/deed")
}
