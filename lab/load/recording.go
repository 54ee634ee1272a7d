package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/syslet/syslet/workloads/script"
)

// recording is what one scripted connection asked a server, one request after another,
// and what the server sent: enough for a peer that knows no protocol to give the same
// answers to a client that asks the same.
type recording struct {
	// sent is all that the server sent, in order.
	sent []byte
	// asked[k] and answered[k] are how many bytes the client had asked and the server
	// had sent when the k-th exchange was over; the 0th is the hello.
	asked, answered []int
}

// Bounds of a recording: exchanges, bytes, time.
const (
	recordMost      = 1 << 13
	recordBytesMost = 32 << 20
	recordFor       = 2 * time.Second
	recordLeast     = 16
)

const recordSeed = 1

// record asks the server at target what client 0 of the script asks.
func record(ctx context.Context, load script.Load, target string) (*recording, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, fmt.Errorf("load: record answers: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	until := time.Now().Add(recordFor)
	r := &recording{}
	client := load.Client(0, recordSeed)
	var in []byte
	buf, out := make([]byte, 64<<10), client.Hello(nil)
	asked := 0
	for err == nil && len(r.asked) <= recordMost && len(r.sent) < recordBytesMost && time.Now().Before(until) {
		asked += len(out)
		if in, err = r.exchange(conn, client, out, in, buf); err == nil {
			r.asked, r.answered = append(r.asked, asked), append(r.answered, len(r.sent)-len(in))
			out, _, _ = client.Request(out[:0])
		}
	}
	if len(r.asked) <= recordLeast && err != nil {
		return nil, fmt.Errorf("load: record answers, after %d: %w", len(r.asked), err)
	}
	// After that many an error is no fault: a game ends who asks without pause.
	if len(r.asked) <= recordLeast {
		return nil, fmt.Errorf("load: record answers: only %d in %v: too few to stand for a load", len(r.asked)-1, recordFor)
	}
	return r, nil
}

// exchange sends what is asked and takes what comes until it is answered; in is what
// the client has not consumed.
func (r *recording) exchange(conn net.Conn, client script.Client, out, in, buf []byte) ([]byte, error) {
	if err := conn.SetDeadline(time.Now().Add(recordFor)); err != nil {
		return in, err
	}
	if _, err := conn.Write(out); err != nil {
		return in, err
	}
	hello := len(r.asked) == 0
	for done := hello && client.Ready(); !done; {
		n, err := conn.Read(buf)
		if err != nil {
			return in, err
		}
		r.sent, in = append(r.sent, buf[:n]...), append(in, buf[:n]...)
		consumed, tags, err := client.Received(in, nil)
		if err != nil {
			return in, err
		}
		in = append(in[:0], in[consumed:]...)
		done = len(tags) > 0 || hello && client.Ready()
	}
	return in, nil
}

// exchanges leaves out the hello.
func (r *recording) exchanges() int { return len(r.asked) - 1 }

// repeated is a script whose clients all ask what was recorded, over and over: client 0
// anew each time, so that what it costs to make and to check requests is what it is.
type repeated struct {
	script.Load
	of *recording
}

func (l repeated) Client(int, uint64) script.Client {
	return &repeatedClient{load: l, Client: l.Load.Client(0, recordSeed)}
}

type repeatedClient struct {
	script.Client
	load     repeated
	answered int
}

var errUnready = errors.New("load: a client is not ready after the hello that was recorded")

func (c *repeatedClient) Received(p []byte, tags []uint32) (int, []uint32, error) {
	before := len(tags)
	n, tags, err := c.Client.Received(p, tags)
	c.answered += len(tags) - before
	if err == nil && c.answered == c.load.of.exchanges() {
		c.answered, c.Client = 0, c.load.Load.Client(0, recordSeed)
		c.Client.Hello(nil)
		if _, _, err := c.Client.Received(c.load.of.sent[:c.load.of.answered[0]], nil); err != nil {
			return n, tags, err
		}
		if !c.Client.Ready() {
			return n, tags, errUnready
		}
	}
	return n, tags, err
}
