package trial

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/runtime"
)

func report(shards int, sites ...runtime.BlockSite) runtime.BlockReport {
	r := runtime.BlockReport{Sites: sites}
	for i := range shards {
		r.Shards = append(r.Shards, runtime.BlockCounting{Shard: i, Method: runtime.BlocksBySwitch, ThresholdNs: 1e6})
	}
	return r
}

// site has blocks of 4 ms each.
func site(shard, line int, count uint64) runtime.BlockSite {
	s := runtime.BlockSite{BlockPlace: runtime.BlockPlace{Shard: shard, Function: "example.org/app.(*app).Data", File: "/x/app.go", Line: line, Call: "os.(*File).Sync"}}
	s.Count, s.TotalNs, s.MaxNs = count, count*4e6, 4e6
	for i := range s.Histogram {
		if from, to := runtime.BlockBucketNs(i); from <= 4e6 && 4e6 < to {
			s.Histogram[i] = count
		}
	}
	return s
}

// A trial keeps what came in its window, of all shards together.
func TestBlocksOfAWindow(t *testing.T) {
	b := blocksOf(report(2, site(0, 41, 10)), report(2, site(0, 41, 15), site(1, 41, 2), site(1, 50, 1)))
	require.Empty(t, b.Unavailable)
	require.Contains(t, b.Counting, "every block is counted")
	require.Len(t, b.Sites, 2)
	s := b.Sites[0]
	require.Equal(t, result.BlockCallback, s.Kind)
	require.Equal(t, "app.(*app).Data app.go:41", s.Where)
	require.Equal(t, "os.(*File).Sync", s.Call)
	require.EqualValues(t, 7, s.Count)
	require.InDelta(t, 28e3, s.TotalUs, 1)
	require.InEpsilon(t, 4e3, s.P50Us, 0.2)
	require.Equal(t, "app.(*app).Data app.go:50", b.Sites[1].Where)
	require.Empty(t, blocksOf(report(1, site(0, 41, 10)), report(1, site(0, 41, 10))).Sites)
}

func TestBlocksAreFewOrAbsent(t *testing.T) {
	var sites []runtime.BlockSite
	for i := range sitesMax + 3 {
		sites = append(sites, site(0, i, uint64(100-i)))
	}
	b := blocksOf(report(1), report(1, sites...))
	require.Len(t, b.Sites, sitesMax)
	require.Equal(t, 3, b.More)
	require.InDelta(t, float64(88+87+86)*4e3, b.MoreUs, 1)
	off := report(1)
	off.Shards[0].Method = runtime.BlocksOff
	require.NotEmpty(t, blocksOf(off, off).Unavailable)
	require.NotEmpty(t, blocksOf(report(0), report(0)).Unavailable)
}
