package world

import "github.com/syslet/syslet/workloads/game/proto"

// viewWriter cuts entries into VIEW frames that are not too long.
type viewWriter struct {
	dst   []byte
	start int // of the open frame's entries; 0: no frame is open
	index uint16
	flags uint8 // of the next frame
	tick  uint32
}

func (v *viewWriter) open() {
	v.dst = proto.AppendViewHead(v.dst, v.flags, v.index, v.tick)
	v.start, v.flags = len(v.dst), 0
}

// room opens a frame, or another one, if the next entry needs it.
func (v *viewWriter) room() {
	if v.start != 0 && len(v.dst)-v.start > proto.MaxEntries-proto.MaxEntry {
		v.end()
	}
	if v.start == 0 {
		v.open()
	}
}

func (v *viewWriter) add(e *proto.Entry) {
	v.room()
	v.dst = e.Append(v.dst)
}

func (v *viewWriter) addEntered(id uint16, m *member) {
	v.room()
	v.dst = proto.AppendEntered(v.dst, id, m.x, m.y, m.name)
}

func (v *viewWriter) end() []byte {
	if v.start != 0 {
		v.dst = proto.EndView(v.dst, v.start)
		v.start = 0
	}
	return v.dst
}
