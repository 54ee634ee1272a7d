package runtime

import (
	"math/bits"
	"sync/atomic"
)

// Block is a run of bytes that never changes again and may be queued on many
// connections without being copied: one visibility tick, 500 recipients, one Block.
//
// A Block of NewBlock may be queued on connections of any shard; the garbage
// collector frees it. One of Shard.TakeBlock is counted and used again, so that a
// message to many costs no allocation: it belongs to the shard that took it, and
// Post gives the receiving shard a Block of its own with the same bytes.
type Block struct {
	b []byte
	// home is the shard whose head alone touches the fields below; nil: the block
	// is not counted.
	home *Shard
	// holds are the queued segments, letters and callers that need b. Invariant:
	// at 0 exactly while nothing of home's, but its pool, knows the block.
	holds int
	// of is the block, of another shard or the same, whose bytes b shares; nil: b is
	// its own memory.
	of   *Block
	next *Block // in a free list, or in blockPool.back
}

// NewBlock makes a block of p. The caller must not touch p afterwards.
func NewBlock(p []byte) *Block { return &Block{b: p} }

// Bytes gives the content; it must not be changed once the block was queued or posted.
func (b *Block) Bytes() []byte { return b.b }

// Len is the number of bytes.
func (b *Block) Len() int { return len(b.b) }

const (
	// Blocks are kept in sizes that are powers of two; a larger one than the
	// largest is not kept.
	smallestBlockLog2 = 6
	largestBlockLog2  = 16
	blockSizes        = largestBlockLog2 - smallestBlockLog2 + 1
)

// blockPool has a shard's blocks that nobody holds. After monoio's and seastar's
// reference counts of one thread: what another shard lets go comes back by a stack.
type blockPool struct {
	free [blockSizes]*Block // by size, each with memory of its own
	kept int                // bytes in free. Invariant: at most poolKeep
	// shares are blocks without memory of their own, for Post.
	shares *Block
	// back is a stack of shares that other shards have let go, pushed by
	// compare-and-swap and taken whole: release by the pusher, acquire here.
	back atomic.Pointer[Block]
}

// TakeBlock gives a block of n bytes, of any content, for the caller to fill
// before it is queued or posted. The caller holds it until Release; a connection
// holds it while it is queued there, a letter until it has been read. When nobody
// does it is used again. It can be queued on this shard's connections only. On the
// shard only.
func (s *Shard) TakeBlock(n int) *Block {
	p := &s.blockPool
	p.takeBack()
	if n > 1<<largestBlockLog2 {
		return &Block{b: make([]byte, n), home: s, holds: 1}
	}
	size := max(bits.Len(uint(max(n, 1)-1)), smallestBlockLog2)
	list := &p.free[size-smallestBlockLog2]
	b := *list
	if b == nil {
		return &Block{b: make([]byte, n, 1<<size), home: s, holds: 1}
	}
	*list, b.next = b.next, nil
	p.kept -= cap(b.b)
	b.b, b.holds = b.b[:n], 1
	return b
}

// Hold has the block stay as it is until one more Release. Nothing happens to a
// block of NewBlock. On the block's shard only.
func (b *Block) Hold() {
	if b.home == nil {
		return
	}
	if b.holds <= 0 {
		panic("runtime: Block held or queued after its last Release")
	}
	b.holds++
}

// Release ends what TakeBlock or Hold began. On the block's shard only.
func (b *Block) Release() {
	if b.home == nil {
		return
	}
	if b.holds--; b.holds <= 0 {
		b.letGo()
	}
}

func (b *Block) letGo() {
	if b.holds < 0 {
		panic("runtime: Block released more often than it was held")
	}
	if b.of != nil {
		b.of.home.blockPool.giveBack(b)
		return
	}
	p, size := &b.home.blockPool, cap(b.b)
	if size > 1<<largestBlockLog2 || p.kept+size > poolKeep {
		return
	}
	p.kept += size
	list := &p.free[bits.Len(uint(size-1))-smallestBlockLog2]
	b.next, *list = *list, b
}

// queueable panics if b cannot be queued on connections of s.
func (s *Shard) queueable(b *Block) {
	if b.home != nil && b.home != s {
		panic("runtime: a Block of Shard.TakeBlock belongs to another shard; Post it there")
	}
}

// share makes a block of shard to with the bytes of b, which is held until it has
// come back.
func (s *Shard) share(b *Block, to *Shard) *Block {
	s.queueable(b)
	b.Hold()
	if to == s {
		return b
	}
	s.blockPool.takeBack()
	c := s.blockPool.shares
	if c == nil {
		c = &Block{}
	} else {
		s.blockPool.shares = c.next
	}
	*c = Block{b: b.b, home: to, holds: 1, of: b}
	return c
}

// unshare takes back what share made and nobody has seen.
func (s *Shard) unshare(b *Block) {
	if b.home == s {
		b.Release()
		return
	}
	s.blockPool.returned(b)
}

// giveBack is called by any shard.
func (p *blockPool) giveBack(b *Block) {
	for {
		old := p.back.Load()
		b.next = old
		if p.back.CompareAndSwap(old, b) {
			return
		}
	}
}

// takeBack ends the holds of what has come back.
func (p *blockPool) takeBack() {
	if p.back.Load() == nil {
		return
	}
	for b := p.back.Swap(nil); b != nil; {
		next := b.next
		p.returned(b)
		b = next
	}
}

func (p *blockPool) returned(b *Block) {
	of := b.of
	*b = Block{next: p.shares}
	p.shares = b
	of.Release()
}
