package threadlet_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models/threadlet"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
)

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		name     string
		detector string
		strategy runtime.Strategy
		bound    bool // all shards on one CPU
	}{
		{name: "auto", detector: "auto"},
		{name: "idle", detector: "idle", bound: true},
		{name: "idle, plain calls first", detector: "idle", bound: true, strategy: runtime.StrategyDetect},
		{name: "timer", detector: "timer"},
		{name: "explicit", detector: "explicit", bound: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cpu := -1
			if c.bound {
				cpu = anyCPU(t)
			}
			conformance.Run(t, func(o runtime.Options) (*runtime.Server, error) {
				o.Detector, o.Strategy = c.detector, c.strategy
				if c.bound && o.CPUs == nil {
					o.CPUs = []int{cpu}
				}
				return runtime.New(o, threadlet.New)
			}, threadlet.Refused(c.detector, cpu))
		})
	}
}

// anyCPU is a processor that this process may use.
func anyCPU(t testing.TB) int {
	var set unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &set))
	cpu := 0
	for !set.IsSet(cpu) {
		cpu++
	}
	return cpu
}
