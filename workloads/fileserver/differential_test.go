package fileserver_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/fileserver"
)

// TestAgainstNetHTTP: random requests are answered as net/http.FileServer answers
// them. Not asked for, because the two differ by intent: folders without an index
// (it lists them), /index.html (it redirects to the folder), paths that climb above
// the root (it stops at the root), encoded slashes (it decodes them), ranges that are
// malformed (it says 416) or more than eight, ranges by HEAD (RFC 9110, 14.2: they are
// for GET) or of empty files (it answers a suffix with 206), and entity tags, which it
// has not.
func TestAgainstNetHTTP(t *testing.T) {
	root := site(t)
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	names := make([]string, 0, len(sizes))
	for name := range sizes {
		require.NoError(t, os.Chtimes(filepath.Join(root, name), at, at))
		names = append(names, name)
	}
	sort.Strings(names)
	theirs := httptest.NewServer(http.FileServer(http.Dir(root)))
	t.Cleanup(theirs.Close)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{}, fileserver.Config{Root: root})
		us, them := dial(t, srv.Addr().String()), dial(t, theirs.Listener.Addr().String())
		rng := rand.New(rand.NewPCG(seed, 1))
		for range 400 {
			method := []string{"GET", "GET", "HEAD"}[rng.IntN(3)]
			target, size := randomTarget(rng, names)
			req := request(method, target, randomFields(rng, at, size, method == "GET")...)
			us.say(req)
			them.say(req)
			a, b := us.hear(method), them.hear(method)
			require.Equal(t, b.StatusCode, a.StatusCode, "seed %d: %q", seed, req)
			switch a.StatusCode {
			case 200, 206:
				multi := strings.HasPrefix(b.Header.Get("Content-Type"), "multipart/")
				if !multi {
					require.Equal(t, b.ContentLength, a.ContentLength, "seed %d: %q", seed, req)
					require.Equal(t, b.body, a.body, "seed %d: %q", seed, req)
					require.Equal(t, b.Header.Get("Content-Range"), a.Header.Get("Content-Range"), "seed %d: %q", seed, req)
				}
				require.Equal(t, b.Header.Get("Accept-Ranges"), a.Header.Get("Accept-Ranges"))
				if ours := a.Header.Get("Content-Type"); !multi && ours != "application/octet-stream" { // it looks at the bytes
					require.Equal(t, b.Header.Get("Content-Type"), ours, "seed %d: %q", seed, req)
				}
				require.Equal(t, b.Header.Get("Last-Modified"), a.Header.Get("Last-Modified"))
			case 301:
				require.Equal(t, "/sub/", a.Header.Get("Location"))
				require.Equal(t, "sub/", b.Header.Get("Location")[:4]) // it answers relative to the request
			case 416:
				require.Equal(t, b.Header.Get("Content-Range"), a.Header.Get("Content-Range"), "seed %d: %q", seed, req)
			}
		}
	})
}

// randomTarget gives a path and the size of the file that it names.
func randomTarget(rng *rand.Rand, names []string) (target string, size int) {
	switch rng.IntN(12) {
	case 0:
		return "/sub", 0
	case 1:
		return "/sub/", sizes["sub/index.html"]
	case 2:
		return "/", sizes["index.html"]
	case 3:
		return "/nothing/here", 0
	}
	name := names[rng.IntN(len(names))]
	for strings.HasSuffix(name, "index.html") {
		name = names[rng.IntN(len(names))]
	}
	var b strings.Builder
	b.WriteByte('/')
	for _, c := range []byte(name) {
		switch {
		case c != '/' && (strings.IndexByte(" %+", c) >= 0 || rng.IntN(8) == 0):
			fmt.Fprintf(&b, []string{"%%%02x", "%%%02X"}[rng.IntN(2)], c)
		case c == '/' && rng.IntN(2) == 0:
			b.WriteString([]string{"//", "/./", "/x/../", "/%2e/", "/x/%2E./"}[rng.IntN(5)])
		default:
			b.WriteByte(c)
		}
	}
	if rng.IntN(5) == 0 {
		b.WriteString("?q=/..")
	}
	return b.String(), sizes[name]
}

func randomFields(rng *rand.Rand, at time.Time, size int, ranges bool) (fields []string) {
	day := func() string { return at.Add(time.Duration(rng.IntN(3)-1) * time.Hour).Format(http.TimeFormat) }
	if ranges && size > 0 && rng.IntN(3) == 0 {
		var specs []string
		for range 1 + rng.IntN(2) {
			first := rng.IntN(size + size/4 + 2)
			switch rng.IntN(3) {
			case 0:
				specs = append(specs, fmt.Sprintf("%d-%d", first, first+rng.IntN(size/3+2)))
			case 1:
				specs = append(specs, fmt.Sprintf("%d-", first))
			default:
				specs = append(specs, fmt.Sprintf("-%d", 1+rng.IntN(size/3+2)))
			}
		}
		fields = append(fields, "Range: bytes="+strings.Join(specs, ","))
		if rng.IntN(3) == 0 {
			fields = append(fields, "If-Range: "+day())
		}
	}
	if rng.IntN(5) == 0 {
		fields = append(fields, "If-Modified-Since: "+day())
	}
	if rng.IntN(8) == 0 {
		fields = append(fields, "If-Unmodified-Since: "+day())
	}
	if rng.IntN(10) == 0 {
		fields = append(fields, "If-None-Match: "+[]string{"*", `"x"`, `W/"y", "z"`}[rng.IntN(3)])
	}
	if rng.IntN(10) == 0 {
		fields = append(fields, "If-Match: "+[]string{"*", `"x"`}[rng.IntN(2)])
	}
	return fields
}
