package fileserver_test

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/fileserver"
)

// tool runs a program that is not ours, or skips the test.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed (Debian: apt-get install %s)", name, name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s %v: %s", name, args, &stderr)
	return string(out)
}

// TestCurl: what a client that everybody has sees.
func TestCurl(t *testing.T) {
	root := site(t)
	tool(t, "curl", "--version")
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{}, fileserver.Config{Root: root})
		base := "http://" + srv.Addr().String()
		curl := func(args ...string) string { return tool(t, "curl", append([]string{"-s", "-S"}, args...)...) }
		status := func(args ...string) string {
			return curl(append([]string{"-o", filepath.Join(t.TempDir(), "out"), "-w", "%{http_code}"}, args...)...)
		}
		big := string(read(t, root, "big.dat"))
		require.Equal(t, big, curl(base+"/big.dat"))
		require.Equal(t, big, curl("--http1.0", base+"/big.dat"))
		require.Equal(t, string(read(t, root, "huge.png")), curl("--limit-rate", "20M", base+"/huge.png"))
		require.Equal(t, big[10:21], curl("-r", "10-20", base+"/big.dat"))
		require.Equal(t, big[len(big)-7:], curl("-r", "-7", base+"/big.dat"))
		part := filepath.Join(t.TempDir(), "part") // goes on where a download ended
		put(t, part, []byte(big[:5000]))
		curl("-C", "-", "-o", part, base+"/big.dat")
		require.Equal(t, big, string(read(t, "", part)))
		require.Contains(t, curl("-r", "0-1,5-6", base+"/big.dat"), "Content-Range: bytes 5-6/100000")

		require.Contains(t, curl("-I", base+"/a.txt"), "Content-Length: 1024\r\n")
		require.Equal(t, "304", status("-z", filepath.Join(root, "a.txt"), base+"/a.txt"))
		require.Equal(t, "200", status("-z", "1 Jan 2001", base+"/a.txt"))
		etags := filepath.Join(t.TempDir(), "etag")
		require.Equal(t, "200", status("--etag-save", etags, base+"/a.txt"))
		require.Equal(t, "304", status("--etag-compare", etags, base+"/a.txt"))

		require.Equal(t, "400", status("--path-as-is", base+"/../secret.txt"))
		require.Equal(t, "400", status("--path-as-is", base+"/sub/../../secret.txt"))
		require.Equal(t, "400", status("--path-as-is", base+"/%2e%2e/secret.txt"))
		require.Equal(t, "200", status("--path-as-is", base+"/sub/../a.txt"))
		require.Equal(t, "403", status(base+"/escape.txt"))
		require.Equal(t, "405", status("-d", "body", base+"/a.txt"))
		require.Equal(t, "413", status("-X", "GET", "-d", "body", base+"/a.txt"))
		require.Equal(t, string(read(t, root, "sub/index.html")), curl("-L", base+"/sub"))

		// Three transfers, one connection.
		opened := curl("-w", "%{num_connects} ", "-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null", base+"/a.txt", base+"/big.dat", base+"/nothing")
		require.Equal(t, "1 0 0 ", opened)
	})
}

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	wrkTrouble  = regexp.MustCompile(`(?m)^.*(Socket errors|Non-2xx).*$`)
)

// TestWrk: much at once, without an error. It measures nothing.
func TestWrk(t *testing.T) {
	root := site(t)
	eachModel(t, func(t *testing.T, model string) {
		srv := serve(t, model, runtime.Options{Shards: 2}, fileserver.Config{Root: root})
		for _, name := range []string{"/a.txt", "/big.dat"} {
			out := tool(t, "wrk", "-t1", "-c32", "-d1s", "http://"+srv.Addr().String()+name)
			require.Empty(t, wrkTrouble.FindString(out), out)
			n, err := strconv.Atoi(strings.TrimSpace(wrkRequests.FindStringSubmatch(out)[1]))
			require.NoError(t, err)
			require.Positive(t, n)
		}
	})
}
