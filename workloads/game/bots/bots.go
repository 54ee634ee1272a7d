// Package bots are scripted players: the game's side of workloads/script. A bot
// logs in and then walks, talks, pings and saves in proportions that can be set. What
// it sends depends on its index and seed alone, not on what it hears.
package bots

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/syslet/syslet/workloads/game/proto"
	"github.com/syslet/syslet/workloads/game/world"
	"github.com/syslet/syslet/workloads/script"
)

// Options say what bots do. The zero value is the default mix.
type Options struct {
	// Prefix of the names: bot i is PREFIXi. Default "bot".
	Prefix string
	// Token of all bots. Default "bot-token".
	Token string
	// Move, Chat, Ping, Save and Rank are the weights of the kinds of request. If all are zero:
	// 80, 10, 8, 2 and none.
	Move, Chat, Ping, Save, Rank int
	// Private is how many of a hundred chats are said to one player, of those with an
	// index below Population. Default 30 of 100; negative: none.
	Private, Population int
	// Turn is how many of a hundred moves change direction. Default 20.
	Turn int
}

// Kinds of request, as indexes of Load.Kinds.
const (
	KindMove = iota
	KindChat
	KindPing
	KindSave
	KindRank
)

var kinds = []string{"move", "chat", "ping", "save", "ranking"}

// ErrOptions is wrapped by errors that Options cause.
var ErrOptions = errors.New("bots: bad options")

// Load is a script.Load of bots.
type Load struct {
	opts    Options
	weights [5]int // summed up
}

var _ script.Load = (*Load)(nil)

// New checks the options and fills in defaults.
func New(o Options) (*Load, error) {
	if o.Prefix == "" {
		o.Prefix = "bot"
	}
	if o.Token == "" {
		o.Token = "bot-token"
	}
	if o.Move == 0 && o.Chat == 0 && o.Ping == 0 && o.Save == 0 && o.Rank == 0 {
		o.Move, o.Chat, o.Ping, o.Save = 80, 10, 8, 2
	}
	if o.Private == 0 {
		o.Private = 30
	}
	if o.Population == 0 {
		o.Population = 100
	}
	if o.Turn == 0 {
		o.Turn = 20
	}
	const digits = 10
	if !proto.ValidName(o.Prefix) || len(o.Prefix) > proto.MaxName-digits {
		return nil, fmt.Errorf("%w: Prefix %q, want 1 to %d of A-Z a-z 0-9 _ -", ErrOptions, o.Prefix, proto.MaxName-digits)
	}
	if len(o.Token) > proto.MaxToken {
		return nil, fmt.Errorf("%w: Token has %d bytes, the limit is %d", ErrOptions, len(o.Token), proto.MaxToken)
	}
	l := &Load{opts: o}
	sum := 0
	for i, w := range [5]int{o.Move, o.Chat, o.Ping, o.Save, o.Rank} {
		if w < 0 {
			return nil, fmt.Errorf("%w: weight of %s is %d", ErrOptions, kinds[i], w)
		}
		sum += w
		l.weights[i] = sum
	}
	return l, nil
}

// Kinds implements script.Load.
func (l *Load) Kinds() []string { return kinds }

// Window implements script.Load: what a server reads ahead of its answers.
func (l *Load) Window() int { return proto.MaxInFlight }

// Name is the name of bot i.
func (l *Load) Name(i int) string { return fmt.Sprintf("%s%d", l.opts.Prefix, i) }

// Client implements script.Load.
func (l *Load) Client(i int, seed uint64) script.Client {
	b := &Bot{load: l, name: l.Name(i)}
	b.random.Seed(seed, world.NameHash(b.name))
	b.dir = uint8(b.random.Uint64() % proto.Directions)
	return b
}

// loginTag is the tag of the LOGIN: outside of the window.
const loginTag = 255

// Bot is one scripted player. It implements script.Client.
type Bot struct {
	load   *Load
	name   string
	random rand.PCG
	ready  bool
	dir    uint8
	next   uint32 // tag of the next request
	lines  uint32 // said so far
	event  proto.Event
	text   [64]byte
	to     [proto.MaxName]byte

	// What the bot has been told.
	Map     uint16
	X, Y    uint8
	Views   uint64 // VIEW frames
	Heard   uint64 // HEARD frames
	Refused uint64 // private lines to players who were not there
}

var _ script.Client = (*Bot)(nil)

// Hello implements script.Client.
func (b *Bot) Hello(dst []byte) []byte {
	r := proto.Request{Type: proto.Login, Tag: loginTag, Name: []byte(b.name), Data: []byte(b.load.opts.Token)}
	return r.Append(dst)
}

// Ready implements script.Client.
func (b *Bot) Ready() bool { return b.ready }

// below gives a number from 0 to n-1. (The bias of the remainder does not matter here.)
func (b *Bot) below(n int) int { return int(b.random.Uint64() % uint64(n)) }

// Request implements script.Client. It allocates nothing if dst has room.
func (b *Bot) Request(dst []byte) (out []byte, tag uint32, kind int) {
	tag = b.next
	b.next = (b.next + 1) % proto.MaxInFlight
	w := &b.load.weights
	pick := b.below(w[len(w)-1])
	for pick >= w[kind] {
		kind++
	}
	r := proto.Request{Tag: uint8(tag)}
	switch kind {
	case KindMove:
		if b.below(100) < b.load.opts.Turn {
			b.dir = uint8(b.below(proto.Directions))
		}
		r.Type, r.Dir = proto.Move, b.dir
	case KindChat:
		b.chat(&r)
	case KindPing:
		r.Type = proto.Ping
	case KindSave:
		r.Type = proto.Save
	case KindRank:
		r.Type = proto.Ranking
	}
	return r.Append(dst), tag, kind
}

func (b *Bot) chat(r *proto.Request) {
	b.lines++
	r.Type = proto.Chat
	if b.below(100) < b.load.opts.Private {
		r.Name = appendInt(append(b.to[:0], b.load.opts.Prefix...), uint64(b.below(b.load.opts.Population)))
	}
	text := append(b.text[:0], b.name...)
	text = append(text, " says line "...)
	r.Data = appendInt(text, uint64(b.lines))
}

func appendInt(dst []byte, v uint64) []byte {
	if v >= 10 {
		dst = appendInt(dst, v/10)
	}
	return append(dst, byte('0'+v%10))
}

// Received implements script.Client. The refusal of a private line whose addressee is
// not there is an answer; every other refusal is an error.
func (b *Bot) Received(p []byte, answered []uint32) (consumed int, tags []uint32, err error) {
	for {
		e := &b.event
		n, err := e.Parse(p[consumed:])
		if err != nil || n == 0 {
			return consumed, answered, err
		}
		consumed += n
		switch {
		case e.Type == proto.View:
			b.Views++
		case e.Type == proto.Heard:
			b.Heard++
		case e.Type == proto.Kicked:
			return consumed, answered, fmt.Errorf("bots: %s was kicked: %s", b.name, e.Code)
		case e.Type == proto.Refused && e.Code == proto.CodeNoPlayer:
			b.Refused++
			answered = append(answered, uint32(e.Tag))
		case e.Type == proto.Refused:
			return consumed, answered, fmt.Errorf("bots: %s, tag %d: refused: %s", b.name, e.Tag, e.Code)
		case e.Type == proto.Welcome:
			if b.ready || e.Tag != loginTag {
				return consumed, answered, fmt.Errorf("bots: %s: an unexpected WELCOME", b.name)
			}
			b.ready, b.Map, b.X, b.Y = true, e.Map, e.X, e.Y
		case e.Tag >= proto.MaxInFlight:
			return consumed, answered, fmt.Errorf("bots: %s: an answer with tag %d, which was not used", b.name, e.Tag)
		default:
			if e.Type == proto.Moved {
				b.Map, b.X, b.Y = e.Map, e.X, e.Y
			}
			answered = append(answered, uint32(e.Tag))
		}
	}
}
