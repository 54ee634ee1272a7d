package proto

// Request is a frame from a client. Which fields count depends on Type.
type Request struct {
	Type Type
	Tag  uint8
	Dir  uint8  // MOVE
	Name []byte // LOGIN: who; CHAT: to whom, empty for the map
	Data []byte // LOGIN: token; CHAT: text
}

// Parse reads the first frame of p. It returns the frame's size, or 0 if p does not
// hold all of it yet, or a *MalformedError as soon as it can be known. Name and
// Data point into p. Bytes behind the frame are not looked at.
func (r *Request) Parse(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.Type = Type(p[0])
	switch r.Type {
	case Move:
		if len(p) < 3 {
			return 0, nil
		}
		if r.Tag, r.Dir = p[1], p[2]; r.Dir >= Directions {
			return 0, errDirection
		}
		return 3, nil
	case Ping, Save, Logout, Ranking:
		if len(p) < 2 {
			return 0, nil
		}
		r.Tag = p[1]
		return 2, nil
	case Login, Chat:
		return r.parseStrings(p)
	}
	return 0, errType
}

func (r *Request) parseStrings(p []byte) (int, error) {
	minName, maxData, bad := 1, MaxToken, errTokenLen
	if r.Type == Chat {
		minName, maxData, bad = 0, MaxText, errTextLen
	}
	if len(p) > 2 && (int(p[2]) < minName || p[2] > MaxName) {
		return 0, errNameLen
	}
	if len(p) < 4 {
		return 0, nil
	}
	name, data := 4+int(p[2]), int(p[3])
	if data < 1 || data > maxData {
		return 0, bad
	}
	if len(p) < name+data {
		return 0, nil
	}
	r.Tag, r.Name, r.Data = p[1], p[4:name:name], p[name:name+data:name+data]
	return name + data, nil
}

// Append writes the frame behind dst. The caller keeps to the limits.
func (r *Request) Append(dst []byte) []byte {
	switch r.Type {
	case Move:
		return append(dst, byte(Move), r.Tag, r.Dir)
	case Login, Chat:
		dst = append(dst, byte(r.Type), r.Tag, byte(len(r.Name)), byte(len(r.Data)))
		return append(append(dst, r.Name...), r.Data...)
	}
	return append(dst, byte(r.Type), r.Tag)
}
