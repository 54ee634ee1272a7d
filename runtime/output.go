package runtime

// output is a connection's queue of unsent bytes: segments that are copies in
// pooled chunks or parts of shared blocks. The memory of a segment stays where
// it is until it is dropped, because a driver may have given it to the kernel.
type output struct {
	q     *segQueue // Invariant: nil exactly while bytes is 0
	bytes int       // unsent
}

// segQueue is the memory of an output, from a pool.
type segQueue struct {
	segs  []segment
	first int // segs[:first] are sent
	next  *segQueue
	shown bool // a driver may know where the first segment is
	// ofFiles is how many of the unsent bytes are in ranges of files.
	ofFiles int
	few     [2]segment // what segs begins in
}

// segsKept bounds the segments of a queue that is used again.
const segsKept = 1 << 10

type segment struct {
	b     []byte // what is unsent of it
	c     *chunk // the chunk that b lies in; nil for a block's bytes
	block *Block // keeps b alive; nil for a chunk's bytes
	span  *span  // a range of a file instead: the others are nil
}

// write copies p behind the queue.
func (o *output) write(pool *bufferPool, p []byte) {
	if len(p) == 0 {
		return
	}
	o.bytes += len(p)
	if o.q == nil {
		o.q = pool.takeQueue()
	} else if n := len(o.q.segs); n > o.q.first {
		s := &o.q.segs[n-1]
		if s.c != nil && cap(s.b)-len(s.b) < len(p) && s.c.class == tinyClass && !o.q.shown {
			s.enlarge(pool, len(p))
		}
		if s.c != nil {
			k := min(cap(s.b)-len(s.b), len(p))
			s.b = append(s.b, p[:k]...)
			p = p[k:]
		}
	}
	for len(p) > 0 {
		c := pool.take(len(p))
		k := copy(c.b, p)
		o.q.push(segment{b: c.b[:k], c: c})
		p = p[k:]
	}
}

// enlarge moves the first bytes of a turn to a chunk in which more bytes have room
// beside them: one segment is cheaper to send than two.
func (s *segment) enlarge(pool *bufferPool, more int) {
	c := pool.take(max(len(s.b)+more, tinyChunk+1))
	s.b = c.b[:copy(c.b, s.b)]
	pool.put(s.c)
	s.c = c
}

func (o *output) writeBlock(pool *bufferPool, b *Block) {
	o.bytes += len(b.b)
	if o.q == nil {
		o.q = pool.takeQueue()
	}
	b.Hold()
	o.q.push(segment{b: b.b, block: b})
}

func (q *segQueue) push(s segment) {
	// Only when half is free: moving a long queue for each segment would be quadratic.
	if len(q.segs) == cap(q.segs) && q.first > len(q.segs)/2 {
		n := copy(q.segs, q.segs[q.first:])
		clear(q.segs[n:])
		q.segs, q.first = q.segs[:n], 0
	}
	old := q.segs
	q.segs = append(q.segs, s)
	if cap(q.segs) != cap(old) {
		clear(old) // few would keep alive what the pool lets go
	}
}

// sent drops n bytes from the front.
func (o *output) sent(pool *bufferPool, n int) {
	o.bytes -= n
	for n > 0 {
		s := &o.q.segs[o.q.first]
		if s.span != nil {
			n -= o.q.sentFile(pool, s, n)
			continue
		}
		if n < len(s.b) {
			s.b = s.b[n:]
			return
		}
		n -= len(s.b)
		o.q.drop(pool, s)
	}
	if o.bytes == 0 {
		o.release(pool)
	}
}

func (q *segQueue) drop(pool *bufferPool, s *segment) {
	if s.c != nil {
		pool.put(s.c)
	}
	if s.block != nil {
		s.block.Release()
	}
	if s.span != nil {
		pool.putSpan(s.span)
	}
	*s = segment{}
	q.first++
}

func (o *output) release(pool *bufferPool) {
	q := o.q
	if q == nil {
		return
	}
	for q.first < len(q.segs) {
		q.drop(pool, &q.segs[q.first])
	}
	q.segs, q.first, q.shown, q.ofFiles = q.segs[:0], 0, false, 0
	pool.putQueue(q)
	*o = output{}
}
