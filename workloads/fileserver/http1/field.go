package http1

import "bytes"

// field takes one line of the head.
func (r *Request) field(line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !isToken(line[:colon]) { // a space before the colon, too, and obs-fold
		return ErrField
	}
	name, value := line[:colon], trim(line[colon+1:])
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return ErrField
		}
	}
	// By length first: most fields are none of these.
	switch len(name) {
	case 4:
		if equalFold(name, "host") {
			return r.setHost(value)
		}
	case 5:
		r.keep(&r.Range, name, "range", value)
	case 6:
		r.keep(&r.Expect, name, "expect", value)
	case 8:
		r.keep(&r.IfRange, name, "if-range", value)
		r.list(&r.IfMatch, name, "if-match", value)
	case 10:
		if equalFold(name, "connection") {
			r.connection(value)
		}
	case 13:
		r.list(&r.IfNoneMatch, name, "if-none-match", value)
	case 14:
		if equalFold(name, "content-length") {
			return r.length(value)
		}
	case 17:
		if equalFold(name, "transfer-encoding") {
			return r.coding(value)
		}
		r.keep(&r.IfModifiedSince, name, "if-modified-since", value)
	case 19:
		r.keep(&r.IfUnmodifiedSince, name, "if-unmodified-since", value)
	}
	return nil
}

// keep takes a field that may come once. What else comes is ignored: which one was
// meant nobody can say, and of none of these depends where a request ends.
func (r *Request) keep(into *[]byte, name []byte, want string, value []byte) {
	if *into == nil && equalFold(name, want) {
		*into = value
	}
}

// list takes a field whose value is a list. One that comes twice is the list "*,",
// which matches nothing and is no "*": the answer is then as if there were no
// condition, or a failed one, and both are safe.
func (r *Request) list(into *[]byte, name []byte, want string, value []byte) {
	if !equalFold(name, want) {
		return
	}
	if *into != nil {
		value = ambiguous
	}
	*into = value
}

var ambiguous = []byte("*,")

func (r *Request) setHost(value []byte) error {
	if r.Host != nil || len(value) > 0 && !isAuthority(value) {
		return ErrHost
	}
	r.Host = value
	return nil
}

func (r *Request) length(value []byte) error {
	if r.hasLength || len(value) == 0 || len(value) > 18 {
		return ErrLength
	}
	for _, c := range value {
		if !isDigit(c) {
			return ErrLength
		}
		r.BodyBytes = r.BodyBytes*10 + int64(c-'0')
	}
	r.hasLength = true
	return nil
}

func (r *Request) coding(value []byte) error {
	if r.codings > 0 || !equalFold(value, "chunked") {
		return ErrCoding
	}
	r.codings++
	return nil
}

// connection takes the options that are known.
func (r *Request) connection(value []byte) {
	for len(value) > 0 {
		var option []byte
		if i := bytes.IndexByte(value, ','); i >= 0 {
			option, value = value[:i], value[i+1:]
		} else {
			option, value = value, nil
		}
		switch option = trim(option); {
		case equalFold(option, "close"):
			r.closeOpt = true
		case equalFold(option, "keep-alive"):
			r.keepAlive = true
		}
	}
}

// trim cuts optional white space off both ends. The result is not nil.
func trim(p []byte) []byte {
	for len(p) > 0 && (p[0] == ' ' || p[0] == '\t') {
		p = p[1:]
	}
	for len(p) > 0 && (p[len(p)-1] == ' ' || p[len(p)-1] == '\t') {
		p = p[:len(p)-1]
	}
	return p[:len(p):len(p)]
}

// equalFold compares p with lower, which is in lower case.
func equalFold(p []byte, lower string) bool {
	if len(p) != len(lower) {
		return false
	}
	for i := range p {
		c := p[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// tokens has a bit for each character of a token (RFC 9110, 5.6.2).
var tokens = func() (t [256]bool) {
	for c := range t {
		t[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

func isToken(p []byte) bool {
	for _, c := range p {
		if !tokens[c] {
			return false
		}
	}
	return len(p) > 0
}

// hosts has a bit for each character of a host's name. No percent-encoding, and no
// userinfo: a server has no use for passwords.
var hosts = func() (t [256]bool) {
	for c := range t {
		t[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
	}
	for _, c := range "-._~!$&'()*+,;=" {
		t[c] = true
	}
	return t
}()

// isAuthority reports whether p is a host, or an IPv6 address in brackets, with or
// without a port.
func isAuthority(p []byte) bool {
	host, rest := p, []byte(nil)
	if len(p) > 0 && p[0] == '[' {
		end := bytes.IndexByte(p, ']')
		if end < 0 {
			return false
		}
		for _, c := range p[1:end] {
			if !isHex(c) && c != ':' && c != '.' {
				return false
			}
		}
		host, rest = nil, p[end+1:]
		if len(rest) > 0 && rest[0] != ':' {
			return false
		}
	} else if i := bytes.IndexByte(p, ':'); i >= 0 {
		host, rest = p[:i], p[i:]
	}
	for _, c := range host {
		if !hosts[c] {
			return false
		}
	}
	for i, c := range rest {
		if i > 0 && !isDigit(c) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
