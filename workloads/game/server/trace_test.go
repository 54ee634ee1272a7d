package server_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads/game/ledger"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/server"
	"github.com/syslet/syslet/workloads/game/store"
	"github.com/syslet/syslet/workloads/game/world"
)

// trace is a seeded input for a number of players, and what a server must make of
// it. The expectation is computed by world.State alone: no server, no shards.
type trace struct {
	names  []string
	rounds []round
}

// round is a batch of requests per player, sent at once, then one request that is
// answered when he has arrived where the walk has led, and then, when everyone
// stands still, a batch of chats.
type round struct {
	walks, settle, chats [][]proto.Request
}

// expected is what a player's connection must have carried in the end.
type expected struct {
	state world.State
	heard int
	walk  []byte   // bytes of the sequence of MOVED and of CHATTED to the map
	saved []byte   // of the sequence of SAVED
	pongs []byte   // of the sequence of PONG
	lines []string // heard, in the order in which each sender said them
}

func makeTrace(seed uint64, players, rounds int) *trace {
	random := rand.New(rand.NewPCG(seed, 0))
	tr := &trace{}
	for i := range players {
		tr.names = append(tr.names, fmt.Sprintf("player%d", i))
	}
	for r := range rounds {
		var ro round
		for range players {
			var walk, talk []proto.Request
			for tag := range uint8(60) {
				switch n := random.IntN(100); {
				case n < 85:
					walk = append(walk, move(tag, uint8(random.IntN(4))))
				case n < 95:
					walk = append(walk, ping(tag))
				default:
					walk = append(walk, save(tag))
				}
			}
			for k := range uint8(3) {
				talk = append(talk, chat(100+k, "", fmt.Sprintf("%d.%d", r, k)))
				talk = append(talk, chat(110+k, tr.names[random.IntN(players)], fmt.Sprintf("%d.%d", r, k)))
			}
			ro.walks, ro.chats = append(ro.walks, walk), append(ro.chats, talk)
			ro.settle = append(ro.settle, []proto.Request{save(90)})
		}
		tr.rounds = append(tr.rounds, ro)
	}
	return tr
}

// simulate plays the trace in the pure world.
func (tr *trace) simulate(w *world.World) []expected {
	all := make([]expected, len(tr.names))
	for i, name := range tr.names {
		all[i].state.Pos = w.Spawn(name)
	}
	for _, ro := range tr.rounds {
		for i := range all {
			all[i].simulateWalk(w, ro.walks[i])
			all[i].simulateWalk(w, ro.settle[i])
		}
		for i := range all {
			for _, r := range ro.chats[i] {
				tr.simulateChat(all, i, &r)
			}
		}
	}
	return all
}

func (x *expected) simulateWalk(w *world.World, rs []proto.Request) {
	for _, r := range rs {
		e := proto.Event{Tag: r.Tag}
		switch r.Type {
		case proto.Move:
			e.Type, e.Flags = proto.Moved, x.state.Walk(w, world.Dir(r.Dir))
			e.Map, e.X, e.Y = x.state.Map, x.state.X, x.state.Y
			x.walk = e.Append(x.walk)
		case proto.Ping:
			e.Type = proto.Pong
			x.pongs = e.Append(x.pongs)
		case proto.Save:
			e.Type = proto.Saved
			x.saved = e.Append(x.saved)
		}
	}
}

func (tr *trace) simulateChat(all []expected, from int, r *proto.Request) {
	line := tr.names[from] + ">" + string(r.Data)
	if len(r.Name) > 0 {
		to := &all[slices.Index(tr.names, string(r.Name))]
		to.heard++
		to.lines = append(to.lines, "!"+line)
		return
	}
	e := proto.Event{Type: proto.Chatted, Tag: r.Tag}
	all[from].walk = e.Append(all[from].walk)
	all[from].state.Chats++
	for i := range all {
		if all[i].state.Map == all[from].state.Map {
			all[i].lines = append(all[i].lines, line)
		}
	}
}

// bySender puts lines in an order that keeps what the protocol guarantees, the
// order of one sender's lines of one sort, and nothing else.
func bySender(lines []string) []string {
	sorted := slices.Clone(lines)
	key := func(s string) string { return s[:bytes.IndexByte([]byte(s), '>')] }
	slices.SortStableFunc(sorted, func(a, b string) int { return bytes.Compare([]byte(key(a)), []byte(key(b))) })
	return sorted
}

// run plays the trace against a server.
func (tr *trace) run(t *testing.T, g *game, want []expected) []*client {
	var clients []*client
	for _, name := range tr.names {
		c := dial(t, g)
		c.login(name)
		clients = append(clients, c)
	}
	heard := make([]int, len(clients))
	for r := range tr.rounds {
		ro := &tr.rounds[r]
		for _, batch := range [][][]proto.Request{ro.walks, ro.settle, ro.chats} {
			for i, c := range clients {
				c.send(batch[i]...)
			}
			for i, c := range clients {
				for _, q := range batch[i] {
					require.NotEqual(t, proto.Refused, c.await(q.Tag).Type)
				}
			}
		}
		tr.countLines(g.world, r, heard)
		for i, c := range clients {
			c.untilSeen("the lines of the round", func() bool { return len(c.heard) >= heard[i] })
		}
	}
	for i, c := range clients {
		c.untilSeen("everyone at their place", func() bool { return looksRight(c, tr.names, want, i) })
	}
	return clients
}

// countLines sets heard to the number of lines that each has heard after round r.
func (tr *trace) countLines(w *world.World, r int, heard []int) {
	part := trace{names: tr.names, rounds: tr.rounds[:r+1]}
	for i, x := range part.simulate(w) {
		heard[i] = len(x.lines)
	}
}

// looksRight reports whether what the VIEWs add up to is the map as it must be.
func looksRight(c *client, names []string, want []expected, self int) bool {
	here := 0
	for i := range want {
		if s := &want[i].state; s.Map == want[self].state.Map {
			here++
			if !c.sees(names[i], s.X, s.Y) {
				return false
			}
		}
	}
	return len(c.seen) == here
}

// The same trace, under every model, with one shard and with several, must end in the same world
// and must have put the same bytes on every connection, up to what the protocol
// leaves open: the sequences that it guarantees are compared byte by byte.
func TestTraceIsTheSameUnderAllModels(t *testing.T) {
	pack := smallWorld(t)
	seed := uint64(1)
	if s := os.Getenv("GAME_TRACE_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	tr := makeTrace(seed, 8, 3)
	for _, model := range models.AllNames() {
		for _, shards := range []int{1, 2, 5} {
			if shards > 2 && model != "nonblock" {
				continue // more shards than maps: once is enough
			}
			t.Run(fmt.Sprintf("%s-%d", model, shards), func(t *testing.T) {
				dir := t.TempDir()
				keep := filepath.Join(dir, "ledger")
				g := start(t, model, shards, server.Config{Dir: dir, Datapack: pack, Rate: -1,
					Ledger: func() (server.Ledger, error) { return ledger.Open(keep) }})
				want := tr.simulate(g.world)
				clients := tr.run(t, g, want)
				tr.check(t, g, seed, clients, want)
				g.stop()
				tr.checkFiles(t, dir, g.world, want)
				rankedMoves(t, keep, tr.names, want)
			})
		}
	}
}

func (tr *trace) check(t *testing.T, g *game, seed uint64, clients []*client, want []expected) {
	var hash uint64
	for i, c := range clients {
		x := &want[i]
		hash += x.state.Hash(tr.names[i]) + world.HeardHash(tr.names[i], uint32(x.heard))
		require.Equal(t, x.walk, c.walk, "%s: MOVED and CHATTED, seed %d", tr.names[i], seed)
		require.Equal(t, x.saved, c.raw[proto.Saved], "%s: SAVED, seed %d", tr.names[i], seed)
		require.Equal(t, x.pongs, c.raw[proto.Pong], "%s: PONG, seed %d", tr.names[i], seed)
		require.Equal(t, bySender(x.lines), bySender(c.heard), "%s: lines, seed %d", tr.names[i], seed)
	}
	r := g.inspect()
	require.Equal(t, hash, r.WorldHash, "seed %d", seed)
	require.Equal(t, len(clients), r.Players)
	require.Zero(t, r.Metrics.LostMail)
	require.NotZero(t, r.Metrics.Crossings)
}

// checkFiles: an orderly stop has saved everyone as he was.
func (tr *trace) checkFiles(t *testing.T, dir string, w *world.World, want []expected) {
	st, err := store.Open(dir)
	require.NoError(t, err)
	for i, name := range tr.names {
		content, err := os.ReadFile(st.Path(name))
		require.NoError(t, err)
		var r store.Record
		require.NoError(t, r.Decode(content))
		s := &want[i].state
		got := []any{r.Name, r.Map, r.X, r.Y, r.Moves, r.Chats, r.Heard}
		require.Equal(t, []any{name, w.Maps[s.Map].Name, s.X, s.Y, s.Moves, s.Chats, uint32(want[i].heard)}, got)
	}
}
