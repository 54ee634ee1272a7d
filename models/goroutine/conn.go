package goroutine

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

const (
	firstRead = 4 << 10
	largeRead = 64 << 10
	viewsMax  = 64
)

// conn is the net package's side of a connection.
type conn struct {
	d       *Driver
	nc      *net.TCPConn
	c       *runtime.Conn
	resumed *sync.Cond // on d.mu
	paused  bool
	// writing: a goroutine sends, or the reader is about to. Invariant: at most
	// one does, so that the order of bytes is that of the queue.
	writing  bool
	selfSend bool // the reader is to send after it has released mu
	detached bool
	users    int // goroutines that still use nc; the last one says Detached
}

func rawFd(nc *net.TCPConn) int {
	fd := -1
	if rc, err := nc.SyscallConn(); err == nil {
		_ = rc.Control(func(f uintptr) { fd = int(f) })
	}
	return fd
}

func isShortage(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM)
}

// Attach starts the connection's goroutine.
func (d *Driver) Attach(c *runtime.Conn) error {
	for c.Slot() >= len(d.conns) {
		d.conns = append(d.conns, nil)
	}
	k := &conn{d: d, nc: d.arriving, c: c, users: 1, resumed: sync.NewCond(&d.mu)}
	d.conns[c.Slot()] = k
	d.wg.Add(1)
	go k.read()
	return nil
}

// read is the connection's goroutine.
func (k *conn) read() {
	d := k.d
	defer d.wg.Done()
	buf := make([]byte, firstRead)
	for {
		n, err := k.nc.Read(buf)
		d.mu.Lock()
		d.reads++
		d.enter()
		for k.paused && !k.detached {
			k.resumed.Wait()
			d.enter()
		}
		if k.detached {
			k.leave()
			return
		}
		k.deliver(buf[:n], err)
		if err != nil {
			k.leave()
			return
		}
		d.settleFor() // Flush marks what this goroutine is to send
		d.reader = nil
		if k.selfSend {
			k.selfSend = false
			k.write()
		} else {
			d.mu.Unlock()
		}
		if n == len(buf) && n < largeRead {
			buf = make([]byte, largeRead)
		}
	}
}

func (k *conn) deliver(p []byte, err error) {
	s := k.d.shard
	k.d.reader = k
	if len(p) > 0 {
		s.Received(k.c, p)
	}
	if err == nil || k.detached {
		return
	}
	k.d.reader = nil
	if errors.Is(err, io.EOF) {
		s.ReceivedEnd(k.c)
		return
	}
	s.Failed(k.c, errnoOf(err))
}

func errnoOf(err error) error {
	var e syscall.Errno
	if errors.As(err, &e) {
		return e
	}
	return err
}

// leave is the end of one of the goroutines that use k; it releases mu.
func (k *conn) leave() {
	if k.d.reader == k {
		k.d.reader = nil
	}
	k.users--
	if k.detached && k.users == 0 {
		k.d.shard.Detached(k.c)
	}
	k.d.leave()
}

// Flush has each connection's output sent by a goroutine: the one that reads
// it if that is running now, otherwise one that lives until it is sent.
func (d *Driver) Flush(conns []*runtime.Conn) {
	for _, c := range conns {
		k := d.conns[c.Slot()]
		if k.writing {
			continue
		}
		k.writing = true
		if k == d.reader {
			k.selfSend = true
			continue
		}
		k.users++
		d.wg.Add(1)
		go k.send()
	}
}

func (k *conn) send() {
	defer k.d.wg.Done()
	k.d.mu.Lock()
	k.write()
	k.d.mu.Lock()
	k.d.enter()
	k.leave()
}

// write sends until nothing is left. The caller holds mu, and loses it.
func (k *conn) write() {
	d := k.d
	var room [viewsMax][]byte
	for {
		views := k.c.Output(room[:0])
		if k.detached || len(views) == 0 {
			k.writing = false
			if d.shard.WaitNs() == 0 || !d.shard.MayWait() {
				d.settleFor() // what Sent or Failed has made due
			}
			d.mu.Unlock()
			return
		}
		d.writes++
		d.mu.Unlock()
		n, err := writeViews(k.nc, views)
		d.mu.Lock()
		d.enter()
		if !k.detached {
			d.shard.Sent(k.c, n)
			if err != nil && !k.detached {
				d.shard.Failed(k.c, errnoOf(err))
			}
		}
	}
}

// writeViews writes all of views. Only several of them cost an allocation.
func writeViews(nc *net.TCPConn, views [][]byte) (int, error) {
	if len(views) == 1 {
		return nc.Write(views[0])
	}
	bufs := make(net.Buffers, len(views))
	copy(bufs, views)
	n, err := bufs.WriteTo(nc)
	return int(n), err
}

// SetReading holds the connection's goroutine or lets it go on.
func (d *Driver) SetReading(c *runtime.Conn, on bool) {
	k := d.conns[c.Slot()]
	k.paused = !on
	if on {
		k.resumed.Broadcast()
	}
}

// CloseWrite sends the end of the stream.
func (d *Driver) CloseWrite(c *runtime.Conn) { _ = d.conns[c.Slot()].nc.CloseWrite() }

// Detach closes the socket; the goroutines that use it find out, and the last
// one gives the connection back.
func (d *Driver) Detach(c *runtime.Conn) {
	k := d.conns[c.Slot()]
	k.detached = true
	_ = k.nc.Close()
	k.resumed.Broadcast()
}
