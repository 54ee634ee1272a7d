package server

import (
	"time"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/world"
)

// Ledger remembers what players have done. Its methods may block for long; any
// goroutine may call them, several at once. Package ledger has one.
type Ledger interface {
	// Top gives the players with most points, at most limit.
	Top(limit int) ([]world.Rank, error)
	// Record adds deeds, all or none.
	Record(deeds []world.Deed) error
	Close() error
}

// scribe is the part of a shard that has access to the ledger. Whatever it does
// there is the body of a threadlet.
type scribe struct {
	app    *App
	shard  *runtime.Shard
	ledger Ledger // nil: there is none
	asking int    // rankings under way
	// pending are deeds that the ledger has not been told of, the oldest first.
	pending []world.Deed
	writing bool // Invariant: true exactly while a Record is under way
	timer   *runtime.Timer
	closing bool // Stop was called: what is pending is written, then the ledger closed
}

const (
	// pendingMost bounds what is kept while the ledger cannot be written.
	pendingMost = 1 << 16
	// batchMost bounds the deeds of one transaction, and so how long it takes.
	batchMost = 1024
)

func (sc *scribe) init(a *App, l Ledger) {
	sc.app, sc.shard, sc.ledger = a, a.shard, l
	sc.timer = runtime.NewTimer(func(*runtime.Shard) { sc.write() })
}

// ranking is a RANKING under way. What the body finds out is here, and the shard
// reads it when the body has ended.
type ranking struct {
	ranks  []world.Rank
	tookNs int64
}

// askRanking answers a RANKING of the session when the ledger has. It takes the
// gate's own shard: a ranking is of no shard's state.
func (g *gate) askRanking(x *session, tag uint8) {
	sc := &g.app.scribe
	if sc.ledger == nil {
		g.refuse(x, tag, proto.CodeNoLedger)
		return
	}
	r, session := &ranking{}, x.handle
	if sc.asking >= sc.app.config.Rankings || sc.shard.Threadlet(func() error { return r.find(sc.ledger) }, func(err error) {
		sc.asking--
		sc.book(r, err)
		g.ranked(session, tag, r, err)
		sc.app.settle()
	}) != runtime.Queued {
		g.refuse(x, tag, proto.CodeBusy)
		return
	}
	sc.asking++
	x.inFlight++
}

// find is the body of a threadlet.
func (r *ranking) find(l Ledger) (err error) {
	began := time.Now()
	r.ranks, err = l.Top(proto.MaxRanks)
	r.tookNs = int64(time.Since(began))
	return err
}

func (sc *scribe) book(r *ranking, err error) {
	m := &sc.app.metrics
	m.Rankings++
	m.RankingNs += uint64(r.tookNs)
	if err != nil {
		m.LedgerFailures++
		m.LastError = err.Error()
	}
}

// ranked writes the answer to a RANKING, if the session is there still.
func (g *gate) ranked(session uint64, tag uint8, r *ranking, err error) {
	x := g.sessions.get(session)
	if x == nil {
		return
	}
	e := proto.Event{Type: proto.Ranked, Tag: tag}
	if err != nil {
		e.Type, e.Code = proto.Refused, proto.CodeStorage
	}
	for i := range r.ranks {
		e.Data = proto.AppendRank(e.Data, r.ranks[i].Player, r.ranks[i].Points)
	}
	g.answered(x, &e)
}

// record takes note of what a player did who has left. The ledger is told a little
// later, of many deeds at once.
func (sc *scribe) record(player string, points uint64) {
	if sc.ledger == nil || points == 0 {
		return
	}
	if len(sc.pending) >= pendingMost {
		sc.app.metrics.DeedsLost++
		return
	}
	sc.pending = append(sc.pending, world.Deed{Player: player, AtMs: time.Now().UnixMilli(), Points: points})
	if !sc.writing && !sc.timer.Armed() {
		sc.shard.Arm(sc.timer, sc.app.config.RecordEvery)
	}
}

// write tells the ledger what is pending.
func (sc *scribe) write() {
	if sc.writing || len(sc.pending) == 0 {
		return
	}
	// The body reads what the shard only appends behind.
	batch := sc.pending[:min(len(sc.pending), batchMost):min(len(sc.pending), batchMost)]
	if sc.shard.Threadlet(func() error { return sc.ledger.Record(batch) }, func(err error) { sc.wrote(len(batch), err) }) != runtime.Queued {
		sc.shard.Arm(sc.timer, sc.app.config.RetryEvery)
		return
	}
	sc.writing = true
}

// wrote goes on with what has come meanwhile, at once if it is much or the end.
func (sc *scribe) wrote(n int, err error) {
	sc.writing = false
	switch {
	case err == nil:
		sc.pending = sc.pending[n:]
		sc.app.metrics.DeedsRecorded += uint64(n)
	default:
		sc.app.metrics.LedgerFailures++
		sc.app.metrics.LastError = err.Error()
	}
	switch {
	case sc.closing:
		if err != nil { // there is no later
			sc.app.metrics.DeedsLost += uint64(len(sc.pending))
			sc.pending = nil
		}
		sc.close()
	case err != nil:
		sc.shard.Arm(sc.timer, sc.app.config.RetryEvery)
	case len(sc.pending) >= batchMost:
		sc.write()
	case len(sc.pending) > 0:
		sc.shard.Arm(sc.timer, sc.app.config.RecordEvery)
	}
}

// close writes what is pending and then closes the ledger. The server waits for
// both, as for all that its end has begun.
func (sc *scribe) close() {
	sc.closing = true
	if sc.ledger == nil || sc.writing {
		return
	}
	if len(sc.pending) > 0 {
		sc.shard.Disarm(sc.timer)
		if sc.write(); sc.writing {
			return
		}
		sc.app.metrics.DeedsLost += uint64(len(sc.pending))
	}
	l := sc.ledger
	sc.ledger = nil
	sc.shard.Threadlet(l.Close, func(err error) {
		if err != nil {
			sc.app.metrics.LedgerFailures++
			sc.app.metrics.LastError = err.Error()
		}
	})
}
