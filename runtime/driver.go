package runtime

// Driver is the only thing that an execution model has to write: how one shard
// waits, how bytes go in and out, and what happens to a syslet. One Driver
// belongs to one Shard.
//
// The contract:
//
//   - Run runs the shard to its end, on threads of the driver's choice. It calls
//     Shard.Loop on the thread that is the shard's head. All methods but Run and
//     Wake are called by the head alone, and the driver calls the shard's
//     delivery methods (Accepted, Received, ReceivedEnd, Failed, Sent, Finish)
//     on the head alone, at most one at a time.
//   - Turn waits until something happens, at most for timeoutNs (0: do not wait;
//     negative: for ever), and delivers what happened. It polls without waiting
//     before it sleeps; directly before it sleeps it asks Shard.MayWait and
//     directly after it says Shard.Woke. It returns false if the calling thread
//     lost the shard on the way: that thread touches nothing of the shard after.
//     What is left of a batch is state of the driver, not of its stack.
//   - Completion: a syslet that was Queued is finished exactly once: by Finish on
//     the head, or by FinishFrom on another thread.
//     Cancelled is a completion, too.
//   - Buffers: bytes given to the kernel stay alive and unchanged until the kernel
//     is done with them, also when the connection is gone: Detach may be
//     answered later, by Shard.Detached, and only then is the Conn used again.
//   - Identity: events are matched by slot and generation (Conn.ID), never by
//     descriptor.
//   - Blocks: a driver whose heads are threads of their own gives the shard a
//     sensor (SetBlockSensing, SetBlockSensor), and books what blocks in bodies
//     that it runs in the head's context (BookBlock, BodyRan). What it makes in
//     the loop it makes by ExecHere.
//   - A missing feature of the kernel is an error of the factory that names the
//     feature and the kernel that has it.
type Driver interface {
	// Run blocks until the shard has ended and everything is released.
	Run() error
	// Turn is one wait and the delivery of what it brought.
	Turn(timeoutNs int64) (kept bool)
	// Listen begins to accept on fd, a nonblocking listening socket that stays
	// the shard's; StopListening ends that.
	Listen(fd int) error
	StopListening()
	// Attach begins to receive for a connection that was just accepted.
	Attach(c *Conn) error
	// SetReading stops or resumes receiving.
	SetReading(c *Conn, on bool)
	// Flush starts to send the queued output of conns, all of one turn at once.
	// Progress is reported by Shard.Sent, during the call or later.
	Flush(conns []*Conn)
	// CloseWrite sends the end of the stream after what was flushed.
	CloseWrite(c *Conn)
	// Detach ends a connection: no more deliveries, descriptor closed, and
	// Shard.Detached once the kernel holds nothing of it.
	Detach(c *Conn)
	// Submit runs what is left of a syslet. Busy only if nothing of it has run.
	Submit(y *Syslet) Outcome
	// Cancel asks for the early end of a syslet in flight. The completion follows.
	Cancel(y *Syslet)
	// Wake ends the head's wait. Any thread may call it.
	Wake()
	// ReadStats adds what the driver counts.
	ReadStats(st *Stats)
}

// DriverFactory makes the driver of a shard. It is called once per shard,
// before any of them runs, and must leave nothing behind when it fails.
type DriverFactory func(s *Shard) (Driver, error)
