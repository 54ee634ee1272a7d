package runtime

import (
	"time"
	"unsafe"
)

// A shard's own buffers, in a few sizes. They are taken when bytes arrive or are
// queued and given back as soon as they are empty, so that an idle connection
// holds none. Only the head touches a pool: no lock.

const (
	tinyChunk  = 256 // an unfinished message
	smallChunk = 4 << 10
	largeChunk = 64 << 10
	// poolKeep bounds the bytes that a pool keeps of each kind.
	poolKeep = 8 << 20
)

// sizeClass is a size that a pool has.
type sizeClass uint8

const (
	tinyClass sizeClass = iota
	smallClass
	largeClass
	sizeClasses
	noClass = sizeClasses // memory of its own, not from a pool
)

// poolClasses: of the chunks of a size that a pool has not needed for a while, it
// keeps least when it is trimmed; the rest goes back to the garbage collector.
var poolClasses = [sizeClasses]struct{ bytes, least int }{
	tinyClass:  {tinyChunk, 64},
	smallClass: {smallChunk, 16},
	largeClass: {largeChunk, 2},
}

// The same for queues of output.
const (
	queuesMost  = poolKeep / int(unsafe.Sizeof(segQueue{}))
	queuesLeast = 64
)

// chunk is a buffer from a pool. Its memory never moves while it is out.
type chunk struct {
	b     []byte
	n     int // of unread: bytes in use, b[:n]
	next  *chunk
	class sizeClass
}

// level is how full a free list is.
type level struct {
	kept int
	low  int // the fewest kept since the last trim: they were not needed
}

func (l *level) took() {
	l.kept--
	l.low = min(l.low, l.kept)
}

// trim lets go of up to most that were not needed, down to least.
func (l *level) trim(least, most int) (drop int) {
	drop = max(min(l.low, l.kept-least, most), 0)
	l.kept -= drop
	l.low -= drop
	return drop
}

type bufferPool struct {
	chunks      [sizeClasses]*chunk
	levels      [sizeClasses]level
	queues      *segQueue
	queuesLevel level
	spans       *span
	// ample: a list may have more than its least; trim is to be called.
	ample bool
}

// take gives a chunk with room for at least min(n, largeChunk) bytes.
func (p *bufferPool) take(n int) *chunk {
	switch {
	case n <= tinyChunk:
		return p.takeOf(tinyClass)
	case n <= smallChunk:
		return p.takeOf(smallClass)
	}
	return p.takeOf(largeClass)
}

func (p *bufferPool) takeOf(class sizeClass) *chunk {
	c := p.chunks[class]
	if c == nil {
		return &chunk{b: make([]byte, poolClasses[class].bytes), class: class}
	}
	p.chunks[class], c.next = c.next, nil
	p.levels[class].took()
	return c
}

func (p *bufferPool) put(c *chunk) {
	if c.class == noClass {
		return
	}
	l, of := &p.levels[c.class], &poolClasses[c.class]
	if l.kept >= poolKeep/of.bytes {
		return
	}
	c.n = 0
	c.next, p.chunks[c.class] = p.chunks[c.class], c
	l.kept++
	p.ample = p.ample || l.kept > of.least
}

func (p *bufferPool) takeQueue() *segQueue {
	q := p.queues
	if q == nil {
		q = &segQueue{}
		q.segs = q.few[:0]
		return q
	}
	p.queues, q.next = q.next, nil
	p.queuesLevel.took()
	return q
}

// putQueue takes an empty queue.
func (p *bufferPool) putQueue(q *segQueue) {
	if p.queuesLevel.kept >= queuesMost {
		return
	}
	if cap(q.segs) > segsKept {
		q.segs = q.few[:0]
	}
	q.next, p.queues = p.queues, q
	p.queuesLevel.kept++
	p.ample = p.ample || p.queuesLevel.kept > queuesLeast
}

const (
	// trimEvery is for how long something must not have been needed.
	trimEvery = time.Second
	// trimMost bounds what is dropped at a time, because each is a cache miss;
	// trimSoon is when it goes on.
	trimMost = 256
	trimSoon = 10 * time.Millisecond
)

// trim lets go of what was not needed since it last went through everything, and
// says when it is to be called again if the pool is ample still.
func (p *bufferPool) trim() (after time.Duration) {
	left := trimMost
	for class := range sizeClasses {
		n := p.levels[class].trim(poolClasses[class].least, left)
		for range n {
			p.chunks[class] = p.chunks[class].next
		}
		left -= n
	}
	n := p.queuesLevel.trim(queuesLeast, left)
	for range n {
		p.queues = p.queues.next
	}
	if left == n {
		return trimSoon
	}
	p.beginPeriod()
	return trimEvery
}

func (p *bufferPool) beginPeriod() {
	p.ample = p.queuesLevel.kept > queuesLeast
	p.queuesLevel.low = p.queuesLevel.kept
	for class := range sizeClasses {
		l := &p.levels[class]
		l.low = l.kept
		p.ample = p.ample || l.kept > poolClasses[class].least
	}
}

// unread holds what an App has not consumed yet: a pooled chunk, or, beyond
// its size, one with memory of its own. nil: nothing.
type unread struct{ c *chunk }

func (u *unread) len() int {
	if u.c == nil {
		return 0
	}
	return u.c.n
}

func (u *unread) bytes() []byte {
	if u.c == nil {
		return nil
	}
	return u.c.b[:u.c.n]
}

// append adds p behind what is there.
func (u *unread) append(pool *bufferPool, p []byte) {
	need := u.len() + len(p)
	if u.c == nil || need > len(u.c.b) {
		u.grow(pool, need)
	}
	u.c.n += copy(u.c.b[u.c.n:], p)
}

func (u *unread) grow(pool *bufferPool, need int) {
	var into *chunk
	if need <= largeChunk {
		into = pool.take(need)
	} else {
		into = &chunk{b: make([]byte, need+need/2), class: noClass}
	}
	into.n = copy(into.b, u.bytes())
	u.release(pool)
	u.c = into
}

// consume drops n bytes from the front.
func (u *unread) consume(pool *bufferPool, n int) {
	if n == u.len() {
		u.release(pool)
		return
	}
	u.c.n = copy(u.c.b, u.c.b[n:u.c.n])
}

func (u *unread) release(pool *bufferPool) {
	if u.c != nil {
		pool.put(u.c)
		u.c = nil
	}
}
