package runtime

import "errors"

// Why a connection was closed, or why something was refused. Errors of limits
// name the option that sets the limit.
var (
	ErrPeerClosed    = errors.New("runtime: peer closed the connection")
	ErrClosedByApp   = errors.New("runtime: closed by the application")
	ErrShutdown      = errors.New("runtime: server is shutting down")
	ErrConnClosed    = errors.New("runtime: connection is closed")
	ErrUnreadLimit   = errors.New("runtime: too many unconsumed bytes (Options.MaxUnread)")
	ErrUnsentLimit   = errors.New("runtime: too many unsent bytes (Options.MaxUnsent)")
	ErrIdle          = errors.New("runtime: connection was idle for too long (Options.IdleTimeout)")
	ErrLinger        = errors.New("runtime: peer did not take the last bytes in time (Options.LingerTimeout)")
	ErrFileShort     = errors.New("runtime: file is shorter than the range of it that was queued (Conn.WriteFile)")
	ErrBadSyslet     = errors.New("runtime: bad syslet")
	ErrBadOption     = errors.New("runtime: bad option")
	ErrStopTimeout   = errors.New("runtime: shutdown gave up waiting")
	ErrNotRunning    = errors.New("runtime: server is not running")
	ErrModelRefused  = errors.New("runtime: model refused by this system")
	errDuplicateStop = errors.New("runtime: server was stopped before")

	// ErrGoexit is the error of a Call op or a threadlet's function that called
	// runtime.Goexit (testing's FailNow does). A driver that runs calls is ready for
	// the end of its goroutine: it finishes the syslet in a deferred function, and
	// another goroutine, or the deferred function itself, takes over.
	ErrGoexit = errors.New("runtime: call ended its goroutine (runtime.Goexit)")
)
