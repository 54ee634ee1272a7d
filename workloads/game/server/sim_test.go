package server

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/simdriver"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/store"
	"github.com/syslet/syslet/workloads/game/world"
)

// simGame is a game in simulated time.
type simGame struct {
	*simdriver.Sim
	world *world.World
}

// oneRoomMaps is a world of n maps of 250 by 3 tiles that nobody can leave.
func oneRoomMaps(t *testing.T, n int) *world.World {
	var maps []*world.Map
	var starts []int
	for i := range n {
		m := &world.Map{Name: string(rune('a' + i)), W: 250, H: 3, Tiles: make([]world.Tile, 750), Spawns: []world.Pos{{Map: uint16(i), X: 1, Y: 1}}}
		maps, starts = append(maps, m), append(starts, i)
	}
	w, err := world.New(maps, starts...)
	require.NoError(t, err)
	return w
}

func startSim(t *testing.T, seed uint64, shards, maps int) *simGame {
	c, err := Config{Dir: t.TempDir(), Rate: -1, SaveEvery: -1}.withDefaults()
	require.NoError(t, err)
	m, err := simdriver.New(seed, runtime.Options{Shards: shards}, simdriver.Faults{})
	require.NoError(t, err)
	// A disk without files that takes none: everyone is new.
	m.Ops = func(*rand.Rand, *runtime.Syslet, *runtime.Op) int64 { return -int64(unix.ENOENT) }
	g := &simGame{m, oneRoomMaps(t, maps)}
	require.NoError(t, m.Server().Start(func(s *runtime.Shard) (runtime.App, error) {
		st, err := store.Open(c.Dir)
		return makeApp(s, &c, g.world, st, nil), err
	}))
	return g
}

// app is the game on a shard, to be looked at between steps.
func (g *simGame) app(shard int) *App { return g.Server().Shards()[shard].App().(*App) }

// logoutRead reports whether a LOGOUT has been read on a shard and not yet answered.
func (g *simGame) logoutRead(shard int) bool {
	for _, x := range g.app(shard).gate.sessions.at {
		if x != nil && x.bye {
			return true
		}
	}
	return false
}

// A LOGOUT that has been read is answered even if another LOGIN, which was under way
// between the shards, takes the player over before he is home.
func TestLogoutIsAnsweredInSpiteOfTakeoverSim(t *testing.T) {
	login := proto.Request{Type: proto.Login, Name: []byte("ann"), Data: []byte("t")}
	logout := proto.Request{Type: proto.Logout, Tag: 7}
	raced := 0
	for seed := range uint64(40) {
		g := startSim(t, seed, 2, 2)
		old := g.DialShard(int(seed % 2))
		require.True(t, old.Write(login.Append(nil)))
		require.NoError(t, g.RunFor(50*time.Millisecond))
		require.Equal(t, byte(proto.Welcome), old.ReadAll()[0])
		next := g.DialShard(int(seed / 2 % 2))
		require.True(t, next.Write(login.Append(nil)) && old.Write(logout.Append(nil)))
		read := false
		require.NoError(t, g.Run(func() bool {
			read = read || g.logoutRead(int(seed%2))
			return old.Ended()
		}, 100000))
		takeovers := g.app(0).metrics.Takeovers + g.app(1).metrics.Takeovers
		if !read || takeovers == 0 {
			continue
		}
		raced++
		out := old.ReadAll()
		// The simulated disk takes nothing, and BYE would not be true.
		want := proto.Event{Type: proto.Refused, Tag: 7, Code: proto.CodeStorage}
		require.Equal(t, want.Append(nil), out[len(out)-3:], "seed %d", seed)
	}
	require.Positive(t, raced)
	t.Logf("%d of 40 logouts raced with a takeover", raced)
}
