package server

import (
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/world"
)

// atlas is the part of a shard that has maps and the players on them.
type atlas struct {
	app     *App
	mail    *mail
	world   *world.World
	areas   []*area // by map; nil for the maps of other shards
	players slots[player]
	spare   []*player
	saveNs  int64 // Config.SaveEvery; negative: never
	scratch []byte
}

// area is a map of this shard, and how many watch it from where.
type area struct {
	*world.Area
	viewers []int // by shard: players here whose sessions are there
	fresh   []int // by shard: those of them who came since the last tick
	ticks   uint32
	beat    beat
	timer   *runtime.Timer // of the next tick
}

// player is somebody on a map.
type player struct {
	handle  uint64
	name    string
	session uint64
	state   world.State
	id      uint16 // on the area
	// since is area.ticks when the player came to the area: he is fresh while they are equal.
	since uint32
	// leaving: his place is on another shard's map, and he waits in no area for the fence. What
	// comes for him meanwhile is kept in late.
	leaving bool
	late    []runtime.Message
	// unsaved: the home has not been told of his last change; saveNs is when it will be.
	unsaved bool
	saveNs  int64
}

func (t *atlas) init(a *App) {
	t.app, t.mail, t.world, t.saveNs = a, &a.mail, a.world, int64(a.config.SaveEvery)
	t.areas = make([]*area, len(a.world.Maps))
	shards := a.shard.Shards()
	for i := a.shard.Index(); i < len(t.areas); i += shards {
		t.areas[i] = &area{
			Area: world.NewArea(i, a.config.MaxPerMap), viewers: make([]int, shards), fresh: make([]int, shards),
			beat: newBeat(a.config.ViewEvery, i, len(t.areas)),
			timer: runtime.NewTimer(func(*runtime.Shard) {
				t.tick(i)
				a.settle()
			}),
		}
	}
}

// start arms the timers of all maps.
func (t *atlas) start() {
	for _, ar := range t.areas {
		if ar != nil {
			t.arm(ar)
		}
	}
}

func (t *atlas) arm(ar *area) { t.mail.shard.Arm(ar.timer, ar.beat.next(t.mail.shard.NowNs())) }

func (t *atlas) receive(from int, m *runtime.Message) {
	if m.Kind == mailEnter {
		t.enter(m.Ref.(*entrant))
		return
	}
	p := t.players.get(m.A)
	switch {
	case p == nil: // turned away from a full map: his gate does not know yet
		t.app.metrics.LostMail++
	case m.Kind == mailFence:
		t.handOver(p)
	case p.leaving:
		p.late = append(p.late, *m)
	default:
		t.serve(p, m)
	}
}

// serve does what a player's gate asks for. p may be gone afterwards, or leaving.
func (t *atlas) serve(p *player, m *runtime.Message) {
	switch m.Kind {
	case mailMove:
		t.move(p, uint8(m.B), world.Dir(m.B>>8))
	case mailSay:
		t.say(p, uint8(m.B), m.Block)
	case mailSave:
		t.keep(p, uint8(m.B), stateTicket)
	case mailLeave:
		t.leaveArea(p)
		t.keep(p, 0, stateLast)
		t.drop(p)
	}
}

// enter admits a player who comes from his home or from another atlas.
func (t *atlas) enter(e *entrant) {
	ar := t.areas[e.state.Map]
	id, err := ar.Enter(e.name, e.state.X, e.state.Y)
	gate := shardOf(e.session)
	if err != nil {
		t.mail.post(gate, &runtime.Message{Kind: mailTurnedAway, A: e.session, Ref: e})
		return
	}
	p := t.takePlayer()
	p.name, p.session, p.state = e.name, e.session, e.state
	p.handle = t.players.add(p)
	t.arrive(p, id)
	// Spread over the interval, so that players who come together are not saved together.
	p.unsaved = true
	p.saveNs = t.mail.shard.NowNs()
	if t.saveNs > 0 {
		p.saveNs += int64(world.NameHash(p.name) % uint64(t.saveNs))
	}
	t.mail.post(gate, &runtime.Message{Kind: mailAdmitted, A: p.session, B: p.handle, C: packPos(p.state.Pos)})
	handle := p.handle
	for i := range e.late {
		if p.leaving {
			p.late = append(p.late, e.late[i:]...)
			return
		}
		t.serve(p, &e.late[i])
		if t.players.get(handle) == nil {
			return
		}
	}
}

// arrive counts a player who has entered an area.
func (t *atlas) arrive(p *player, id uint16) {
	ar, gate := t.areas[p.state.Map], shardOf(p.session)
	p.id, p.since = id, ar.ticks
	ar.viewers[gate]++
	ar.fresh[gate]++
}

// leaveArea takes a player off his map.
func (t *atlas) leaveArea(p *player) { t.depart(p, p.state.Map) }

func (t *atlas) depart(p *player, from uint16) {
	ar, gate := t.areas[from], shardOf(p.session)
	ar.Leave(p.id)
	ar.viewers[gate]--
	if p.since == ar.ticks {
		ar.fresh[gate]--
	}
}

func (t *atlas) move(p *player, tag uint8, d world.Dir) {
	from := p.state.Map
	flags := p.state.Walk(t.world, d)
	p.unsaved = true
	t.app.metrics.Moves++
	full := false
	if p.state.Map == from {
		t.areas[from].Move(p.id, p.state.X, p.state.Y)
	} else {
		full = !t.cross(p, from)
	}
	t.mail.post(shardOf(p.session), &runtime.Message{
		Kind: mailMoved, A: p.session, B: uint64(tag) | uint64(flags)<<8, C: packPos(p.state.Pos),
	})
	if full {
		// There is no way back that keeps a walk a matter of the walker's moves alone.
		// He goes to the door of the map as if from another shard, and is turned away.
		t.handOver(p)
	}
}

// cross takes a player from one map to another, or, if that is another shard's, to
// where he waits for the fence. It says false if the map is full.
func (t *atlas) cross(p *player, from uint16) bool {
	t.app.metrics.Crossings++
	t.depart(p, from)
	to := t.areas[p.state.Map]
	if to == nil {
		p.leaving = true
		return true
	}
	id, err := to.Enter(p.name, p.state.X, p.state.Y)
	if err != nil {
		return false
	}
	t.arrive(p, id)
	return true
}

// handOver is the fence: nothing comes here for the player any more.
func (t *atlas) handOver(p *player) {
	e := &entrant{name: p.name, session: p.session, state: p.state, late: p.late}
	p.late = nil
	t.drop(p)
	t.mail.post(int(e.state.Map)%t.mail.shard.Shards(), &runtime.Message{Kind: mailEnter, Ref: e})
}

// say gives a line to everyone on the map, and then the answer to who said it.
func (t *atlas) say(p *player, tag uint8, line *runtime.Block) {
	p.state.Chats++
	p.unsaved = true
	t.app.metrics.Says++
	for gate, n := range t.areas[p.state.Map].viewers {
		if n > 0 {
			t.mail.post(gate, &runtime.Message{Kind: mailSaid, A: uint64(p.state.Map), Block: line})
		}
	}
	m := answer(p.session, proto.Chatted, tag, 0)
	t.mail.post(shardOf(p.session), &m)
}

// keep sends the player's state home by way of his gate.
func (t *atlas) keep(p *player, tag, purpose uint8) {
	p.unsaved = false
	m := runtime.Message{Kind: mailKept, A: p.session}
	packState(&m, &p.state, tag, purpose)
	t.mail.post(shardOf(p.session), &m)
}

func (t *atlas) takePlayer() *player {
	if n := len(t.spare); n > 0 {
		p := t.spare[n-1]
		t.spare = t.spare[:n-1]
		return p
	}
	return &player{}
}

func (t *atlas) drop(p *player) {
	t.players.remove(p.handle)
	late := p.late[:0]
	*p = player{late: late}
	t.spare = append(t.spare, p)
}

// tick is one map's: it shows everyone there what has changed, and saves whose time has
// come of the shard's players, a share of them at each map's tick.
func (t *atlas) tick(index int) {
	ar := t.areas[index]
	ar.ticks++
	t.show(index, ar)
	if t.saveNs >= 0 {
		shards, first := t.mail.shard.Shards(), t.mail.shard.Index()
		t.saveShare(index/shards, (len(t.areas)-first+shards-1)/shards)
	}
	t.arm(ar)
}

// saveShare looks at the part-th of that many equal parts of the players.
func (t *atlas) saveShare(part, parts int) {
	nowNs, n := t.mail.shard.NowNs(), len(t.players.at)
	for _, p := range t.players.at[n*part/parts : n*(part+1)/parts] {
		if p != nil && p.unsaved && !p.leaving && nowNs >= p.saveNs {
			p.saveNs = nowNs + t.saveNs
			t.keep(p, 0, 0)
		}
	}
}

// show makes at most two blocks of a map: what has changed, for those who were
// there, and everything, for those who were not. A shard gets each at most once,
// whatever the number of its viewers.
func (t *atlas) show(index int, ar *area) {
	if ar.Changed() {
		delta := t.block(ar.Delta(t.scratch[:0], ar.ticks))
		for gate, n := range ar.viewers {
			if n > ar.fresh[gate] && delta.Len() > 0 {
				t.mail.post(gate, &runtime.Message{Kind: mailView, A: uint64(index), Block: delta})
			}
		}
		delta.Release()
	}
	var all *runtime.Block
	for gate, n := range ar.fresh {
		if n == 0 {
			continue
		}
		if all == nil {
			all = t.block(ar.Snapshot(t.scratch[:0], ar.ticks))
		}
		t.mail.post(gate, &runtime.Message{Kind: mailView, A: uint64(index), B: 1, Block: all})
		ar.fresh[gate] = 0
	}
	if all != nil {
		all.Release()
	}
}

// block makes a block of view, which is written to scratch: how long it gets is not
// known before. A tick costs no allocation.
func (t *atlas) block(view []byte) *runtime.Block {
	t.scratch = view
	b := t.mail.shard.TakeBlock(len(view))
	copy(b.Bytes(), view)
	return b
}
