package sensor

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/lab/result"
)

// cacheLevel samples one level of the cache for a CacheProbe.
type cacheLevel struct {
	level int
	bytes int // of the buffer in which the chase's lines lie
	chase *chase
	// spoil, if any, is read after the filling: it pushes the lines out of the levels
	// before this one, where a walk would find them whatever happened here.
	spoil []byte
	// perLine is how many lines of the cache one of the chase stands for.
	perLine     float64
	calibration ProbeCalibration
	sums        probeSums // guarded by CacheProbe.mu
}

// LevelResult is what was found of one level since the last Start.
type LevelResult struct {
	Level int `json:"level"`
	// LinesPerRequest is the median over the samples, MeanLinesPerRequest the mean, of
	// the lines displaced; of the last level, as estimated from SampledLines of it.
	LinesPerRequest     float64 `json:"lines_per_request"`
	MeanLinesPerRequest float64 `json:"mean_lines_per_request"`
	Samples             int64   `json:"samples"`
	Requests            uint64  `json:"requests"`
	Saturated           int64   `json:"saturated"`
	Disturbed           int64   `json:"disturbed"`
	BufferBytes         int     `json:"buffer_bytes,omitempty"`
	SampledLines        int     `json:"sampled_lines,omitempty"`
	WarmNsLine          float64 `json:"warm_ns_per_line,omitempty"`
	ColdNsLine          float64 `json:"cold_ns_per_line,omitempty"`
	// Refused says why this level is not sampled; empty if it is.
	Refused string `json:"refused,omitempty"`
}

const (
	// lastLevelLines are sampled of the last level: a walk takes 0.1 ms when they are
	// there, and one that finds all of them gone 0.4 ms.
	lastLevelLines = 4096
	lastLevelWalks = 15
)

// openLevels makes and calibrates the levels. Only without level 2 is there no probe.
func (p *CacheProbe) openLevels(z sizes) error {
	others, err := z.scratch()
	if err != nil {
		return err
	}
	defer unix.Munmap(others)
	near := func(bytes int64) []byte { return others[:min(int64(len(others)), bytes)] }
	two, err := newLevel(2, p.cfg.BufferBytes, p.cfg.BufferBytes/lineBytes, nil)
	if err == nil {
		err = p.addLevel(two, near(4*max(z.l2, int64(p.cfg.BufferBytes))), others, calibrationWalks)
	}
	if err != nil {
		return err
	}
	one, err := newLevel(1, int(z.l1/4*3), int(z.l1/4*3)/lineBytes, nil)
	if err == nil {
		err = p.addLevel(one, near(min(8*z.l1, z.l2/2)), near(2*z.l2), calibrationWalks)
	}
	p.refuse(1, err)
	if z.last <= z.l2 {
		p.refuse(3, errors.New("cache probe: this machine shows no cache behind L2"))
		return nil
	}
	spoil, err := unix.Mmap(-1, 0, int(2*z.l2), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return fmt.Errorf("cache probe: mmap of %d bytes: %w", 2*z.l2, err)
	}
	for i := 0; i < len(spoil); i += 4096 {
		spoil[i] = 1
	}
	// Half of it: the other half is others', the spoil's and the program's own.
	three, err := newLevel(3, int(z.last/2), lastLevelLines, spoil)
	if err == nil {
		three.perLine = float64(z.last/lineBytes) / lastLevelLines
		err = p.addLevel(three, others, others, lastLevelWalks)
	}
	p.refuse(3, err)
	return nil
}

func newLevel(level, bytes, lines int, spoil []byte) (*cacheLevel, error) {
	c, err := newSampledChase(bytes, lines)
	if err != nil {
		if spoil != nil {
			_ = unix.Munmap(spoil)
		}
		return nil, err
	}
	return &cacheLevel{level: level, bytes: bytes, chase: c, spoil: spoil, perLine: 1}, nil
}

// addLevel calibrates l and keeps it, or frees it.
func (p *CacheProbe) addLevel(l *cacheLevel, near, others []byte, walks int) (err error) {
	for range calibrationTries {
		if err = l.calibrate(near, others, walks); err == nil && l.spoil != nil {
			err = l.seesKnown(others, int64(l.perLine)*int64(l.chase.lines)*lineBytes)
		}
		if err == nil {
			p.levels = append(p.levels, l)
			return nil
		}
	}
	return errors.Join(err, l.close())
}

func (p *CacheProbe) refuse(level int, why error) {
	if why != nil {
		p.refused = append(p.refused, LevelResult{Level: level, Refused: why.Error()})
	}
}

func (l *cacheLevel) close() error {
	err := l.chase.close()
	if l.spoil != nil {
		err = errors.Join(err, unix.Munmap(l.spoil))
	}
	return err
}

// fill brings the lines into this level and returns what a walk costs then.
func (l *cacheLevel) fill() (warmNs int64) {
	if l.spoil == nil {
		return l.chase.fill()
	}
	l.chase.walk()
	touch(l.spoil)
	l.chase.walk() // twice: a cache keeps what was used again
	touch(l.spoil)
	warmNs = l.chase.timedWalk()
	touch(l.spoil)
	return warmNs
}

// book enters a sample.
func (l *cacheLevel) book(tookNs, warmNs int64, requests uint64, preempted bool) {
	lines, saturated, disturbed := l.calibration.displaced(tookNs, warmNs, l.chase.lines)
	if disturbed || preempted {
		l.sums.disturbed++
		return
	}
	if saturated {
		l.sums.saturated++
	}
	lines *= l.perLine
	l.sums.perRequest[l.sums.samples%keptSamples] = float32(lines / float64(requests))
	l.sums.samples++
	l.sums.requests += requests
	l.sums.lines += lines
}

func (l *cacheLevel) result() LevelResult {
	s := &l.sums
	r := LevelResult{Level: l.level, Samples: s.samples, Requests: s.requests, Saturated: s.saturated, Disturbed: s.disturbed,
		BufferBytes: l.bytes, SampledLines: l.chase.lines,
		WarmNsLine: float64(l.calibration.WarmNs) / float64(l.chase.lines),
		ColdNsLine: float64(l.calibration.ColdNs) / float64(l.chase.lines),
	}
	if r.Requests > 0 {
		kept := slices.Clone(s.perRequest[:min(r.Samples, keptSamples)])
		slices.Sort(kept)
		r.LinesPerRequest = max(0, float64(kept[len(kept)/2]))
		r.MeanLinesPerRequest = max(0, s.lines/float64(r.Requests))
	}
	return r
}

// Metric is the level's figure: lines displaced per request.
func (r LevelResult) Metric() result.Metric {
	switch {
	case r.Refused != "":
		return result.Missing(r.Refused, "1", result.SourceProbe)
	case r.Samples < fewestSamples:
		return result.Missing(fmt.Sprintf("the cache probe got %d samples of L%d (%d disturbed), fewer than %d", r.Samples, r.Level, r.Disturbed, fewestSamples), "1", result.SourceProbe)
	case r.Saturated > r.Samples/2:
		return result.Missing(fmt.Sprintf("more than the probe can tell: in %d of %d samples all of its lines of L%d were displaced", r.Saturated, r.Samples, r.Level), "1", result.SourceProbe)
	}
	return result.Of(r.LinesPerRequest, "1", result.SourceProbe)
}

// Metrics are l1_displaced_per_op to l3_displaced_per_op.
func (r ProbeResult) Metrics() map[string]result.Metric {
	m := map[string]result.Metric{}
	for _, l := range r.Levels {
		m[fmt.Sprintf("l%d_displaced_per_op", l.Level)] = l.Metric()
	}
	return m
}
