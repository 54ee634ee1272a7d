package server

import (
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/proto"
)

// phase is how far a session is.
type phase uint8

const (
	phaseOpen     phase = iota // nobody has logged in
	phaseLogin                 // LOGIN is with the home or on its way to an atlas
	phasePlaying               // requests go to session.owner
	phaseCrossing              // the fence is posted; nothing goes to an atlas
	phaseLeaving               // the leave is posted; home will say that the player is gone
	phaseOver                  // home has said so
)

// session is a connection and the player behind it, as the gate sees them. It
// outlives its connection until the player is back home.
type session struct {
	conn   *runtime.Conn // nil when it is closed
	handle uint64
	phase  phase

	// quit: the leave is due as soon as the phase allows. Set when the connection ends
	// while a login or a crossing is under way.
	quit bool
	// kicked: no frame is read any more.
	kicked bool
	// held: unread frames wait until the session can go on.
	held bool
	// fresh: the session's next VIEW is one for newcomers.
	fresh bool
	// bye: LOGOUT with byeTag is to be answered, with byeCode once byeReady; nothing more is read.
	bye, byeReady bool
	byeTag        uint8
	byeCode       proto.Code

	tag      uint8 // of the LOGIN
	welcome  uint8 // flags of its answer
	tries    uint8 // logins refused
	inFlight int   // requests that an atlas or a home has to answer; at most proto.MaxInFlight
	bucketNs int64 // see gate.allowed

	name    string
	home    int    // shard of the account
	account uint64 // handle there
	owner   int    // shard of the map
	player  uint64 // handle there

	mapIndex int // of the map whose viewers it is among
	viewer   int // place among them plus one; 0: not a viewer

	// early is what was said to the player before his WELCOME.
	early []*runtime.Block
}

// mayRequest reports whether a request that needs an atlas or a home can be read now.
func (x *session) mayRequest() bool {
	switch x.phase {
	case phaseOpen, phasePlaying:
		return x.inFlight < proto.MaxInFlight
	}
	return false
}
