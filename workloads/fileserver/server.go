package fileserver

import (
	"crypto/rand"
	"encoding/hex"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/fileserver/http1"
)

const (
	// queuedMax is how many unsent bytes a connection may have when its next request
	// is answered.
	queuedMax = 128 << 10
	// waitingMax is how many bytes are received for a connection that waits.
	waitingMax = 64 << 10
	// rangesMax bounds the ranges of a request; more of them are ignored.
	rangesMax = 8
)

// server is a shard's App.
type server struct {
	cfg   Config
	shard *runtime.Shard
	root  int
	cache cache

	lookups   map[string]*lookup // in flight, by key
	free      *lookup
	inFlight  int
	stopped   bool
	sessions  *session // free list
	date      date
	req       http1.Request
	head      []byte // the answer's, while it is made
	path      []byte // the request's, decoded
	ranges    [rangesMax]http1.ByteRange
	partHeads [rangesMax + 1]int // where they begin in parts
	parts     []byte
	boundary  string
}

// session is what a connection has while one of its requests waits.
type session struct {
	waiting bool
	// have is what it waited for. The request is read again, and takes it.
	have *entry
	// ended: the peer sends no more.
	ended bool
	next  *session
}

func newServer(s *runtime.Shard, cfg Config) (*server, error) {
	root, err := openRoot(cfg.Root)
	if err != nil {
		return nil, err
	}
	var seed [12]byte
	_, _ = rand.Read(seed[:]) // never fails
	return &server{cfg: cfg, shard: s, root: root, cache: newCache(cfg.CacheFiles), lookups: map[string]*lookup{},
		boundary: hex.EncodeToString(seed[:])}, nil
}

// Stop releases what the shard has, as soon as nothing uses it any more.
func (v *server) Stop(*runtime.Shard) {
	v.stopped = true
	v.release()
}

func (v *server) release() {
	if !v.stopped || v.inFlight > 0 || v.root < 0 {
		return
	}
	v.cache.clear()
	_ = unix.Close(v.root)
	v.root = -1
}

// Opened has nothing to do: an idle connection costs nothing here.
func (v *server) Opened(*runtime.Conn) {}

// Closed lets go of what the connection had.
func (v *server) Closed(c *runtime.Conn, _ error) {
	if x, _ := c.User.(*session); x != nil {
		v.putSession(c, x)
	}
}

func (v *server) session(c *runtime.Conn) *session {
	x, _ := c.User.(*session)
	if x != nil {
		return x
	}
	if x = v.sessions; x != nil {
		v.sessions, x.next = x.next, nil
	} else {
		x = &session{}
	}
	c.User = x
	return x
}

func (v *server) putSession(c *runtime.Conn, x *session) {
	if x.have != nil {
		x.have.release()
	}
	*x = session{next: v.sessions}
	v.sessions, c.User = x, nil
}

// Data answers all whole requests in p, unless one has to wait.
func (v *server) Data(c *runtime.Conn, p []byte) (consumed int) {
	x, _ := c.User.(*session)
	if x != nil && x.waiting {
		if len(p) > waitingMax {
			c.Pause()
		}
		return 0
	}
	for consumed < len(p) {
		if c.Unsent() > queuedMax {
			c.PauseUntilSent()
			return consumed
		}
		n, next := v.serve(c, p[consumed:])
		consumed += n
		if next == waits || next == closed {
			return consumed
		}
		if next == unfinished {
			break
		}
	}
	if x, _ = c.User.(*session); x != nil {
		if x.ended {
			c.Close()
			return len(p)
		}
		v.putSession(c, x)
	}
	return consumed
}

// PeerEnded goes on with a connection that has requests to answer yet.
func (v *server) PeerEnded(c *runtime.Conn) (goOn bool) {
	x, _ := c.User.(*session)
	switch {
	case x != nil && x.waiting:
	case c.Unread() > 0 && c.Unsent() > 0:
		x = v.session(c)
		c.PauseUntilSent() // and then Data ends it
	default:
		return false
	}
	x.ended = true
	return true
}

// step is where serve has got to.
type step uint8

const (
	answered step = iota
	unfinished
	waits
	closed
)

// serve answers the request that p begins with.
func (v *server) serve(c *runtime.Conn, p []byte) (consumed int, next step) {
	r := &v.req
	n, err := http1.Parse(p, &v.cfg.Limits, r)
	switch {
	case err != nil:
		v.fail(c, r, statusOf(err), true)
		c.Close()
		return len(p), closed
	case n == 0:
		return 0, unfinished
	}
	if !v.answer(c, r) {
		return 0, waits
	}
	if r.Close {
		c.Close()
		return n, closed
	}
	return n, answered
}

// answer answers r, or has it wait.
func (v *server) answer(c *runtime.Conn, r *http1.Request) (done bool) {
	head := string(r.Method) == "HEAD"
	switch {
	case !head && string(r.Method) != "GET":
		v.fail(c, r, refusedMethod(r.Method), r.HasBody())
		return true
	case r.HasBody():
		v.fail(c, r, 413, true)
		return true
	case r.Expect != nil && !is100Continue(r.Expect):
		v.fail(c, r, 417, false)
		return true
	}
	path, status := v.clean(r.Path)
	if status != 0 {
		v.fail(c, r, status, false)
		return true
	}
	e := v.find(c, path)
	if e == nil {
		switch e, done = v.lookUp(c, path); {
		case !done:
			return false
		case e == nil:
			v.fail(c, r, 503, false)
			return true
		}
	}
	v.respond(c, r, e, head)
	e.release()
	return true
}

// find gives what is known of path, held, or nil.
func (v *server) find(c *runtime.Conn, path []byte) *entry {
	if x, _ := c.User.(*session); x != nil && x.have != nil {
		e := x.have
		x.have = nil
		return e
	}
	e := v.cache.find(path)
	if e == nil || v.shard.NowNs()-e.checkedNs >= int64(v.cfg.Valid) {
		return nil
	}
	e.holds++
	return e
}
