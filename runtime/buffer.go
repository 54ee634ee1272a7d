package runtime

// A shard's own buffers, in two sizes. They are taken when bytes arrive or are
// queued and given back as soon as they are empty, so that an idle connection
// holds none. Only the head touches a pool: no lock.

const (
	smallChunk = 4 << 10
	largeChunk = 64 << 10
	// poolKeep bounds the bytes that a pool keeps of each size; the rest goes
	// back to the garbage collector.
	poolKeep = 8 << 20
)

// chunk is a buffer from a pool. Its memory never moves while it is out.
type chunk struct {
	b    []byte
	next *chunk
}

type bufferPool struct {
	small, large         *chunk
	smallKept, largeKept int
}

// take gives a chunk with room for at least min(n, largeChunk) bytes.
func (p *bufferPool) take(n int) *chunk {
	if n <= smallChunk {
		return takeFrom(&p.small, &p.smallKept, smallChunk)
	}
	return takeFrom(&p.large, &p.largeKept, largeChunk)
}

func takeFrom(list **chunk, kept *int, size int) *chunk {
	c := *list
	if c == nil {
		return &chunk{b: make([]byte, size)}
	}
	*list, c.next = c.next, nil
	*kept--
	return c
}

func (p *bufferPool) put(c *chunk) {
	list, kept := &p.small, &p.smallKept
	if len(c.b) == largeChunk {
		list, kept = &p.large, &p.largeKept
	}
	if *kept >= poolKeep/len(c.b) {
		return
	}
	c.next, *list = *list, c
	*kept++
}

// unread holds what an App has not consumed yet: a pooled chunk, or, beyond
// its size, memory of its own.
type unread struct {
	b []byte
	c *chunk
}

func (u *unread) len() int { return len(u.b) }

// append adds p behind what is there.
func (u *unread) append(pool *bufferPool, p []byte) {
	need := len(u.b) + len(p)
	if need > cap(u.b) {
		u.grow(pool, need)
	}
	u.b = append(u.b, p...)
}

func (u *unread) grow(pool *bufferPool, need int) {
	var into []byte
	var c *chunk
	if need <= largeChunk {
		c = pool.take(need)
		into = c.b[:0]
	} else {
		into = make([]byte, 0, need+need/2)
	}
	into = append(into, u.b...)
	u.release(pool)
	u.b, u.c = into, c
}

// consume drops n bytes from the front.
func (u *unread) consume(pool *bufferPool, n int) {
	if n == len(u.b) {
		u.release(pool)
		return
	}
	u.b = u.b[:copy(u.b, u.b[n:])]
}

func (u *unread) release(pool *bufferPool) {
	if u.c != nil {
		pool.put(u.c)
	}
	u.b, u.c = nil, nil
}
