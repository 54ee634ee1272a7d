package sensor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/lab/result"
)

// FootprintConfig says how RankFootprints measures.
type FootprintConfig struct {
	// Bytes that the programs touch per request, in ascending order; default 16 KiB,
	// 256 KiB and 4 MiB.
	Bytes []int
	// Samples of each level and program; default 40.
	Samples int64
}

// FootprintResult is one program of known footprint as the probe sees it.
type FootprintResult struct {
	Bytes  int           `json:"bytes"`
	Levels []LevelResult `json:"levels"`
}

const defaultFootprintSamples = 40

// RankFootprints has the probe look at programs that touch a known number of bytes per
// request: does it rank them rightly, and at which level does each displace what? The
// programs' samples are not interleaved: call it again for a second opinion. It takes
// about a second.
func RankFootprints(ctx context.Context, cfg FootprintConfig) ([]FootprintResult, error) {
	if len(cfg.Bytes) == 0 {
		cfg.Bytes = []int{16 << 10, 256 << 10, 4 << 20}
	}
	if cfg.Samples == 0 {
		cfg.Samples = defaultFootprintSamples
	}
	runtime.LockOSThread() // the probe looks at this thread's preemptions
	defer runtime.UnlockOSThread()
	p, err := NewCacheProbe(ProbeConfig{Every: 1, Rest: -1})
	if err != nil {
		return nil, err
	}
	var all []FootprintResult
	for _, bytes := range cfg.Bytes {
		var r FootprintResult
		if r, err = p.footprint(ctx, bytes, cfg.Samples); err != nil {
			break
		}
		all = append(all, r)
	}
	return all, errors.Join(err, p.Close())
}

func (p *CacheProbe) footprint(ctx context.Context, bytes int, samples int64) (FootprintResult, error) {
	program, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return FootprintResult{}, fmt.Errorf("cache probe: mmap of %d bytes: %w", bytes, err)
	}
	defer unix.Munmap(program)
	for i := 0; i < len(program); i += 4096 {
		program[i] = 1
	}
	p.Start()
	defer p.Stop()
	// Two turns a sample: one fills, one times.
	for range 2 * samples * int64(len(p.levels)) {
		if ctx.Err() != nil {
			return FootprintResult{}, ctx.Err()
		}
		touch(program)
		p.OnTurn(1)
	}
	return FootprintResult{Bytes: bytes, Levels: p.Result().Levels}, nil
}

// Ranked reports whether each program was seen to displace more than the one before:
// more lines of L2, or where L2 is displaced as a whole of both, more of the last level.
func Ranked(all []FootprintResult) bool {
	for i := 1; i < len(all); i++ {
		if !all[i-1].less(&all[i]) {
			return false
		}
	}
	return len(all) > 1
}

func (f *FootprintResult) level(n int) LevelResult {
	for _, l := range f.Levels {
		if l.Level == n {
			return l
		}
	}
	return LevelResult{}
}

func (f *FootprintResult) less(g *FootprintResult) bool {
	a, b := f.level(2), g.level(2)
	if saturated(a) && saturated(b) {
		a, b = f.level(3), g.level(3)
	}
	return a.Samples > 0 && b.Samples > 0 && a.LinesPerRequest < b.LinesPerRequest
}

func saturated(l LevelResult) bool { return l.Saturated > l.Samples/2 }

const infoSamples = 30

// ProbeInfo describes the probe and measures what a sample costs the loop, as a mean
// over the levels, which takes about a second.
func ProbeInfo(ctx context.Context) result.SensorInfo {
	i := result.SensorInfo{Name: "probe", Source: result.SourceProbe, PerEvent: "sample",
		Quantities: []string{result.CacheMissesPerOp, "l1_displaced_per_op", "l2_displaced_per_op", "l3_displaced_per_op"}, Units: []string{"1", "1", "1", "1"}}
	p, err := NewCacheProbe(ProbeConfig{Every: 1, Rest: time.Nanosecond})
	if err != nil {
		i.Unavailable = err.Error()
		return i
	}
	defer p.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, err := p.footprint(ctx, lineBytes, infoSamples); err != nil {
		i.Unavailable = err.Error()
		return i
	}
	cost := p.Result().SampleNs
	i.OverheadNs = &cost
	return i
}
