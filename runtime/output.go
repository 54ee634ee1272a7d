package runtime

// output is a connection's queue of unsent bytes: segments that are copies in
// pooled chunks or parts of shared blocks. The memory of a segment stays where
// it is until it is dropped, because a driver may have given it to the kernel.
type output struct {
	segs  []segment
	first int // segs[:first] are sent
	bytes int // unsent
}

type segment struct {
	b     []byte // what is unsent of it
	c     *chunk // the chunk that b lies in; nil for a block's bytes
	block *Block // keeps b alive; nil for a chunk's bytes
}

// write copies p behind the queue.
func (o *output) write(pool *bufferPool, p []byte) {
	o.bytes += len(p)
	if n := len(o.segs); n > o.first {
		if s := &o.segs[n-1]; s.c != nil {
			end := cap(s.b) - len(s.b)
			k := min(end, len(p))
			s.b = append(s.b, p[:k]...)
			p = p[k:]
		}
	}
	for len(p) > 0 {
		c := pool.take(len(p))
		k := copy(c.b, p)
		o.push(segment{b: c.b[:k], c: c})
		p = p[k:]
	}
}

func (o *output) writeBlock(b *Block) {
	o.bytes += len(b.b)
	o.push(segment{b: b.b, block: b})
}

func (o *output) push(s segment) {
	// Only when half is free: moving a long queue for each segment would be quadratic.
	if len(o.segs) == cap(o.segs) && o.first > len(o.segs)/2 {
		n := copy(o.segs, o.segs[o.first:])
		clear(o.segs[n:])
		o.segs, o.first = o.segs[:n], 0
	}
	o.segs = append(o.segs, s)
}

// sent drops n bytes from the front.
func (o *output) sent(pool *bufferPool, n int) {
	o.bytes -= n
	for n > 0 {
		s := &o.segs[o.first]
		if n < len(s.b) {
			s.b = s.b[n:]
			return
		}
		n -= len(s.b)
		o.drop(pool, s)
	}
	if o.first == len(o.segs) {
		o.segs, o.first = o.segs[:0], 0
	}
}

func (o *output) drop(pool *bufferPool, s *segment) {
	if s.c != nil {
		pool.put(s.c)
	}
	*s = segment{}
	o.first++
}

func (o *output) release(pool *bufferPool) {
	for o.first < len(o.segs) {
		o.drop(pool, &o.segs[o.first])
	}
	*o = output{segs: o.segs[:0]}
}
