package nonblock_test

import (
	"testing"

	"github.com/syslet/syslet/models/nonblock"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, func(o runtime.Options) (*runtime.Server, error) { return runtime.New(o, nonblock.New) }, nil)
}

func TestConformanceInline(t *testing.T) {
	conformance.Run(t, func(o runtime.Options) (*runtime.Server, error) {
		o.Files = runtime.FilesInline
		return runtime.New(o, nonblock.New)
	}, nil)
}
