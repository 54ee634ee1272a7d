package runtime

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendfile(2) waits for the disk where a file is not in the page cache, and would
// hold up the loop. So a range is asked for first, by preadv2(2) with RWF_NOWAIT of
// one byte every fetchStride, and brought in by a syslet if it is not there: under
// the model's own way of blocking.
//
// cachestat(2) (6.5) would be one call instead of several, but counts pages that
// are still being read, and since 6.14 it is refused for files that the caller may
// not write to. The answer is good for cachedFor, so that a file which is asked for
// often costs no calls at all. A page that leaves the cache within that time, or
// between the question and the send, holds the loop up; the block profile shows it.

const (
	// fetchWindow is what is asked for, and brought in, at a time, in bytes.
	fetchWindow = 256 << 10
	// fetchPiece is what one op of the syslet reads; fetchWindow is fetchPieces of it.
	fetchPiece  = 64 << 10
	fetchPieces = fetchWindow / fetchPiece
	// fetchStride is the smallest unit that file systems read ahead by.
	fetchStride = 16 << 10
	// cachedFor is how long a found page is taken to stay.
	cachedFor = int64(100 * time.Millisecond)
)

// fetch is a syslet that reads a window of a file, and who waits for it.
type fetch struct {
	y       *Syslet
	f       *File
	want    extent
	waiters []ConnID
	next    *fetch
}

// fetching is a shard's fetches.
type fetching struct {
	free *fetch
	// scratch takes what all of them read, at once: nobody looks at it.
	scratch []byte
	probe   [1]byte
	iov     iovec // of probe; the kernel reads it
}

// CachedOutput is what can be sent, without waiting for a disk, of the range of a
// file at the head of c's queue. If ok is false and there is such a range, it is
// being brought in, and MoreOutput is called when it is there. For drivers.
func (s *Shard) CachedOutput(c *Conn) (r FileRange, ok bool) {
	sp := c.out.head()
	if sp == nil {
		return FileRange{}, false
	}
	if sp.ready == 0 && !s.ready(c, sp) {
		return FileRange{}, false
	}
	return FileRange{Fd: sp.f.fd, Off: sp.off, Len: int(sp.ready)}, true
}

// ready finds the next bytes of sp in the page cache, or has them brought there.
func (s *Shard) ready(c *Conn, sp *span) bool {
	f, want := sp.f, extent{sp.off, sp.off + min(sp.left, fetchWindow)}
	fresh := s.nowNs-f.cachedNs < cachedFor && f.cachedNs > 0
	if !fresh || !f.cached.covers(want) {
		if !s.cached(f, want) {
			return s.fetch(c, sp, want)
		}
		f.found(want, s.nowNs, fresh)
	}
	sp.ready = want.end - want.off
	return true
}

// found notes that x is in the page cache.
func (f *File) found(x extent, nowNs int64, fresh bool) {
	if fresh && x.off <= f.cached.end && f.cached.off <= x.end {
		f.cached = extent{min(f.cached.off, x.off), max(f.cached.end, x.end)}
		return // as old as its oldest part
	}
	f.cached, f.cachedNs = x, nowNs
}

// cached asks the kernel. What is behind the file's end is there, too: sendfile
// will tell. A file system that cannot say is taken to have to wait.
func (s *Shard) cached(f *File, x extent) bool {
	p := &s.fetching
	p.iov = iovec{base: uintptr(unsafe.Pointer(&p.probe)), len: 1}
	for off := x.off; ; off = min(off+fetchStride, x.end-1) {
		s.Stats.SysOps++
		_, _, errno := unix.RawSyscall6(unix.SYS_PREADV2, uintptr(f.fd), uintptr(unsafe.Pointer(&p.iov)), 1, uintptr(off), 0, unix.RWF_NOWAIT)
		if errno != 0 {
			return false
		}
		if off == x.end-1 {
			return true
		}
	}
}

// fetch has want read; c goes on when it has been. If all of it was there after
// all, or no more syslets may fly, it says true: then c goes on now.
func (s *Shard) fetch(c *Conn, sp *span, want extent) bool {
	if w := sp.f.fetch; w != nil && w.want.covers(want) {
		w.waiters = append(w.waiters, c.id)
		return false
	}
	w := s.takeFetch()
	w.f, w.want = sp.f, want
	sp.f.holds++
	sp.f.fetch = w
	w.aim()
	s.Stats.Fetches++
	if s.Submit(w.y) == Queued {
		w.waiters = append(w.waiters, c.id)
		return false
	}
	s.endFetch(w)
	sp.ready = want.end - want.off
	return true
}

// aim makes the program read want.
func (w *fetch) aim() {
	for i := range fetchPieces {
		off := w.want.off + int64(i)*fetchPiece
		w.y.Ops[i].Args[0] = Imm(int64(w.f.fd))
		w.y.Regs[i] = off
		w.y.Regs[fetchPieces+i] = min(max(w.want.end-off, 0), fetchPiece)
	}
}

func (s *Shard) takeFetch() *fetch {
	p := &s.fetching
	if w := p.free; w != nil {
		p.free, w.next = w.next, nil
		return w
	}
	if p.scratch == nil {
		p.scratch = make([]byte, fetchPiece)
	}
	w := &fetch{y: &Syslet{}}
	for i := range fetchPieces {
		w.y.Ops = append(w.y.Ops, Pread(Imm(-1), p.scratch, Reg(i)).Len(Reg(fetchPieces+i)).With(StopOnNonPositive))
	}
	w.y.Done = func(s *Shard, _ *Syslet) { s.fetched(w) }
	return w
}

// fetched lets those go on who waited. That reading failed they will see
// themselves, when they send.
func (s *Shard) fetched(w *fetch) {
	w.f.found(w.want, s.nowNs, false)
	for _, id := range w.waiters {
		c := s.ConnAt(id)
		if c == nil {
			continue
		}
		if sp := c.out.head(); sp != nil && sp.f == w.f && sp.off >= w.want.off && sp.off < w.want.end {
			sp.ready = min(sp.left, w.want.end-sp.off)
		}
		s.MoreOutput(c)
	}
	s.endFetch(w)
}

func (s *Shard) endFetch(w *fetch) {
	if w.f.fetch == w {
		w.f.fetch = nil
	}
	w.f.Release()
	w.f, w.waiters = nil, w.waiters[:0]
	w.next, s.fetching.free = s.fetching.free, w
}
