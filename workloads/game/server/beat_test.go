package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/simdriver"
	"github.com/syslet/syslet/workloads/game/proto"
)

func TestBeat(t *testing.T) {
	const period = 150
	b := newBeat(period, 2, 3)
	for _, c := range []struct{ nowNs, due int64 }{
		{0, 100}, {100, 250}, {251, 400}, {399, 550}, // early: not to be asked for, and still never twice in a period
		{1000, 1150}, {1149, 1300}, {1300, 1450}, {1 << 40, 1099511627800},
	} {
		wait := b.next(c.nowNs)
		require.Equal(t, c.due, c.nowNs+int64(wait))
		require.EqualValues(t, 100, c.due%period)
		require.Positive(t, wait)
	}
}

// tickSeen is a VIEW: which map's, its number, and when it came.
type tickSeen struct {
	tick uint32
	atNs int64
}

// watch takes what has come for a peer.
func (g *simGame) watch(t *testing.T, p *simdriver.Peer, in []byte, seen map[uint16][]tickSeen) (rest []byte) {
	in = append(in, p.ReadAll()...)
	for {
		var e proto.Event
		n, err := e.Parse(in)
		require.NoError(t, err)
		if n == 0 {
			return in
		}
		if in = in[n:]; e.Type == proto.View {
			seen[e.Map] = append(seen[e.Map], tickSeen{e.Tick, g.NowNs()})
		}
	}
}

// Maps tick one after the other, at distances of period / maps over all shards, and stay
// in step however late single ticks are.
func TestMapsTickInTurnWithoutDrift(t *testing.T) {
	const period, slack, maps, players = int64(150 * time.Millisecond), int64(12 * time.Millisecond), 6, 40
	for _, shards := range []int{1, 2, 4, 8} {
		g := startSim(t, uint64(shards), shards, maps)
		seen := map[uint16][]tickSeen{}
		var peers []*simdriver.Peer
		var in [players][]byte
		for i := range players {
			p := g.Dial()
			r := proto.Request{Type: proto.Login, Name: []byte{'a' + byte(i/26), 'a' + byte(i%26)}, Data: []byte("t")}
			require.True(t, p.Write(r.Append(nil)))
			peers = append(peers, p)
		}
		for ms := range 4000 {
			for i, p := range peers {
				if ms%20 == i%20 {
					r := proto.Request{Type: proto.Move, Dir: uint8(1 + ms/20%2*2)}
					require.True(t, p.Write(r.Append(nil)))
				}
				in[i] = g.watch(t, p, in[i], seen)
			}
			require.NoError(t, g.RunFor(time.Millisecond))
		}
		require.Len(t, seen, maps)
		for index, ticks := range seen {
			phase := period / maps * int64(index)
			first := int64(1) // of the phase after the clock's zero
			if index == 0 {
				first = 0 // the clock begins at 1 ns: the first due time of phase 0 is one period later
			}
			require.Greater(t, len(ticks), 20, "map %d", index)
			for _, v := range ticks {
				due := phase + (int64(v.tick)-first)*period
				require.GreaterOrEqual(t, v.atNs, due, "map %d tick %d, %d shards", index, v.tick, shards)
				require.Less(t, v.atNs, due+slack, "map %d tick %d, %d shards", index, v.tick, shards)
			}
		}
	}
}

// A tick allocates the block of what has changed, and nothing if nothing has.
func TestTickAllocatesItsBlockOnly(t *testing.T) {
	g := startSim(t, 1, 1, 2)
	p := g.DialShard(0)
	r := proto.Request{Type: proto.Login, Name: []byte("ann"), Data: []byte("t")}
	require.True(t, p.Write(r.Append(nil)))
	require.NoError(t, g.RunFor(time.Second))
	s := g.Server().Shards()[0]
	app := s.App().(*App)
	index := int(app.atlas.players.at[0].state.Map)
	ar, done := app.atlas.areas[index], false
	s.Do(func(*runtime.Shard) {
		require.Zero(t, testing.AllocsPerRun(100, func() { app.atlas.tick(index) }))
		x := uint8(0)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
			x ^= 1
			ar.Move(0, 5+x, 1)
			app.atlas.tick(index)
			app.mail.local = fifo{m: app.mail.local.m[:0]} // not sent: output is the runtime's
		}), 2.0, "a Block and its bytes")
		done = true
	})
	require.NoError(t, g.Run(func() bool { return done }, 1000))
}
