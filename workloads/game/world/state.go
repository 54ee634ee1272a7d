package world

import "github.com/syslet/syslet/workloads/game/proto"

// State is what a player is in the world.
type State struct {
	Pos
	Moves uint64 // MOVE requests, blocked ones included
	Chats uint32 // lines said to a map
}

// Walk makes the player take a step and gives the flags of the answer.
func (s *State) Walk(w *World, d Dir) (flags uint8) {
	var out Outcome
	s.Pos, out = w.Step(s.Pos, d)
	s.Moves++
	switch out {
	case Blocked:
		return proto.FlagBlocked
	case Ported:
		return proto.FlagPortal
	}
	return 0
}

// FNV-1a, 64 bits.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// NameHash is the FNV-1a hash of a name: the same in every run and build.
func NameHash[T string | []byte](name T) uint64 {
	h := uint64(fnvOffset)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * fnvPrime
	}
	return h
}

func hash64(h, v uint64) uint64 {
	for range 8 {
		h = (h ^ v&0xFF) * fnvPrime
		v >>= 8
	}
	return h
}

// finish spreads a hash over all bits (the finalizer of MurmurHash3), so that sums of hashes
// do not cancel out.
func finish(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// Hash is a player's contribution to the hash of the world, which is the sum of
// all contributions: it can be added up in any order, over any number of shards.
func (s *State) Hash(name string) uint64 {
	h := hash64(NameHash(name), uint64(s.Map)<<16|uint64(s.X)<<8|uint64(s.Y))
	return finish(hash64(hash64(h, s.Moves), uint64(s.Chats)))
}

// HeardHash is what the lines that a player was told in private contribute.
func HeardHash(name string, lines uint32) uint64 {
	return finish(hash64(NameHash(name)^fnvOffset, uint64(lines)))
}
