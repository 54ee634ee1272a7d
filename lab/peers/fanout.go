package main

import (
	"encoding/binary"
	"slices"
)

// A message of the workload fanout: u32 total length (all bytes included), u32
// tag, u32 sender, 4 bytes, payload, little endian. Each complete one goes, byte
// for byte, to all open connections, its sender too. A length out of bounds
// ends the connection. Messages that arrive together leave together, in one
// write per receiver.
const (
	minMessageBytes = 16
	maxMessageBytes = 64 << 10
)

// wholeMessages is the length of the complete messages that p begins with,
// and false if a length out of bounds follows them.
func wholeMessages(p []byte) (n int, ok bool) {
	for len(p)-n >= 4 {
		l := binary.LittleEndian.Uint32(p[n:])
		if l < minMessageBytes || l > maxMessageBytes {
			return n, false
		}
		if int(l) > len(p)-n {
			break
		}
		n += int(l)
	}
	return n, true
}

// partial keeps the beginning of a frame or message until the rest arrives.
type partial struct{ rest []byte }

// join puts what was kept before p. The result is valid until keep.
func (s *partial) join(p []byte) []byte {
	if len(s.rest) == 0 {
		return p
	}
	s.rest = append(s.rest, p...)
	return s.rest
}

// keep stores what is left of join's result; it is copied.
func (s *partial) keep(rest []byte) { s.rest = append(s.rest[:0], rest...) }

// room is a set with fast iteration; place is where a member's index is kept.
type room[M any] struct {
	all   []M
	place func(M) *int
}

func (r *room[M]) add(m M) {
	*r.place(m) = len(r.all)
	r.all = append(r.all, m)
}

// remove takes m out; members that iteration has not reached may move before it.
func (r *room[M]) remove(m M) {
	i, last := *r.place(m), len(r.all)-1
	r.all[i] = r.all[last]
	*r.place(r.all[i]) = i
	r.all = slices.Delete(r.all, last, last+1)
}
