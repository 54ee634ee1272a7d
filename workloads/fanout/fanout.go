// Package fanout is the workload of one to all: what a client says, everybody
// hears. A line of chat, a move on a crowded map, a price.
//
// A message, little endian:
//
//	0  u32  length in bytes, these four included: 16 to 65536
//	4  u32  tag, the sender's
//	8  u32  sender: a number that the client gives itself
//	12 u32  anything
//	16      payload
//
// Each message that has come whole is sent, byte for byte, to all connections that
// are open then, the sender's too: so a sender knows by its own copy that it was
// heard. Messages of one sender arrive in its order. A length outside the bounds
// ends the connection. A reader that is too slow is treated as
// runtime.Options.UnsentPolicy says.
//
// A message is copied once, into a runtime.Block that all connections of all shards
// share; it costs no allocation, and neither does its delivery.
package fanout

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/syslet/syslet/runtime"
)

const (
	// HeaderBytes is the length of the shortest message.
	HeaderBytes = 16
	// MaxBytes is the length of the longest.
	MaxBytes = 64 << 10
)

var errLength = errors.New("fanout: length of a message is outside its bounds")

// retryEvery is how soon a full mailbox is tried again.
const retryEvery = time.Millisecond

// NewApp makes the App of one shard.
func NewApp(s *runtime.Shard) (runtime.App, error) {
	a := &app{shard: s, owed: make([][]*runtime.Block, s.Shards())}
	a.retry = runtime.NewTimer(func(*runtime.Shard) { a.payOwed() })
	return a, nil
}

// app has the open connections of a shard.
type app struct {
	shard *runtime.Shard
	conns []*runtime.Conn // in no order
	place []int32         // by slot: where in conns. Invariant: conns[place[c.Slot()]] == c
	// owed are blocks that another shard's mailbox had no room for, by shard, the
	// oldest first. While there are any nothing more is read from senders.
	owed    [][]*runtime.Block
	owing   int // the sum of their lengths
	waiting []runtime.ConnID
	retry   *runtime.Timer
}

func (a *app) Opened(c *runtime.Conn) {
	for c.Slot() >= len(a.place) {
		a.place = append(a.place, 0)
	}
	a.place[c.Slot()] = int32(len(a.conns))
	a.conns = append(a.conns, c)
}

func (a *app) Closed(c *runtime.Conn, _ error) {
	at, last := a.place[c.Slot()], len(a.conns)-1
	moved := a.conns[last]
	a.conns[at], a.place[moved.Slot()] = moved, at
	a.conns[last] = nil
	a.conns = a.conns[:last]
}

// Data passes on what has come whole, in blocks of as many messages as fit.
func (a *app) Data(c *runtime.Conn, p []byte) (consumed int) {
	for a.owing == 0 {
		n, err := whole(p[consumed:])
		if n > 0 {
			a.publish(p[consumed : consumed+n])
			consumed += n
		}
		if err != nil {
			c.CloseWith(err)
			return len(p)
		}
		if n == 0 {
			return consumed
		}
	}
	c.Pause()
	a.waiting = append(a.waiting, c.ID())
	return consumed
}

// whole is the length of the messages at the front of p that are complete, as far
// as they fit in MaxBytes; the error is of the message behind them.
func whole(p []byte) (n int, err error) {
	for len(p)-n >= 4 {
		size := binary.LittleEndian.Uint32(p[n:])
		if size < HeaderBytes || size > MaxBytes {
			return n, errLength
		}
		if n+int(size) > min(len(p), MaxBytes) {
			break
		}
		n += int(size)
	}
	return n, nil
}

// publish sends messages to all, here and on the other shards.
func (a *app) publish(p []byte) {
	b := a.shard.TakeBlock(len(p))
	copy(b.Bytes(), p)
	a.deliver(b)
	for to := range a.owed {
		if to != a.shard.Index() && a.shard.Post(to, &runtime.Message{Block: b}) == runtime.Busy {
			b.Hold()
			a.owed[to] = append(a.owed[to], b)
			a.owing++
			a.shard.Arm(a.retry, retryEvery)
		}
	}
	b.Release()
}

// deliver queues a block on every connection of this shard. A failed write ends
// the connection, which Closed is told of.
func (a *app) deliver(b *runtime.Block) {
	for _, c := range a.conns {
		_ = c.WriteBlock(b)
	}
}

// Message delivers what was said on another shard.
func (a *app) Message(_ *runtime.Shard, _ int, m *runtime.Message) { a.deliver(m.Block) }

// payOwed posts what is owed, as far as there is room, and then reads on.
func (a *app) payOwed() {
	for to, blocks := range a.owed {
		for len(blocks) > 0 && a.shard.Post(to, &runtime.Message{Block: blocks[0]}) != runtime.Busy {
			blocks[0].Release()
			blocks = blocks[1:]
			a.owing--
		}
		a.owed[to] = blocks
	}
	if a.owing > 0 {
		a.shard.Arm(a.retry, retryEvery)
		return
	}
	for _, id := range a.waiting {
		if c := a.shard.Conn(id); c != nil {
			c.Resume()
			c.Reread()
		}
	}
	a.waiting = a.waiting[:0]
}
