package server_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/datapack"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/server"
	"github.com/syslet/syslet/workloads/game/world"
)

// patience bounds every wait of a test: far above what any of them takes.
const patience = 30 * time.Second

// game is a server under test.
type game struct {
	t     *testing.T
	srv   *runtime.Server
	addr  string
	world *world.World
}

// start runs a game until the test ends, or until stop.
func start(t *testing.T, model string, shards int, c server.Config) *game {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	if c.ViewEvery == 0 {
		c.ViewEvery = 5 * time.Millisecond
	}
	newApp, err := server.New(c)
	require.NoError(t, err)
	srv := open(t, model, runtime.Options{Listen: "127.0.0.1:0", Shards: shards})
	require.NoError(t, srv.Start(newApp))
	w, err := datapack.Load(c.Datapack)
	require.NoError(t, err)
	g := &game{t: t, srv: srv, addr: srv.Addr().String(), world: w}
	t.Cleanup(g.stop)
	return g
}

func (g *game) stop() {
	if g.srv == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	srv := g.srv
	g.srv = nil
	require.NoError(g.t, srv.Stop(ctx))
}

func (g *game) inspect() server.Report {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := server.Inspect(ctx, g.srv)
	require.NoError(g.t, err)
	return r
}

// until waits for something that the server does by itself.
func (g *game) until(what string, ok func(r server.Report) bool) {
	g.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		r := g.inspect()
		if ok(r) {
			return
		}
		require.True(g.t, time.Now().Before(deadline), "waited in vain: %s; last: %+v", what, r)
		time.Sleep(time.Millisecond)
	}
}

// client is one connection of a player, driven step by step.
type client struct {
	t    *testing.T
	conn net.Conn
	in   []byte

	answers map[uint8][]proto.Event
	walk    []byte // the frames of the sequence of moves and map chats, as they came
	raw     map[proto.Type][]byte
	heard   []string // "from>text", "!" before private ones
	kicked  proto.Code
	ended   bool
	at      world.Pos
	seen    map[uint16]seen // by id: who is on the map of pos
	mapNow  int
	said    map[uint8]bool // tags of chats to a player
}

type seen struct {
	name string
	x, y uint8
}

func dial(t *testing.T, g *game) *client {
	t.Helper()
	conn, err := net.Dial("tcp", g.addr)
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	c := &client{t: t, conn: conn, answers: map[uint8][]proto.Event{}, raw: map[proto.Type][]byte{},
		seen: map[uint16]seen{}, mapNow: -1, said: map[uint8]bool{}}
	t.Cleanup(func() { conn.Close() })
	return c
}

func (c *client) write(p []byte) {
	c.t.Helper()
	_, err := c.conn.Write(p)
	require.NoError(c.t, err)
}

func (c *client) send(rs ...proto.Request) {
	c.t.Helper()
	var out []byte
	for i := range rs {
		out = rs[i].Append(out)
		if rs[i].Type == proto.Chat {
			c.said[rs[i].Tag] = len(rs[i].Name) > 0
		}
	}
	c.write(out)
}

// read takes what comes next from the connection.
func (c *client) read() {
	c.t.Helper()
	var buf [8192]byte
	n, err := c.conn.Read(buf[:])
	c.in = append(c.in, buf[:n]...)
	for {
		var e proto.Event
		size, perr := e.Parse(c.in)
		require.NoError(c.t, perr)
		if size == 0 {
			break
		}
		c.take(&e, c.in[:size])
		c.in = c.in[size:]
	}
	if err != nil {
		require.False(c.t, errors.Is(err, os.ErrDeadlineExceeded), "no answer in time; open: %v", c.answers)
		c.ended = true
	}
}

func (c *client) take(e *proto.Event, frame []byte) {
	require.Zero(c.t, c.kicked, "a frame behind KICKED")
	if e.Answer() {
		kept := *e
		kept.Name, kept.Data = nil, nil
		c.answers[e.Tag] = append(c.answers[e.Tag], kept)
		c.raw[e.Type] = append(c.raw[e.Type], frame...)
	}
	switch e.Type {
	case proto.Welcome, proto.Moved:
		c.at = world.Pos{Map: e.Map, X: e.X, Y: e.Y}
		if int(e.Map) != c.mapNow {
			c.mapNow, c.seen = int(e.Map), nil
		}
		if e.Type == proto.Moved {
			c.walk = append(c.walk, frame...)
		}
	case proto.Chatted:
		if !c.said[e.Tag] {
			c.walk = append(c.walk, frame...)
		}
	case proto.Kicked:
		c.kicked = e.Code
	case proto.Heard:
		mark := ""
		if e.Flags&proto.FlagPrivate != 0 {
			mark = "!"
		}
		c.heard = append(c.heard, fmt.Sprintf("%s%s>%s", mark, e.Name, e.Data))
	case proto.View:
		c.look(e)
	}
}

// look applies a VIEW as the protocol says a client should.
func (c *client) look(e *proto.Event) {
	require.Equal(c.t, c.mapNow, int(e.Map), "a VIEW of a map where the player is not")
	require.NotEmpty(c.t, e.Data, "a VIEW that says nothing")
	if e.Flags&proto.FlagReset != 0 {
		c.seen = map[uint16]seen{}
	}
	require.NotNil(c.t, c.seen, "the first VIEW of a map has no reset flag")
	for p := e.Data; len(p) > 0; {
		var en proto.Entry
		n, err := en.Parse(p)
		require.NoError(c.t, err)
		p = p[n:]
		old, known := c.seen[en.ID]
		switch en.Kind {
		case proto.EntryEntered:
			require.False(c.t, known, "ENTERED of an id in use")
			c.seen[en.ID] = seen{string(en.Name), en.X, en.Y}
		case proto.EntryMoved:
			require.True(c.t, known, "MOVED of an unknown id")
			c.seen[en.ID] = seen{old.name, en.X, en.Y}
		case proto.EntryLeft:
			require.True(c.t, known, "LEFT of an unknown id")
			delete(c.seen, en.ID)
		}
	}
}

// await reads until the tag is answered and takes that answer.
func (c *client) await(tag uint8) proto.Event {
	c.t.Helper()
	for len(c.answers[tag]) == 0 {
		require.False(c.t, c.ended, "connection ended (kicked: %v) before tag %d was answered", c.kicked, tag)
		c.read()
	}
	e := c.answers[tag][0]
	c.answers[tag] = c.answers[tag][1:]
	return e
}

// ask sends one request and gives its answer.
func (c *client) ask(r proto.Request) proto.Event {
	c.t.Helper()
	c.send(r)
	return c.await(r.Tag)
}

func loginRequest(name, token string) proto.Request {
	return proto.Request{Type: proto.Login, Tag: 200, Name: []byte(name), Data: []byte(token)}
}

// login expects a WELCOME.
func (c *client) login(name string) proto.Event {
	c.t.Helper()
	e := c.ask(loginRequest(name, "token of "+name))
	require.Equal(c.t, proto.Welcome, e.Type, "%s: %v", name, e.Code)
	return e
}

func (c *client) logout() {
	c.t.Helper()
	e := c.ask(proto.Request{Type: proto.Logout, Tag: 201})
	require.Equal(c.t, proto.Bye, e.Type)
	c.untilEnd()
}

// untilEnd reads until the server ends the stream.
func (c *client) untilEnd() {
	c.t.Helper()
	for !c.ended {
		c.read()
	}
}

// untilSeen reads until ok says that the client has seen or heard enough.
func (c *client) untilSeen(what string, ok func() bool) {
	c.t.Helper()
	for !ok() {
		require.False(c.t, c.ended, "connection ended (kicked: %v) while waiting: %s", c.kicked, what)
		c.read()
	}
}

func (c *client) sees(name string, x, y uint8) bool {
	for _, s := range c.seen {
		if s == (seen{name, x, y}) {
			return true
		}
	}
	return false
}

func move(tag uint8, d uint8) proto.Request { return proto.Request{Type: proto.Move, Tag: tag, Dir: d} }

func chat(tag uint8, to, text string) proto.Request {
	return proto.Request{Type: proto.Chat, Tag: tag, Name: []byte(to), Data: []byte(text)}
}

func save(tag uint8) proto.Request { return proto.Request{Type: proto.Save, Tag: tag} }

func ping(tag uint8) proto.Request { return proto.Request{Type: proto.Ping, Tag: tag} }

// smallWorld writes a datapack of four little maps with many portals between them,
// so that a short walk crosses often, and gives its folder.
func smallWorld(t *testing.T) string {
	dir := t.TempDir()
	files := map[string]string{"pack.txt": "map a\nmap b\nmap c\nmap d\nstart a\nstart b\n"}
	for i, name := range []string{"a", "b", "c", "d"} {
		next, over := string("bcda"[i]), string("cdab"[i])
		files[name+".map"] = "size 7 6\nportal n " + next + " 2 2\nportal o " + over + " 4 3\nportal s " + name + " 1 1\n" +
			"tiles\n#######\n#...n##\n#n.@..o\n##..@.#\n#o.#.s#\n#######\n"
	}
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return dir
}
