package models_test

import (
	"os"
	goruntime "runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/echo"
)

// idleConns are held by the test; half of the descriptors of the usual limit.
const idleConns = 2000

// idleBytes is what an idle connection may cost in user space, beside what the
// App keeps.
const idleBytes = 512

// An idle connection costs little, also after it has had bytes to hold: buffers
// are taken when bytes arrive and given back. What a shard has whatever the
// number of its connections is not counted: it is there, and has been used,
// before the first of them.
func TestIdleConnectionsCostLittle(t *testing.T) {
	for _, name := range []string{"nonblock", "iouring", "threadlet"} {
		t.Run(name, func(t *testing.T) {
			if err := models.Refused(name); err != nil {
				t.Skip(err)
			}
			srv, err := models.Open(name, runtime.Options{Listen: "127.0.0.1:0"})
			require.NoError(t, err)
			require.NoError(t, srv.Start(echo.Config{}.NewApp))
			defer stopServer(t, srv)
			h := newIdlers(t, srv.Addr().String())
			defer h.close()
			h.open(1)
			h.echo(16 << 20) // the shard's own buffers
			base := memoryInUse(t)
			h.open(idleConns)
			requireCheap(t, "opened", base)
			h.echo(1 << 10)
			requireCheap(t, "after 1 KiB", base)
			h.echo(64 << 10)
			requireCheap(t, "after 64 KiB", base)
		})
	}
}

// requireCheap waits for the memory to be given back: a pool keeps what it has
// until it has seen for a while that it does not need it.
func requireCheap(t *testing.T, when string, base int64) {
	t.Helper()
	var per int64
	for deadline := time.Now().Add(20 * time.Second); ; {
		per = (memoryInUse(t) - base) / idleConns
		if per <= idleBytes || time.Now().After(deadline) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("%s: %d bytes per connection", when, per)
	require.LessOrEqual(t, per, int64(idleBytes), when)
}

// idlers are clients without memory of their own on the heap.
type idlers struct {
	t    *testing.T
	to   unix.Sockaddr
	fds  []int
	wbuf []byte
	rbuf []byte
}

func newIdlers(t *testing.T, addr string) *idlers {
	_, port, _ := strings.Cut(addr, ":")
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	return &idlers{t: t, to: &unix.SockaddrInet4{Port: n, Addr: [4]byte{127, 0, 0, 1}}, fds: make([]int, 0, idleConns+1),
		wbuf: make([]byte, 64<<10), rbuf: make([]byte, 64<<10)}
}

func (h *idlers) open(n int) {
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(h.t, err)
		h.fds = append(h.fds, fd)
		require.NoError(h.t, unix.Connect(fd, h.to))
	}
}

// echo sends n bytes on every connection, to all before any reads, and has them
// back.
func (h *idlers) echo(n int) {
	for at := 0; at < n; at += len(h.wbuf) {
		k := min(n-at, len(h.wbuf))
		for _, fd := range h.fds {
			for p := h.wbuf[:k]; len(p) > 0; {
				m, err := unix.Write(fd, p)
				require.NoError(h.t, err)
				p = p[m:]
			}
		}
		for _, fd := range h.fds {
			for left := k; left > 0; {
				m, err := unix.Read(fd, h.rbuf[:left])
				require.NoError(h.t, err)
				require.Positive(h.t, m)
				left -= m
			}
		}
	}
}

func (h *idlers) close() {
	for _, fd := range h.fds {
		_ = unix.Close(fd)
	}
}

// memoryInUse is the Go heap and stacks in use, and what is mapped and shared with
// the kernel: rings. Buffers that a model maps privately are one piece that it
// takes before the first connection.
func memoryInUse(t *testing.T) int64 {
	goruntime.GC()
	goruntime.GC() // what pools of the standard library let go of
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return int64(m.HeapAlloc+m.StackInuse) + mappedShared(t)
}

// mappedShared is the size of all writable mappings that are shared.
func mappedShared(t *testing.T) (bytes int64) {
	text, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if !strings.HasPrefix(fields[1], "rw-s") {
			continue
		}
		from, until, _ := strings.Cut(fields[0], "-")
		first, err := strconv.ParseInt(from, 16, 64)
		require.NoError(t, err)
		end, err := strconv.ParseInt(until, 16, 64)
		require.NoError(t, err)
		bytes += end - first
	}
	return bytes
}
