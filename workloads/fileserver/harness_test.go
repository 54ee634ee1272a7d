package fileserver_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
	"github.com/syslet/syslet/workloads/fileserver"
)

// patience bounds every wait; no test relies on its length.
const patience = 20 * time.Second

func eachModel(t *testing.T, run func(t *testing.T, model string)) {
	for _, model := range models.AllNames() {
		t.Run(model, func(t *testing.T) {
			if err := models.Refused(model); err != nil {
				t.Skip(err)
			}
			conformance.CheckLeaks(t)
			run(t, model)
		})
	}
}

// site is a folder to serve: small, middle and large files, an index, odd names,
// links out of it.
func site(t testing.TB) (root string) {
	t.Helper()
	dir := t.TempDir()
	root = filepath.Join(dir, "www")
	rng := rand.New(rand.NewPCG(5, 5))
	for name, size := range sizes {
		p := make([]byte, size)
		for i := range p {
			p[i] = byte('a' + rng.IntN(26))
		}
		put(t, filepath.Join(root, name), p)
	}
	put(t, filepath.Join(dir, "secret.txt"), []byte("secret"))
	require.NoError(t, os.Symlink("../secret.txt", filepath.Join(root, "escape.txt")))
	require.NoError(t, os.Symlink(dir, filepath.Join(root, "escape")))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(root, "absolute")))
	require.NoError(t, os.Symlink("sub/file.json", filepath.Join(root, "inside.json")))
	require.NoError(t, os.Symlink("loop", filepath.Join(root, "loop")))
	require.NoError(t, os.Mkdir(filepath.Join(root, "empty"), 0o755))
	return root
}

// sizes are the files of a site.
var sizes = map[string]int{
	"index.html": 300, "a.txt": 1024, "none.css": 0, "one.js": 1, "mid.bin": 8 << 10, "mid2.bin": 8<<10 + 1, "big.dat": 100e3,
	"huge.png": 3 << 20, "sub/index.html": 77, "sub/file.json": 5000, "odd name+%41.txt": 12, "sub/deep/x.svg": 2500, "noext": 20000,
	"..dots..txt": 9, "sub/.hidden.txt": 4,
}

func put(t testing.TB, path string, p []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, p, 0o644))
}

func read(t testing.TB, root, name string) []byte {
	t.Helper()
	p, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return p
}

func serve(t testing.TB, model string, o runtime.Options, cfg fileserver.Config) *runtime.Server {
	t.Helper()
	o.Listen = "127.0.0.1:0"
	newApp, err := fileserver.New(cfg)
	require.NoError(t, err)
	srv, err := models.Open(model, o)
	require.NoError(t, err)
	require.NoError(t, srv.Start(newApp))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, srv.Stop(ctx))
	})
	return srv
}

// wire is a connection on which requests are said byte by byte.
type wire struct {
	t testing.TB
	*net.TCPConn
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *wire {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return &wire{t: t, TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c)}
}

func (w *wire) say(text string) {
	w.t.Helper()
	_, err := io.WriteString(w, text)
	require.NoError(w.t, err)
}

// answer is one answer, read whole.
type answer struct {
	*http.Response
	body []byte
}

// hear reads the answer to a request with that method.
func (w *wire) hear(method string) answer {
	w.t.Helper()
	resp, err := http.ReadResponse(w.r, &http.Request{Method: method})
	require.NoError(w.t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return answer{resp, body}
}

// ends requires that the server has ended the connection in good order.
func (w *wire) ends() {
	w.t.Helper()
	rest, err := io.ReadAll(w.r)
	require.NoError(w.t, err)
	require.Empty(w.t, rest)
}

// get asks for target, with further fields, on a connection of its own.
func get(t testing.TB, srv *runtime.Server, method, target string, fields ...string) answer {
	t.Helper()
	w := dial(t, srv.Addr().String())
	w.say(request(method, target, fields...))
	return w.hear(method)
}

func request(method, target string, fields ...string) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: test\r\n", method, target)
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}
