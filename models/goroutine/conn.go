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
	sends   func()     // send: starting a goroutine with a method allocates, with a function it does not
	paused  bool
	// writing: a goroutine sends, or the reader is about to. Invariant: at most
	// one does, so that the order of bytes is that of the queue.
	writing  bool
	selfSend bool // the reader is to send after it has released mu
	detached bool
	users    int    // goroutines that still use nc; the last one says Detached
	files    *files // nil: none was sent yet
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
	k.sends = k.send
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
		go k.sends()
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
	v := d.takeViews()
	for {
		views := k.c.Output(v.room[:0])
		r, file := k.c.OutputFile()
		if k.detached || len(views) == 0 && !file {
			k.writing = false
			d.putViews(v)
			if d.shard.WaitNs() == 0 || !d.shard.MayWait() {
				d.settleFor() // what Sent or Failed has made due
			}
			d.mu.Unlock()
			return
		}
		d.writes++
		d.mu.Unlock()
		var n int
		var err error
		if file {
			n, err = k.sendFile(r)
		} else {
			n, err = v.write(k.nc, len(views))
		}
		d.mu.Lock()
		d.enter()
		if !k.detached {
			d.shard.Sent(k.c, n)
			if file && n == 0 && err == nil {
				d.shard.FileShort(k.c)
			}
			if err != nil && !k.detached {
				d.shard.Failed(k.c, errnoOf(err))
			}
		}
	}
}

// files is what a connection sends ranges of files with, kept because a closure for
// each would be an allocation for each.
type files struct {
	raw  syscall.RawConn
	try  func(fd uintptr) bool
	r    runtime.FileRange
	sent int
	err  error
}

// sendFile sends a part of r as net.TCPConn.ReadFrom does, by sendfile(2) of a
// nonblocking socket; where a file is not in the page cache the thread waits for
// the disk. 0: there is no more of the file.
func (k *conn) sendFile(r runtime.FileRange) (n int, err error) {
	if k.files == nil {
		raw, err := k.nc.SyscallConn()
		if err != nil {
			return 0, err
		}
		k.files = &files{raw: raw}
		k.files.try = k.files.send
	}
	f := k.files
	f.r = r
	if err := f.raw.Write(f.try); err != nil {
		return 0, err
	}
	return max(f.sent, 0), f.err
}

func (f *files) send(fd uintptr) (done bool) {
	const most = 4 << 20 // as the net package: what one call may keep a thread for
	f.err = unix.EINTR
	for f.err == unix.EINTR {
		f.sent, f.err = unix.Sendfile(int(fd), f.r.Fd, &f.r.Off, min(f.r.Len, most))
	}
	return f.err != unix.EAGAIN
}

// views is the room for what one write sends. It is kept, as net.Buffers must lie
// on the heap.
type views struct {
	room [viewsMax][]byte
	bufs net.Buffers
	next *views
}

// takeViews and putViews are called with mu held.
func (d *Driver) takeViews() *views {
	v := d.views
	if v == nil {
		return &views{}
	}
	d.views, v.next = v.next, nil
	return v
}

func (d *Driver) putViews(v *views) {
	clear(v.room[:])
	v.bufs = nil
	v.next, d.views = d.views, v
}

// write writes all of the first n views.
func (v *views) write(nc *net.TCPConn, n int) (int, error) {
	if n == 1 {
		return nc.Write(v.room[0])
	}
	v.bufs = v.room[:n]
	sent, err := v.bufs.WriteTo(nc)
	return int(sent), err
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
	if k.users == 0 { // the stream had ended, and nothing was being sent
		d.shard.Detached(c)
	}
}
