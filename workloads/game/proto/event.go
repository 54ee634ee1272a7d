package proto

import "encoding/binary"

// Event is a frame from the server. Which fields count depends on Type.
type Event struct {
	Type  Type
	Tag   uint8
	Flags uint8
	X, Y  uint8
	Code  Code
	Map   uint16
	Tick  uint32
	Name  []byte // HEARD: who said it
	Data  []byte // HEARD: text; VIEW: entries; RANKED: ranks
}

// Answer reports whether the frame answers a request.
func (e *Event) Answer() bool { return e.Type >= Welcome && e.Type <= Ranked }

// Parse reads the first frame of p, as Request.Parse does. The entries of a VIEW
// and the ranks of a RANKED are not looked into; see Entry and Rank.
func (e *Event) Parse(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	e.Type = Type(p[0])
	switch e.Type {
	case Welcome, Moved:
		if len(p) < 7 {
			return 0, nil
		}
		e.Tag, e.Flags, e.Map, e.X, e.Y = p[1], p[2], binary.LittleEndian.Uint16(p[3:]), p[5], p[6]
		return 7, nil
	case Chatted, Pong, Saved, Bye:
		if len(p) < 2 {
			return 0, nil
		}
		e.Tag = p[1]
		return 2, nil
	case Refused:
		if len(p) < 3 {
			return 0, nil
		}
		e.Tag, e.Code = p[1], Code(p[2])
		return 3, nil
	case Kicked:
		if len(p) < 2 {
			return 0, nil
		}
		e.Code = Code(p[1])
		return 2, nil
	case Ranked:
		return e.parseRanked(p)
	case View:
		return e.parseView(p)
	case Heard:
		return e.parseHeard(p)
	}
	return 0, errType
}

func (e *Event) parseView(p []byte) (int, error) {
	if len(p) < viewHead {
		return 0, nil
	}
	n := viewHead + int(binary.LittleEndian.Uint16(p[8:]))
	if len(p) < n {
		return 0, nil
	}
	e.Flags, e.Map, e.Tick = p[1], binary.LittleEndian.Uint16(p[2:]), binary.LittleEndian.Uint32(p[4:])
	e.Data = p[viewHead:n:n]
	return n, nil
}

func (e *Event) parseHeard(p []byte) (int, error) {
	if len(p) > 2 && (p[2] < 1 || p[2] > MaxName) {
		return 0, errNameLen
	}
	if len(p) < 4 {
		return 0, nil
	}
	name, text := 4+int(p[2]), int(p[3])
	if text < 1 || text > MaxText {
		return 0, errTextLen
	}
	if len(p) < name+text {
		return 0, nil
	}
	e.Flags, e.Name, e.Data = p[1], p[4:name:name], p[name:name+text:name+text]
	return name + text, nil
}

// Append writes the frame behind dst. The caller keeps to the limits.
func (e *Event) Append(dst []byte) []byte {
	switch e.Type {
	case Welcome, Moved:
		return append(dst, byte(e.Type), e.Tag, e.Flags, byte(e.Map), byte(e.Map>>8), e.X, e.Y)
	case Refused:
		return append(dst, byte(Refused), e.Tag, byte(e.Code))
	case Kicked:
		return append(dst, byte(Kicked), byte(e.Code))
	case Ranked:
		dst = append(dst, byte(Ranked), e.Tag, byte(len(e.Data)), byte(len(e.Data)>>8))
		return append(dst, e.Data...)
	case View:
		dst = AppendViewHead(dst, e.Flags, e.Map, e.Tick)
		start := len(dst)
		return EndView(append(dst, e.Data...), start)
	case Heard:
		dst = append(dst, byte(Heard), e.Flags, byte(len(e.Name)), byte(len(e.Data)))
		return append(append(dst, e.Name...), e.Data...)
	}
	return append(dst, byte(e.Type), e.Tag)
}
