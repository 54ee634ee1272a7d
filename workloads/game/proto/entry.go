package proto

import "encoding/binary"

// EntryKind is the first byte of an entry of a VIEW.
type EntryKind uint8

// The kinds of entry.
const (
	EntryEntered EntryKind = 1
	EntryMoved   EntryKind = 2
	EntryLeft    EntryKind = 3
)

// MaxEntry is the size of the largest entry.
const MaxEntry = 6 + MaxName

// Entry is one player's part of a VIEW.
type Entry struct {
	Kind EntryKind
	ID   uint16
	X, Y uint8
	Name []byte // ENTERED only
}

// Parse reads the first entry of p, the Data of a VIEW, and returns its size. An
// entry that is cut off is malformed. Name points into p.
func (e *Entry) Parse(p []byte) (n int, err error) {
	if len(p) < 3 {
		return 0, errEntry
	}
	e.Kind, e.ID, e.Name = EntryKind(p[0]), binary.LittleEndian.Uint16(p[1:]), nil
	switch e.Kind {
	case EntryLeft:
		e.X, e.Y = 0, 0
		return 3, nil
	case EntryMoved:
		if len(p) < 5 {
			return 0, errEntry
		}
		e.X, e.Y = p[3], p[4]
		return 5, nil
	case EntryEntered:
		if len(p) < 6 || p[5] < 1 || p[5] > MaxName || len(p) < 6+int(p[5]) {
			return 0, errEntry
		}
		n = 6 + int(p[5])
		e.X, e.Y, e.Name = p[3], p[4], p[6:n:n]
		return n, nil
	}
	return 0, errEntry
}

// Append writes the entry behind dst.
func (e *Entry) Append(dst []byte) []byte {
	dst = append(dst, byte(e.Kind), byte(e.ID), byte(e.ID>>8))
	switch e.Kind {
	case EntryMoved:
		return append(dst, e.X, e.Y)
	case EntryEntered:
		dst = append(dst, e.X, e.Y, byte(len(e.Name)))
		return append(dst, e.Name...)
	}
	return dst
}

// AppendEntered is Append of an ENTERED whose name is kept as a string.
func AppendEntered(dst []byte, id uint16, x, y uint8, name string) []byte {
	dst = append(dst, byte(EntryEntered), byte(id), byte(id>>8), x, y, byte(len(name)))
	return append(dst, name...)
}

// AppendViewHead writes a VIEW without entries behind dst. Entries are appended to
// what it returns, of which the length is the start that EndView wants.
func AppendViewHead(dst []byte, flags uint8, mapIndex uint16, tick uint32) []byte {
	dst = append(dst, byte(View), flags, byte(mapIndex), byte(mapIndex>>8))
	dst = binary.LittleEndian.AppendUint32(dst, tick)
	return append(dst, 0, 0)
}

// EndView fills in the length of the entries dst[start:], at most MaxEntries.
func EndView(dst []byte, start int) []byte {
	binary.LittleEndian.PutUint16(dst[start-2:], uint16(len(dst)-start))
	return dst
}
