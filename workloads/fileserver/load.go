package fileserver

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/syslet/syslet/workloads/script"
)

// Load is the client side: GETs with keep-alive. It is for any server of files: what
// an answer is to be it takes from Root or, without one, from the first answer.
type Load struct {
	// Paths are asked for at random, each beginning with a slash.
	Paths []string
	// Root is the folder that the server serves, for the load to see what the files
	// are; empty: it is not known.
	Root string
}

const (
	// answersOpen is how many requests a client may have open: pipelined.
	answersOpen = 64
	// sumEvery: the bytes of one answer in so many are looked at, and those of a
	// client's first; of the others status and length.
	sumEvery = 64
)

var errAnswer = errors.New("fileserver: wrong answer")

// Check says what is wrong with l, or nil.
func (l Load) Check() error {
	if len(l.Paths) == 0 {
		return errors.New("fileserver: no path to ask for")
	}
	for _, p := range l.Paths {
		if !strings.HasPrefix(p, "/") || strings.ContainsAny(p, " \r\n") {
			return fmt.Errorf("fileserver: path %q must begin with a slash and have no space", p)
		}
		if _, err := l.want(p); err != nil {
			return err
		}
	}
	return nil
}

// want is what the file at path is; its size is -1 if that is not known.
func (l Load) want(path string) (content, error) {
	if l.Root == "" {
		return content{size: -1}, nil
	}
	p, err := os.ReadFile(filepath.Join(l.Root, filepath.FromSlash(path)))
	if err != nil {
		return content{}, fmt.Errorf("fileserver: cannot see what is served: %w", err)
	}
	return content{size: int64(len(p)), sum: crc32.ChecksumIEEE(p)}, nil
}

// content is a file's length and checksum.
type content struct {
	size int64
	sum  uint32
}

// Kinds is one: get.
func (l Load) Kinds() []string { return []string{"get"} }

// Window is the number of tags.
func (l Load) Window() int { return answersOpen }

// Client makes the i-th client.
func (l Load) Client(i int, seed uint64) script.Client {
	c := &client{rng: rand.New(rand.NewPCG(seed, uint64(i))), toSum: 1}
	for _, p := range l.Paths {
		w, err := l.want(p)
		if err != nil {
			w.size = -2 // gone since Check: every answer is wrong
		}
		c.want = append(c.want, w)
		c.requests = append(c.requests, []byte("GET "+p+" HTTP/1.1\r\nHost: localhost\r\nUser-Agent: syslet\r\nAccept: */*\r\n\r\n"))
	}
	return c
}

// client is one connection. Answers come in order, so tags are a queue.
type client struct {
	rng      *rand.Rand
	requests [][]byte
	want     []content // by path
	asked    [answersOpen]uint16
	sent     uint32 // requests; the tag is the remainder
	got      uint32 // whole answers

	inBody bool
	left   int64
	toSum  int // answers until one is summed; 0: this one is
	sum    uint32
	size   int64
}

func (c *client) Hello(dst []byte) []byte { return dst }
func (c *client) Ready() bool             { return true }

func (c *client) Request(dst []byte) (out []byte, tag uint32, kind int) {
	which := 0
	if len(c.requests) > 1 {
		which = c.rng.IntN(len(c.requests))
	}
	tag = c.sent % answersOpen
	c.asked[tag] = uint16(which)
	c.sent++
	return append(dst, c.requests[which]...), tag, 0
}

func (c *client) Received(p []byte, answered []uint32) (consumed int, tags []uint32, err error) {
	for {
		if !c.inBody {
			n, err := c.head(p[consumed:])
			if n == 0 || err != nil {
				return consumed, answered, err
			}
			consumed += n
		}
		k := min(int64(len(p)-consumed), c.left)
		if c.toSum == 0 {
			c.sum = crc32.Update(c.sum, crc32.IEEETable, p[consumed:consumed+int(k)])
		}
		consumed += int(k)
		if c.left -= k; c.left > 0 {
			return consumed, answered, nil
		}
		if err := c.whole(); err != nil {
			return consumed, answered, err
		}
		answered = append(answered, c.got%answersOpen)
		c.got++
	}
}

// head reads an answer's head; 0: it is not whole.
func (c *client) head(p []byte) (n int, err error) {
	end := bytes.Index(p, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	head := p[:end+2]
	if c.got == c.sent {
		return 0, fmt.Errorf("%w: nothing was asked for: %.100q", errAnswer, head)
	}
	const ok = "HTTP/1.1 200 "
	if len(head) < len(ok) || string(head[:len(ok)]) != ok {
		return 0, fmt.Errorf("%w: %.100q", errAnswer, head)
	}
	const field = "\r\nContent-Length: "
	i := bytes.Index(head, []byte(field))
	if i < 0 {
		return 0, fmt.Errorf("%w: no Content-Length: %.300q", errAnswer, head)
	}
	c.left = 0
	for _, d := range head[i+len(field):] {
		if d < '0' || d > '9' {
			break
		}
		c.left = c.left*10 + int64(d-'0')
	}
	want := &c.want[c.asked[c.got%answersOpen]]
	if want.size != -1 && c.left != want.size {
		return 0, fmt.Errorf("%w: %d bytes, want %d", errAnswer, c.left, want.size)
	}
	c.inBody, c.size, c.sum = true, c.left, 0
	if c.toSum--; c.toSum < 0 || want.size == -1 {
		c.toSum = 0
	}
	return end + 4, nil
}

// whole ends an answer.
func (c *client) whole() error {
	c.inBody = false
	if c.toSum > 0 {
		return nil
	}
	c.toSum = sumEvery
	want := &c.want[c.asked[c.got%answersOpen]]
	if want.size == -1 {
		*want = content{c.size, c.sum}
	}
	if c.sum != want.sum {
		return fmt.Errorf("%w: the bytes of %d have checksum %08x, want %08x", errAnswer, c.size, c.sum, want.sum)
	}
	return nil
}
