package runtime

// Policy says what happens at a limit.
type Policy uint8

const (
	// PolicyClose closes the connection, with the error of the limit.
	PolicyClose Policy = iota
	// PolicyDrop refuses what would exceed the limit and keeps the connection.
	PolicyDrop
	// PolicyPause stops reading until half of the limit is free again.
	PolicyPause
)

// String gives the policy's name.
func (p Policy) String() string { return [...]string{"close", "drop", "pause"}[p] }

// FilesMode says where the nonblock model makes calls that have no nonblocking form.
type FilesMode uint8

const (
	// FilesHelpers: on a pool of helper threads.
	FilesHelpers FilesMode = iota
	// FilesInline: in the loop, which blocks: the pure form of 2007's argument.
	FilesInline
)
