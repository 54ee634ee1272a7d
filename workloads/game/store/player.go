package store

import "github.com/syslet/syslet/runtime"

// Player is a player's record in memory and what of it is on disk. At most one save is in
// flight; requests that come meanwhile wait for the next one and share it.
type Player struct {
	Record
	// User is the maker's.
	User any

	store  *Store
	saving bool
	again  bool     // a save without a ticket is due after the one in flight
	dirty  bool     // the record has changed since the save in flight, or the last one, began
	now    []Ticket // covered by the save in flight
	later  []Ticket // to be covered by the next one
}

// Ticket is a request to save that wants an answer. What it means is its maker's.
type Ticket struct {
	Session uint64
	Tag     uint8
	Last    bool
}

// NewPlayer makes a player of a record.
func (st *Store) NewPlayer(r *Record) *Player { return &Player{Record: *r, store: st} }

// Touch says that the record has been changed.
func (p *Player) Touch() { p.dirty = true }

// Dirty reports whether the record, or a save of it that is not finished, is missing on disk.
func (p *Player) Dirty() bool { return p.dirty || p.saving }

// Saving reports whether a save is in flight.
func (p *Player) Saving() bool { return p.saving }

// Save makes sure that the record as it is now gets to disk.
func (p *Player) Save(s *runtime.Shard) {
	switch {
	case !p.dirty:
	case p.saving:
		p.again = true
	default:
		p.begin(s)
	}
}

// SaveFor is Save and an answer: Store.Saved is called once with t, perhaps at once.
func (p *Player) SaveFor(s *runtime.Shard, t Ticket) {
	switch {
	case p.saving && p.dirty || p.saving && len(p.later) > 0:
		p.store.Counts.SavesCoalesced++
		p.later = append(p.later, t)
	case p.saving:
		// Nothing has changed since the save in flight began: it covers t.
		p.store.Counts.SavesCoalesced++
		p.now = append(p.now, t)
	default:
		// Saved again even if nothing has changed: the client asked for it.
		p.now = append(p.now, t)
		p.begin(s)
	}
}

func (p *Player) begin(s *runtime.Shard) {
	p.saving, p.dirty, p.again = true, false, false
	p.store.Counts.Saves++
	if !p.store.start(s, p) {
		p.saved(s, ErrBusy)
	}
}

// saved takes the end of the save in flight.
func (p *Player) saved(s *runtime.Shard, err error) {
	if err != nil {
		p.store.Counts.SaveErrors++
		p.dirty = true
	}
	p.saving = false
	for _, t := range p.now {
		p.store.Saved(p, t, err)
	}
	p.now = p.now[:0]
	if len(p.later) > 0 || p.again && err == nil {
		p.now, p.later = p.later, p.now
		p.begin(s)
		return
	}
	p.store.Idle(p, err)
}
