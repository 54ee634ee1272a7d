package runtime

import (
	"fmt"
	"time"
)

// Options configure a Server. The zero value of a field means its default.
// Every limit is explicit; what happens at a limit is a Policy with a counter
// in Stats.
type Options struct {
	// Listen is the TCP address, host:port; port 0 takes a free one. Empty: the
	// server has no socket, and its App works from Start, timers and messages.
	Listen string
	// Backlog of each listening socket. Default 4096.
	Backlog int
	// Shards is the number of loops. Default 1, at most 128.
	Shards int
	// CPUs binds shard i to CPU CPUs[i%len(CPUs)]. Empty: not bound.
	CPUs []int

	// MaxUnread bounds the unconsumed bytes of a connection. Default 1 MiB.
	// UnreadPolicy is PolicyClose (default) or PolicyPause: reading stops until
	// the App consumes (Conn.Reread).
	MaxUnread    int
	UnreadPolicy Policy
	// MaxUnsent bounds the unsent bytes of a connection, without those of files.
	// Default 4 MiB.
	// UnsentPolicy may be any: PolicyPause reads no more from that connection
	// until half has been sent, and closes it at twice the limit.
	MaxUnsent    int
	UnsentPolicy Policy
	// MaxConns bounds the connections of a shard. Default 1<<20. At the limit a
	// new connection is accepted and closed at once, so that its peer knows.
	MaxConns int
	// MaxConnsPerAddr bounds the connections of one IP address on a shard.
	// Default: no bound.
	MaxConnsPerAddr int
	// IdleTimeout closes a connection that received nothing for that long, to
	// a precision of a quarter of it. Default: never.
	IdleTimeout time.Duration
	// LingerTimeout bounds how long a closing connection may take to send its
	// last bytes. Default 5s. Of either, see Conn.WriteFile.
	LingerTimeout time.Duration
	// TickInterval between calls of Ticker.Tick. Default 150ms.
	TickInterval time.Duration

	// MailboxSlots is the size of each ring between two shards, a power of two.
	// Default 1024. MailboxBacklog bounds what waits beside a full ring.
	// Default 1<<16; beyond it Post says Busy.
	MailboxSlots   int
	MailboxBacklog int
	// MaxInFlight bounds the syslets in flight on a shard. Default 1<<16, at most 1<<20.
	MaxInFlight int
	// StallBudget: turns that hold the loop for longer are counted. Default 10ms.
	StallBudget time.Duration
	// BlockThreshold: while a callback holds the loop for longer, a watcher looks
	// where (Server.Blocks). Default 1ms, at least 100us; negative: no block
	// profile. Shorter blocks are counted, too, where the kernel permits perf
	// events, but in spot checks only until they find any; CountEveryBlock has
	// every one counted, at 2 us of CPU for each time that a loop sleeps.
	BlockThreshold  time.Duration
	CountEveryBlock bool

	// Helpers is the number of helper threads per shard (nonblock, iouring). Default 8.
	Helpers int
	// Files: nonblock only.
	Files FilesMode
	// Standbys is the number of spare threads per shard (threadlet). Default 8.
	Standbys int
	// Detector of unannounced blocks (threadlet): auto, idle, switch, timer, explicit.
	Detector string
	// Strategy for ops that have a nonblocking form: threadlet only.
	Strategy Strategy
	// Overrun is how long a threadlet's function may compute in the head before
	// the shard is taken from it as if it had blocked (threadlet). Default 150us;
	// negative: never.
	Overrun time.Duration
	// RingEntries is the submission queue's size (iouring). Default 1024.
	RingEntries int
	// RingBuffers is the number of receive buffers of a shard (iouring), a
	// power of two; RingBufferBytes the size of each. Default 1024 of 4096.
	RingBuffers     int
	RingBufferBytes int

	// Ring: what the model iouring makes use of.
	Ring RingOptions

	// OnTurn, if set, is called on the shard after each turn that did work,
	// with the number of App callbacks for data since the shard began: a place
	// for a sensor.
	OnTurn func(s *Shard, dataCallbacks uint64)
}

const (
	// MaxShards is what a connection's identity has room for.
	MaxShards = 128
	minUnread = 1024
	// A shorter block is over before a stack can be taken.
	blockThresholdMin = 100 * time.Microsecond
)

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// withDefaults fills in defaults and checks the rest.
func (o Options) withDefaults() (Options, error) {
	def(&o.Backlog, 4096)
	def(&o.Shards, 1)
	def(&o.MaxUnread, 1<<20)
	def(&o.MaxUnsent, 4<<20)
	def(&o.MaxConns, 1<<20)
	def(&o.LingerTimeout, 5*time.Second)
	def(&o.TickInterval, 150*time.Millisecond)
	def(&o.MailboxSlots, 1024)
	def(&o.MailboxBacklog, 1<<16)
	def(&o.MaxInFlight, 1<<16)
	def(&o.StallBudget, 10*time.Millisecond)
	def(&o.BlockThreshold, time.Millisecond)
	def(&o.Helpers, 8)
	def(&o.Standbys, 8)
	def(&o.Detector, "auto")
	def(&o.Overrun, 150*time.Microsecond)
	def(&o.RingEntries, 1024)
	def(&o.RingBuffers, 1024)
	def(&o.RingBufferBytes, 4096)
	return o, o.check()
}

func (o *Options) check() error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrBadOption}, a...)...)
	}
	switch {
	case o.Shards < 1 || o.Shards > MaxShards:
		return bad("Shards is %d, want 1 to %d", o.Shards, MaxShards)
	case o.MaxUnread < minUnread:
		return bad("MaxUnread is %d bytes, want at least %d", o.MaxUnread, minUnread)
	case o.UnreadPolicy == PolicyDrop:
		return bad("UnreadPolicy drop would lose bytes of a stream; use close or pause")
	case o.UnreadPolicy > PolicyPause || o.UnsentPolicy > PolicyPause:
		return bad("UnreadPolicy is %d, UnsentPolicy %d: want close, drop or pause", o.UnreadPolicy, o.UnsentPolicy)
	case o.MaxConnsPerAddr < 0 || o.MailboxBacklog < 0 || o.Backlog < 0:
		return bad("MaxConnsPerAddr %d, MailboxBacklog %d, Backlog %d: must not be negative", o.MaxConnsPerAddr, o.MailboxBacklog, o.Backlog)
	case o.IdleTimeout < 0 || o.LingerTimeout < 0 || o.StallBudget < 0:
		return bad("IdleTimeout %v, LingerTimeout %v, StallBudget %v: must not be negative", o.IdleTimeout, o.LingerTimeout, o.StallBudget)
	case o.BlockThreshold > 0 && o.BlockThreshold < blockThresholdMin:
		return bad("BlockThreshold is %v, want at least %v, or negative for no block profile", o.BlockThreshold, blockThresholdMin)
	case o.MaxUnsent < 0 || o.MaxConns < 1 || o.MaxConns > 1<<24 || o.MaxInFlight < 1 || o.MaxInFlight > 1<<20:
		return bad("MaxUnsent %d, MaxConns %d, MaxInFlight %d: want positive, MaxConns at most %d, MaxInFlight at most %d",
			o.MaxUnsent, o.MaxConns, o.MaxInFlight, 1<<24, 1<<20)
	case o.MailboxSlots&(o.MailboxSlots-1) != 0 || o.MailboxSlots < 2:
		return bad("MailboxSlots is %d, want a power of two", o.MailboxSlots)
	case o.RingBuffers&(o.RingBuffers-1) != 0 || o.RingBuffers < 2 || o.RingBuffers > 1<<15:
		return bad("RingBuffers is %d, want a power of two up to %d", o.RingBuffers, 1<<15)
	case o.TickInterval < time.Millisecond:
		return bad("TickInterval is %v, want at least 1ms", o.TickInterval)
	case o.Overrun > 0 && o.Overrun < 10*time.Microsecond:
		return bad("Overrun is %v, want at least 10us, or negative for never", o.Overrun)
	case o.Strategy > StrategyDetect:
		return bad("Strategy is %d, want auto, try or detect", o.Strategy)
	case o.Helpers < 1 || o.Standbys < 1:
		return bad("Helpers %d and Standbys %d must be positive", o.Helpers, o.Standbys)
	}
	return o.Ring.check()
}
