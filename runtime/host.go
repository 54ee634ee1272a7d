package runtime

import "context"

// Host takes the place of what a Server has from the system, so that shards
// can run with no kernel under them (runtime/simdriver). On a Host there are no
// listening sockets, no threads and no clock but the Host's, and everything,
// Start, Stop and Stats included, is called on one goroutine.
type Host interface {
	// NowNs is the clock of all shards: monotonic ns from any zero.
	NowNs() int64
	// Step lets shards run for a little, by Shard.Loop. The Server calls it for
	// as long as it waits for one of them.
	Step()
}

// NewHosted is New for a server that runs on h. Its drivers' Listen is given
// -1; Driver.Run is called only when the shard has ended, to release what the
// driver holds.
func NewHosted(o Options, factory DriverFactory, h Host) (*Server, error) {
	v, err := New(o, factory)
	if err == nil {
		v.host = h
	}
	return v, err
}

// hostUntil lets h run the shards until something is in ch. Without a host it
// returns at once, and the caller waits at the channel.
func hostUntil[T any](ctx context.Context, h Host, ch chan T) {
	if h == nil {
		return
	}
	for len(ch) == 0 && ctx.Err() == nil {
		h.Step()
	}
}

// hostRuns lets the host run the shards to their end, and their drivers
// release what they hold.
func (v *Server) hostRuns() {
	if v.host == nil {
		return
	}
	for _, s := range v.shards {
		for !s.quit {
			v.host.Step()
		}
		v.runErrs <- s.drv.Run()
	}
}
