package server

import "github.com/syslet/syslet/workloads/game/proto"

// Metrics are what the game did on a shard since it began; they only grow.
type Metrics struct {
	Sessions, Logins, Registered, Logouts uint64
	Takeovers                             uint64 // sessions that a second login ended
	Moves, Crossings, Says, Tells, Pings  uint64
	Views                                 uint64 // VIEW blocks queued, one per viewer and tick
	SavesAnswered                         uint64
	Refusals                              uint64 // REFUSED, of whatever code
	KickedMalformed, KickedFlood          uint64
	KickedTakenOver, KickedOther          uint64
	LoadFailures                          uint64 // players' files that could not be read
	Displaced                             uint64 // players whose place the datapack does not have any more
	Rankings, RankingNs                   uint64 // of the ledger, and the time that its answers took in all
	DeedsRecorded, DeedsLost              uint64 // in the ledger; that it could not be told of
	LedgerFailures                        uint64
	LostMail                              uint64 // requests of players whom a full map has turned away; otherwise 0, or there is a bug
	// LastError is the last failure to read or write a player's file or the ledger.
	LastError string
}

func (m *Metrics) kicked(c proto.Code) {
	switch c {
	case proto.CodeMalformed:
		m.KickedMalformed++
	case proto.CodeFlood:
		m.KickedFlood++
	case proto.CodeTakenOver:
		m.KickedTakenOver++
	default:
		m.KickedOther++
	}
}

// add adds the counters of o.
func (m *Metrics) add(o *Metrics) {
	m.Sessions += o.Sessions
	m.Logins += o.Logins
	m.Registered += o.Registered
	m.Logouts += o.Logouts
	m.Takeovers += o.Takeovers
	m.Moves += o.Moves
	m.Crossings += o.Crossings
	m.Says += o.Says
	m.Tells += o.Tells
	m.Pings += o.Pings
	m.Views += o.Views
	m.SavesAnswered += o.SavesAnswered
	m.Refusals += o.Refusals
	m.KickedMalformed += o.KickedMalformed
	m.KickedFlood += o.KickedFlood
	m.KickedTakenOver += o.KickedTakenOver
	m.KickedOther += o.KickedOther
	m.LoadFailures += o.LoadFailures
	m.Displaced += o.Displaced
	m.Rankings += o.Rankings
	m.RankingNs += o.RankingNs
	m.DeedsRecorded += o.DeedsRecorded
	m.DeedsLost += o.DeedsLost
	m.LedgerFailures += o.LedgerFailures
	m.LostMail += o.LostMail
	if o.LastError != "" {
		m.LastError = o.LastError
	}
}
