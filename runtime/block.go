package runtime

// Block is a run of bytes that never changes again and may be queued on many
// connections, of any shard, without being copied: one visibility tick, 500
// recipients, one Block.
type Block struct{ b []byte }

// NewBlock makes a block of p. The caller must not touch p afterwards.
func NewBlock(p []byte) *Block { return &Block{b: p} }

// Bytes gives the content; it must not be changed.
func (b *Block) Bytes() []byte { return b.b }

// Len is the number of bytes.
func (b *Block) Len() int { return len(b.b) }
