package sensor

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// newProbe makes one, or skips where the machine's caches cannot be told apart.
func newProbe(t testing.TB, cfg ProbeConfig) *CacheProbe {
	t.Helper()
	p, err := NewCacheProbe(cfg)
	if err != nil {
		t.Skip("no cache probe here:", err)
	}
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// uncalibrated makes a probe with a small buffer and a calibration by which every
// walk is a sample, for tests of the mechanism.
func uncalibrated(t testing.TB, cfg ProbeConfig) *CacheProbe {
	t.Helper()
	c, err := newChase(64 << 10)
	require.NoError(t, err)
	l := &cacheLevel{level: 2, bytes: 64 << 10, chase: c, perLine: 1, calibration: ProbeCalibration{WarmNs: 1, ColdNs: 1 << 60, FarNs: 1 << 60}}
	p := &CacheProbe{cfg: cfg, levels: []*cacheLevel{l}, base: time.Now()}
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// TestProbeRanks: of three programs that touch 16 KiB, 256 KiB and 4 MiB per
// request, the larger displaces more. They run in turn, several times, so that
// what else happens on the machine meets all three.
func TestProbeRanks(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := newProbe(t, ProbeConfig{Every: 1, Rest: -1})
	k := p.Calibration()
	t.Logf("buffer %d bytes, %d lines: warm %.2f, cold %.2f, far %.2f ns/line", p.cfg.BufferBytes, p.levels[0].chase.lines,
		float64(k.WarmNs)/float64(p.levels[0].chase.lines), float64(k.ColdNs)/float64(p.levels[0].chase.lines), float64(k.FarNs)/float64(p.levels[0].chase.lines))
	sizes := []int{16 << 10, 256 << 10, 4 << 20}
	figures := make([][]float64, len(sizes))
	programs := make([][]byte, len(sizes))
	for i, size := range sizes {
		var err error
		programs[i], err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		require.NoError(t, err)
		defer unix.Munmap(programs[i])
		for at := range programs[i] {
			programs[i][at] = 1
		}
	}
	for range 15 {
		for i, program := range programs {
			r := sampleProgram(p, program, 40)
			require.Equal(t, float64(r.Samples), float64(r.Requests))
			figures[i] = append(figures[i], r.LinesPerRequest)
		}
	}
	last := -1.0
	for i, size := range sizes {
		slices.Sort(figures[i])
		median := figures[i][len(figures[i])/2]
		t.Logf("%4d KiB: %.0f lines per request, of %.0f", size>>10, median, figures[i])
		require.Greater(t, median, last)
		last = median
	}
}

func sampleProgram(p *CacheProbe, program []byte, samples int64) ProbeResult {
	p.Start()
	defer p.Stop()
	for {
		touch(program)
		p.OnTurn(1)
		if r := p.Result(); r.Samples+r.Disturbed >= samples {
			return r
		}
	}
}

func TestProbeWithoutSamplesIsUnavailable(t *testing.T) {
	p := uncalibrated(t, ProbeConfig{Every: defaultProbeEvery})
	p.OnTurn(100)
	require.Zero(t, p.Result().Samples)
	require.Contains(t, p.Result().Metric().Unavailable, "0 samples")
	p.Start()
	p.OnTurn(0) // fills
	for range defaultProbeEvery {
		require.Zero(t, p.Result().Requests)
		p.OnTurn(1)
	}
	r := p.Result()
	require.EqualValues(t, 1, r.Samples+r.Disturbed)
	if r.Samples == 1 {
		require.EqualValues(t, defaultProbeEvery, r.Requests)
	}
	p.Start()
	require.Zero(t, p.Result().Samples)
}

func TestProbeAllocatesNothing(t *testing.T) {
	p := uncalibrated(t, ProbeConfig{Every: 1, Rest: -1})
	require.Zero(t, testing.AllocsPerRun(100, func() { p.OnTurn(1) }))
	p.Start()
	require.Zero(t, testing.AllocsPerRun(100, func() { p.OnTurn(1) }))
}

// TestProbeFromOutside: starting, stopping and reading while the loop runs (for
// the race detector).
func TestProbeFromOutside(t *testing.T) {
	p := uncalibrated(t, ProbeConfig{Every: 1, Rest: -1})
	var over atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !over.Load() {
			p.OnTurn(1)
		}
	})
	for range 20 {
		p.Start()
		for p.Result().Samples+p.Result().Disturbed == 0 {
			runtime.Gosched()
		}
		p.Stop()
	}
	over.Store(true)
	wg.Wait()
}

func TestDisplaced(t *testing.T) {
	k := ProbeCalibration{WarmNs: 1000, ColdNs: 3000, FarNs: 9000}
	_, _, disturbed := k.displaced(1000, 3001, 100)
	require.True(t, disturbed, "a fill that took that long was interrupted")
	for _, c := range []struct {
		took                 int64
		lines                float64
		saturated, disturbed bool
	}{
		{1000, 0, false, false}, {2000, 50, false, false}, {900, -5, false, false},
		{3000, 100, true, false}, {18000, 100, true, false}, {18001, 0, false, true},
	} {
		lines, saturated, disturbed := k.displaced(c.took, 1000, 100)
		require.Equal(t, []any{c.lines, c.saturated, c.disturbed}, []any{lines, saturated, disturbed})
	}
}

func TestChaseIsOneCycle(t *testing.T) {
	for _, c := range []struct{ of, lines int }{{2, 2}, {3, 3}, {1000, 1000}, {1000, 2}, {5000, 70}} {
		chase, err := newSampledChase(c.of*lineBytes, c.lines)
		require.NoError(t, err)
		at, steps, seen := uint32(0), 0, map[uint32]bool{}
		for {
			at = *chase.at(at)
			seen[at] = true
			require.Less(t, int(at), c.of*lineBytes)
			if steps++; at == 0 {
				break
			}
		}
		require.Equal(t, c.lines, steps)
		require.Len(t, seen, c.lines)
		require.NoError(t, chase.close())
	}
	for _, bytes := range []int{64, -1} {
		_, err := newChase(bytes)
		require.Error(t, err)
	}
	_, err := newSampledChase(10*lineBytes, 11)
	require.Error(t, err)
}

// A level that is refused says why, and never 0; one that is sampled has its figure.
func TestLevelMetrics(t *testing.T) {
	r := ProbeResult{Levels: []LevelResult{{Level: 1, Samples: 20, Saturated: 20}, {Level: 2, Samples: 20, LinesPerRequest: 7}, {Level: 3, Refused: "noise"}}}
	m := r.Metrics()
	require.Contains(t, m["l1_displaced_per_op"].Unavailable, "all of its lines of L1")
	require.Equal(t, 7.0, m["l2_displaced_per_op"].Value)
	require.Equal(t, "noise", m["l3_displaced_per_op"].Unavailable)
	require.Contains(t, LevelResult{Level: 3}.Metric().Unavailable, "0 samples of L3")
}

// A level whose walk costs the same whatever was read in between is refused, and says
// what it did not see.
func TestLevelThatSeesNothingIsRefused(t *testing.T) {
	l := uncalibrated(t, ProbeConfig{}).levels[0] // by its calibration no walk finds a line gone
	others := make([]byte, 64<<10)
	require.ErrorContains(t, l.seesKnown(others, 512<<10), "of 1024 lines that a read of 64 KiB brought into L2, the probe saw 0 displaced")
	l.calibration.ColdNs, l.calibration.FarNs = 0, 0
	require.ErrorContains(t, l.seesKnown(others, 512<<10), "disturbed")
}

func TestRanked(t *testing.T) {
	two := func(lines float64, saturated int64, three float64) FootprintResult {
		return FootprintResult{Levels: []LevelResult{{Level: 2, Samples: 10, Saturated: saturated, LinesPerRequest: lines}, {Level: 3, Samples: 10, LinesPerRequest: three}}}
	}
	require.True(t, Ranked([]FootprintResult{two(1, 0, 0), two(2, 0, 0)}))
	require.False(t, Ranked([]FootprintResult{two(2, 0, 0), two(1, 0, 0)}))
	require.False(t, Ranked([]FootprintResult{two(1, 0, 0)}))
	require.True(t, Ranked([]FootprintResult{two(9, 10, 1), two(9, 10, 2)}), "L2 full in both: L3 tells")
	require.False(t, Ranked([]FootprintResult{two(9, 10, 2), two(9, 10, 1)}))
}

// TestFootprints: what the probe finds of each level, for people to read.
func TestFootprints(t *testing.T) {
	all, err := RankFootprints(t.Context(), FootprintConfig{})
	if err != nil {
		t.Skip("no cache probe here:", err)
	}
	require.Len(t, all, 3)
	t.Log("ranked:", Ranked(all))
	for _, f := range all {
		for _, l := range f.Levels {
			t.Logf("%4d KiB L%d: %8.0f lines (%d samples, %d saturated, %d disturbed; warm %.2f, cold %.2f ns) %s",
				f.Bytes>>10, l.Level, l.LinesPerRequest, l.Samples, l.Saturated, l.Disturbed, l.WarmNsLine, l.ColdNsLine, l.Refused)
		}
	}
}

func BenchmarkProbeStopped(b *testing.B) {
	p := uncalibrated(b, ProbeConfig{Every: 1})
	b.ReportAllocs()
	for b.Loop() {
		p.OnTurn(1)
	}
}

func BenchmarkProbeSample(b *testing.B) {
	p := newProbe(b, ProbeConfig{Every: 1, Rest: time.Nanosecond})
	p.Start()
	b.ReportAllocs()
	for b.Loop() {
		p.OnTurn(1) // fills
		p.OnTurn(1) // times
	}
}
