package load

import (
	"bytes"
	"net"

	"github.com/syslet/syslet/workloads/script"
)

// padded sends each frame of tagged with much behind it, which the server throws
// away: large requests, small answers.
type padded struct{ tagged }

const padding = 16<<10 - 8

func (p padded) Client(i int, seed uint64) script.Client {
	return paddedClient{p.tagged.Client(i, seed)}
}

// unpad makes a server's onRead ignore padding: it turns every frame that is not
// the head of a request into hello frames, which the script skips.
func (p padded) unpad(then func(net.Conn, int, []byte) bool) func(net.Conn, int, []byte) bool {
	at := 0
	return func(conn net.Conn, n int, b []byte) bool {
		for i := 0; i < len(b); i += 8 {
			if at%(padding+8) != 0 {
				copy(b[i:i+8], helloFrame)
			}
			at += 8
		}
		return then(conn, n, b)
	}
}

type paddedClient struct{ script.Client }

var pad = bytes.Repeat([]byte{'p'}, padding)

func (c paddedClient) Request(dst []byte) ([]byte, uint32, int) {
	dst, tag, kind := c.Client.Request(dst)
	return append(dst, pad...), tag, kind
}
