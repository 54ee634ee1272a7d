package proto

import "fmt"

// Type is the first byte of a frame.
type Type uint8

// Requests.
const (
	Login   Type = 0x01
	Move    Type = 0x02
	Chat    Type = 0x03
	Ping    Type = 0x04
	Save    Type = 0x05
	Logout  Type = 0x06
	Ranking Type = 0x07
)

// Answers, and what the server sends unasked.
const (
	Welcome Type = 0x81
	Moved   Type = 0x82
	Chatted Type = 0x83
	Pong    Type = 0x84
	Saved   Type = 0x85
	Bye     Type = 0x86
	Refused Type = 0x87
	Ranked  Type = 0x88
	View    Type = 0x90
	Heard   Type = 0x91
	Kicked  Type = 0x92
)

// Flags of answers. Their meaning depends on the type.
const (
	FlagNew       = 1 // WELCOME: the name was registered
	FlagTakenOver = 2 // WELCOME: the session was another connection's
	FlagBlocked   = 1 // MOVED: a wall was in the way
	FlagPortal    = 2 // MOVED: the step ended on a portal
	FlagReset     = 1 // VIEW: forget everyone seen before
	FlagPrivate   = 1 // HEARD: for this player alone
)

// Limits, in bytes unless a name says otherwise.
const (
	MaxName     = 24
	MaxToken    = 64
	MaxText     = 200
	MaxEntries  = 1<<16 - 1 // of one VIEW
	Directions  = 4
	MaxInFlight = 64 // requests unanswered, beyond which the server does not read
	MaxLogins   = 5  // tries per connection
	MaxRanks    = 10 // of one RANKED

	// MaxRequest and MaxEvent bound a frame of each direction.
	MaxRequest = 4 + MaxName + MaxText
	MaxEvent   = viewHead + MaxEntries

	viewHead   = 10
	rankedHead = 4
	rankHead   = 5
)

// Code says why a request was refused or a connection ended.
type Code uint8

// The codes of REFUSED and KICKED.
const (
	CodeMalformed   Code = 1
	CodeFlood       Code = 2
	CodeNotLoggedIn Code = 3
	CodeLoggedIn    Code = 4
	CodeBadName     Code = 5
	CodeBadToken    Code = 6
	CodeStorage     Code = 7
	CodeCorrupt     Code = 8
	CodeNoPlayer    Code = 9
	CodeTakenOver   Code = 10
	CodeFull        Code = 11
	CodeLogins      Code = 12
	CodeNoLedger    Code = 13
	CodeBusy        Code = 14
)

var codeNames = [...]string{
	"0", "malformed", "flood", "not-logged-in", "logged-in", "bad-name", "bad-token",
	"storage", "corrupt", "no-player", "taken-over", "full", "logins", "no-ledger", "busy",
}

// String gives the code's name as in the package comment.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// MalformedError is what Parse methods return for bytes that cannot become a
// frame, whatever follows. The values are shared: returning one allocates nothing.
type MalformedError struct{ What string }

// Error says what was wrong.
func (e *MalformedError) Error() string { return "proto: malformed frame: " + e.What }

var (
	errType      = &MalformedError{"unknown type"}
	errNameLen   = &MalformedError{"length of the name"}
	errTokenLen  = &MalformedError{"length of the token"}
	errTextLen   = &MalformedError{"length of the text"}
	errDirection = &MalformedError{"direction"}
	errEntry     = &MalformedError{"entry of a view"}
	errRank      = &MalformedError{"rank"}
)

// ValidName reports whether name has 1 to MaxName of the allowed characters.
func ValidName[T string | []byte](name T) bool {
	if len(name) == 0 || len(name) > MaxName {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
