package server

// slots is a table whose places are used again. A handle is a place and how often it
// has been used, so that the handle of what is gone finds nothing.
type slots[T any] struct {
	at   []*T
	gen  []uint32
	free []uint32
}

const slotMask = 1<<24 - 1

// add gives v a place. Bits 24 to 31 of the handle are zero: room for a shard.
func (t *slots[T]) add(v *T) (handle uint64) {
	var i uint32
	if n := len(t.free); n > 0 {
		i = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		i = uint32(len(t.at))
		t.at, t.gen = append(t.at, nil), append(t.gen, 0)
	}
	t.gen[i]++
	t.at[i] = v
	return uint64(t.gen[i])<<32 | uint64(i)
}

// get is what the handle was given for, or nil if that is gone.
func (t *slots[T]) get(handle uint64) *T {
	i := uint32(handle) & slotMask
	if int(i) >= len(t.at) || t.gen[i] != uint32(handle>>32) {
		return nil
	}
	return t.at[i]
}

// remove frees the place of a handle that get knows.
func (t *slots[T]) remove(handle uint64) {
	i := uint32(handle) & slotMask
	t.at[i] = nil
	t.free = append(t.free, i)
}

// A session's handle names its gate's shard, too.
func withShard(handle uint64, shard int) uint64 { return handle | uint64(shard)<<24 }
func shardOf(session uint64) int                { return int(session >> 24 & 0xFF) }
