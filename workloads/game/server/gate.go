package server

import (
	"errors"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/world"
)

// gate is the part of a shard that has the connections.
type gate struct {
	app      *App
	mail     *mail
	sessions slots[session]
	viewers  [][]*session // by map: the sessions here whose players are on it
	spare    []*session
	req      proto.Request // scratch of data

	frameNs, burstNs int64 // see allowed; frameNs 0: no limit
}

func (g *gate) init(a *App) {
	g.app, g.mail = a, &a.mail
	g.viewers = make([][]*session, len(a.world.Maps))
	if a.config.Rate > 0 {
		g.frameNs = int64(1e9) / int64(a.config.Rate)
		g.burstNs = g.frameNs * int64(a.config.Burst)
	}
}

// Why the game closes a connection.
var (
	errKicked = errors.New("game: client was kicked")
	errLogout = errors.New("game: player logged out")
)

func (g *gate) opened(c *runtime.Conn) {
	x := &session{}
	if n := len(g.spare); n > 0 {
		x = g.spare[n-1]
		g.spare = g.spare[:n-1]
	}
	x.conn = c
	x.handle = withShard(g.sessions.add(x), g.mail.index)
	c.User = x
	g.app.metrics.Sessions++
}

// data reads as many frames as it may; none behind a LOGOUT.
func (g *gate) data(c *runtime.Conn, p []byte) (consumed int) {
	x, ok := c.User.(*session)
	for ok && !x.kicked && !x.bye {
		n, err := g.req.Parse(p[consumed:])
		if err != nil {
			g.kick(x, proto.CodeMalformed)
			break
		}
		if n == 0 {
			return consumed
		}
		if g.req.Type != proto.Ping && !x.mayRequest() {
			x.held = true
			return consumed
		}
		consumed += n
		if !g.allowed(x) {
			g.kick(x, proto.CodeFlood)
			break
		}
		g.request(x, &g.req)
		g.app.settle()
	}
	return len(p)
}

// allowed counts a frame against the session's rate. It is the generic cell rate
// algorithm (ITU-T I.371): bucketNs is when the frames so far would have been due at the
// allowed rate; it may be ahead of the clock by a burst.
func (g *gate) allowed(x *session) bool {
	if g.frameNs == 0 {
		return true
	}
	now := g.mail.shard.NowNs()
	x.bucketNs = max(x.bucketNs, now) + g.frameNs
	return x.bucketNs-now <= g.burstNs
}

func (g *gate) request(x *session, r *proto.Request) {
	switch {
	case r.Type == proto.Ping:
		g.app.metrics.Pings++
		g.reply(x, &proto.Event{Type: proto.Pong, Tag: r.Tag})
	case r.Type == proto.Login:
		g.login(x, r)
	case x.phase != phasePlaying:
		g.refuse(x, r.Tag, proto.CodeNotLoggedIn)
	case r.Type == proto.Move:
		g.ask(x, &runtime.Message{Kind: mailMove, A: x.player, B: uint64(r.Tag) | uint64(r.Dir)<<8})
	case r.Type == proto.Save:
		g.ask(x, &runtime.Message{Kind: mailSave, A: x.player, B: uint64(r.Tag)})
	case r.Type == proto.Chat:
		g.chat(x, r)
	case r.Type == proto.Ranking:
		g.askRanking(x, r.Tag)
	case r.Type == proto.Logout:
		x.bye, x.byeTag = true, r.Tag
		g.leave(x)
	}
}

// ask posts a request to the atlas that has the player.
func (g *gate) ask(x *session, m *runtime.Message) {
	x.inFlight++
	g.mail.post(x.owner, m)
}

func (g *gate) login(x *session, r *proto.Request) {
	if x.phase != phaseOpen {
		g.refuse(x, r.Tag, proto.CodeLoggedIn)
		return
	}
	if !proto.ValidName(r.Name) {
		g.refuseLogin(x, r.Tag, proto.CodeBadName)
		return
	}
	x.phase, x.tag, x.name = phaseLogin, r.Tag, string(r.Name)
	x.home = homeOf(r.Name, g.mail.shard.Shards())
	token := append([]byte(nil), r.Data...)
	g.mail.post(x.home, &runtime.Message{Kind: mailLogin, A: x.handle, Ref: &loginRequest{x.name, token}})
}

// homeOf is the shard of the account of that name. Sharding uses the upper half of
// the hash; the folder of the player's file uses lower bits.
func homeOf[T string | []byte](name T, shards int) int {
	return int(world.NameHash(name) >> 32 % uint64(shards))
}

func (g *gate) chat(x *session, r *proto.Request) {
	if len(r.Name) == 0 {
		g.ask(x, &runtime.Message{Kind: mailSay, A: x.player, B: uint64(r.Tag), Block: line(x.name, 0, r.Data)})
		return
	}
	if !proto.ValidName(r.Name) {
		g.refuse(x, r.Tag, proto.CodeBadName)
		return
	}
	// Straight to the home of the addressee: lines of one sender to one player all take this way.
	x.inFlight++
	g.mail.post(homeOf(r.Name, g.mail.shard.Shards()), &runtime.Message{
		Kind: mailTell, A: x.handle, B: uint64(r.Tag), Ref: string(r.Name), Block: line(x.name, proto.FlagPrivate, r.Data),
	})
}

// line is a HEARD frame, to be shared by all who hear it.
func line(from string, flags uint8, text []byte) *runtime.Block {
	e := proto.Event{Type: proto.Heard, Flags: flags, Name: []byte(from), Data: text}
	return runtime.NewBlock(e.Append(make([]byte, 0, 4+len(from)+len(text))))
}

// leave takes the player off the map. On phasePlaying only.
func (g *gate) leave(x *session) {
	g.unview(x)
	x.phase = phaseLeaving
	g.mail.post(x.owner, &runtime.Message{Kind: mailLeave, A: x.player})
}

// closed is told of the end of a connection.
func (g *gate) closed(c *runtime.Conn) {
	x, ok := c.User.(*session)
	if !ok {
		return
	}
	x.conn, c.User = nil, nil
	switch x.phase {
	case phaseOpen, phaseOver:
		g.free(x)
	case phaseLogin, phaseCrossing:
		x.quit = true
	case phasePlaying:
		g.leave(x)
	}
}

// free gives up a session that has no connection and no player.
func (g *gate) free(x *session) {
	g.unview(x)
	g.sessions.remove(x.handle)
	clear(x.early)
	early := x.early[:0]
	*x = session{early: early}
	g.spare = append(g.spare, x)
}

// kick ends a connection with an error of the protocol.
func (g *gate) kick(x *session, code proto.Code) {
	if x.conn == nil || x.kicked {
		return
	}
	g.app.metrics.kicked(code)
	x.kicked = true
	g.reply(x, &proto.Event{Type: proto.Kicked, Code: code})
	x.conn.CloseWith(errKicked)
}

// reply writes a frame to the client, if he is still there. That it may fail is
// all right: then the connection is being closed.
func (g *gate) reply(x *session, e *proto.Event) {
	if x.conn == nil {
		return
	}
	var buf [8]byte
	_ = x.conn.Write(e.Append(buf[:0]))
}

func (g *gate) refuse(x *session, tag uint8, code proto.Code) {
	g.app.metrics.Refusals++
	g.reply(x, &proto.Event{Type: proto.Refused, Tag: tag, Code: code})
}

// refuseLogin is refuse for a LOGIN: it may be tried again, but not for ever.
func (g *gate) refuseLogin(x *session, tag uint8, code proto.Code) {
	g.refuse(x, tag, code)
	if x.tries++; x.tries >= proto.MaxLogins {
		g.kick(x, proto.CodeLogins)
	}
}

// resume reads on if frames wait that can be read now.
func (g *gate) resume(x *session) {
	if x.held && x.conn != nil && x.mayRequest() {
		x.held = false
		x.conn.Reread()
	}
}
