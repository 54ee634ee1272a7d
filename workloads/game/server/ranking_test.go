package server_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/workloads/game/ledger"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/server"
	"github.com/syslet/syslet/workloads/game/world"
)

// slowLedger is a ledger whose answers come when the test lets them.
type slowLedger struct {
	begun, gate chan struct{} // nil: does not wait

	mu     sync.Mutex
	fail   error
	deeds  []world.Deed
	closed int
}

func (l *slowLedger) open() (server.Ledger, error) { return l, nil }

func (l *slowLedger) Top(limit int) ([]world.Rank, error) {
	if l.gate != nil {
		l.begun <- struct{}{}
		<-l.gate
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ranks := []world.Rank{{Player: "ann", Points: 1 << 40}, {Player: "bob", Points: 7}}
	return ranks[:min(limit, 2)], l.fail
}

func (l *slowLedger) Record(deeds []world.Deed) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail == nil {
		l.deeds = append(l.deeds, deeds...)
	}
	return l.fail
}

func (l *slowLedger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed++
	return nil
}

func (l *slowLedger) failWith(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

func ranking(tag uint8) proto.Request { return proto.Request{Type: proto.Ranking, Tag: tag} }

// ranksOf reads the ranks of a RANKED as "name points".
func ranksOf(t *testing.T, data []byte) (all []string) {
	for len(data) > 0 {
		var r proto.Rank
		n, err := r.Parse(data)
		require.NoError(t, err)
		all = append(all, fmt.Sprintf("%s %d", r.Name, r.Points))
		data = data[n:]
	}
	return all
}

// While a ranking is under way everybody is served, the asker, too, and his
// LOGOUT waits for the answer.
func TestRankingHoldsNobodyUp(t *testing.T) {
	each(t, func(t *testing.T, model string, shards int) {
		l := &slowLedger{begun: make(chan struct{}, 10), gate: make(chan struct{})}
		g := start(t, model, shards, server.Config{Ledger: l.open, Rate: -1})
		ann, bob := dial(t, g), dial(t, g)
		require.Equal(t, proto.CodeNotLoggedIn, ann.ask(ranking(1)).Code)
		ann.login("ann")
		bob.login("bob")
		ann.send(ranking(1))
		<-l.begun
		for tag := range uint8(50) {
			require.Equal(t, proto.Pong, bob.ask(ping(tag)).Type)
			require.Equal(t, proto.Moved, bob.ask(move(tag, tag%4)).Type)
			require.Equal(t, proto.Moved, ann.ask(move(10+tag, tag%4)).Type)
		}
		require.Empty(t, ann.answers[1])
		ann.send(proto.Request{Type: proto.Logout, Tag: 2})
		require.Equal(t, proto.Pong, bob.ask(ping(60)).Type)
		close(l.gate)
		e := ann.await(1)
		require.Equal(t, proto.Ranked, e.Type)
		require.Equal(t, []string{"ann 4294967295", "bob 7"}, ranksOf(t, ann.raw[proto.Ranked][4:]))
		require.Equal(t, proto.Bye, ann.await(2).Type)
		ann.untilEnd()
		m := g.inspect().Metrics
		require.EqualValues(t, 1, m.Rankings)
		require.NotZero(t, m.RankingNs)
		bob.logout()
		g.stop()
		require.Equal(t, shards, l.closed)
		require.ElementsMatch(t, []string{"ann 50", "bob 50"}, deedsOf(l))
	})
}

func deedsOf(l *slowLedger) (all []string) {
	for _, d := range l.deeds {
		all = append(all, fmt.Sprintf("%s %d", d.Player, d.Points))
	}
	return all
}

func TestRankingIsRefused(t *testing.T) {
	g := start(t, "nonblock", 1, server.Config{})
	c := dial(t, g)
	c.login("ann")
	require.Equal(t, proto.Event{Type: proto.Refused, Tag: 1, Code: proto.CodeNoLedger}, c.ask(ranking(1)))
	require.Equal(t, proto.Pong, c.ask(ping(1)).Type)

	l := &slowLedger{begun: make(chan struct{}, 10), gate: make(chan struct{})}
	g = start(t, "nonblock", 1, server.Config{Ledger: l.open, Rankings: 2})
	c, gone := dial(t, g), dial(t, g)
	c.login("ann")
	gone.login("bob")
	c.send(ranking(1))
	gone.send(ranking(1))
	<-l.begun
	<-l.begun
	require.Equal(t, proto.Event{Type: proto.Refused, Tag: 2, Code: proto.CodeBusy}, c.ask(ranking(2)))
	require.NoError(t, gone.conn.Close())
	g.until("the player to be gone", func(r server.Report) bool { return r.Players == 1 })
	l.failWith(errors.New("the ledger is lost"))
	close(l.gate)
	require.Equal(t, proto.Event{Type: proto.Refused, Tag: 1, Code: proto.CodeStorage}, c.await(1))
	require.Equal(t, "the ledger is lost", g.inspect().Metrics.LastError)
	l.failWith(nil)
	require.Equal(t, proto.Ranked, c.ask(ranking(3)).Type)
}

// Deeds that could not be recorded are, later; at the end what is pending is
// recorded, or counted as lost.
func TestDeedsAreRecordedLater(t *testing.T) {
	l := &slowLedger{}
	g := start(t, "nonblock", 2, server.Config{Ledger: l.open, RecordEvery: time.Millisecond, RetryEvery: time.Millisecond})
	play := func(name string, moves int) {
		c := dial(t, g)
		c.login(name)
		for i := range moves {
			c.ask(move(uint8(i), 1))
		}
		c.logout()
	}
	l.failWith(errors.New("the ledger is full"))
	play("ann", 3)
	g.until("a record to fail", func(r server.Report) bool { return r.Metrics.LedgerFailures > 1 })
	play("idle", 0) // no deed
	l.failWith(nil)
	g.until("the deed to be recorded", func(r server.Report) bool { return r.Metrics.DeedsRecorded == 1 })
	play("ann", 2)
	play("bob", 1)
	require.Zero(t, g.inspect().Metrics.DeedsLost)
	g.stop()
	require.ElementsMatch(t, []string{"ann 3", "ann 2", "bob 1"}, deedsOf(l))
	require.Equal(t, 2, l.closed)
}

// rankedMoves checks that the ledger has everybody's moves, whatever model kept it.
func rankedMoves(t *testing.T, dir string, names []string, want []expected) {
	l, err := ledger.Open(dir)
	require.NoError(t, err)
	defer l.Close()
	top, err := l.Top(len(names) + 1)
	require.NoError(t, err)
	var ranks []world.Rank
	for i, name := range names {
		ranks = append(ranks, world.Rank{Player: name, Points: want[i].state.Moves})
	}
	slices.SortFunc(ranks, func(a, b world.Rank) int {
		if a.Points != b.Points {
			return int(b.Points) - int(a.Points)
		}
		return slices.Compare([]byte(a.Player), []byte(b.Player))
	})
	require.Equal(t, ranks, top)
}
