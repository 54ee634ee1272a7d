package echo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/syslet/syslet/workloads/internal/padding"
	"github.com/syslet/syslet/workloads/script"
)

// Load is the client side of the framed mode, or of the plain mode with the
// same frames if DiskShare is 0.
type Load struct {
	// DiskShare is the share of requests, 0 to 1, that read from disk.
	DiskShare float64
	// Blocks is the range of block numbers asked for; 0: 1<<20.
	Blocks uint32
	// Size is the length of a frame in bytes, FrameBytes (or 0) to MaxSize. What is
	// behind the header must come back as it was. Frames of another size than
	// FrameBytes are for a server in plain mode.
	Size int
}

// MaxSize is the longest frame of a Load, in bytes.
const MaxSize = padding.Max

// windowTags is the number of tags of a client.
const windowTags = 1 << 12

var errAnswer = errors.New("echo: answer violates the protocol")

// Check says what is wrong with the settings, or nil.
func (l Load) Check() error {
	switch {
	case !(l.DiskShare >= 0 && l.DiskShare <= 1):
		return fmt.Errorf("echo: share of requests that read from disk is %v, want 0 to 1", l.DiskShare)
	case l.Size != 0 && (l.Size < FrameBytes || l.Size > MaxSize):
		return fmt.Errorf("echo: frames of %d bytes (size), want %d to %d", l.Size, FrameBytes, MaxSize)
	case l.Size > FrameBytes && l.DiskShare > 0:
		return fmt.Errorf("echo: frames of %d bytes (size) with a disk share of %v: a server that reads from disk takes frames of %d bytes only",
			l.Size, l.DiskShare, FrameBytes)
	}
	return nil
}

// Kinds are echo and disk.
func (l Load) Kinds() []string { return []string{"echo", "disk"} }

// Window is the number of tags.
func (l Load) Window() int { return windowTags }

// Client makes the i-th client.
func (l Load) Client(i int, seed uint64) script.Client {
	if l.Blocks == 0 {
		l.Blocks = 1 << 20
	}
	l.Size = max(l.Size, FrameBytes)
	return &client{load: l, rng: rand.New(rand.NewPCG(seed, uint64(i)))}
}

type client struct {
	load Load
	rng  *rand.Rand
	tag  uint32
}

func (c *client) Hello(dst []byte) []byte { return dst }
func (c *client) Ready() bool             { return true }

func (c *client) Request(dst []byte) (out []byte, tag uint32, kind int) {
	tag = c.tag
	c.tag = (c.tag + 1) % windowTags
	kind = kindEcho
	if c.load.DiskShare > 0 && c.rng.Float64() < c.load.DiskShare {
		kind = kindDisk
	}
	dst = append(dst, byte(kind), 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, tag)
	dst = binary.LittleEndian.AppendUint32(dst, c.rng.Uint32N(c.load.Blocks))
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	return append(dst, c.padding(tag)...), tag, kind
}

// padding is what is behind the header of the frame with that tag.
func (c *client) padding(tag uint32) []byte { return padding.Of(c.load.Size-FrameBytes, tag) }

func (c *client) Received(p []byte, answered []uint32) (consumed int, tags []uint32, err error) {
	for ; len(p)-consumed >= c.load.Size; consumed += c.load.Size {
		f := p[consumed : consumed+c.load.Size]
		tag := binary.LittleEndian.Uint32(f[4:])
		if f[0] > kindDisk || tag >= windowTags {
			return consumed, answered, fmt.Errorf("%w: kind %d, tag %d", errAnswer, f[0], tag)
		}
		if f[0] == kindDisk && binary.LittleEndian.Uint32(f[12:]) == 0xffffffff {
			return consumed, answered, fmt.Errorf("%w: the server's read failed with errno %d", errAnswer, binary.LittleEndian.Uint32(f[8:]))
		}
		if !bytes.Equal(f[FrameBytes:], c.padding(tag)) {
			return consumed, answered, fmt.Errorf("%w: tag %d did not come back as it was sent behind its first %d bytes", errAnswer, tag, FrameBytes)
		}
		answered = append(answered, tag)
	}
	return consumed, answered, nil
}
