package check

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/load/agree"
	"github.com/syslet/syslet/workloads"
)

// plainConns are the connections of the checks that need just a server and a load.
const plainConns = 64

// serveEcho starts our nonblock echo server, on the CPU where the lab has servers.
func serveEcho(ctx context.Context, o *Options) (*agree.Server, error) {
	server, _ := labCPUs()
	return agree.Serve(ctx, o.Binary, server, "--model", "nonblock", "--workload", workloads.Echo)
}

// labCPUs are those that package lab takes by itself: the first for the server, the
// last for the load.
func labCPUs() (server, client []int) {
	if cpus := load.AllowedCPUs(); len(cpus) > 0 {
		return cpus[:1], cpus[len(cpus)-1:]
	}
	return nil, nil
}

// askEcho runs our load against it; args say how it asks.
func askEcho(ctx context.Context, o *Options, s *agree.Server, window time.Duration, seed uint64, onPhase func(load.Phase), args ...string) (*load.Report, error) {
	_, client := labCPUs()
	return agree.Load(ctx, o.Binary, client, onPhase, append([]string{"--workload", workloads.Echo, "--target", s.Target,
		"--conns", strconv.Itoa(plainConns), "--warmup", "200ms", "--duration", window.String(), "--seed", strconv.FormatUint(seed, 10)}, args...)...)
}

// orOf is the number that was asked for, or the check's own.
func orOf(asked int, quick bool, ownQuick, own int) int {
	switch {
	case asked > 0:
		return asked
	case quick:
		return ownQuick
	}
	return own
}

// ms prints microseconds.
func ms(us float64) string { return fmt.Sprintf("%.2f ms", us/1e3) }
