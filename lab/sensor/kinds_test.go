package sensor

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/syslet/syslet/lab/result"
)

// TestKindsSayWhatTheyGive: each sensor gives the quantities that it is listed
// with, in that order and unit, and a value or a reason.
func TestKindsSayWhatTheyGive(t *testing.T) {
	for _, k := range kinds {
		s := k.open(Target{PID: os.Getpid()})
		require.Equal(t, k.name, s.Name())
		s.Start()
		readings, _ := s.Stop()
		s.Close()
		require.GreaterOrEqual(t, len(readings), len(k.quantities), k.name)
		for i, q := range k.quantities {
			r := readings[i]
			require.Equal(t, q, quantity{r.Name, r.Metric.Unit, r.Total}, k.name)
			require.NotEmpty(t, r.Metric.Source, r.Name)
			if !r.Metric.Available() {
				require.Zero(t, r.Metric.Value, r.Name)
			}
		}
	}
}

func TestTailMissing(t *testing.T) {
	metrics := TailMissing("no tail")
	require.Equal(t, result.Missing("no tail", "1", result.SourcePerf), metrics["switches_perf_per_op"])
	require.NotContains(t, metrics, "cpu_per_op")
}

// TestPMUByFakes counts software events as if they were the PMU's: all that a PMU's
// sensor does but the hardware.
func TestPMUByFakes(t *testing.T) {
	events := []hardwareEvent{{"faults", event{1, 2}}, {"none", event{1, 1 << 40}}}
	p := newPMU("fake", os.Getpid(), events, "")
	defer p.Close()
	p.Start()
	require.NoError(t, exec.Command("true").Run()) // a child starts with faults in ours
	readings, _ := p.Stop()
	require.Contains(t, readings[1].Metric.Unavailable, "no event none")
	if !readings[0].Metric.Available() {
		t.Skip("this kernel or container allows no perf software event:", readings[0].Metric.Unavailable)
	}
	require.Positive(t, readings[0].Metric.Value)
	require.True(t, strings.HasPrefix(readings[0].Metric.Source, result.SourcePMU))
}

// TestPMUTakesTurns: what a counter misses while others have the hardware is scaled
// up, and said.
func TestPMUTakesTurns(t *testing.T) {
	m, notes := metricBetween([]count{{0, 0, 0}}, []count{{500, 1000, 500}}, result.SourcePMU)
	require.Equal(t, result.Of(1000, "1", result.SourcePMU), m)
	require.Equal(t, []string{"a counter ran only 50.0 % of the time and was scaled up"}, notes)
	m, _ = metricBetween([]count{{0, 0, 0}}, []count{{0, 1000, 0}}, result.SourcePMU)
	require.Equal(t, errNeverRan.Error(), m.Unavailable)
}

// TestReadMiss: the numbers of perf_event_open(2): cache | op << 8 | result << 16.
func TestReadMiss(t *testing.T) {
	require.Equal(t, event{3, 0x10000}, readMiss(0))
	require.Equal(t, event{3, 0x10003}, readMiss(3))
}
