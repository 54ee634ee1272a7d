package runtime

const (
	slotsShift    = 8
	slotsPerChunk = 1 << slotsShift
)

// connSlots are a shard's connections by slot, in chunks: a Conn stays where it
// is for good, and a table that grows copies no connections. Slots are counted
// from 0 and used again.
type connSlots struct {
	chunks []*[slotsPerChunk]Conn
	n      int // slots that were ever used
	free   []int32
}

// at is the connection in a slot that was used. Which one that is its ID says.
func (t *connSlots) at(slot int) *Conn {
	return &t.chunks[slot>>slotsShift][slot&(slotsPerChunk-1)]
}

// take gives a free slot's Conn, with the ID that it will have.
func (t *connSlots) take(s *Shard) *Conn {
	if n := len(t.free); n > 0 {
		slot := t.free[n-1]
		t.free = t.free[:n-1]
		return t.at(int(slot))
	}
	if t.n == len(t.chunks)*slotsPerChunk {
		t.chunks = append(t.chunks, new([slotsPerChunk]Conn))
	}
	c := t.at(t.n)
	*c = Conn{shard: s, id: makeConnID(s.index, t.n, 1), fd: -1}
	t.n++
	return c
}

// put makes c's slot free for the next generation.
func (t *connSlots) put(c *Conn) {
	id := c.id
	*c = Conn{shard: c.shard, id: makeConnID(id.Shard(), id.Slot(), id.gen()+1), fd: -1}
	t.free = append(t.free, int32(id.Slot()))
}
