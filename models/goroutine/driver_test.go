package goroutine_test

import (
	"testing"

	"github.com/syslet/syslet/models/goroutine"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, func(o runtime.Options) (*runtime.Server, error) { return runtime.New(o, goroutine.New) }, nil)
}
