package proto

import (
	"encoding/binary"
	"math"
)

// Rank is one player's place in a RANKED.
type Rank struct {
	Points uint32
	Name   []byte
}

// Parse reads the first rank of p, the ranks of a RANKED: they are all there, so
// there is no rank without an end. Name points into p.
func (r *Rank) Parse(p []byte) (n int, err error) {
	if len(p) < rankHead || p[4] < 1 || p[4] > MaxName || len(p) < rankHead+int(p[4]) {
		return 0, errRank
	}
	n = rankHead + int(p[4])
	r.Points, r.Name = binary.LittleEndian.Uint32(p), p[rankHead:n:n]
	return n, nil
}

// AppendRank writes a rank behind dst; points beyond what fits are cut to that.
func AppendRank(dst []byte, name string, points uint64) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(min(points, math.MaxUint32)))
	return append(append(dst, byte(len(name))), name...)
}

func (e *Event) parseRanked(p []byte) (int, error) {
	if len(p) < rankedHead {
		return 0, nil
	}
	n := rankedHead + int(binary.LittleEndian.Uint16(p[2:]))
	if n > rankedHead+MaxRanks*(rankHead+MaxName) {
		return 0, errRank
	}
	if len(p) < n {
		return 0, nil
	}
	e.Tag, e.Data = p[1], p[rankedHead:n:n]
	return n, nil
}
