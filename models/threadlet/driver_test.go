package threadlet_test

import (
	"testing"

	"github.com/syslet/syslet/models/threadlet"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
)

func TestConformance(t *testing.T) {
	for _, detector := range []string{"auto", "timer", "explicit"} {
		t.Run(detector, func(t *testing.T) {
			conformance.Run(t, func(o runtime.Options) (*runtime.Server, error) {
				o.Detector = detector
				return runtime.New(o, threadlet.New)
			}, threadlet.Probe())
		})
	}
}
