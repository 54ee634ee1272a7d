package server

import (
	"time"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/world"
)

// Kinds of message, by the part that they are for. What A, B, C, Block and Ref
// hold is said behind each; "who" is the handle of what it is about.
const (
	// To a gate. A is a session unless it says otherwise.
	mailAccepted     uint32 = iota // B account, C flags of WELCOME, Ref *entrant: home has let the player in
	mailLoginRefused               // C code
	mailEvict                      // the player has logged in elsewhere
	mailGone                       // C code, 0 if saved: home has taken the player back
	mailLine                       // Block: a line said in private
	mailAnswer                     // B frame type, tag and code: an answer that needs nothing else
	mailAdmitted                   // B player, C place: the player is on a map of the sender
	mailTurnedAway                 // Ref *entrant: the map was full
	mailMoved                      // B tag and flags, C place
	mailKept                       // B and C state: see packState; to be sent on to the home
	mailView                       // A map, B 1 if for newcomers, Block
	mailSaid                       // A map, Block: a line said to the map

	// To an atlas. A is a player unless it says otherwise.
	mailEnter // Ref *entrant
	mailMove  // B tag and direction
	mailSay   // B tag, Block the line
	mailSave  // B tag
	mailLeave
	mailFence

	// To a home.
	mailLogin // A session, Ref *loginRequest
	mailTell  // A session of the sender, B tag, Ref string the addressee, Block the line
	mailState // A account, B and C state

	toAtlas = mailEnter
	toHome  = mailLogin
)

// entrant is a player on the way to an atlas. Whoever posts it lets go of it.
type entrant struct {
	name    string
	session uint64
	state   world.State
	late    []runtime.Message // what came for the player while he was between two atlases
}

// loginRequest is what a LOGIN said.
type loginRequest struct {
	name  string
	token []byte
}

// packPos and unpackPos fit a place in 32 bits.
func packPos(p world.Pos) uint64 { return uint64(p.Map) | uint64(p.X)<<16 | uint64(p.Y)<<24 }

func unpackPos(v uint64) world.Pos {
	return world.Pos{Map: uint16(v), X: uint8(v >> 16), Y: uint8(v >> 24)}
}

// What a packed state is for.
const (
	stateTicket = 1 << iota // SAVE with the tag wants an answer
	stateLast               // the player has left the map
)

const movesBits = 48

// packState fits a state, a tag and a purpose in a message: B has place and chats,
// C moves (48 bits: at a million a second that lasts nine years), tag and purpose.
func packState(m *runtime.Message, st *world.State, tag, purpose uint8) {
	m.B = packPos(st.Pos) | uint64(st.Chats)<<32
	m.C = st.Moves&(1<<movesBits-1) | uint64(tag)<<48 | uint64(purpose)<<56
}

func unpackState(m *runtime.Message) (st world.State, tag, purpose uint8) {
	st = world.State{Pos: unpackPos(m.B), Chats: uint32(m.B >> 32), Moves: m.C & (1<<movesBits - 1)}
	return st, uint8(m.C >> 48), uint8(m.C >> 56)
}

// answer makes a mailAnswer.
func answer(session uint64, t proto.Type, tag uint8, code proto.Code) runtime.Message {
	return runtime.Message{Kind: mailAnswer, A: session, B: uint64(t) | uint64(tag)<<8 | uint64(code)<<16}
}

// mail is how the parts post messages.
type mail struct {
	shard *runtime.Shard
	index int
	// local is what this shard posts to itself. It does not go through a ring, and it
	// is not delivered inside post, so that a part is never called by itself.
	local    fifo
	settling bool // Invariant: true exactly while App.settle delivers
	// held is what the runtime had no room for, by receiver, oldest first. A shard
	// owes a session at most proto.MaxInFlight answers, which bounds it.
	held  []fifo
	retry *runtime.Timer
}

func (l *mail) init(s *runtime.Shard) {
	l.shard, l.index = s, s.Index()
	l.held = make([]fifo, s.Shards())
	l.retry = runtime.NewTimer(func(*runtime.Shard) { l.sendHeld() })
}

// post sends a copy of m to a shard, perhaps this one. It is never lost, and what
// one shard posts to another arrives in order.
func (l *mail) post(to int, m *runtime.Message) {
	if to == l.index {
		l.local.push(m)
		return
	}
	if l.held[to].len() > 0 || l.shard.Post(to, m) == runtime.Busy {
		l.held[to].push(m)
		if !l.retry.Armed() {
			l.shard.Arm(l.retry, time.Millisecond)
		}
	}
}

func release(b *runtime.Block) {
	if b != nil {
		b.Release()
	}
}

func (l *mail) sendHeld() {
	for to := range l.held {
		h := &l.held[to]
		for h.len() > 0 && l.shard.Post(to, h.front()) != runtime.Busy {
			m, _ := h.pop()
			release(m.Block)
		}
		if h.len() > 0 && !l.retry.Armed() {
			l.shard.Arm(l.retry, time.Millisecond)
		}
	}
}

// fifo is a queue of messages that keeps its memory. It holds their blocks: who pops
// one releases its block.
type fifo struct {
	m     []runtime.Message
	first int // m[:first] are gone
}

func (q *fifo) len() int                { return len(q.m) - q.first }
func (q *fifo) front() *runtime.Message { return &q.m[q.first] }

func (q *fifo) push(m *runtime.Message) {
	if q.first > 0 && len(q.m) == cap(q.m) {
		n := copy(q.m, q.m[q.first:])
		clear(q.m[n:])
		q.m, q.first = q.m[:n], 0
	}
	if m.Block != nil {
		m.Block.Hold()
	}
	q.m = append(q.m, *m)
}

func (q *fifo) pop() (m runtime.Message, ok bool) {
	if q.first == len(q.m) {
		return m, false
	}
	m = q.m[q.first]
	q.m[q.first] = runtime.Message{}
	q.first++
	if q.first == len(q.m) {
		q.m, q.first = q.m[:0], 0
	}
	return m, true
}
