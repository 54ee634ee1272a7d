package world_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/world"
)

// room makes a map of rows: # wall, a and b portals, @ spawn, else floor.
func room(name string, portals []world.Pos, rows ...string) *world.Map {
	m := &world.Map{Name: name, W: len(rows[0]), H: len(rows), Portals: portals}
	for y, row := range rows {
		for x, c := range row {
			t := world.Floor
			switch c {
			case '#':
				t = world.Wall
			case 'a', 'b':
				t = world.PortalTile(int(c - 'a'))
			case '@':
				m.Spawns = append(m.Spawns, world.Pos{X: uint8(x), Y: uint8(y)})
			}
			m.Tiles = append(m.Tiles, t)
		}
	}
	return m
}

func twoRooms(t testing.TB) *world.World {
	a := room("a", []world.Pos{{Map: 1, X: 1, Y: 1}, {Map: 0, X: 3, Y: 3}}, "@..a", ".##.", ".#..", "b...")
	b := room("b", []world.Pos{{Map: 0, X: 2, Y: 0}}, "a..", ".@.", "...")
	for i := range b.Spawns {
		b.Spawns[i].Map = 1
	}
	w, err := world.New([]*world.Map{a, b}, 0)
	require.NoError(t, err)
	return w
}

func TestStep(t *testing.T) {
	w := twoRooms(t)
	const north, east, south, west = 0, 1, 2, 3
	for _, c := range []struct {
		from world.Pos
		d    world.Dir
		to   world.Pos
		out  world.Outcome
	}{
		{world.Pos{X: 1, Y: 0}, east, world.Pos{X: 2, Y: 0}, world.Walked},
		{world.Pos{X: 1, Y: 0}, south, world.Pos{X: 1, Y: 0}, world.Blocked},
		{world.Pos{X: 0, Y: 0}, north, world.Pos{X: 0, Y: 0}, world.Blocked},
		{world.Pos{X: 0, Y: 0}, west, world.Pos{X: 0, Y: 0}, world.Blocked},
		{world.Pos{X: 3, Y: 3}, east, world.Pos{X: 3, Y: 3}, world.Blocked},
		{world.Pos{X: 3, Y: 3}, south, world.Pos{X: 3, Y: 3}, world.Blocked},
		{world.Pos{X: 2, Y: 0}, east, world.Pos{Map: 1, X: 1, Y: 1}, world.Ported},
		{world.Pos{X: 0, Y: 2}, south, world.Pos{X: 3, Y: 3}, world.Ported},
		{world.Pos{Map: 1, X: 0, Y: 1}, north, world.Pos{X: 2, Y: 0}, world.Ported},
	} {
		to, out := w.Step(c.from, c.d)
		require.Equal(t, c.to, to, "%+v %d", c.from, c.d)
		require.Equal(t, c.out, out)
	}
}

func TestNewChecks(t *testing.T) {
	good := func() *world.Map { return room("m", nil, "@..", "...", "...") }
	for what, spoil := range map[string]func(m *world.Map){
		"tiles":  func(m *world.Map) { m.Tiles = m.Tiles[1:] },
		"portal": func(m *world.Map) { m.Tiles[4] = world.PortalTile(0) },
		"target": func(m *world.Map) { m.Portals = []world.Pos{{X: 3}} },
		"map":    func(m *world.Map) { m.Portals = []world.Pos{{Map: 1}} },
		"spawn":  func(m *world.Map) { m.Spawns = nil },
		"wall":   func(m *world.Map) { m.Tiles[0] = world.Wall },
	} {
		m := good()
		spoil(m)
		_, err := world.New([]*world.Map{m}, 0)
		require.ErrorIs(t, err, world.ErrWorld, what)
	}
	_, err := world.New([]*world.Map{good()}, 1)
	require.ErrorIs(t, err, world.ErrWorld)
	_, err = world.New([]*world.Map{good()})
	require.ErrorIs(t, err, world.ErrWorld)
	_, err = world.New([]*world.Map{good(), good()}, 0)
	require.ErrorIs(t, err, world.ErrWorld)
}

// Wherever a walk leads, it is a place to stand on.
func TestWalksStayOnTheFloor(t *testing.T) {
	w := twoRooms(t)
	rapid.Check(t, func(t *rapid.T) {
		s := world.State{Pos: w.Spawn(rapid.StringN(1, 5, 5).Draw(t, "name"))}
		for i, d := range rapid.SliceOfN(rapid.Uint8Range(0, 3), 0, 100).Draw(t, "walk") {
			before := s.Pos
			flags := s.Walk(w, world.Dir(d))
			require.True(t, w.Walkable(s.Pos))
			require.Equal(t, flags == proto.FlagBlocked, s.Pos == before && flags != proto.FlagPortal)
			require.EqualValues(t, i+1, s.Moves)
		}
	})
}

func TestHash(t *testing.T) {
	seen := map[uint64]string{}
	add := func(h uint64, what string) {
		require.Empty(t, seen[h], what)
		seen[h] = what
	}
	for _, name := range []string{"a", "b", "ab"} {
		for i := range uint8(3) {
			s := world.State{Pos: world.Pos{Map: uint16(i), X: i * 2, Y: 7}, Moves: 3, Chats: uint32(i)}
			add(s.Hash(name), fmt.Sprint(name, s))
			s.X, s.Y = s.Y, s.X+1
			add(s.Hash(name), fmt.Sprint(name, s))
			s.Moves++
			add(s.Hash(name), fmt.Sprint(name, s))
			add(world.HeardHash(name, uint32(i)), fmt.Sprint(name, "heard", i))
		}
	}
}

// watcher is a client's idea of a map.
type watcher map[uint16]string

// take applies VIEW frames; it fails on what the protocol forbids.
func (v *watcher) take(t require.TestingT, frames []byte, tick uint32) {
	for len(frames) > 0 {
		var e proto.Event
		n, err := e.Parse(frames)
		require.NoError(t, err)
		require.NotZero(t, n)
		require.Equal(t, tick, e.Tick)
		frames = frames[n:]
		if e.Flags&proto.FlagReset != 0 {
			*v = watcher{}
		}
		for p := e.Data; len(p) > 0; {
			var en proto.Entry
			k, err := en.Parse(p)
			require.NoError(t, err)
			p = p[k:]
			old, known := (*v)[en.ID]
			name, _, _ := cutAt(old)
			require.Equal(t, en.Kind != proto.EntryEntered, known, "kind %d of id %d", en.Kind, en.ID)
			switch en.Kind {
			case proto.EntryEntered:
				(*v)[en.ID] = fmt.Sprintf("%s@%d,%d", en.Name, en.X, en.Y)
			case proto.EntryMoved:
				(*v)[en.ID] = fmt.Sprintf("%s@%d,%d", name, en.X, en.Y)
			case proto.EntryLeft:
				delete(*v, en.ID)
			}
		}
	}
}

func cutAt(s string) (name, place string, ok bool) {
	for i := range s {
		if s[i] == '@' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// What deltas add up to is what a snapshot says, whatever happened in between.
func TestAreaDeltasAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := world.NewArea(3, world.MaxMembers)
		truth := watcher{}
		steady := watcher{}
		steady.take(t, a.Snapshot(nil, 0), 0)
		serial := 0
		for tick := uint32(1); tick < 12; tick++ {
			for range rapid.IntRange(0, 8).Draw(t, "events") {
				x, y := rapid.Uint8().Draw(t, "x"), rapid.Uint8().Draw(t, "y")
				ids := make([]uint16, 0, len(truth))
				for id := range uint16(200) {
					if _, ok := truth[id]; ok {
						ids = append(ids, id)
					}
				}
				kind := rapid.IntRange(0, 2).Draw(t, "kind")
				if len(ids) == 0 || kind == 0 {
					serial++
					name := fmt.Sprintf("p%d", serial)
					id, err := a.Enter(name, x, y)
					require.NoError(t, err)
					require.NotContains(t, truth, id)
					truth[id] = fmt.Sprintf("%s@%d,%d", name, x, y)
					continue
				}
				id := rapid.SampledFrom(ids).Draw(t, "id")
				if kind == 1 {
					a.Move(id, x, y)
					name, _, _ := cutAt(truth[id])
					truth[id] = fmt.Sprintf("%s@%d,%d", name, x, y)
				} else {
					a.Leave(id)
					delete(truth, id)
				}
			}
			require.Equal(t, len(truth), a.Len())
			changed := a.Changed()
			delta := a.Delta(nil, tick)
			require.True(t, changed || len(delta) == 0)
			steady.take(t, delta, tick)
			require.Equal(t, truth, steady)
			var newcomer watcher
			newcomer.take(t, a.Snapshot(nil, tick), tick)
			require.Equal(t, truth, newcomer)
			require.False(t, a.Changed())
			require.Empty(t, a.Delta(nil, tick))
		}
	})
}

// More players than one frame has room for.
func TestAreaInSeveralFrames(t *testing.T) {
	a := world.NewArea(0, world.MaxMembers)
	truth := watcher{}
	for i := range 5000 {
		name := fmt.Sprintf("a-rather-long-name-%05d", i)
		id, err := a.Enter(name, uint8(i), uint8(i>>8))
		require.NoError(t, err)
		truth[id] = fmt.Sprintf("%s@%d,%d", name, uint8(i), uint8(i>>8))
	}
	v := watcher{}
	v.take(t, a.Delta(nil, 1), 1)
	require.Equal(t, truth, v)
	snapshot := a.Snapshot(nil, 1)
	require.Greater(t, len(snapshot), 2*proto.MaxEntries)
	v.take(t, snapshot, 1)
	require.Equal(t, truth, v)
}

func TestAreaIsFull(t *testing.T) {
	a := world.NewArea(0, world.MaxMembers)
	for range world.MaxMembers {
		_, err := a.Enter("x", 0, 0)
		require.NoError(t, err)
	}
	_, err := a.Enter("y", 0, 0)
	require.ErrorIs(t, err, world.ErrFull)
	a.Leave(17)
	_, err = world.NewArea(0, 1).Enter("x", 0, 0)
	require.NoError(t, err)
	id, err := a.Enter("y", 0, 0)
	require.NoError(t, err)
	require.EqualValues(t, 17, id)
}

func TestMoveAllocatesNothing(t *testing.T) {
	w := twoRooms(t)
	a := world.NewArea(0, world.MaxMembers)
	s := world.State{Pos: w.Spawn("x")}
	id, err := a.Enter("x", s.X, s.Y)
	require.NoError(t, err)
	buf := make([]byte, 0, 1024)
	d := world.Dir(0)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		s.Walk(w, d)
		d++
		a.Move(id, s.X, s.Y)
		buf = a.Delta(buf[:0], 1)
	}))
}

func BenchmarkWalk(b *testing.B) {
	w := twoRooms(b)
	a := world.NewArea(0, world.MaxMembers)
	s := world.State{Pos: w.Spawn("x")}
	id, _ := a.Enter("x", s.X, s.Y)
	b.ReportAllocs()
	for d := world.Dir(0); b.Loop(); d++ {
		s.Walk(w, d)
		a.Move(id, s.X, s.Y)
	}
}

func BenchmarkDeltaOf500(b *testing.B) {
	a := world.NewArea(0, world.MaxMembers)
	var ids []uint16
	for i := range 500 {
		id, _ := a.Enter(fmt.Sprint("player", i), 0, 0)
		ids = append(ids, id)
	}
	buf := make([]byte, 0, 1<<16)
	b.ReportAllocs()
	for n := uint8(1); b.Loop(); n++ {
		for _, id := range ids {
			a.Move(id, n, n)
		}
		buf = a.Delta(buf[:0], uint32(n))
	}
}
