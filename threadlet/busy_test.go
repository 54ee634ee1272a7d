package threadlet

import (
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// competitor is another process that uses the given CPU without pause until the test ends.
func competitor(t testing.TB, cpu int) {
	cmd := exec.Command("sh", "-c", "while :; do :; done")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var set unix.CPUSet
	set.Set(cpu)
	require.NoError(t, unix.SchedSetaffinity(cmd.Process.Pid, &set))
}

// BenchmarkBusyHead is what each detector costs a head that never blocks: bodies of about 1 us, with and without another
// process on the CPU.
func BenchmarkBusyHead(b *testing.B) {
	for _, competed := range []bool{false, true} {
		for _, d := range []string{DetectorExplicit, DetectorIdle, DetectorSwitch, DetectorTimer} {
			name := d + "/alone"
			if competed {
				name = d + "/competed"
			}
			b.Run(name, func(b *testing.B) {
				needDetector(b, d, anyCPU(b))
				cpu := anyCPU(b)
				if competed {
					competitor(b, cpu)
				}
				busyHead(b, Config{CPU: cpu, Standbys: 2, Detector: d})
			})
		}
	}
}

func busyHead(b *testing.B, cfg Config) {
	var p *Pool
	done := 0
	cfg.Loop = func() {
		for done < b.N && done >= 0 {
			done++
			ticket := p.Enter()
			spin(1000)
			if !p.Leave(ticket) {
				return
			}
		}
	}
	p = open(b, cfg)
	b.ReportAllocs()
	b.ResetTimer()
	require.NoError(b, p.Run())
	b.StopTimer()
	stats, seconds := p.Stats(), b.Elapsed().Seconds()
	b.ReportMetric(float64(stats.FalseAlarms)/seconds, "false/s")
	b.ReportMetric(float64(stats.Detected())/seconds, "taken/s")
	b.ReportMetric(float64(stats.Misses()), "misses")
}

func spin(n int) {
	x := uint64(n)
	for range n {
		x = x*6364136223846793005 + 1
	}
	runtime.KeepAlive(x)
}
