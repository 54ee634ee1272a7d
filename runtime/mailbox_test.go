package runtime

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func newRing(slots int) *mailRing { return &mailRing{slots: make([]Message, slots)} }

// Two threads, a small ring: every message once, in order, whole.
func TestMailRingTwoThreads(t *testing.T) {
	const n = 100_000
	r := newRing(8)
	var wg sync.WaitGroup
	wg.Go(func() {
		block := NewBlock([]byte("b"))
		for i := uint64(0); i < n; {
			if r.push(&Message{A: i, B: ^i, Block: block}) {
				i++
			} else {
				yield()
			}
		}
	})
	var m Message
	for i := uint64(0); i < n; {
		if !r.pop(&m) {
			yield()
			continue
		}
		if m.A != i || m.B != ^i || m.Block.Len() != 1 {
			t.Fatalf("message %d is %+v", i, m)
		}
		i++
	}
	wg.Wait()
	require.True(t, r.empty())
}

func TestMailRingFullAndWrap(t *testing.T) {
	r := newRing(4)
	var m Message
	for round := range uint64(10) {
		for i := range uint64(4) {
			require.True(t, r.push(&Message{A: round*4 + i, Ref: "kept"}))
		}
		require.False(t, r.push(&Message{}), "a fifth of four")
		for i := range uint64(4) {
			require.True(t, r.pop(&m))
			require.Equal(t, round*4+i, m.A)
		}
		require.False(t, r.pop(&m))
	}
	for _, slot := range r.slots {
		require.Nil(t, slot.Ref, "a slot that was taken keeps what it carried alive")
	}
}

type mailApp struct{ got []uint64 }

func (*mailApp) Opened(*Conn)           {}
func (*mailApp) Data(*Conn, []byte) int { return 0 }
func (*mailApp) Closed(*Conn, error)    {}
func (a *mailApp) Message(_ *Shard, _ int, m *Message) {
	if len(a.got) < cap(a.got) {
		a.got = append(a.got, m.A)
	}
}

// What does not fit waits beside the ring, in order, up to the bound.
func TestMailBacklog(t *testing.T) {
	s := bareShard(t, Options{MailboxSlots: 4, MailboxBacklog: 6})
	app := &mailApp{got: make([]uint64, 0, 100)}
	s.receiver = app
	for i := range uint64(10) {
		require.Equal(t, Queued, s.Post(0, &Message{A: i}))
	}
	require.Equal(t, Busy, s.Post(0, &Message{A: 99}))
	require.True(t, s.owesMail())
	for range 4 {
		s.sendMail()
		s.takeMail()
	}
	require.Equal(t, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, app.got)
	require.False(t, s.owesMail())
	require.False(t, s.hasMail())
	require.EqualValues(t, 1, s.Stats.MailBusy)
	require.EqualValues(t, 6, s.Stats.MailBacklogged)
	require.Equal(t, s.Stats.MailSent, s.Stats.MailReceived)
}

// A backlog that is never quite empty keeps its memory within its bound.
func TestMailBacklogMemory(t *testing.T) {
	s := bareShard(t, Options{MailboxSlots: 4, MailboxBacklog: 64})
	app := &mailApp{got: make([]uint64, 0, 50_000)}
	s.receiver = app
	next := uint64(0)
	for range 10_000 {
		for s.mail[0][0].waiting() < 8 {
			require.Equal(t, Queued, s.Post(0, &Message{A: next}))
			next++
		}
		s.sendMail()
		s.takeMail()
	}
	require.Less(t, cap(s.mail[0][0].backlog), 256)
	for i, a := range app.got {
		require.EqualValues(t, i, a)
	}
}

func TestMailAllocs(t *testing.T) {
	s := bareShard(t, Options{})
	s.receiver = &mailApp{}
	m := Message{Kind: 1}
	require.Zero(t, testing.AllocsPerRun(1000, func() { s.Post(0, &m); s.sendMail(); s.takeMail() }))
	require.NotZero(t, s.Stats.MailReceived)
}

func BenchmarkMailbox(b *testing.B) {
	b.ReportAllocs()
	s := bareShard(b, Options{})
	s.receiver = &mailApp{}
	m := Message{Kind: 1}
	for b.Loop() {
		s.Post(0, &m)
		s.takeMail()
	}
}

// writesOn answers each message with another one, to itself.
type writesOn struct{ mailApp }

func (a *writesOn) Message(s *Shard, from int, m *Message) {
	a.mailApp.Message(s, from, m)
	s.Post(from, m)
}

// What a message's receiver posts comes in a later turn: a shard that writes to
// itself must not stay with its mail.
func TestMailToItself(t *testing.T) {
	s := bareShard(t, Options{MailboxSlots: 64})
	app := &writesOn{mailApp{got: make([]uint64, 0, 100)}}
	s.receiver = app
	require.Equal(t, Queued, s.Post(0, &Message{}))
	for turn := range 5 {
		s.takeMail()
		require.Len(t, app.got, turn+1)
	}
}
