package server

import (
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/world"
)

// What a gate hears from atlases and homes.

func (g *gate) receive(from int, m *runtime.Message) {
	switch m.Kind {
	case mailView:
		g.view(int(m.A), m.B != 0, m.Block)
		return
	case mailSaid:
		for _, x := range g.viewers[m.A] {
			_ = x.conn.WriteBlock(m.Block)
		}
		return
	}
	x := g.sessions.get(m.A)
	if x == nil {
		return // the answer to a request of a connection that is gone
	}
	switch m.Kind {
	case mailMoved:
		g.moved(x, uint8(m.B), uint8(m.B>>8), unpackPos(m.C))
	case mailAnswer:
		g.answered(x, &proto.Event{Type: proto.Type(m.B), Tag: uint8(m.B >> 8), Code: proto.Code(m.B >> 16)})
	case mailKept:
		m.Kind, m.A = mailState, x.account
		g.mail.post(x.home, m)
	case mailLine:
		g.heard(x, m.Block)
	case mailAccepted:
		g.accepted(x, m)
	case mailAdmitted:
		g.admitted(x, from, m.B, unpackPos(m.C))
	case mailLoginRefused:
		g.loginRefused(x, proto.Code(m.C))
	case mailTurnedAway:
		g.turnedAway(x, m.Ref.(*entrant))
	case mailEvict:
		if !x.bye { // else the player is on his way home already, and BYE will come
			g.kick(x, proto.CodeTakenOver)
		}
	case mailGone:
		g.gone(x, proto.Code(m.C))
	}
}

// answered writes the answer to a request that was counted in flight.
func (g *gate) answered(x *session, e *proto.Event) {
	if e.Type == proto.Refused {
		g.app.metrics.Refusals++
	}
	g.reply(x, e)
	x.inFlight--
	if x.byeReady {
		g.sayBye(x)
		return
	}
	g.resume(x)
}

func (g *gate) moved(x *session, tag, flags uint8, p world.Pos) {
	arrived := int(p.Map) != x.mapIndex
	if arrived && x.phase == phasePlaying {
		g.unview(x)
		if owner := int(p.Map) % g.mail.shard.Shards(); owner != x.owner {
			x.phase = phaseCrossing
			g.mail.post(x.owner, &runtime.Message{Kind: mailFence, A: x.player})
		} else {
			g.lookAt(x, int(p.Map))
		}
	} else if arrived && int(p.Map)%g.mail.shard.Shards() != x.owner {
		// The leave is on its way to the old atlas, which keeps it for the new one.
		g.mail.post(x.owner, &runtime.Message{Kind: mailFence, A: x.player})
	}
	x.mapIndex = int(p.Map)
	g.answered(x, &proto.Event{Type: proto.Moved, Tag: tag, Flags: flags, Map: p.Map, X: p.X, Y: p.Y})
}

// accepted sends a player whom the home has let in to the map where he was.
func (g *gate) accepted(x *session, m *runtime.Message) {
	x.account, x.welcome = m.B, uint8(m.C)
	e := m.Ref.(*entrant)
	x.owner = int(e.state.Map) % g.mail.shard.Shards()
	g.mail.post(x.owner, &runtime.Message{Kind: mailEnter, Ref: e})
}

// admitted is the end of a login or of a crossing.
func (g *gate) admitted(x *session, owner int, player uint64, p world.Pos) {
	x.owner, x.player = owner, player
	if x.phase == phaseLeaving {
		return // the leave is among what the old atlas has handed on
	}
	if x.phase == phaseLogin {
		g.reply(x, &proto.Event{Type: proto.Welcome, Tag: x.tag, Flags: x.welcome, Map: p.Map, X: p.X, Y: p.Y})
		g.app.metrics.Logins++
	}
	x.phase, x.mapIndex = phasePlaying, int(p.Map)
	if x.quit {
		g.leave(x)
		return
	}
	g.lookAt(x, int(p.Map))
	for i, b := range x.early {
		x.early[i] = nil
		g.heard(x, b)
	}
	x.early = x.early[:0]
	g.resume(x)
}

func (g *gate) loginRefused(x *session, code proto.Code) {
	x.phase = phaseOpen
	if x.conn == nil {
		g.free(x)
		return
	}
	g.refuseLogin(x, x.tag, code)
	g.resume(x)
}

// turnedAway sends a player home whom a full map has not admitted.
func (g *gate) turnedAway(x *session, e *entrant) {
	if x.phase == phaseLogin {
		g.refuse(x, x.tag, proto.CodeFull)
	}
	g.kick(x, proto.CodeFull)
	g.unview(x)
	x.phase = phaseLeaving
	m := runtime.Message{Kind: mailState, A: x.account}
	packState(&m, &e.state, 0, stateLast)
	g.mail.post(x.home, &m)
}

// gone: the player is back home. A LOGOUT is answered when all before it is.
func (g *gate) gone(x *session, code proto.Code) {
	x.phase = phaseOver
	if x.conn == nil {
		g.free(x)
		return
	}
	if x.bye {
		x.byeReady, x.byeCode = true, code
		g.sayBye(x)
	}
}

func (g *gate) sayBye(x *session) {
	if x.inFlight > 0 || x.conn == nil || x.kicked {
		return
	}
	e := proto.Event{Type: proto.Bye, Tag: x.byeTag}
	if x.byeCode != 0 {
		e.Type, e.Code = proto.Refused, x.byeCode
	}
	g.app.metrics.Logouts++
	x.kicked = true
	g.reply(x, &e)
	x.conn.CloseWith(errLogout)
}

// heard writes a line of chat that is for this player alone.
func (g *gate) heard(x *session, b *runtime.Block) {
	switch {
	case x.conn == nil:
	case x.phase == phaseLogin:
		x.early = append(x.early, b)
	default:
		_ = x.conn.WriteBlock(b)
	}
}

// lookAt puts the session among the viewers of a map.
func (g *gate) lookAt(x *session, mapIndex int) {
	g.viewers[mapIndex] = append(g.viewers[mapIndex], x)
	x.viewer, x.mapIndex, x.fresh = len(g.viewers[mapIndex]), mapIndex, true
}

// unview takes it away from there.
func (g *gate) unview(x *session) {
	if x.viewer == 0 {
		return
	}
	list := g.viewers[x.mapIndex]
	last := list[len(list)-1]
	list[x.viewer-1], last.viewer = last, x.viewer
	list[len(list)-1] = nil
	g.viewers[x.mapIndex] = list[:len(list)-1]
	x.viewer = 0
}

// view writes one block to all viewers of a map whom it is for: newcomers get
// everything, the others what has changed.
func (g *gate) view(mapIndex int, newcomers bool, b *runtime.Block) {
	for _, x := range g.viewers[mapIndex] {
		if x.fresh == newcomers {
			x.fresh = false
			_ = x.conn.WriteBlock(b)
			g.app.metrics.Views++
		}
	}
}
