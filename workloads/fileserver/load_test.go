package fileserver_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/fileserver"
)

// TestLoad: the scripted clients and the server understand each other, through
// pipelining too.
func TestLoad(t *testing.T) {
	root := site(t)
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{}, fileserver.Config{Root: root})
		for _, from := range []string{root, ""} {
			l := fileserver.Load{Paths: []string{"/a.txt", "/big.dat", "/none.css"}, Root: from}
			require.NoError(t, l.Check())
			rep, err := load.Run(context.Background(), load.Config{Target: srv.Addr().String(), Conns: 8, Mode: load.Closed, Outstanding: 5,
				Duration: 100 * time.Millisecond, Warmup: 20 * time.Millisecond, Drain: patience, Load: l, Seed: 1})
			require.NoError(t, err)
			require.Zero(t, rep.Counts.Errors(), rep.LastFailure)
			require.Positive(t, rep.Counts.Answered)
		}
	})
}

// TestClient: what is wrong is noticed, in whatever pieces it comes.
func TestClient(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "f"), []byte("hello"), 0o644))
	const head = "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\n"
	for text, want := range map[string]string{
		head + "hello":                     "",
		head + "hellO":                     "checksum",
		head + "hello" + head + "hello":    "nothing was asked for",
		"HTTP/1.1 404 Not Found\r\n\r\n":   "404",
		"HTTP/1.1 200 OK\r\nX: y\r\n\r\n":  "no Content-Length",
		strings.Replace(head, "5", "6", 1): "6 bytes, want 5",
	} {
		for _, step := range []int{1, 7, 1000} {
			c := fileserver.Load{Paths: []string{"/f"}, Root: root}.Client(0, 1)
			out, tag, kind := c.Request(nil)
			require.Zero(t, tag)
			require.Zero(t, kind)
			require.True(t, strings.HasPrefix(string(out), "GET /f HTTP/1.1\r\n"))
			var tags []uint32
			var err error
			var in []byte
			for rest := text; len(rest) > 0 && err == nil; {
				n := min(step, len(rest))
				in, rest = append(in, rest[:n]...), rest[n:]
				var consumed int
				consumed, tags, err = c.Received(in, tags)
				in = in[consumed:]
			}
			if want == "" {
				require.NoError(t, err, "%q", text)
				require.Equal(t, []uint32{0}, tags)
				continue
			}
			require.ErrorContains(t, err, want, "%q", text)
		}
	}
	for _, l := range []fileserver.Load{{}, {Paths: []string{"a"}}, {Paths: []string{"/a b"}}, {Paths: []string{"/g"}, Root: root}} {
		require.Error(t, l.Check())
	}
}
