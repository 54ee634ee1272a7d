package models_test

import (
	"fmt"
	"testing"

	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
)

// BenchmarkBlockProfile is what the block profile costs a server that does not
// block: one connection, where the head sleeps for each message and the kernel
// records that, and 64, where it hardly does. Compare on with off in pairs that
// were run together (-count): noise is larger than the difference.
func BenchmarkBlockProfile(b *testing.B) {
	for _, name := range models.Names() {
		for _, conns := range []int{1, 64} {
			for _, profile := range []string{"on", "off", "every"} {
				b.Run(fmt.Sprintf("%s/conns=%d/profile=%s", name, conns, profile), func(b *testing.B) {
					if err := models.Refused(name); err != nil {
						b.Skip(err)
					}
					var o runtime.Options
					switch profile {
					case "off":
						o.BlockThreshold = -1
					case "every":
						o.CountEveryBlock = true
					}
					benchmarkEcho(b, name, conns, o)
				})
			}
		}
	}
}
