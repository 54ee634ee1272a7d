package server_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/server"
	"github.com/syslet/syslet/workloads/game/world"
)

// each runs a test under every model, with one and with two shards.
func each(t *testing.T, test func(t *testing.T, model string, shards int)) {
	for _, model := range models.Names() {
		for _, shards := range []string{"1", "2"} {
			t.Run(model+"-"+shards, func(t *testing.T) { test(t, model, int(shards[0]-'0')) })
		}
	}
}

func TestSessionFromLoginToRestore(t *testing.T) {
	each(t, func(t *testing.T, model string, shards int) {
		g := start(t, model, shards, server.Config{Datapack: smallWorld(t), Rate: -1})
		ann, bob := dial(t, g), dial(t, g)
		require.EqualValues(t, proto.FlagNew, ann.login("ann").Flags)
		bob.login("bob")

		// Both walk to the same map, and see each other there.
		want := world.State{Pos: ann.at}
		tag, random := uint8(0), rand.New(rand.NewPCG(1, 2))
		for _, c := range []*client{ann, bob} {
			st := world.State{Pos: c.at}
			for st.Map != 2 {
				d := world.Dir(random.IntN(4))
				flags := st.Walk(g.world, d)
				e := c.ask(move(tag, uint8(d)))
				require.Equal(t, proto.Event{Type: proto.Moved, Tag: tag, Flags: flags, Map: st.Map, X: st.X, Y: st.Y}, e)
				tag++
			}
			if c == ann {
				want = st
			}
		}
		ann.untilSeen("bob", func() bool { return ann.sees("bob", bob.at.X, bob.at.Y) && ann.sees("ann", ann.at.X, ann.at.Y) })
		bob.untilSeen("ann", func() bool { return bob.sees("ann", ann.at.X, ann.at.Y) })

		require.Equal(t, proto.Chatted, ann.ask(chat(1, "", "hello map")).Type)
		require.Equal(t, proto.Chatted, bob.ask(chat(2, "ann", "hello ann")).Type)
		bob.untilSeen("ann's line", func() bool { return len(bob.heard) == 1 })
		ann.untilSeen("both lines", func() bool { return len(ann.heard) == 2 })
		require.Equal(t, []string{"ann>hello map"}, bob.heard)
		require.ElementsMatch(t, []string{"ann>hello map", "!bob>hello ann"}, ann.heard)

		e := bob.ask(chat(3, "nobody", "?"))
		require.Equal(t, proto.Event{Type: proto.Refused, Tag: 3, Code: proto.CodeNoPlayer}, e)
		require.Equal(t, proto.Pong, bob.ask(ping(4)).Type)
		require.Equal(t, proto.Saved, bob.ask(save(5)).Type)

		ann.logout()
		bob.untilSeen("ann gone", func() bool { return !bob.sees("ann", ann.at.X, ann.at.Y) })
		again := dial(t, g)
		require.Zero(t, again.login("ann").Flags)
		require.Equal(t, want.Pos, again.at)
		r := g.inspect()
		require.Zero(t, r.Metrics.LostMail)
		require.Equal(t, 2, r.Players)
		require.EqualValues(t, 3, r.Metrics.Logins)
	})
}

func TestPlayersSurviveRestart(t *testing.T) {
	dir, pack := t.TempDir(), smallWorld(t)
	g := start(t, "nonblock", 2, server.Config{Dir: dir, Datapack: pack, SaveEvery: -1})
	c := dial(t, g)
	c.login("ann")
	for i := range uint8(30) {
		c.ask(move(i, i*7/3%4))
	}
	at := c.at
	g.stop() // an orderly stop saves
	g = start(t, "nonblock", 1, server.Config{Dir: dir, Datapack: pack})
	c = dial(t, g)
	require.Zero(t, c.login("ann").Flags)
	require.Equal(t, at, c.at)
}

func TestPeriodicSave(t *testing.T) {
	g := start(t, "nonblock", 2, server.Config{Datapack: smallWorld(t), SaveEvery: time.Millisecond})
	c := dial(t, g)
	c.login("ann")
	before := g.inspect().Store.Saves
	c.ask(move(1, 1))
	g.until("a save that nobody asked for", func(r server.Report) bool { return r.Store.Saves > before })
}

func TestLoginRefusals(t *testing.T) {
	g := start(t, "nonblock", 2, server.Config{})
	c := dial(t, g)
	require.Equal(t, proto.Event{Type: proto.Refused, Tag: 7, Code: proto.CodeNotLoggedIn}, c.ask(move(7, 1)))
	require.Equal(t, proto.CodeBadName, c.ask(loginRequest("a/b", "x")).Code)
	c.login("ann")
	require.Equal(t, proto.CodeLoggedIn, c.ask(loginRequest("ann", "x")).Code)

	other := dial(t, g)
	for range proto.MaxLogins {
		require.Equal(t, proto.CodeBadToken, other.ask(loginRequest("ann", "wrong")).Code)
	}
	other.untilEnd()
	require.Equal(t, proto.CodeLogins, other.kicked)
	require.Equal(t, proto.Pong, c.ask(ping(1)).Type, "a wrong token must not end the session")
}
