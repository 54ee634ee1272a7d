package fileserver

import "bytes"

// plain has a bit for each character that stands for itself, wherever it is; a dot
// and a slash do if none of the same is before it.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c > ' ' && c < 0x7f && c != '%' && c != '.' && c != '/'
	}
	return t
}()

// clean decodes a path (RFC 3986: percent-encoding, dot segments) and takes out
// double slashes. status is 0, or what the answer is to be. The result is good until
// the next call; it begins with a slash and has none doubled, no dot segment and no
// NUL.
func (v *server) clean(raw []byte) (path []byte, status int) {
	if isPlain(raw) {
		return raw, 0
	}
	v.path = v.path[:0]
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' { // and two digits: http1 has seen to that
			c = fromHex(raw[i+1])<<4 | fromHex(raw[i+2])
			if i += 2; c == 0 || c == '/' {
				return nil, 400
			}
		}
		v.path = append(v.path, c)
	}
	if len(v.path) == 0 || v.path[0] != '/' { // "*"
		return nil, 400
	}
	var ok bool
	if v.path, ok = removeDots(v.path); !ok {
		return nil, 400
	}
	return v.path, 0
}

func isPlain(raw []byte) bool {
	last := byte(0)
	for _, c := range raw {
		if !plain[c] && (c != '/' && c != '.' || last == '/') {
			return false
		}
		last = c
	}
	return len(raw) > 0 && raw[0] == '/'
}

// removeDots works in place. ok is false if p climbs above its root.
func removeDots(p []byte) (out []byte, ok bool) {
	out = p[:1] // Invariant: ends with a slash between segments
	for rest := p[1:]; len(rest) > 0; {
		segment, slash := rest, 0
		if i := bytes.IndexByte(rest, '/'); i >= 0 {
			segment, slash = rest[:i], 1
		}
		rest = rest[len(segment)+slash:]
		switch string(segment) {
		case "", ".":
		case "..":
			if len(out) == 1 {
				return nil, false
			}
			out = out[:bytes.LastIndexByte(out[:len(out)-1], '/')+1]
		default:
			out = append(out, segment...)
			if slash > 0 {
				out = append(out, '/')
			}
		}
	}
	return out, true
}

func fromHex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// appendEscaped appends path as it stands in a URI.
func appendEscaped(dst, path []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range path {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', bytes.IndexByte([]byte("-._~/"), c) >= 0:
			dst = append(dst, c)
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}
