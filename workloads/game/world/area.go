package world

import (
	"errors"

	"github.com/syslet/syslet/workloads/game/proto"
)

// Area is who is on one map, and what of that has changed since the last tick.
// The VIEW frames that it makes are the same for everyone on the map, so that one
// run of bytes serves all.
type Area struct {
	index   uint16
	members []member
	free    []uint16 // ids that nobody who watches still connects with a player
	changed []uint16 // ids of members with a change; each once
	gone    []uint16 // ids whose LEFT is due; Invariant: not in free, not live
	live    int
	max     int // players at once
}

type member struct {
	name    string
	x, y    uint8
	live    bool
	fresh   bool // entered since the last tick: watchers do not know the id
	changed bool // Invariant: true exactly while the id is in Area.changed
}

// MaxMembers is how many players a map can hold, by the size of an id.
const MaxMembers = 1<<16 - 1

// ErrFull says that a map holds as many players as it may.
var ErrFull = errors.New("world: map is full")

// NewArea makes the empty area of the map with that index, for at most max players,
// 1 to MaxMembers.
func NewArea(index, max int) *Area { return &Area{index: uint16(index), max: max} }

// Len is the number of players on the map.
func (a *Area) Len() int { return a.live }

// Changed reports whether Delta would say something.
func (a *Area) Changed() bool { return len(a.changed)+len(a.gone) > 0 }

// Enter adds a player and gives its id on this map, or ErrFull.
func (a *Area) Enter(name string, x, y uint8) (id uint16, err error) {
	if a.live >= a.max {
		return 0, ErrFull
	}
	if n := len(a.free); n > 0 {
		id = a.free[n-1]
		a.free = a.free[:n-1]
	} else {
		if len(a.members) >= MaxMembers {
			return 0, ErrFull // the ids of those who left are not free before the next tick
		}
		id = uint16(len(a.members))
		a.members = append(a.members, member{})
	}
	// An id that left and entered within one tick keeps its place in changed.
	inList := a.members[id].changed
	a.members[id] = member{name: name, x: x, y: y, live: true, fresh: true, changed: inList}
	a.touch(id)
	a.live++
	return id, nil
}

// Move sets a player's place. The id must be of a player who is here.
func (a *Area) Move(id uint16, x, y uint8) {
	m := &a.members[id]
	if m.x == x && m.y == y {
		return
	}
	m.x, m.y = x, y
	a.touch(id)
}

func (a *Area) touch(id uint16) {
	if m := &a.members[id]; !m.changed {
		m.changed = true
		a.changed = append(a.changed, id)
	}
}

// Leave removes a player. Its id is not given out again before the watchers have
// been told.
func (a *Area) Leave(id uint16) {
	m := &a.members[id]
	if m.fresh {
		a.free = append(a.free, id) // nobody has heard of it
	} else {
		a.gone = append(a.gone, id)
	}
	m.live, m.name = false, ""
	a.live--
}

// Delta appends VIEW frames with all that has changed since the last call, and
// forgets it. Nothing is appended if nothing has changed.
func (a *Area) Delta(dst []byte, tick uint32) []byte {
	v := viewWriter{dst: dst, index: a.index, tick: tick}
	for _, id := range a.gone {
		v.add(&proto.Entry{Kind: proto.EntryLeft, ID: id})
		a.free = append(a.free, id)
	}
	for _, id := range a.changed {
		m := &a.members[id]
		m.changed = false
		if !m.live {
			continue
		}
		if m.fresh {
			m.fresh = false
			v.addEntered(id, m)
		} else {
			v.add(&proto.Entry{Kind: proto.EntryMoved, ID: id, X: m.x, Y: m.y})
		}
	}
	a.gone, a.changed = a.gone[:0], a.changed[:0]
	return v.end()
}

// Snapshot appends VIEW frames that tell a newcomer everything, the first of them
// with the reset flag. It is to be called after Delta of the same tick.
func (a *Area) Snapshot(dst []byte, tick uint32) []byte {
	v := viewWriter{dst: dst, index: a.index, tick: tick, flags: proto.FlagReset}
	v.open()
	for id := range a.members {
		if m := &a.members[id]; m.live {
			v.addEntered(uint16(id), m)
		}
	}
	return v.end()
}
