package http1

import (
	"bytes"
	"errors"
	"net/netip"
)

// Why a head was refused. The connection is of no more use: where the next
// request begins is not known.
var (
	ErrLine          = errors.New("http1: malformed request line")
	ErrMethod        = errors.New("http1: malformed method")
	ErrTarget        = errors.New("http1: malformed request target")
	ErrVersion       = errors.New("http1: version is not HTTP/1.0 or HTTP/1.1")
	ErrField         = errors.New("http1: malformed field")
	ErrHost          = errors.New("http1: want exactly one Host, a valid one")
	ErrLength        = errors.New("http1: malformed or ambiguous length of the body")
	ErrCoding        = errors.New("http1: unknown transfer coding")
	ErrTargetTooLong = errors.New("http1: target too long (Limits.Target)")
	ErrHeadTooLarge  = errors.New("http1: head too large (Limits.Head, Limits.Fields)")
)

// Limits of a head. The zero value of a field means its default.
type Limits struct {
	Target int // bytes of the target; default 8 KiB
	Head   int // bytes of the whole head; default 32 KiB
	Fields int // number of fields; default 100
}

// WithDefaults fills in defaults.
func (l Limits) WithDefaults() Limits {
	if l.Target == 0 {
		l.Target = 8 << 10
	}
	if l.Head == 0 {
		l.Head = 32 << 10
	}
	if l.Fields == 0 {
		l.Fields = 100
	}
	return l
}

// Request is the head of a request: slices of the bytes that Parse was given, good
// as long as those are. A field that did not come is nil; one that came empty is
// not. Fields not named here are checked and forgotten.
type Request struct {
	Method []byte
	// Path is the target's path as it was sent, beginning with "/"; "*" for the
	// whole server. Query is what follows "?", or nil.
	Path, Query []byte
	// Minor is the version's last digit: HTTP/1.0 or HTTP/1.1.
	Minor uint8
	// Close: the connection is to end after the answer; asked for, or HTTP/1.0
	// without keep-alive.
	Close bool
	// Chunked: a body of chunks follows. Otherwise BodyBytes of it.
	Chunked   bool
	BodyBytes int64

	Host, Range, IfRange, IfMatch, IfNoneMatch, IfModifiedSince, IfUnmodifiedSince, Expect []byte

	hasLength           bool
	codings             uint8
	keepAlive, closeOpt bool
}

// HasBody reports whether the request says that a body follows.
func (r *Request) HasBody() bool { return r.Chunked || r.BodyBytes > 0 }

// Parse reads the head that p begins with into r. n is its length, the empty line
// included; 0 without an error: it is not whole yet. The limits hold for heads that
// are not whole, too. lim must have its defaults.
func Parse(p []byte, lim *Limits, r *Request) (n int, err error) {
	*r = Request{}
	at := skipEmptyLines(p)
	line, next, err := nextLine(p, at, at+lim.Head)
	switch {
	case err == ErrHeadTooLarge && bytes.IndexByte(p[at:], ' ') >= 0:
		return 0, ErrTargetTooLong
	case err != nil:
		return 0, err
	case line == nil:
		return 0, longTarget(p[at:], lim)
	}
	if err := r.requestLine(line, lim); err != nil {
		return 0, err
	}
	for fields := 0; ; fields++ {
		line, after, err := nextLine(p, next, at+lim.Head)
		switch {
		case err != nil:
			return 0, err
		case line == nil:
			return 0, nil
		case len(line) == 0:
			return after, r.finish()
		case fields == lim.Fields:
			return 0, ErrHeadTooLarge
		}
		if err := r.field(line); err != nil {
			return 0, err
		}
		next = after
	}
}

// skipEmptyLines gives where a request begins.
func skipEmptyLines(p []byte) (at int) {
	for len(p)-at >= 2 && p[at] == '\r' && p[at+1] == '\n' {
		at += 2
	}
	return at
}

// nextLine gives the line at from, without its CR LF, and where the next begins.
// nil: it is not whole.
func nextLine(p []byte, from, most int) (line []byte, next int, err error) {
	i := bytes.IndexByte(p[from:], '\n')
	switch {
	case i < 0 && len(p) >= most, i >= 0 && from+i >= most:
		return nil, 0, ErrHeadTooLarge
	case i < 0:
		return nil, 0, nil
	case i == 0 || p[from+i-1] != '\r':
		return nil, 0, ErrLine
	}
	return p[from : from+i-1 : from+i-1], from + i + 1, nil
}

// longTarget refuses a request line that cannot become good any more.
func longTarget(p []byte, lim *Limits) error {
	sp := bytes.IndexByte(p, ' ')
	switch {
	case sp < 0 && len(p) > methodMax:
		return ErrMethod
	case sp >= 0 && len(p)-sp-1 > lim.Target+len(" HTTP/1.1\r"):
		return ErrTargetTooLong
	}
	return nil
}

// methodMax is longer than any registered method.
const methodMax = 32

func (r *Request) requestLine(line []byte, lim *Limits) error {
	sp := bytes.IndexByte(line, ' ')
	if sp <= 0 {
		return ErrLine
	}
	r.Method, line = line[:sp:sp], line[sp+1:]
	if len(r.Method) > methodMax || !isToken(r.Method) {
		return ErrMethod
	}
	sp = bytes.IndexByte(line, ' ')
	if sp < 0 {
		return ErrLine
	}
	if sp > lim.Target {
		return ErrTargetTooLong
	}
	if err := r.version(line[sp+1:]); err != nil {
		return err
	}
	return r.target(line[:sp:sp])
}

func (r *Request) version(v []byte) error {
	const prefix = "HTTP/"
	if len(v) != len("HTTP/1.1") || string(v[:len(prefix)]) != prefix || v[6] != '.' || !isDigit(v[5]) || !isDigit(v[7]) {
		return ErrLine
	}
	if v[5] != '1' || v[7] > '1' {
		return ErrVersion
	}
	r.Minor = v[7] - '0'
	return nil
}

// target takes the path and the query out of the origin-form, the absolute-form or
// the asterisk-form (RFC 9112, 3.2).
func (r *Request) target(t []byte) error {
	for _, c := range t {
		if c <= ' ' || c >= 0x7f {
			return ErrTarget
		}
	}
	switch {
	case len(t) == 0:
		return ErrTarget
	case t[0] != '/' && string(t) != "*":
		if t = afterAuthority(t); t == nil {
			return ErrTarget
		}
	}
	if i := bytes.IndexByte(t, '#'); i >= 0 {
		return ErrTarget // a fragment is not for servers
	}
	r.Path = t
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		r.Path, r.Query = t[:i:i], t[i+1:]
	}
	if len(r.Path) == 0 {
		r.Path = slash
	}
	for i, c := range r.Path {
		if c == '%' && (i+2 >= len(r.Path) || !isHex(r.Path[i+1]) || !isHex(r.Path[i+2])) {
			return ErrTarget
		}
	}
	return nil
}

var slash = []byte("/")

// afterAuthority is what follows the authority of an absolute URI; nil: it is none.
func afterAuthority(t []byte) []byte {
	i := bytes.Index(t, []byte("://"))
	if i < 0 || !equalFold(t[:i], "http") && !equalFold(t[:i], "https") {
		return nil
	}
	t = t[i+3:]
	end := bytes.IndexAny(t, "/?")
	if end < 0 {
		end = len(t)
	}
	if end == 0 || t[0] == ':' || !isAuthority(t[:end]) {
		return nil
	}
	if close := bytes.IndexByte(t[:end], ']'); close > 0 {
		if a, err := netip.ParseAddr(string(t[1:close])); err != nil || !a.Is6() {
			return nil
		}
	}
	return t[end:]
}

// finish checks what only the whole head shows.
func (r *Request) finish() error {
	switch {
	case r.Host == nil && r.Minor > 0:
		return ErrHost
	case r.codings > 0 && (r.hasLength || r.Minor == 0):
		return ErrLength
	}
	r.Chunked = r.codings > 0
	r.Close = r.closeOpt || r.Minor == 0 && !r.keepAlive
	return nil
}
