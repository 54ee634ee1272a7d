package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/server"
)

func logoutRequest(tag uint8) proto.Request { return proto.Request{Type: proto.Logout, Tag: tag} }

// Whatever is behind a LOGOUT is dropped, in the same segment or later.
func TestNothingBehindLogoutIsRead(t *testing.T) {
	each(t, func(t *testing.T, model string, shards int) {
		g := start(t, model, shards, server.Config{Rate: 1, Burst: 100})
		flood := []byte{}
		for range 200 {
			r := ping(9)
			flood = r.Append(flood)
		}
		for _, behind := range []string{"\x07", "\xff", "\x02\x01\x09", "\x04\x01\x04\x02", "\x06\x01", string(flood)} {
			c := dial(t, g)
			c.login("ann")
			r := logoutRequest(77)
			c.write(append(r.Append(nil), behind...))
			c.untilEnd()
			require.Equal(t, proto.Event{Type: proto.Bye, Tag: 77}, c.await(77), "%q", behind)
			require.Zero(t, c.kicked, "%q", behind)
			require.Empty(t, c.raw[proto.Pong])
		}
		c := dial(t, g)
		require.Equal(t, proto.CodeNotLoggedIn, c.ask(logoutRequest(1)).Code)
		require.Equal(t, proto.Pong, c.ask(ping(2)).Type, "a LOGOUT that was refused ends nothing")
		m := g.inspect().Metrics
		require.Zero(t, m.KickedFlood+m.KickedMalformed)
	})
}

// A LOGOUT that was read is answered with BYE even if the player goes on elsewhere.
func TestLogoutIsAnsweredInSpiteOfTakeover(t *testing.T) {
	each(t, func(t *testing.T, model string, shards int) {
		g := start(t, model, shards, server.Config{Datapack: smallWorld(t), Rate: -1})
		byes := 0
		for range 40 {
			old, next := dial(t, g), dial(t, g)
			old.login("ann")
			old.send(move(1, 1), save(2), logoutRequest(3))
			next.send(loginRequest("ann", "token of ann"))
			require.Equal(t, proto.Welcome, next.await(200).Type)
			old.untilEnd()
			if old.kicked == 0 {
				require.Equal(t, proto.Saved, old.await(2).Type)
				require.Equal(t, proto.Event{Type: proto.Bye, Tag: 3}, old.await(3))
				byes++
			} else {
				require.Equal(t, proto.CodeTakenOver, old.kicked)
				require.Empty(t, old.answers[3])
			}
			require.Equal(t, proto.Pong, next.ask(ping(4)).Type)
			next.logout()
		}
		require.Positive(t, byes, "no LOGOUT was read in time")
		g.until("nobody to be left", func(r server.Report) bool {
			return r.Players == 0 && r.Accounts == 0 && r.Sessions == 0 && r.Metrics.LostMail == 0
		})
	})
}
