package runtime

import "fmt"

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

// FilesMode says where the nonblock model makes calls that have no nonblocking
// form, Go functions (Call ops and threadlets) among them.
type FilesMode uint8

const (
	// FilesHelpers: on a pool of helper threads.
	FilesHelpers FilesMode = iota
	// FilesInline: in the loop, which blocks: the pure form of 2007's argument.
	FilesInline
)

// Strategy says what the threadlet model does with an op that has a nonblocking
// form.
type Strategy uint8

const (
	// StrategyAuto chooses per op, by what was measured (BenchmarkStrategy).
	StrategyAuto Strategy = iota
	// StrategyTry tries the form first, and announces a block when it is refused.
	StrategyTry
	// StrategyDetect makes the plain call and leaves the block to the detector.
	StrategyDetect
)

var strategyNames = [...]string{"auto", "try", "detect"}

// String gives the strategy's name.
func (s Strategy) String() string { return strategyNames[s] }

// ParseStrategy is the strategy of that name.
func ParseStrategy(name string) (Strategy, error) {
	for i, n := range strategyNames {
		if n == name {
			return Strategy(i), nil
		}
	}
	return 0, fmt.Errorf("%w: strategy %q is unknown (want auto, try or detect)", ErrBadOption, name)
}
