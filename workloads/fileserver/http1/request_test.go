package http1

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var limits = Limits{}.WithDefaults()

func parse(t *testing.T, head string) (Request, int, error) {
	t.Helper()
	var r Request
	n, err := Parse([]byte(head), &limits, &r)
	return r, n, err
}

func TestParse(t *testing.T) {
	const head = "GET /a%20b/c?x=1&y HTTP/1.1\r\nHost: example.org:80\r\nUser-Agent: t\r\nrange:\tbytes=0-1 \r\n" +
		"IF-NONE-MATCH: \"a\"\r\nIf-Modified-Since: x\r\nIf-Unmodified-Since: y\r\nIf-Match: *\r\nIf-Range: \"z\"\r\nExpect: e\r\nConnection: x, Keep-Alive\r\n\r\n"
	r, n, err := parse(t, head+"GET /next")
	require.NoError(t, err)
	require.Equal(t, len(head), n)
	for got, want := range map[string]string{
		string(r.Method): "GET", string(r.Path): "/a%20b/c", string(r.Query): "x=1&y", string(r.Host): "example.org:80",
		string(r.Range): "bytes=0-1", string(r.IfNoneMatch): `"a"`, string(r.IfModifiedSince): "x", string(r.IfUnmodifiedSince): "y",
		string(r.IfMatch): "*", string(r.IfRange): `"z"`, string(r.Expect): "e",
	} {
		require.Equal(t, want, got)
	}
	require.Equal(t, uint8(1), r.Minor)
	require.False(t, r.Close || r.HasBody())
	for i := range len(head) {
		_, n, err := parse(t, head[:i])
		require.NoError(t, err, head[:i])
		require.Zero(t, n, head[:i])
	}
}

func TestParseVersionsAndBodies(t *testing.T) {
	for head, want := range map[string]func(*Request) bool{
		"GET / HTTP/1.0\r\n\r\n":                                                  func(r *Request) bool { return r.Close && r.Minor == 0 },
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n":                        func(r *Request) bool { return !r.Close },
		"GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n":                    func(r *Request) bool { return r.Close },
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: a,,CLOSE ,\r\n\r\n":             func(r *Request) bool { return r.Close },
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n":               func(r *Request) bool { return r.HasBody() && r.BodyBytes == 7 && !r.Chunked },
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n":                 func(r *Request) bool { return !r.HasBody() },
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n":        func(r *Request) bool { return r.HasBody() && r.Chunked },
		"GET http://h/p?q HTTP/1.1\r\nHost: a\r\n\r\n":                            func(r *Request) bool { return string(r.Path) == "/p" && string(r.Query) == "q" },
		"GET HTTPS://[::1]:8080?q HTTP/1.1\r\nHost: [::1]:1\r\n\r\n":              func(r *Request) bool { return string(r.Path) == "/" && string(r.Query) == "q" },
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n":                                   func(r *Request) bool { return string(r.Path) == "*" },
		"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n":                               func(r *Request) bool { return string(r.Path) == "/" },
		"GET / HTTP/1.1\r\nHost: a\r\nIf-Match: \"a\"\r\nIf-Match: *\r\n\r\n":     func(r *Request) bool { return !Matches(r.IfMatch, []byte(`"a"`), false) },
		"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nRange: x\r\nA:\r\n\r\n": func(r *Request) bool { return string(r.Range) == "bytes=0-1" },
	} {
		r, n, err := parse(t, head)
		require.NoError(t, err, "%q", head)
		require.Equal(t, len(head), n, "%q", head)
		require.True(t, want(&r), "%q: %+v", head, r)
	}
}

func TestParseRefuses(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: a\r\n"
	for head, want := range map[string]error{
		"GET / HTTP/1.1\nHost: a\r\n\r\n":                                  ErrLine,
		get + "A: b\n\r\n":                                                 ErrLine,
		get + "\n":                                                         ErrLine,
		"GET /\r\n\r\n":                                                    ErrLine,
		"GET  / HTTP/1.1\r\n\r\n":                                          ErrLine,
		" GET / HTTP/1.1\r\n\r\n":                                          ErrLine,
		"GET / HTTP/1.1 \r\n\r\n":                                          ErrLine,
		"GET / http/1.1\r\n\r\n":                                           ErrLine,
		"GET / HTTP/1.12\r\n\r\n":                                          ErrLine,
		"GET / HTTP/2.0\r\n\r\n":                                           ErrVersion,
		"GET / HTTP/1.2\r\n\r\n":                                           ErrVersion,
		"G(T / HTTP/1.1\r\n\r\n":                                           ErrMethod,
		strings.Repeat("A", 40) + " / HTTP/1.1\r\n\r\n":                    ErrMethod,
		strings.Repeat("A", 40):                                            ErrMethod,
		"GET a HTTP/1.1\r\n\r\n":                                           ErrTarget,
		"GET /%2 HTTP/1.1\r\n\r\n":                                         ErrTarget,
		"GET /%zz HTTP/1.1\r\n\r\n":                                        ErrTarget,
		"GET /#a HTTP/1.1\r\n\r\n":                                         ErrTarget,
		"GET /\x80 HTTP/1.1\r\n\r\n":                                       ErrTarget,
		"GET /\x00 HTTP/1.1\r\n\r\n":                                       ErrTarget,
		"GET ftp://a/ HTTP/1.1\r\n\r\n":                                    ErrTarget,
		"GET http:///a HTTP/1.1\r\n\r\n":                                   ErrTarget,
		"GET http://u@h/a HTTP/1.1\r\n\r\n":                                ErrTarget,
		"CONNECT a:1 HTTP/1.1\r\n\r\n":                                     ErrTarget,
		"GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\n\r\n":          ErrTargetTooLong,
		"GET /" + strings.Repeat("a", 9000):                                ErrTargetTooLong,
		"GET /" + strings.Repeat("a", 60000):                               ErrTargetTooLong,
		get + "A: " + strings.Repeat("b", 40000):                           ErrHeadTooLarge,
		get + "A: " + strings.Repeat("b", 40000) + "\r\n\r\n":              ErrHeadTooLarge,
		get + strings.Repeat("A: b\r\n", 100) + "\r\n":                     ErrHeadTooLarge,
		get + "A : b\r\n\r\n":                                              ErrField,
		get + " A: b\r\n\r\n":                                              ErrField,
		get + "A: b\r\n c\r\n\r\n":                                         ErrField,
		get + "A\r\n\r\n":                                                  ErrField,
		get + ": b\r\n\r\n":                                                ErrField,
		get + "A: b\x00c\r\n\r\n":                                          ErrField,
		get + "A: b\rc\r\n\r\n":                                            ErrField,
		"GET / HTTP/1.1\r\n\r\n":                                           ErrHost,
		get + "Host: a\r\n\r\n":                                            ErrHost,
		"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n":                              ErrHost,
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n":                              ErrHost,
		"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n":                              ErrHost,
		get + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n":             ErrLength,
		get + "Content-Length: +1\r\n\r\n":                                 ErrLength,
		get + "Content-Length: 1, 1\r\n\r\n":                               ErrLength,
		get + "Content-Length:\r\n\r\n":                                    ErrLength,
		get + "Content-Length: 9999999999999999999\r\n\r\n":                ErrLength,
		get + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n":    ErrLength,
		"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n":             ErrLength,
		get + "Transfer-Encoding: gzip, chunked\r\n\r\n":                   ErrCoding,
		get + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n": ErrCoding,
		get + "Transfer-Encoding: \x0bchunked\r\n\r\n":                     ErrField,
		get + "Transfer-Encoding:\r\n\r\n":                                 ErrCoding,
	} {
		_, n, err := parse(t, head)
		require.ErrorIs(t, err, want, "%.80q", head)
		if n != 0 {
			require.Equal(t, len(head), n, "%.80q", head)
		}
	}
}

// agree holds Parse to net/http: see the package comment for the exceptions.
func agree(t *testing.T, p []byte) {
	var r Request
	n, err := Parse(p, &limits, &r)
	from := skipEmptyLines(p)
	theirs, theirErr := http.ReadRequest(bufio.NewReader(bytes.NewReader(p[from:])))
	switch {
	case err != nil:
		if theirErr == nil && !explained(err, p[from:]) {
			t.Fatalf("refused with %v, which net/http accepts: %q", err, p)
		}
		return
	case n == 0:
		if theirErr == nil {
			t.Fatalf("taken to be unfinished, but net/http accepts it: %q", p)
		}
		return
	case theirErr != nil:
		if r.Chunked && strings.Contains(theirErr.Error(), "railer") {
			return
		}
		t.Fatalf("accepted, but net/http says %v: %q", theirErr, p)
	}
	same := func(what, ours, want string) {
		if ours != want {
			t.Fatalf("%s is %q, net/http has %q: %q", what, ours, want, p)
		}
	}
	same("method", string(r.Method), theirs.Method)
	if string(r.Path) != "*" {
		same("path", string(r.Path), cmpOr(theirs.URL.EscapedPath(), "/", r.Path))
	}
	same("query", string(r.Query), theirs.URL.RawQuery)
	if theirs.URL.Host == "" {
		same("host", string(r.Host), theirs.Host)
	}
	once := func(name string, ours []byte) {
		if v := theirs.Header.Values(name); len(v) == 1 {
			same(name, string(ours), v[0])
		}
	}
	once("Range", r.Range)
	once("If-Range", r.IfRange)
	once("If-Match", r.IfMatch)
	once("If-None-Match", r.IfNoneMatch)
	once("If-Modified-Since", r.IfModifiedSince)
	once("If-Unmodified-Since", r.IfUnmodifiedSince)
	once("Expect", r.Expect)
	if r.Close != theirs.Close && r.Minor > 0 {
		t.Fatalf("close is %v, net/http has %v: %q", r.Close, theirs.Close, p)
	}
	switch {
	case r.Chunked != (len(theirs.TransferEncoding) > 0), !r.Chunked && r.BodyBytes != theirs.ContentLength:
		t.Fatalf("body of %d bytes, chunked %v; net/http has %d, %v: %q", r.BodyBytes, r.Chunked, theirs.ContentLength, theirs.TransferEncoding, p)
	}
}

// cmpOr allows for net/http's own way to escape: the path is the one that was sent.
func cmpOr(escaped, empty string, sent []byte) string {
	if escaped == "" {
		return empty
	}
	if unescaped(escaped) == unescaped(string(sent)) {
		return string(sent)
	}
	return escaped
}

func unescaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			b.WriteByte(hexValue(s[i+1])<<4 | hexValue(s[i+2]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func hexValue(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// explained reports whether p has what the package comment says is refused.
func explained(err error, p []byte) bool {
	head := p
	if i := bytes.Index(p, []byte("\n\r\n")); i >= 0 {
		head = p[:i+3]
	}
	if i := bytes.Index(head, []byte("\n\n")); i >= 0 {
		head = p[:i+2]
	}
	switch err {
	case ErrLine:
		return bytes.Count(head, []byte("\n")) > bytes.Count(head, []byte("\r\n"))
	case ErrMethod:
		return bytes.IndexByte(p, ' ') > methodMax
	case ErrField:
		for _, line := range bytes.Split(head, []byte("\n"))[1:] {
			name, _, _ := bytes.Cut(line, []byte(":"))
			if !isToken(name) {
				return true
			}
		}
		return false
	case ErrTarget:
		target := bytes.Fields(head)[1]
		return target[0] != '/' || bytes.ContainsFunc(target, func(c rune) bool { return c >= 0x7f || c == '#' })
	}
	return true
}

func FuzzParse(f *testing.F) {
	for _, head := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"HEAD /a/b?c=d HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"POST http://a:1/b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nIf-Range: \"x\"\r\nIf-None-Match: W/\"y\"\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\n",
		"\r\nGET /%41 HTTP/1.1\r\nHost : a\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nExpect: 100-continue\r\n\r\n",
		"GET http://[::1%25eth0]/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET //a//b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
	} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		agree(t, p)
		var r Request
		n, err := Parse(p, &limits, &r)
		if err != nil || n == 0 {
			return
		}
		for i := range n { // a head that is good is good however it arrives
			if m, err := Parse(p[:i], &limits, &r); m != 0 || err != nil {
				t.Fatalf("%d bytes of it: %d, %v: %q", i, m, err, p)
			}
		}
	})
}

func TestParseAllocatesNothing(t *testing.T) {
	p := []byte(browser)
	var r Request
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if n, err := Parse(p, &limits, &r); n == 0 || err != nil {
			t.Fatal(n, err)
		}
	}))
}

const browser = "GET /static/app.js?v=3 HTTP/1.1\r\nHost: www.example.org\r\nConnection: keep-alive\r\nsec-ch-ua-mobile: ?0\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
	"Accept: */*\r\nSec-Fetch-Site: same-origin\r\nReferer: https://www.example.org/\r\nAccept-Encoding: gzip, deflate, br\r\n" +
	"Accept-Language: en-GB,en;q=0.9\r\nIf-None-Match: \"68c1-4f2\"\r\nIf-Modified-Since: Mon, 02 Jan 2006 15:04:05 GMT\r\n\r\n"

func BenchmarkParse(b *testing.B) {
	for name, head := range map[string]string{"browser": browser, "wrk": "GET /1k HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"} {
		b.Run(name, func(b *testing.B) {
			p := []byte(head)
			var r Request
			b.ReportAllocs()
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if n, err := Parse(p, &limits, &r); n == 0 || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}
