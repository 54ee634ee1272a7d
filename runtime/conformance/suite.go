// Package conformance is the suite that every driver must pass: the runtime's
// contract, seen from a client's socket and from an App.
package conformance

import (
	"context"
	"net"
	"os"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/runtime"
)

// Open makes a server under the model that is tested.
type Open func(o runtime.Options) (*runtime.Server, error)

// Run runs the whole suite. skip, if not nil, gives the reason for which this
// system cannot run the model.
func Run(t *testing.T, open Open, skip error) {
	if skip != nil {
		t.Skipf("model refused: %v", skip)
	}
	s := suite{open: open}
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"echo", s.echo}, {"no-delay", s.noDelay}, {"half-close", s.halfClose}, {"end-behind-much", s.endBehindMuch}, {"reset", s.reset}, {"thousand", s.thousand},
		{"slow-reader", s.slowReader}, {"pipelined-leftovers", s.leftovers},
		{"limit-unsent-close", s.unsentClose}, {"limit-unsent-drop", s.unsentDrop}, {"limit-unsent-pause", s.unsentPause},
		{"limit-unread-close", s.unreadClose}, {"limit-unread-pause", s.unreadPause},
		{"limit-conns", s.maxConns}, {"limit-conns-per-addr", s.maxConnsPerAddr}, {"idle", s.idle},
		{"close-flushes", s.closeFlushes}, {"abort", s.abort}, {"linger", s.lingerTimeout}, {"pause-resume", s.pauseResume},
		{"file-order", s.fileOrder}, {"file-big", s.fileBig}, {"file-cold", s.fileCold}, {"file-gone", s.fileGone}, {"file-short", s.fileShort}, {"file-idle", s.fileIdle},
		{"file-waits", s.fileWaits}, {"half-open", s.halfOpen},
		{"block-shared", s.sharedBlock}, {"stale-id", s.staleID},
		{"ops-files", s.opsFiles}, {"ops-errors", s.opsErrors}, {"ops-flags", s.opsFlags}, {"ops-net", s.opsNet},
		{"ops-pipes", s.opsPipes}, {"ops-bad", s.opsBad}, {"ops-busy", s.opsBusy}, {"ops-starve", s.opsStarve}, {"ops-no-complete", s.opsNoComplete},
		{"cancel", s.cancel}, {"threadlet", s.threadlet}, {"threadlet-panic", s.threadletPanic},
		{"bodies-block", s.bodiesBlock}, {"bodies-run", s.bodiesRun}, {"bodies-fail", s.bodiesFail}, {"bodies-goexit", s.bodiesGoexit}, {"bodies-many", s.bodiesMany}, {"bodies-stop", s.bodiesStop},
		{"loop-goes-on", s.loopGoesOn}, {"conn-gone-in-flight", s.connGoneInFlight},
		{"mailbox-order", s.mailboxOrder}, {"mailbox-busy", s.mailboxBusy}, {"timers", s.timers}, {"ticks", s.ticks}, {"do", s.do}, {"do-after-echo", s.doAfterEcho},
		{"no-allocations", s.allocs}, {"no-allocations-ops", s.opAllocs}, {"stop-waits", s.stopWaits}, {"stop-timeout", s.stopTimeout}, {"stats", s.stats},
		{"blocks-sleep", s.blocksSleep}, {"blocks-default", s.blocksDefault}, {"blocks-sync", s.blocksSync}, {"blocks-shards", s.blocksShards}, {"blocks-lock", s.blocksLock}, {"blocks-compute", s.blocksCompute}, {"blocks-off", s.blocksOff},
		{"blocks-stalls", s.blocksStalls},
	} {
		t.Run(part.name, func(t *testing.T) {
			CheckLeaks(t) // registered first, so that it runs after all cleanups
			part.run(t)
		})
	}
}

type suite struct{ open Open }

// app is an App of functions; nil ones do nothing.
type app struct {
	start   func(s *runtime.Shard)
	opened  func(c *runtime.Conn)
	data    func(c *runtime.Conn, p []byte) int
	closed  func(c *runtime.Conn, reason error)
	message func(s *runtime.Shard, from int, m *runtime.Message)
	tick    func(s *runtime.Shard)
	stop    func(s *runtime.Shard)
}

func (a *app) Start(s *runtime.Shard) {
	if a.start != nil {
		a.start(s)
	}
}
func (a *app) Opened(c *runtime.Conn) {
	if a.opened != nil {
		a.opened(c)
	}
}
func (a *app) Data(c *runtime.Conn, p []byte) int {
	if a.data != nil {
		return a.data(c, p)
	}
	return len(p)
}
func (a *app) Closed(c *runtime.Conn, reason error) {
	if a.closed != nil {
		a.closed(c, reason)
	}
}
func (a *app) Message(s *runtime.Shard, from int, m *runtime.Message) {
	if a.message != nil {
		a.message(s, from, m)
	}
}
func (a *app) Tick(s *runtime.Shard) {
	if a.tick != nil {
		a.tick(s)
	}
}
func (a *app) Stop(s *runtime.Shard) {
	if a.stop != nil {
		a.stop(s)
	}
}

func echoApp() *app {
	return &app{data: func(c *runtime.Conn, p []byte) int { _ = c.Write(p); return len(p) }}
}

// patience bounds every wait of the suite; no test relies on its length.
const patience = 30 * time.Second

// serve starts a server with the same App on each shard and stops it at the
// test's end.
func (s suite) serve(t *testing.T, o runtime.Options, a *app) *runtime.Server {
	t.Helper()
	return s.serveEach(t, o, func(*runtime.Shard) *app { return a })
}

func (s suite) serveEach(t *testing.T, o runtime.Options, make func(*runtime.Shard) *app) *runtime.Server {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	v, err := s.open(o)
	require.NoError(t, err)
	require.NoError(t, v.Start(func(sh *runtime.Shard) (runtime.App, error) { return make(sh), nil }))
	t.Cleanup(func() { stop(t, v) })
	return v
}

func stop(t *testing.T, v *runtime.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := v.Stop(ctx); err != nil && !strings.Contains(err.Error(), "stopped before") {
		require.NoError(t, err)
	}
}

func dial(t *testing.T, v *runtime.Server) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", v.Addr().String(), patience)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return c.(*net.TCPConn)
}

// on runs fn on the first shard and waits for it.
func on(t *testing.T, v *runtime.Server, fn func(s *runtime.Shard)) {
	t.Helper()
	done := make(chan struct{})
	v.Shards()[0].Do(func(s *runtime.Shard) { fn(s); close(done) })
	await(t, done)
}

func await[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case x := <-ch:
		return x
	case <-time.After(patience):
		var b strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
		t.Fatalf("nothing came\n%s", b.String())
		panic("unreachable")
	}
}

func statsOf(t *testing.T, v *runtime.Server) runtime.Stats {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	st, err := v.Stats(ctx)
	require.NoError(t, err)
	return st
}

// CheckLeaks fails the test if it leaves descriptors or goroutines behind. Call
// it first, so that it looks after all other cleanups.
func CheckLeaks(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // Go's netpoller opens its own descriptors once
	require.NoError(t, err)
	require.NoError(t, l.Close())
	files, routines := openFiles(t), pprof.Lookup("goroutine").Count()
	t.Cleanup(func() {
		deadline := time.Now().Add(patience)
		// Closing is over for the kernel and the scheduler a little after it is for us.
		for openFiles(t) > files || pprof.Lookup("goroutine").Count() > routines {
			if time.Now().After(deadline) {
				var b strings.Builder
				_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
				t.Fatalf("leaked: %d descriptors, were %d; %d goroutines, were %d\n%s", openFiles(t), files,
					pprof.Lookup("goroutine").Count(), routines, b.String())
			}
			time.Sleep(time.Millisecond)
		}
	})
}

func openFiles(t *testing.T) int {
	names, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(names)
}
