package runtime

// App is a server program: the callbacks of one shard.
//
// The runtime makes one App per shard (see Server.Start), so that an App's
// fields belong to its shard and need no locks. All callbacks of a shard run
// one at a time, on whichever thread is that shard's head. A callback must not
// block: it submits a Syslet or a Threadlet instead. If it holds the shard up
// for longer than Options.StallBudget, Stats.Stalls counts it, and Server.Blocks
// names the line.
type App interface {
	// Opened reports a new connection. Nothing has been received yet.
	Opened(c *Conn)

	// Data shows all unconsumed bytes of c, oldest first, and returns how many
	// of them it consumed (0..len(p)). The rest is kept and shown again when
	// more has arrived or when Conn.Reread is called. p is valid only during
	// the call.
	Data(c *Conn, p []byte) (consumed int)

	// Closed reports, exactly once for each Opened, that c is gone. c may not
	// be written to any more; its ID and User are still readable. The reason
	// is never nil: ErrPeerClosed for an orderly end, an errno, ErrShutdown,
	// ErrClosedByApp, or the error of the limit that was hit.
	Closed(c *Conn, reason error)
}

// Starter is an App that wants to be told, on its shard and before any other
// callback, that the shard runs. All shards exist by then; messages may be
// posted.
type Starter interface{ Start(s *Shard) }

// Ticker is an App that is called every Options.TickInterval. A tick that is
// late is not made up for: the next one is due one interval after it ran.
type Ticker interface{ Tick(s *Shard) }

// Receiver is an App that takes messages from other shards (Shard.Post).
// Messages of one sender arrive in the order in which they were posted.
type Receiver interface {
	Message(s *Shard, from int, m *Message)
}

// Stopper is an App that wants to act once before an orderly shutdown, after
// all its connections have been closed: the place to save what must not be
// lost. The shard runs on until all its operations and messages are done.
type Stopper interface{ Stop(s *Shard) }

// HalfCloser is an App that can go on with a connection whose peer has ended its
// stream in good order but may still read: to send an answer that is not ready yet.
// goOn true keeps it open until the App closes it, or Options.IdleTimeout does;
// otherwise it is closed with ErrPeerClosed after its output is sent, as without a
// HalfCloser. Nothing more is received either way.
type HalfCloser interface{ PeerEnded(c *Conn) (goOn bool) }

// AcceptFilter is an App that can refuse a connection before it is opened.
// It is called after the runtime's own limits.
type AcceptFilter interface{ Accept(s *Shard, c *Conn) bool }
