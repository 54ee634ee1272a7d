package fanout

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/syslet/syslet/workloads/internal/padding"
	"github.com/syslet/syslet/workloads/script"
)

// Load is the client side: a client publishes when it is asked for a request, and
// the answer is its own copy. What others say is checked and counted by its bytes.
type Load struct {
	// Size is the length of a message in bytes, HeaderBytes (or 0) to MaxBytes. All
	// loads of a server use the same.
	Size int
}

// windowTags is the number of tags of a client.
const windowTags = 1 << 10

var errHeard = errors.New("fanout: what was heard violates the protocol")

// Check says what is wrong with the settings, or nil.
func (l Load) Check() error {
	if l.Size != 0 && (l.Size < HeaderBytes || l.Size > MaxBytes) {
		return fmt.Errorf("fanout: messages of %d bytes (size), want %d to %d", l.Size, HeaderBytes, MaxBytes)
	}
	return nil
}

// Kinds is publish.
func (l Load) Kinds() []string { return []string{"publish"} }

// Window is the number of tags.
func (l Load) Window() int { return windowTags }

// DeliveryBytes is the length of every message that comes in.
func (l Load) DeliveryBytes() int { return max(l.Size, HeaderBytes) }

// Client makes the i-th client. Two loads that use a server at the same time need
// different seeds: their clients have the same numbers.
func (l Load) Client(i int, seed uint64) script.Client {
	c := &client{size: l.DeliveryBytes(), sender: uint32(i), run: rand.New(rand.NewPCG(seed, 0xfa)).Uint32()}
	return c
}

type client struct {
	size        int
	sender, run uint32 // its number, and its load's
	tag         uint32
}

func (c *client) Hello(dst []byte) []byte { return dst }
func (c *client) Ready() bool             { return true }

func (c *client) Request(dst []byte) (out []byte, tag uint32, kind int) {
	tag = c.tag
	c.tag = (c.tag + 1) % windowTags
	dst = binary.LittleEndian.AppendUint32(dst, uint32(c.size))
	dst = binary.LittleEndian.AppendUint32(dst, tag)
	dst = binary.LittleEndian.AppendUint32(dst, c.sender)
	dst = binary.LittleEndian.AppendUint32(dst, c.run)
	return append(dst, c.payload(tag, c.sender)...), tag, 0
}

// payload is what a message of a sender holds.
func (c *client) payload(tag, sender uint32) []byte {
	return padding.Of(c.size-HeaderBytes, tag+31*sender)
}

func (c *client) Received(p []byte, answered []uint32) (consumed int, tags []uint32, err error) {
	for ; len(p)-consumed >= c.size; consumed += c.size {
		m := p[consumed : consumed+c.size]
		tag, sender := binary.LittleEndian.Uint32(m[4:]), binary.LittleEndian.Uint32(m[8:])
		if got := binary.LittleEndian.Uint32(m); got != uint32(c.size) || tag >= windowTags {
			return consumed, answered, fmt.Errorf("%w: %d bytes with tag %d of sender %d; all messages have %d bytes (size)", errHeard, got, tag, sender, c.size)
		}
		if !bytes.Equal(m[HeaderBytes:], c.payload(tag, sender)) {
			return consumed, answered, fmt.Errorf("%w: tag %d of sender %d is not as it was said", errHeard, tag, sender)
		}
		if sender == c.sender && binary.LittleEndian.Uint32(m[12:]) == c.run {
			answered = append(answered, tag)
		}
	}
	return consumed, answered, nil
}
