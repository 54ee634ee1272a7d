package runtime

import "sync/atomic"

// Message is what shards send each other. Kind and the numbers are the App's.
// What Block and Ref point to must be immutable, or handed over for good. A Block
// of Shard.TakeBlock is the receiver's own when it arrives, until App.Message has
// returned; longer if the App holds it (Block.Hold).
type Message struct {
	Kind    uint32
	A, B, C uint64
	Block   *Block
	Ref     any
}

// cacheLine keeps what two CPUs write apart (two lines: the prefetcher fetches pairs).
const cacheLine = 128

// mailRing carries messages from one shard to one other: single producer,
// single consumer, no lock, no counter that both write. From Lamport's proof of
// 1977 by way of TORO's and DPDK's rings; each side keeps a copy of the other's
// index and reads the shared one only when the copy says full or empty.
type mailRing struct {
	// head is written by the consumer after it has emptied slots, and read by
	// the producer before it fills them again: release and acquire of a slot.
	head       atomic.Uint64
	tailCopy   uint64 // consumer's; Invariant: tailCopy <= tail
	_          [cacheLine - 16]byte
	tail       atomic.Uint64 // written by the producer after a slot is filled; the reverse pair
	headCopy   uint64        // producer's; Invariant: headCopy <= head
	backlog    []Message     // producer's: what did not fit, oldest first
	backlogPos int
	_          [cacheLine - 48]byte
	slots      []Message
}

func (r *mailRing) push(m *Message) bool {
	tail := r.tail.Load()
	if tail-r.headCopy == uint64(len(r.slots)) {
		r.headCopy = r.head.Load()
		if tail-r.headCopy == uint64(len(r.slots)) {
			return false
		}
	}
	r.slots[tail&uint64(len(r.slots)-1)] = *m
	r.tail.Store(tail + 1)
	return true
}

// pop moves the oldest message to m.
func (r *mailRing) pop(m *Message) bool {
	head := r.head.Load()
	if head == r.tailCopy {
		r.tailCopy = r.tail.Load()
		if head == r.tailCopy {
			return false
		}
	}
	slot := &r.slots[head&uint64(len(r.slots)-1)]
	*m = *slot
	*slot = Message{}
	r.head.Store(head + 1)
	return true
}

// full counts what is there to pop. The consumer's.
func (r *mailRing) full() int { return int(r.tail.Load() - r.head.Load()) }

// empty is asked by the consumer.
func (r *mailRing) empty() bool { return r.head.Load() == r.tail.Load() }

// setAside puts m behind the backlog. What has left the backlog's front makes
// room first, so that one that is never quite empty does not grow for ever.
func (r *mailRing) setAside(m *Message) {
	if len(r.backlog) == cap(r.backlog) && r.backlogPos > len(r.backlog)/2 {
		n := copy(r.backlog, r.backlog[r.backlogPos:])
		clear(r.backlog[n:])
		r.backlog, r.backlogPos = r.backlog[:n], 0
	}
	r.backlog = append(r.backlog, *m)
}

func (r *mailRing) waiting() int { return len(r.backlog) - r.backlogPos }

// refill moves what waits beside the ring into it.
func (r *mailRing) refill() (moved bool) {
	for r.backlogPos < len(r.backlog) && r.push(&r.backlog[r.backlogPos]) {
		r.backlog[r.backlogPos] = Message{}
		r.backlogPos++
		moved = true
	}
	if r.backlogPos == len(r.backlog) {
		r.backlog, r.backlogPos = r.backlog[:0], 0
	}
	return moved
}

// matrix is all rings: matrix[from][to].
type matrix [][]mailRing

func newMatrix(shards, slots int) matrix {
	m := make(matrix, shards)
	for from := range m {
		m[from] = make([]mailRing, shards)
		for to := range m[from] {
			m[from][to].slots = make([]Message, slots)
		}
	}
	return m
}

// Post sends a copy of m to shard to, which may be s itself: it arrives in a
// later turn, in the order of posting. Queued, or Busy at Options.MailboxBacklog.
// On the shard only.
func (s *Shard) Post(to int, m *Message) Outcome {
	if b := m.Block; b != nil && b.home != nil {
		return s.postShared(to, m)
	}
	return s.post(to, m)
}

// postShared posts m with a block that is the receiver's.
func (s *Shard) postShared(to int, m *Message) Outcome {
	letter := *m
	letter.Block = s.share(m.Block, s.server.shards[to])
	out := s.post(to, &letter)
	if out == Busy {
		s.unshare(letter.Block)
	}
	return out
}

func (s *Shard) post(to int, m *Message) Outcome {
	r := &s.mail[s.index][to]
	if r.waiting() > 0 || !r.push(m) {
		if r.waiting() >= s.opts.MailboxBacklog {
			s.Stats.MailBusy++
			return Busy
		}
		r.setAside(m)
		s.Stats.MailBacklogged++
	}
	s.mailTo[to] = true
	s.Stats.MailSent++
	return Queued
}

// sendMail lets the receivers of this turn's messages know, one wake each.
func (s *Shard) sendMail() {
	for to := range s.mailTo {
		r := &s.mail[s.index][to]
		if r.waiting() > 0 && r.refill() {
			s.mailTo[to] = true
		}
		if s.mailTo[to] {
			s.mailTo[to] = false
			if to != s.index {
				s.server.shards[to].notify()
			}
		}
	}
}

// takeMail delivers the messages that are there now, so that two shards that answer
// each other, or one that writes to itself, cannot keep a shard here.
func (s *Shard) takeMail() {
	for from := range s.mail {
		r := &s.mail[from][s.index]
		for n := r.full(); n > 0 && r.pop(&s.letter); n-- {
			s.Stats.MailReceived++
			b := s.letter.Block // the App may change the letter
			if s.receiver != nil {
				s.calling(cbMessage)
				s.receiver.Message(s, from, &s.letter)
				if s.called() {
					s.bookCalled(cbMessage, 0)
				}
			}
			if b != nil {
				b.Release()
			}
		}
	}
	s.letter = Message{}
}

func (s *Shard) hasMail() bool {
	for from := range s.mail {
		if !s.mail[from][s.index].empty() {
			return true
		}
	}
	return false
}

// owesMail: something waits beside a full ring; the shard must not sleep for long.
func (s *Shard) owesMail() bool {
	for to := range s.mail[s.index] {
		if s.mail[s.index][to].waiting() > 0 {
			return true
		}
	}
	return false
}
