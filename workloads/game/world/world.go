package world

import (
	"errors"
	"fmt"
)

// Pos is a tile of a map. The map is an index into World.Maps.
type Pos struct {
	Map  uint16
	X, Y uint8
}

// Dir is a direction of the protocol: 0 north, 1 east, 2 south, 3 west.
type Dir uint8

// dx and dy are the steps of a Dir; 0xFF is -1.
var dx, dy = [4]uint8{0, 1, 0, 0xFF}, [4]uint8{0xFF, 0, 1, 0}

// Limits of a World.
const (
	MaxMaps = 1 << 16
	MaxSide = 255
	MinSide = 3
	// MaxPortals of one map, by what a Tile has room for.
	MaxPortals = 253
)

// Tile is what a place of a map is: Floor, Wall, or a portal (see PortalTile).
type Tile uint8

// The tiles that are not portals.
const (
	Floor Tile = iota
	Wall
	firstPortal
)

// PortalTile is the tile that leads to Map.Portals[i], 0 <= i < MaxPortals.
func PortalTile(i int) Tile { return firstPortal + Tile(i) }

// Map is the unchanging part of a map.
type Map struct {
	Name string
	// W and H are the width and height in tiles.
	W, H int
	// Tiles by row. Invariant: len(Tiles) == W*H.
	Tiles []Tile
	// Portals are where portal tiles lead. Invariant: floor or portal, of any map.
	Portals []Pos
	// Spawns are where players may appear. Invariant: not empty, each is floor.
	Spawns []Pos
}

// At is the tile at x, y, which must be on the map.
func (m *Map) At(x, y uint8) Tile { return m.Tiles[int(y)*m.W+int(x)] }

// World is all maps.
type World struct {
	Maps   []*Map
	starts []Pos // spawn points of the maps where new players appear; not empty
	byName map[string]int
}

// ErrWorld is wrapped by all errors of New.
var ErrWorld = errors.New("world: bad world")

// New makes a world and checks the invariants of its maps. New players appear on
// the maps whose indexes are in starts.
func New(maps []*Map, starts ...int) (*World, error) {
	w := &World{Maps: maps, byName: make(map[string]int, len(maps))}
	if len(maps) == 0 || len(maps) > MaxMaps || len(starts) == 0 {
		return nil, fmt.Errorf("%w: %d maps, %d of them to start on", ErrWorld, len(maps), len(starts))
	}
	for i, m := range maps {
		if _, twice := w.byName[m.Name]; twice {
			return nil, fmt.Errorf("%w: two maps have the name %q", ErrWorld, m.Name)
		}
		w.byName[m.Name] = i
		if err := w.checkMap(i, m); err != nil {
			return nil, fmt.Errorf("%w: map %q: %w", ErrWorld, m.Name, err)
		}
	}
	for _, i := range starts {
		if i < 0 || i >= len(maps) {
			return nil, fmt.Errorf("%w: start map %d of %d", ErrWorld, i, len(maps))
		}
		w.starts = append(w.starts, maps[i].Spawns...)
	}
	return w, nil
}

func (w *World) checkMap(index int, m *Map) error {
	if m.W < MinSide || m.W > MaxSide || m.H < MinSide || m.H > MaxSide || len(m.Tiles) != m.W*m.H {
		return fmt.Errorf("%d x %d with %d tiles, want sides of %d to %d", m.W, m.H, len(m.Tiles), MinSide, MaxSide)
	}
	for i, t := range m.Tiles {
		if t >= firstPortal && int(t-firstPortal) >= len(m.Portals) {
			return fmt.Errorf("tile %d,%d is a portal without a target", i%m.W, i/m.W)
		}
	}
	for _, p := range m.Portals {
		if !w.Walkable(p) {
			return fmt.Errorf("a portal leads to map %d, %d,%d, which is not a floor", p.Map, p.X, p.Y)
		}
	}
	if len(m.Spawns) == 0 {
		return errors.New("no spawn point")
	}
	for _, p := range m.Spawns {
		if int(p.Map) != index || !w.Walkable(p) || m.At(p.X, p.Y) != Floor {
			return fmt.Errorf("spawn point %d,%d is not a floor of this map", p.X, p.Y)
		}
	}
	return nil
}

// Index gives the index of the map of that name.
func (w *World) Index(name string) (int, bool) {
	i, ok := w.byName[name]
	return i, ok
}

// Walkable reports whether p exists and is no wall.
func (w *World) Walkable(p Pos) bool {
	if int(p.Map) >= len(w.Maps) {
		return false
	}
	m := w.Maps[p.Map]
	return int(p.X) < m.W && int(p.Y) < m.H && m.At(p.X, p.Y) != Wall
}

// Spawn is where a new player of that name appears: the same place in every run.
func (w *World) Spawn(name string) Pos {
	return w.starts[finish(NameHash(name))%uint64(len(w.starts))]
}

// Outcome of a step.
type Outcome uint8

// The outcomes.
const (
	Walked  Outcome = iota
	Blocked         // by a wall or the edge: the position is the old one
	Ported          // onto a portal: the position is where it leads, perhaps another map
)

// Step is where a walk by one tile from p leads. p must be Walkable and d a
// direction. The outcome depends on nothing but p, d and the maps.
func (w *World) Step(p Pos, d Dir) (Pos, Outcome) {
	m := w.Maps[p.Map]
	// Leaving over the left or upper edge wraps to 255, which is off every map.
	x, y := p.X+dx[d&3], p.Y+dy[d&3]
	if int(x) >= m.W || int(y) >= m.H {
		return p, Blocked
	}
	switch t := m.At(x, y); {
	case t == Wall:
		return p, Blocked
	case t >= firstPortal:
		return m.Portals[t-firstPortal], Ported
	}
	return Pos{p.Map, x, y}, Walked
}
