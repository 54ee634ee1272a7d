package runtime

import (
	"golang.org/x/sys/unix"
)

// File is an open file of which ranges can be queued on connections
// (Conn.WriteFile): the kernel sends them from the page cache by sendfile(2), and
// no byte of them comes through the process. It belongs to the shard that made it.
//
// It is counted: whoever has it, and each range that is queued, holds it; the last
// one to let go closes the descriptor. So a server may drop a File from its cache
// while a slow client is still being sent a part of it.
type File struct {
	shard *Shard
	fd    int
	// holds: at 0 the descriptor is closed. Invariant: above 0 while it is used.
	holds int
	// cached bytes were found in the page cache at cachedNs.
	cached   extent
	cachedNs int64
	fetch    *fetch // the last one that is in flight, or nil
}

// extent is a part of a file, from off to end.
type extent struct{ off, end int64 }

func (x extent) covers(y extent) bool { return x.off <= y.off && y.end <= x.end }

// NewFile takes over fd, a regular file that is open to be read; the caller holds
// the File until Release. On the shard only.
func (s *Shard) NewFile(fd int) *File { return &File{shard: s, fd: fd, holds: 1} }

// Fd is the descriptor; -1 when the file is closed.
func (f *File) Fd() int { return f.fd }

// Release ends the hold that NewFile gave. The descriptor is closed when no range
// of the file is queued any more. On the shard only.
func (f *File) Release() {
	if f.holds--; f.holds > 0 {
		return
	}
	if f.holds < 0 {
		panic("runtime: File released more often than it was held")
	}
	f.shard.Stats.SysClose++
	_ = unix.Close(f.fd) // of a file that was only read: it has nothing to tell
	f.fd = -1
}

// WriteFile queues n bytes of f from off, behind what is queued already. It fails
// with ErrConnClosed after the end. Options.MaxUnsent counts what is copied, so it
// does not count these. If the file turns out to be shorter when they are to be
// sent, the connection is aborted with ErrFileShort: the peer was promised more.
//
// While the peer takes bytes of a file, Options.IdleTimeout and LingerTimeout
// begin anew: a long answer is no idle connection. On the shard only.
func (c *Conn) WriteFile(f *File, off, n int64) error {
	switch {
	case f.shard != c.shard:
		panic("runtime: a File belongs to another shard")
	case f.holds <= 0:
		panic("runtime: File queued after its last Release")
	case c.state != connOpen:
		return ErrConnClosed
	case off < 0 || n <= 0:
		return nil
	}
	c.out.writeFile(&c.shard.buffers, f, off, n)
	c.markDirty()
	return nil
}

// span is a queued range of a file.
type span struct {
	f    *File
	off  int64 // of what is unsent
	left int64
	// ready bytes from off on were in the page cache when that was last asked.
	ready int64
	next  *span // in a pool
}

func (o *output) writeFile(pool *bufferPool, f *File, off, n int64) {
	if o.q == nil {
		o.q = pool.takeQueue()
	}
	sp := pool.spans
	if sp == nil {
		sp = &span{}
	} else {
		pool.spans = sp.next
	}
	*sp = span{f: f, off: off, left: n}
	f.holds++
	o.bytes += int(n)
	o.q.ofFiles += int(n)
	o.q.push(segment{span: sp})
}

// sentFile takes note of up to n sent bytes of the range at the queue's head, and
// gives how many of the n it had.
func (q *segQueue) sentFile(pool *bufferPool, s *segment, n int) int {
	sp := s.span
	k := min(int64(n), sp.left)
	sp.off += k
	sp.left -= k
	sp.ready -= min(k, sp.ready)
	q.ofFiles -= int(k)
	if sp.left == 0 {
		q.drop(pool, s)
	}
	return int(k)
}

// putSpan gives up a range, sent or not.
func (p *bufferPool) putSpan(sp *span) {
	f := sp.f
	*sp = span{next: p.spans}
	p.spans = sp
	f.Release()
}

// copied is the unsent bytes that memory is held for.
func (o *output) copied() int {
	if o.q == nil {
		return 0
	}
	return o.bytes - o.q.ofFiles
}

// head is the range at the queue's head, or nil.
func (o *output) head() *span {
	if o.q == nil || o.q.ofFiles == 0 {
		return nil
	}
	return o.q.segs[o.q.first].span
}

// FileRange is a part of an open file that is to be sent; for drivers.
type FileRange struct {
	Fd  int
	Off int64
	Len int
}

// HasFiles reports whether ranges of files are queued; for drivers.
func (c *Conn) HasFiles() bool { return c.out.q != nil && c.out.q.ofFiles > 0 }

// OutputFile is the range of a file at the head of the queue, wholly, also if it is
// not in the page cache; ok is false if there is none. For drivers whose sends may
// block; the others ask Shard.CachedOutput.
func (c *Conn) OutputFile() (r FileRange, ok bool) {
	sp := c.out.head()
	if sp == nil {
		return FileRange{}, false
	}
	return FileRange{Fd: sp.f.fd, Off: sp.off, Len: int(sp.left)}, true
}

// FileFollows reports whether a range of a file comes behind the first n segments
// of the queue, which are no ranges: their bytes are best sent with MSG_MORE, so
// that they share packets with the range. For drivers.
func (c *Conn) FileFollows(n int) bool {
	q := c.out.q
	return q != nil && q.ofFiles > 0 && q.first+n < len(q.segs) && q.segs[q.first+n].span != nil
}

// FileShort says that the file at the head of the queue has ended before its
// range: the connection is aborted. For drivers.
func (s *Shard) FileShort(c *Conn) { s.abort(c, ErrFileShort) }
