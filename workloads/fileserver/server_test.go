package fileserver_test

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/fileserver"
	"github.com/syslet/syslet/workloads/fileserver/http1"
)

// TestFiles: every file, by GET and HEAD, on one connection, twice.
func TestFiles(t *testing.T) {
	root := site(t)
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{}, fileserver.Config{Root: root})
		w := dial(t, srv.Addr().String())
		for range 2 {
			for name, size := range sizes {
				target := "/" + strings.NewReplacer("%", "%25", " ", "%20").Replace(name)
				for _, method := range []string{"GET", "HEAD"} {
					w.say(request(method, target))
					a := w.hear(method)
					require.Equal(t, 200, a.StatusCode, target)
					require.EqualValues(t, size, a.ContentLength, target)
					if method == "GET" {
						require.Equal(t, read(t, root, name), a.body, target)
					}
				}
			}
		}
	})
}

const host = "Host: x\r\n"

// statusCases is what is answered to what, and whether the connection ends.
var statusCases = []struct {
	head   string
	status int
	ends   bool
	field  string // must be in the answer, NAME: VALUE
}{
	{"GET / HTTP/1.1\r\n" + host, 200, false, "Content-Type: text/html; charset=utf-8"},
	{"GET /sub/ HTTP/1.1\r\n" + host, 200, false, "Content-Length: 77"},
	{"GET /sub HTTP/1.1\r\n" + host, 301, false, "Location: /sub/"},
	{"GET //sub?a=/b HTTP/1.1\r\n" + host, 301, false, "Location: /sub/?a=/b"},
	{"GET /empty/ HTTP/1.1\r\n" + host, 404, false, ""},
	{"GET /nothing HTTP/1.1\r\n" + host, 404, false, "Content-Length: 10"},
	{"GET /a.txt/ HTTP/1.1\r\n" + host, 404, false, ""},
	{"GET /" + strings.Repeat("a", 300) + " HTTP/1.1\r\n" + host, 404, false, ""},
	{"GET /%61.txt HTTP/1.1\r\n" + host, 200, false, "Content-Type: text/plain; charset=utf-8"},
	{"GET /sub/../a.txt HTTP/1.1\r\n" + host, 200, false, "Content-Length: 1024"},
	{"GET /sub/%2e%2E/a.txt HTTP/1.1\r\n" + host, 200, false, "Content-Length: 1024"},
	{"GET /./sub//./deep/.//x.svg HTTP/1.1\r\n" + host, 200, false, "Content-Type: image/svg+xml"},
	{"GET /sub/. HTTP/1.1\r\n" + host, 200, false, "Content-Length: 77"},
	{"GET /sub/deep/.. HTTP/1.1\r\n" + host, 200, false, "Content-Length: 77"},
	{"GET /..dots..txt HTTP/1.1\r\n" + host, 200, false, "Content-Length: 9"},
	{"GET /sub/.hidden.txt HTTP/1.1\r\n" + host, 200, false, ""},
	{"GET /inside.json HTTP/1.1\r\n" + host, 200, false, "Content-Type: application/json"},
	{"GET /noext HTTP/1.1\r\n" + host, 200, false, "Content-Type: application/octet-stream"},
	{"GET http://other/a.txt HTTP/1.1\r\n" + host, 200, false, ""},
	{"GET http://other HTTP/1.1\r\n" + host, 200, false, "Content-Length: 300"},
	{"GET /.. HTTP/1.1\r\n" + host, 400, false, ""},
	{"GET /../secret.txt HTTP/1.1\r\n" + host, 400, false, ""},
	{"GET /sub/../../secret.txt HTTP/1.1\r\n" + host, 400, false, ""},
	{"GET /%2e%2e/secret.txt HTTP/1.1\r\n" + host, 400, false, ""},
	{"GET /..%2fsecret.txt HTTP/1.1\r\n" + host, 400, false, ""},
	{"GET /sub%2Ffile.json HTTP/1.1\r\n" + host, 400, false, ""},
	{"GET /a.txt%00.html HTTP/1.1\r\n" + host, 400, false, ""},
	{"GET * HTTP/1.1\r\n" + host, 400, false, ""},
	{"GET /escape.txt HTTP/1.1\r\n" + host, 403, false, ""},
	{"GET /escape/secret.txt HTTP/1.1\r\n" + host, 403, false, ""},
	{"GET /absolute HTTP/1.1\r\n" + host, 403, false, ""},
	{"GET /loop HTTP/1.1\r\n" + host, 403, false, ""},
	{"GET /fifo HTTP/1.1\r\n" + host, 403, false, ""},
	{"POST / HTTP/1.1\r\n" + host + "Content-Length: 0\r\n", 405, false, "Allow: GET, HEAD"},
	{"POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n", 405, true, "Connection: close"},
	{"BREW / HTTP/1.1\r\n" + host, 501, false, ""},
	{"GET / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n", 413, true, ""},
	{"GET / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n", 413, true, ""},
	{"GET / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n", 501, true, ""},
	{"GET / HTTP/1.1\r\n" + host + "Expect: 100-Continue\r\n", 200, false, ""},
	{"GET / HTTP/1.1\r\n" + host + "Expect: 200-maybe\r\n", 417, false, ""},
	{"GET / HTTP/1.1\r\n", 400, true, "Connection: close"},
	{"GET / HTTP/1.1\r\n" + host + host, 400, true, ""},
	{"GET / HTTP/1.1\r\n" + host + "A : b\r\n", 400, true, ""},
	{"GET / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n", 400, true, ""},
	{"GET / HTTP/2.0\r\n" + host, 505, true, ""},
	{"GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\n" + host, 414, true, ""},
	{"GET / HTTP/1.1\r\n" + host + "A: " + strings.Repeat("b", 33<<10) + "\r\n", 431, true, ""},
	{"GET / HTTP/1.1\r\n" + host + strings.Repeat("A: b\r\n", 101), 431, true, ""},
	{"GET /a.txt HTTP/1.1\r\n" + host + "Connection: close\r\n", 200, true, "Connection: close"},
	{"GET /big.dat HTTP/1.1\r\n" + host + "Connection: close\r\n", 200, true, ""},
	{"GET /a.txt HTTP/1.0\r\n", 200, true, "Connection: close"},
	{"GET /big.dat HTTP/1.0\r\nConnection: keep-alive\r\n", 200, false, "Connection: keep-alive"},
	{"\r\nGET / HTTP/1.1\r\n" + host, 200, false, ""},
	{"GET /mid.bin HTTP/1.1\r\n" + host + "Range: bytes=1-2,nonsense\r\n", 200, false, "Accept-Ranges: bytes"},
	{"GET /mid.bin HTTP/1.1\r\n" + host + "Range: bytes=9000-\r\n", 416, false, "Content-Range: bytes */8192"},
	{"GET /none.css HTTP/1.1\r\n" + host + "Range: bytes=0-\r\n", 200, false, "Content-Length: 0"},
}

// TestStatus holds the server to statusCases.
func TestStatus(t *testing.T) {
	root := site(t)
	require.NoError(t, unix.Mkfifo(filepath.Join(root, "fifo"), 0o644))
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{}, fileserver.Config{Root: root})
		for _, c := range statusCases {
			w := dial(t, srv.Addr().String())
			w.say(c.head + "\r\n")
			method, _, _ := strings.Cut(strings.TrimSpace(c.head), " ")
			a := w.hear(method)
			require.Equal(t, c.status, a.StatusCode, "%.100q", c.head)
			require.NotContains(t, string(a.body), "secret")
			require.NotEmpty(t, a.Header.Get("Date"), "%.100q", c.head)
			if name, value, ok := strings.Cut(c.field, ": "); ok {
				if a.Close && name == "Connection" {
					a.Header.Set("Connection", "close") // net/http takes it out
				}
				require.Equal(t, value, a.Header.Get(name), "%.100q", c.head)
			}
			if c.ends {
				w.ends()
				continue
			}
			w.say(request("GET", "/a.txt"))
			require.Equal(t, 200, w.hear("GET").StatusCode, "%.100q", c.head)
		}
	})
}

// TestConditions: RFC 9110, 13.
func TestConditions(t *testing.T) {
	root := site(t)
	at := time.Date(2024, 5, 6, 7, 8, 9, 500, time.UTC)
	for name := range sizes {
		require.NoError(t, os.Chtimes(filepath.Join(root, name), at, at))
	}
	day := func(d time.Duration) string { return at.Add(d).Format(http.TimeFormat) }
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{}, fileserver.Config{Root: root})
		for _, name := range []string{"/a.txt", "/big.dat"} {
			first := get(t, srv, "GET", name)
			etag := first.Header.Get("ETag")
			require.NotEmpty(t, etag)
			require.Equal(t, day(0), first.Header.Get("Last-Modified"))
			for _, c := range []struct {
				status int
				fields []string
			}{
				{304, []string{"If-None-Match: " + etag}},
				{304, []string{"If-None-Match: \"x\", W/" + etag}},
				{304, []string{"If-None-Match: *"}},
				{200, []string{"If-None-Match: \"x\""}},
				{200, []string{"If-None-Match: \"x\"", "If-Modified-Since: " + day(0)}},
				{304, []string{"If-Modified-Since: " + day(0)}},
				{304, []string{"If-Modified-Since: " + day(time.Hour)}},
				{200, []string{"If-Modified-Since: " + day(-time.Second)}},
				{200, []string{"If-Modified-Since: yesterday"}},
				{200, []string{"If-Match: *"}},
				{200, []string{"If-Match: \"x\", " + etag}},
				{412, []string{"If-Match: \"x\""}},
				{412, []string{"If-Match: W/" + etag}},
				{200, []string{"If-Unmodified-Since: " + day(0)}},
				{412, []string{"If-Unmodified-Since: " + day(-time.Second)}},
				{200, []string{"If-Match: " + etag, "If-Unmodified-Since: " + day(-time.Second)}},
				{412, []string{"If-Match: \"x\"", "If-None-Match: " + etag}},
				{206, []string{"Range: bytes=0-0", "If-Range: " + etag}},
				{200, []string{"Range: bytes=0-0", "If-Range: W/" + etag}},
				{200, []string{"Range: bytes=0-0", "If-Range: \"x\""}},
				{206, []string{"Range: bytes=0-0", "If-Range: " + day(0)}},
				{200, []string{"Range: bytes=0-0", "If-Range: " + day(time.Hour)}},
				{304, []string{"Range: bytes=0-0", "If-None-Match: " + etag}},
			} {
				for _, method := range []string{"GET", "HEAD"} {
					want := c.status
					if want == 206 && method == "HEAD" {
						want = 200 // Range is for GET alone
					}
					a := get(t, srv, method, name, c.fields...)
					require.Equal(t, want, a.StatusCode, "%s %v", method, c.fields)
					if want == 200 || want == 304 {
						require.Equal(t, etag, a.Header.Get("ETag"))
					}
				}
			}
		}
	})
}

// TestRanges: one range, and several in one answer.
func TestRanges(t *testing.T) {
	root := site(t)
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{}, fileserver.Config{Root: root})
		for _, name := range []string{"a.txt", "mid.bin", "big.dat", "huge.png"} {
			content := read(t, root, name)
			size := len(content)
			for spec, part := range map[string][2]int{
				"0-0": {0, 1}, "1-99": {1, 100}, "-5": {size - 5, size}, fmt.Sprint(size/2, "-"): {size / 2, size}, "0-": {0, size},
			} {
				a := get(t, srv, "GET", "/"+name, "Range: bytes="+spec)
				require.Equal(t, 206, a.StatusCode)
				require.Equal(t, fmt.Sprintf("bytes %d-%d/%d", part[0], part[1]-1, size), a.Header.Get("Content-Range"))
				require.Equal(t, content[part[0]:part[1]], a.body, "%s %s", name, spec)
			}
			a := get(t, srv, "GET", "/"+name, "Range: bytes=0-9, 500-599,-3")
			require.Equal(t, 206, a.StatusCode)
			kind, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
			require.NoError(t, err)
			require.Equal(t, "multipart/byteranges", kind)
			mr := multipart.NewReader(strings.NewReader(string(a.body)), params["boundary"])
			for _, part := range [][2]int{{0, 10}, {500, 600}, {size - 3, size}} {
				p, err := mr.NextPart()
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("bytes %d-%d/%d", part[0], part[1]-1, size), p.Header.Get("Content-Range"))
				require.NotEmpty(t, p.Header.Get("Content-Type"))
				body, err := io.ReadAll(p)
				require.NoError(t, err)
				require.Equal(t, content[part[0]:part[1]], body)
			}
			_, err = mr.NextPart()
			require.ErrorIs(t, err, io.EOF)
		}
	})
}

// TestPipelined: many requests in one write and in tiny pieces; answers in order.
func TestPipelined(t *testing.T) {
	root := site(t)
	names := []string{"a.txt", "huge.png", "nothing", "sub/file.json", "big.dat", "one.js", "none.css", "mid2.bin"}
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{MaxUnsent: 64 << 10}, fileserver.Config{Root: root, CacheFiles: 3})
		w := dial(t, srv.Addr().String())
		var all strings.Builder
		const rounds = 20
		for range rounds {
			for _, name := range names {
				all.WriteString(request("GET", "/"+name))
			}
		}
		go func() {
			text := all.String()
			for i, step := 0, 1; i < len(text); step = step*5%997 + 1 { // pieces of many sizes
				n := min(step, len(text)-i)
				if _, err := io.WriteString(w.TCPConn, text[i:i+n]); err != nil {
					return
				}
				i += n
			}
			_ = w.CloseWrite() // and yet all of it is answered
		}()
		for range rounds {
			for _, name := range names {
				a := w.hear("GET")
				if name == "nothing" {
					require.Equal(t, 404, a.StatusCode)
					continue
				}
				require.Equal(t, 200, a.StatusCode, name)
				require.Equal(t, read(t, root, name), a.body, name)
			}
		}
		w.ends()
	})
}

// TestHalfClosed: a client that ends its stream behind the request gets its answer,
// also if the file has to be opened first.
func TestHalfClosed(t *testing.T) {
	root := site(t)
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{}, fileserver.Config{Root: root})
		for range 3 {
			for name := range sizes {
				w := dial(t, srv.Addr().String())
				w.say(request("GET", "/"+strings.NewReplacer("%", "%25", " ", "%20").Replace(name)) + "GET /unfinished")
				require.NoError(t, w.CloseWrite())
				require.Equal(t, read(t, root, name), w.hear("GET").body, name)
				w.ends()
			}
		}
	})
}

// TestChanges: what changes on disk is served, at the latest after Config.Valid.
func TestChanges(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		root := t.TempDir()
		srv := serve(t, model, runtime.Options{}, fileserver.Config{Root: root, Valid: -1})
		path := filepath.Join(root, "f")
		require.Equal(t, 404, get(t, srv, "GET", "/f").StatusCode)
		for _, size := range []int{10, 100e3, 0, 5, 200e3, 9000} {
			put(t, path, []byte(strings.Repeat("x", size)))
			a := get(t, srv, "GET", "/f")
			require.Len(t, a.body, size)
			require.Equal(t, a.Header.Get("ETag"), get(t, srv, "GET", "/f").Header.Get("ETag"))
		}
		require.NoError(t, os.Remove(path))
		require.Equal(t, 404, get(t, srv, "GET", "/f").StatusCode)
		require.NoError(t, os.Mkdir(path, 0o755))
		require.Equal(t, 301, get(t, srv, "GET", "/f").StatusCode)

		srv = serve(t, model, runtime.Options{}, fileserver.Config{Root: root, Valid: time.Hour})
		put(t, filepath.Join(root, "g"), []byte("old"))
		require.Equal(t, "old", string(get(t, srv, "GET", "/g").body))
		put(t, filepath.Join(root, "g"), []byte("newer"))
		require.Equal(t, "old", string(get(t, srv, "GET", "/g").body), "the cache was not used")
	})
}

// TestTruncated: a file that is cut off while it is sent ends the connection.
func TestTruncated(t *testing.T) {
	eachModel(t, func(t *testing.T, model string) {
		root := t.TempDir()
		path := filepath.Join(root, "f")
		put(t, path, make([]byte, 200e3))
		srv := serve(t, model, runtime.Options{}, fileserver.Config{Root: root, Valid: time.Hour})
		require.Len(t, get(t, srv, "GET", "/f").body, 200e3)
		require.NoError(t, os.Truncate(path, 100e3))
		w := dial(t, srv.Addr().String())
		w.say(request("GET", "/f"))
		_, err := io.ReadAll(w.r)
		require.ErrorIs(t, err, unix.ECONNRESET)
	})
}

// TestManyAtOnce: what many ask for at once is opened once, and a cache that is
// smaller than what is asked for works.
func TestManyAtOnce(t *testing.T) {
	root := site(t)
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{Shards: 2}, fileserver.Config{Root: root, CacheFiles: 2})
		var wires []*wire
		names := make([]string, 0, len(sizes))
		for name := range sizes {
			if !strings.ContainsAny(name, " %") {
				names = append(names, name)
			}
		}
		for i := range 60 {
			w := dial(t, srv.Addr().String())
			w.say(request("GET", "/"+names[i%len(names)]))
			wires = append(wires, w)
		}
		for i, w := range wires {
			name := names[i%len(names)]
			require.Equal(t, read(t, root, name), w.hear("GET").body, name)
		}
	})
}

// TestSlowClient: one that says nothing is closed (Options.IdleTimeout).
func TestSlowClient(t *testing.T) {
	root := site(t)
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{IdleTimeout: 50 * time.Millisecond}, fileserver.Config{Root: root})
		w := dial(t, srv.Addr().String())
		w.say("GET / HTTP/1.1\r\nHo")
		w.ends()
	})
}

// TestAllocations: a request costs none in steady state, whatever the answer is
// made of.
func TestAllocations(t *testing.T) {
	root := site(t)
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{}, fileserver.Config{Root: root})
		for _, target := range []string{"/a.txt", "/mid.bin", "/big.dat", "/sub/../%61.txt"} {
			w := dial(t, srv.Addr().String())
			etag := get(t, srv, "GET", target).Header.Get("ETag")
			for _, fields := range [][]string{nil, {"If-None-Match: " + etag}, {"If-Modified-Since: Mon, 02 Jan 2034 15:04:05 GMT"}, {"Range: bytes=5-10"}, {"Range: bytes=1-2,4-5"}} {
				checkAllocs(t, w, request("GET", target, fields...), target, fields)
			}
		}
	})
}

func checkAllocs(t *testing.T, w *wire, req, target string, fields []string) {
	t.Helper()
	w.say(req)
	body := int64(len(w.hear("GET").body))
	w.say(req) // the head has the same length each time
	size, buf := int(body), make([]byte, 64<<10)
	for line := ""; line != "\r\n"; size += len(line) {
		var err error
		line, err = w.r.ReadString('\n')
		require.NoError(t, err)
	}
	_, err := io.CopyN(io.Discard, w.r, body)
	require.NoError(t, err)
	raw := []byte(req)
	ask := func(n int) {
		for range n {
			if _, err := w.Write(raw); err != nil {
				t.Fatal(err)
			}
			for left := size; left > 0; {
				k, err := w.r.Read(buf[:min(left, len(buf))])
				if err != nil {
					t.Fatal(err)
				}
				left -= k
			}
		}
	}
	ask(100)
	const n, tries = 300, 50
	least := uint64(1 << 63)
	for try := 0; try < tries && least >= n/20; try++ { // others allocate beside, in bursts
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		ask(n)
		goruntime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	require.Less(t, least, uint64(n/20), "allocations in %d requests for %s %v", n, target, fields)
}

func TestConfig(t *testing.T) {
	for _, cfg := range []fileserver.Config{{}, {Root: "/no/such/folder"}, {Root: t.TempDir(), CacheFiles: -1}, {Root: t.TempDir(), InMemory: 1 << 30}} {
		_, err := fileserver.New(cfg)
		require.ErrorIs(t, err, fileserver.ErrBadConfig)
	}
	_, err := fileserver.New(fileserver.Config{Root: t.TempDir(), Limits: http1.Limits{Target: 10}})
	require.NoError(t, err)
}
