package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/server"
	"github.com/syslet/syslet/workloads/game/world"
)

func TestSecondLoginTakesOver(t *testing.T) {
	each(t, func(t *testing.T, model string, shards int) {
		g := start(t, model, shards, server.Config{Datapack: smallWorld(t), Rate: -1, SaveEvery: -1})
		old, friend := dial(t, g), dial(t, g)
		old.login("ann")
		friend.login("bob")
		st := world.State{Pos: old.at}
		for i := range uint8(40) {
			d := i * 11 / 3 % 4
			st.Walk(g.world, world.Dir(d))
			old.ask(move(i, d))
		}
		for i := range 4 { // several times over, by connections of whatever shard
			next := dial(t, g)
			require.EqualValues(t, proto.FlagTakenOver, next.login("ann").Flags, "login %d", i)
			old.untilEnd()
			require.Equal(t, proto.CodeTakenOver, old.kicked)
			require.Equal(t, st.Pos, next.at)
			d := uint8(i)
			flags := st.Walk(g.world, world.Dir(d))
			require.Equal(t, proto.Event{Type: proto.Moved, Tag: 9, Flags: flags, Map: st.Map, X: st.X, Y: st.Y}, next.ask(move(9, d)))
			require.Equal(t, proto.Chatted, friend.ask(chat(1, "ann", "still there?")).Type)
			next.untilSeen("the line", func() bool { return len(next.heard) == 1 })
			old = next
		}
		r := g.inspect()
		require.EqualValues(t, 4, r.Metrics.Takeovers)
		require.EqualValues(t, 4, r.Metrics.KickedTakenOver)
		require.Equal(t, 2, r.Players)
		require.Zero(t, r.Metrics.LostMail)
	})
}

// Many connections want the same player at once, and some of them vanish: each is
// answered, and the player is not lost.
func TestLoginStorm(t *testing.T) {
	each(t, func(t *testing.T, model string, shards int) {
		g := start(t, model, shards, server.Config{Datapack: smallWorld(t)})
		const storm = 24
		var clients []*client
		for range storm {
			clients = append(clients, dial(t, g))
		}
		for i, c := range clients {
			c.send(loginRequest("ann", "token of ann"))
			if i%3 == 0 {
				c.send(move(1, uint8(i)%4), move(2, 1))
			}
			if i%5 == 0 {
				c.conn.Close()
			}
		}
		for _, c := range clients {
			for len(c.answers[200]) == 0 && !c.ended {
				c.read()
			}
			for _, e := range c.answers[200] {
				require.Contains(t, []proto.Code{0, proto.CodeTakenOver}, e.Code)
			}
		}
		last := dial(t, g)
		last.login("ann")
		last.logout()
		for _, c := range clients {
			c.conn.Close()
		}
		g.until("nobody to be left", func(r server.Report) bool {
			return r.Players == 0 && r.Accounts == 0 && r.Sessions == 0 && r.Metrics.LostMail == 0
		})
	})
}

func TestMalformedFramesEndTheConnection(t *testing.T) {
	each(t, func(t *testing.T, model string, shards int) {
		g := start(t, model, shards, server.Config{})
		for _, bad := range []string{"\x00", "\x02\x01\x04", "\x7f", "\x01\x00\x19", "\x03\x00\x00\x00", "\x82aaaaaaaa"} {
			c := dial(t, g)
			c.write([]byte("\x04\x07" + bad)) // a good PING first: it is answered
			c.untilEnd()
			require.Equal(t, proto.CodeMalformed, c.kicked, "%q", bad)
			require.Equal(t, proto.Pong, c.await(7).Type)
		}
		ann := dial(t, g)
		ann.login("ann")
		ann.write([]byte{0x02, 1, 9})
		ann.untilEnd()
		require.Equal(t, proto.CodeMalformed, ann.kicked)
		g.until("the player to be saved", func(r server.Report) bool { return r.Accounts == 0 })
		require.EqualValues(t, 7, g.inspect().Metrics.KickedMalformed)
	})
}

func TestFloodEndsTheConnection(t *testing.T) {
	g := start(t, "nonblock", 1, server.Config{Rate: 1, Burst: 10})
	c := dial(t, g)
	for i := range uint8(11) {
		c.send(ping(i))
	}
	c.untilEnd()
	require.Equal(t, proto.CodeFlood, c.kicked)
	require.Len(t, c.raw[proto.Pong], 2*10)
	require.EqualValues(t, 1, g.inspect().Metrics.KickedFlood)

	free := start(t, "nonblock", 1, server.Config{Rate: -1})
	c = dial(t, free)
	for range 40 {
		for i := range uint8(100) {
			c.send(ping(i))
		}
	}
	for len(c.raw[proto.Pong]) < 2*4000 {
		c.read()
	}
}

func TestPipelinedLogoutIsTheLastAnswer(t *testing.T) {
	each(t, func(t *testing.T, model string, shards int) {
		g := start(t, model, shards, server.Config{Datapack: smallWorld(t), Rate: -1})
		bob := dial(t, g)
		bob.login("bob")
		for round := range 20 {
			c := dial(t, g)
			// Everything in one write, LOGIN and LOGOUT included.
			rs := []proto.Request{loginRequest("ann", "t")}
			for i := range uint8(50) {
				switch i % 10 {
				case 3:
					rs = append(rs, save(i))
				case 6:
					rs = append(rs, chat(i, "bob", "hi"))
				default:
					rs = append(rs, move(i, (i*7+uint8(round))%4))
				}
			}
			rs = append(rs, proto.Request{Type: proto.Logout, Tag: 99}, move(100, 1))
			c.send(rs...)
			c.untilEnd()
			require.Equal(t, proto.Bye, c.await(99).Type)
			for i := range uint8(50) {
				require.NotEqual(t, proto.Refused, c.await(i).Type)
			}
			require.Empty(t, c.answers[100], "a request behind LOGOUT was answered")
		}
		bob.untilSeen("all lines", func() bool { return len(bob.heard) == 20*5 })
	})
}
