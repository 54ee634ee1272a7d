package server

import (
	"errors"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/store"
	"github.com/syslet/syslet/workloads/game/world"
)

// home is the part of a shard that has accounts: it alone reads and writes their
// files, and it decides which session a player belongs to.
type home struct {
	app      *App
	mail     *mail
	world    *world.World
	store    *store.Store
	byName   map[string]*account // asked once per login and private line
	accounts slots[account]
	unsaved  []*account // whose last save failed
	retry    *runtime.Timer
}

// where says who has the player's state.
type where uint8

const (
	atDisk    where = iota // being loaded
	atHome                 // here; on disk, too, or on the way there
	atPlay                 // with session, by way of an atlas
	atReturn               // the same, but the session has been told to end
	forgotten              // the account is gone
)

// account is a player who is logged in, was just now, or is about to be.
type account struct {
	handle  uint64
	where   where
	session uint64 // who plays; Invariant: of a live session on atPlay and atReturn
	state   world.State
	began   uint64        // state.Moves when the session that plays began
	player  *store.Player // nil on atDisk
	waiting []loginWait   // who wants to play, oldest first; on atDisk and atReturn
	failed  bool          // Invariant: true exactly while it is in home.unsaved
}

// loginWait is a LOGIN that waits. On atReturn its token has been found right.
type loginWait struct {
	session uint64
	token   []byte
}

func (h *home) init(a *App, st *store.Store) {
	h.app, h.mail, h.world, h.store = a, &a.mail, a.world, st
	h.byName = map[string]*account{}
	st.Saved = h.saved
	st.Idle = h.idle
	h.retry = runtime.NewTimer(func(*runtime.Shard) {
		h.saveAgain()
		a.settle()
	})
}

func (h *home) receive(m *runtime.Message) {
	switch m.Kind {
	case mailLogin:
		h.login(m.A, m.Ref.(*loginRequest))
	case mailTell:
		h.tell(m.A, uint8(m.B), m.Ref.(string), m.Block)
	case mailState:
		if a := h.accounts.get(m.A); a != nil {
			h.told(a, m)
			return
		}
		h.app.metrics.LostMail++
	}
}

func (h *home) login(session uint64, r *loginRequest) {
	w := loginWait{session, r.token}
	if a := h.byName[r.name]; a != nil {
		if a.where == atDisk {
			a.waiting = append(a.waiting, w)
		} else {
			h.admit(a, w)
		}
		return
	}
	a := &account{waiting: []loginWait{w}}
	a.handle = h.accounts.add(a)
	h.byName[r.name] = a
	h.store.Load(h.mail.shard, r.name, func(rec *store.Record, err error) {
		h.loaded(a, r.name, rec, err)
		h.app.settle()
	})
}

// loaded takes what the file says, and lets in those who waited for it.
func (h *home) loaded(a *account, name string, rec *store.Record, err error) {
	waiting := a.waiting
	a.waiting = nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		code := proto.CodeStorage
		if errors.Is(err, store.ErrCorrupt) {
			code = proto.CodeCorrupt
		}
		for _, w := range waiting {
			h.refuse(w.session, code)
		}
		h.app.metrics.LoadFailures++
		h.app.metrics.LastError = err.Error()
		h.forget(a, name)
		return
	}
	a.where = atHome
	if rec != nil {
		a.player = h.store.NewPlayer(rec)
		a.player.User = a
		a.state = h.place(rec)
	} else {
		h.register(a, name, waiting[0])
		waiting = waiting[1:]
	}
	for _, w := range waiting {
		h.admit(a, w)
	}
	h.tidy(a)
}

// register makes an account of a name that nobody has.
func (h *home) register(a *account, name string, w loginWait) {
	rec := &store.Record{Name: name}
	rec.SetToken(w.token)
	a.player = h.store.NewPlayer(rec)
	a.player.User = a
	a.state = world.State{Pos: h.world.Spawn(name)}
	h.app.metrics.Registered++
	h.accept(a, w.session, proto.FlagNew)
	h.record(a, &a.state)
	a.player.Save(h.mail.shard)
}

// place is the state that a record describes. If the datapack has changed so
// that the player would stand in a wall, he starts anew.
func (h *home) place(r *store.Record) world.State {
	st := world.State{Moves: r.Moves, Chats: r.Chats}
	index, ok := h.world.Index(r.Map)
	st.Pos = world.Pos{Map: uint16(index), X: r.X, Y: r.Y}
	if !ok || !h.world.Walkable(st.Pos) {
		st.Pos = h.world.Spawn(r.Name)
		h.app.metrics.Displaced++
	}
	return st
}

// admit lets a session play if its token is right; if another plays, that ends first.
func (h *home) admit(a *account, w loginWait) {
	if !a.player.CheckToken(w.token) {
		h.refuse(w.session, proto.CodeBadToken)
		return
	}
	switch a.where {
	case atHome:
		h.accept(a, w.session, 0)
	case atPlay:
		a.where = atReturn
		h.app.metrics.Takeovers++
		h.mail.post(shardOf(a.session), &runtime.Message{Kind: mailEvict, A: a.session})
		a.waiting = append(a.waiting, w)
	case atReturn:
		a.waiting = append(a.waiting, w)
	}
}

func (h *home) accept(a *account, session uint64, flags uint64) {
	a.where, a.session, a.began = atPlay, session, a.state.Moves
	e := &entrant{name: a.player.Name, session: session, state: a.state}
	h.mail.post(shardOf(session), &runtime.Message{Kind: mailAccepted, A: session, B: a.handle, C: flags, Ref: e})
}

func (h *home) refuse(session uint64, code proto.Code) {
	h.mail.post(shardOf(session), &runtime.Message{Kind: mailLoginRefused, A: session, C: uint64(code)})
}

// told takes news of a player from his gate.
func (h *home) told(a *account, m *runtime.Message) {
	st, tag, purpose := unpackState(m)
	h.record(a, &st)
	switch {
	case purpose&stateLast != 0:
		h.returned(a)
	case purpose&stateTicket != 0:
		a.player.SaveFor(h.mail.shard, store.Ticket{Session: a.session, Tag: tag})
	default:
		a.player.Save(h.mail.shard)
	}
}

// record puts a state into the player's record.
func (h *home) record(a *account, st *world.State) {
	r := &a.player.Record
	name := h.world.Maps[st.Map].Name
	if r.Map == name && r.X == st.X && r.Y == st.Y && r.Moves == st.Moves && r.Chats == st.Chats {
		return
	}
	r.Map, r.X, r.Y, r.Moves, r.Chats = name, st.X, st.Y, st.Moves, st.Chats
	a.state = *st
	a.player.Touch()
}

// returned: the session that played has ended. If others wait, the last of them
// goes on and the rest are told so.
func (h *home) returned(a *account) {
	session := a.session
	a.where, a.session = atHome, 0
	h.app.scribe.record(a.player.Name, a.state.Moves-a.began)
	if len(a.waiting) == 0 {
		a.player.SaveFor(h.mail.shard, store.Ticket{Session: session, Last: true})
		return
	}
	last := len(a.waiting) - 1
	for _, w := range a.waiting[:last] {
		h.refuse(w.session, proto.CodeTakenOver)
	}
	next := a.waiting[last].session
	a.waiting = nil
	h.accept(a, next, proto.FlagTakenOver)
	// The session that has ended may owe a BYE, which says that the player is on disk.
	a.player.SaveFor(h.mail.shard, store.Ticket{Session: session, Last: true})
}

// saved answers a request to save.
func (h *home) saved(_ *store.Player, t store.Ticket, err error) {
	code := proto.Code(0)
	if err != nil {
		code = proto.CodeStorage
		h.app.metrics.LastError = err.Error()
	}
	m := answer(t.Session, proto.Saved, t.Tag, 0)
	switch {
	case t.Last:
		m = runtime.Message{Kind: mailGone, A: t.Session, C: uint64(code)}
	case err != nil:
		m = answer(t.Session, proto.Refused, t.Tag, code)
	}
	h.mail.post(shardOf(t.Session), &m)
	h.app.metrics.SavesAnswered++
}

// idle is told when a player has no save in flight any more.
func (h *home) idle(p *store.Player, err error) {
	a := p.User.(*account)
	if err != nil && !a.failed {
		if len(h.unsaved) == 0 {
			h.mail.shard.Arm(h.retry, h.app.config.RetryEvery)
		}
		a.failed = true
		h.unsaved = append(h.unsaved, a)
	}
	h.tidy(a)
	h.app.settle()
}

// tidy forgets an account that nobody needs and that is on disk.
func (h *home) tidy(a *account) {
	if a.where == atHome && !a.player.Dirty() && !a.failed {
		h.forget(a, a.player.Name)
	}
}

func (h *home) forget(a *account, name string) {
	a.where = forgotten
	delete(h.byName, name)
	h.accounts.remove(a.handle)
}

// tell gives a private line to a player, and the answer to who said it.
func (h *home) tell(from uint64, tag uint8, to string, line *runtime.Block) {
	h.app.metrics.Tells++
	m := answer(from, proto.Chatted, tag, 0)
	if a := h.byName[to]; a != nil && a.where == atPlay {
		a.player.Heard++
		a.player.Touch()
		h.mail.post(shardOf(a.session), &runtime.Message{Kind: mailLine, A: a.session, Block: line})
	} else {
		m = answer(from, proto.Refused, tag, proto.CodeNoPlayer)
	}
	h.mail.post(shardOf(from), &m)
}

// saveAgain saves whom it could not save.
func (h *home) saveAgain() {
	failed := h.unsaved
	h.unsaved = nil
	for _, a := range failed {
		a.failed = false
		a.player.Save(h.mail.shard)
		h.tidy(a)
	}
}
