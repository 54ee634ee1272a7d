package threadlet

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkOneOfHundredBlocks is a loop of requests of about 1 us of which one in a hundred blocks for 300 us and nobody announces it. The
// figure that counts is requests/s of each detector against "never", the same loop when nothing blocks; "inline" is the loop
// that waits each block out.
func BenchmarkOneOfHundredBlocks(b *testing.B) {
	for _, c := range []struct {
		name     string
		detector string
		block    bool
	}{
		{"never", DetectorExplicit, false},
		{"never+idle", DetectorIdle, false},
		{"inline", DetectorExplicit, true},
		{"idle", DetectorIdle, true},
		{"switch", DetectorSwitch, true},
		{"timer", DetectorTimer, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			cpu := anyCPU(b)
			needDetector(b, c.detector, cpu)
			l := &hundred{b: b, block: c.block}
			l.run(Config{CPU: cpu, Standbys: 8, Detector: c.detector})
		})
	}
}

type hundred struct {
	b       *testing.B
	pool    *Pool
	block   bool
	next    int
	begunNs int64
	endedNs int64
}

const blockNs = 300_000

func (l *hundred) run(cfg Config) {
	cfg.Loop = l.loop
	l.pool = open(l.b, cfg)
	l.b.ReportAllocs()
	l.b.ResetTimer()
	require.NoError(l.b, l.pool.Run())
	s := l.pool.Stats()
	l.b.ReportMetric(float64(l.b.N)/float64(l.endedNs-l.begunNs)*1e9, "requests/s")
	if blocks := float64(l.b.N) / 100; l.block && blocks >= 1 {
		l.b.ReportMetric(float64(s.Detected())/blocks, "taken/block")
		l.b.ReportMetric(float64(s.AtBound)/blocks, "bound/block")
		l.b.ReportMetric(float64(s.Misses())/blocks, "missed/block")
	}
}

func (l *hundred) loop() {
	if l.begunNs == 0 {
		l.begunNs = l.pool.clk.nowNs()
	}
	for l.next < l.b.N {
		l.next++
		ticket := l.pool.Enter()
		spin(aboutMicrosecond)
		if l.block && l.next%100 == 0 {
			sleepNs(blockNs)
		}
		if !l.pool.Leave(ticket) {
			return
		}
	}
	l.endedNs = l.pool.clk.nowNs()
}

const aboutMicrosecond = 850
