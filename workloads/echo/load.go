package echo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/syslet/syslet/workloads/script"
)

// Load is the client side of the framed mode, or of the plain mode with the
// same frames if DiskShare is 0.
type Load struct {
	// DiskShare is the share of requests, 0 to 1, that read from disk.
	DiskShare float64
	// Blocks is the range of block numbers asked for; 0: 1<<20.
	Blocks uint32
}

// windowTags is the number of tags of a client.
const windowTags = 1 << 12

var errAnswer = errors.New("echo: answer violates the protocol")

// Kinds are echo and disk.
func (l Load) Kinds() []string { return []string{"echo", "disk"} }

// Window is the number of tags.
func (l Load) Window() int { return windowTags }

// Client makes the i-th client.
func (l Load) Client(i int, seed uint64) script.Client {
	if l.Blocks == 0 {
		l.Blocks = 1 << 20
	}
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
	return binary.LittleEndian.AppendUint32(dst, 0), tag, kind
}

func (c *client) Received(p []byte, answered []uint32) (consumed int, tags []uint32, err error) {
	for ; len(p)-consumed >= FrameBytes; consumed += FrameBytes {
		f := p[consumed : consumed+FrameBytes]
		tag := binary.LittleEndian.Uint32(f[4:])
		if f[0] > kindDisk || tag >= windowTags {
			return consumed, answered, fmt.Errorf("%w: kind %d, tag %d", errAnswer, f[0], tag)
		}
		if f[0] == kindDisk && binary.LittleEndian.Uint32(f[12:]) == 0xffffffff {
			return consumed, answered, fmt.Errorf("%w: the server's read failed with errno %d", errAnswer, binary.LittleEndian.Uint32(f[8:]))
		}
		answered = append(answered, tag)
	}
	return consumed, answered, nil
}
