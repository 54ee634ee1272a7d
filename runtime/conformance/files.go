package conformance

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// fileOf makes a file with random content.
func fileOf(t *testing.T, seed uint64, n int) (path string, content []byte) {
	t.Helper()
	content = random(rand.New(rand.NewPCG(seed, 7)), n)
	path = filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path, content
}

// open is for callbacks: the files of a test are in the cache of names.
func openFile(c *runtime.Conn, path string) *runtime.File {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	return c.Shard().NewFile(fd)
}

// dropCache has the file leave the page cache, as far as the kernel likes to.
func dropCache(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	_ = f.Sync()
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// fileOrder: ranges of a file and bytes, of any sizes, arrive in the order in which
// they were queued, also while the file is not in the page cache.
func (s suite) fileOrder(t *testing.T) {
	const size = 3 << 20
	path, content := fileOf(t, 1, size)
	var want bytes.Buffer
	var queue []func(c *runtime.Conn, f *runtime.File)
	rng := rand.New(rand.NewPCG(2, 2))
	block := runtime.NewBlock(random(rng, 5000))
	for range 60 {
		switch off := rng.Int64N(size); rng.IntN(3) {
		case 0:
			p := random(rng, 1+rng.IntN(6000))
			want.Write(p)
			queue = append(queue, func(c *runtime.Conn, _ *runtime.File) { _ = c.Write(p) })
		case 1:
			want.Write(block.Bytes())
			queue = append(queue, func(c *runtime.Conn, _ *runtime.File) { _ = c.WriteBlock(block) })
		default:
			n := min(1+int64(rng.ExpFloat64()*100e3), size-off)
			want.Write(content[off : off+n])
			queue = append(queue, func(c *runtime.Conn, f *runtime.File) { _ = c.WriteFile(f, off, n) })
		}
	}
	v := s.serve(t, runtime.Options{}, &app{data: func(c *runtime.Conn, p []byte) int {
		f := openFile(c, path)
		for _, do := range queue {
			do(c, f)
		}
		_ = c.WriteFile(f, 0, 0)
		f.Release() // the queue holds it
		c.Close()
		return len(p)
	}})
	for range 3 {
		dropCache(t, path)
		c := dial(t, v)
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want.Bytes(), got), "%d of %d bytes", len(got), want.Len())
	}
}

// fileBig: 10 MiB to several peers at once, of which one stalls for a while.
func (s suite) fileBig(t *testing.T) {
	path, content := fileOf(t, 3, 10<<20)
	dropCache(t, path)
	v := s.serve(t, runtime.Options{MaxUnsent: 1 << 10}, &app{data: func(c *runtime.Conn, p []byte) int {
		f := openFile(c, path)
		if err := c.WriteFile(f, 0, int64(len(content))); err != nil { // above MaxUnsent: not counted
			panic(err)
		}
		f.Release()
		return len(p)
	}})
	stalls := dial(t, v)
	_, err := stalls.Write([]byte("x"))
	require.NoError(t, err)
	for statsOf(t, v).BytesOut == 0 {
		time.Sleep(time.Millisecond)
	}
	for range 3 {
		c := dial(t, v)
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		got := make([]byte, len(content))
		_, err = io.ReadFull(c, got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got))
	}
	got := make([]byte, len(content))
	_, err = io.ReadFull(stalls, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
}

// fileCold: what is not in the page cache is brought there by a syslet, and by one
// for all who wait for it; the baseline's goroutines wait for the disk themselves.
func (s suite) fileCold(t *testing.T) {
	path, content := fileOf(t, 9, 200e3)
	dropCache(t, path)
	if !isCold(t, path) {
		t.Skip("the file does not leave the page cache (FADV_DONTNEED): its file system may be one in memory")
	}
	v := s.serve(t, runtime.Options{}, &app{data: func(c *runtime.Conn, p []byte) int {
		f := openFile(c, path)
		_ = c.WriteFile(f, 0, int64(len(content)))
		f.Release()
		return len(p)
	}})
	baseline := submit(t, v, runtime.NewSyslet(runtime.Nop(runtime.Imm(0))))
	c := dial(t, v)
	_, err := c.Write([]byte("x"))
	require.NoError(t, err)
	got := make([]byte, len(content))
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
	if fetches := statsOf(t, v).Fetches; baseline {
		require.Zero(t, fetches)
	} else {
		require.EqualValues(t, 1, fetches)
	}
	_, err = c.Write([]byte("x"))
	require.NoError(t, err)
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.LessOrEqual(t, statsOf(t, v).Fetches, uint64(1), "it is in the page cache now")
}

func isCold(t *testing.T, path string) bool {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	_, err = unix.Preadv2(int(f.Fd()), [][]byte{make([]byte, 1)}, 0, unix.RWF_NOWAIT)
	return err == unix.EAGAIN
}

// fileGone: the peer goes in the middle; the descriptor does not stay (CheckLeaks).
func (s suite) fileGone(t *testing.T) {
	path, content := fileOf(t, 4, 10<<20)
	closed := make(chan error, 1)
	v := s.serve(t, runtime.Options{}, &app{
		data: func(c *runtime.Conn, p []byte) int {
			f := openFile(c, path)
			_ = c.WriteFile(f, 0, int64(len(content)))
			f.Release()
			return len(p)
		},
		closed: func(_ *runtime.Conn, reason error) { closed <- reason },
	})
	before := openFiles(t)
	for range 3 {
		c := dial(t, v)
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		_, err = io.ReadFull(c, make([]byte, 100e3))
		require.NoError(t, err)
		require.NoError(t, c.SetLinger(0))
		require.NoError(t, c.Close())
		await(t, closed)
	}
	for openFiles(t) > before {
		time.Sleep(time.Millisecond) // the shard closes it a little later than it says so
	}
}

// fileShort: a file that was cut off ends the connection, which does not hang.
func (s suite) fileShort(t *testing.T) {
	path, content := fileOf(t, 5, 300e3)
	closed := make(chan error, 1)
	v := s.serve(t, runtime.Options{}, &app{
		data: func(c *runtime.Conn, p []byte) int {
			f := openFile(c, path)
			_ = c.WriteFile(f, 0, int64(len(content))+1)
			_ = c.Write([]byte("never"))
			f.Release()
			return len(p)
		},
		closed: func(_ *runtime.Conn, reason error) { closed <- reason },
	})
	c := dial(t, v)
	_, err := c.Write([]byte("x"))
	require.NoError(t, err)
	_, err = io.ReadAll(c)
	require.ErrorIs(t, err, unix.ECONNRESET)
	require.ErrorIs(t, await(t, closed), runtime.ErrFileShort)
}

// fileIdle: a long answer that is taken bit by bit is no idle connection, nor one
// that lingers for too long; one that is not taken is.
func (s suite) fileIdle(t *testing.T) {
	path, content := fileOf(t, 6, 10<<20)
	for name, closes := range map[string]bool{"open": false, "closing": true} {
		t.Run(name, func(t *testing.T) {
			const patient = 200 * time.Millisecond
			v := s.serve(t, runtime.Options{IdleTimeout: patient, LingerTimeout: patient}, &app{data: func(c *runtime.Conn, p []byte) int {
				f := openFile(c, path)
				_ = c.WriteFile(f, 0, int64(len(content)))
				f.Release()
				if closes {
					c.Close()
				}
				return len(p)
			}})
			slow, dead := dial(t, v), dial(t, v)
			for _, c := range []io.Writer{slow, dead} {
				_, err := c.Write([]byte("x"))
				require.NoError(t, err)
			}
			const parts = 40 // of 50 ms each
			for i := range parts {
				got := make([]byte, len(content)/parts)
				_, err := io.ReadFull(slow, got)
				require.NoError(t, err)
				require.True(t, bytes.Equal(content[i*len(got):(i+1)*len(got)], got))
				if i < 2*parts/3 { // the last of it is with the kernel
					time.Sleep(20 * time.Millisecond)
				}
			}
			for st := statsOf(t, v); st.ClosedByIdle == 0 && st.LingerTimeouts == 0; st = statsOf(t, v) {
				time.Sleep(time.Millisecond)
			}
		})
	}
}

// fileWaits: no more requests are answered before the answers are on their way.
func (s suite) fileWaits(t *testing.T) {
	path, content := fileOf(t, 8, 2<<20)
	const requests = 20
	v := s.serve(t, runtime.Options{}, &app{data: func(c *runtime.Conn, p []byte) int {
		if c.Unsent() > 0 {
			c.PauseUntilSent()
			return 0
		}
		f := openFile(c, path)
		_ = c.WriteFile(f, 0, int64(len(content)))
		f.Release()
		c.PauseUntilSent()
		return 1
	}})
	c := dial(t, v)
	_, err := c.Write(make([]byte, requests))
	require.NoError(t, err)
	got := make([]byte, len(content))
	for range requests {
		_, err = io.ReadFull(c, got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got))
	}
}

// halfCloser keeps connections whose peers have ended their stream.
type halfCloser struct {
	app
	ended chan runtime.ConnID
}

func (h *halfCloser) PeerEnded(c *runtime.Conn) bool {
	h.ended <- c.ID()
	return true
}

// halfOpen: an App may answer after the peer's end of stream.
func (s suite) halfOpen(t *testing.T) {
	h := &halfCloser{ended: make(chan runtime.ConnID, 1)}
	reasons := make(chan error, 1)
	h.closed = func(_ *runtime.Conn, reason error) { reasons <- reason }
	v, err := s.open(runtime.Options{Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	require.NoError(t, v.Start(func(*runtime.Shard) (runtime.App, error) { return h, nil }))
	t.Cleanup(func() { stop(t, v) })
	const conns = 6 // every second one is answered
	for i := range conns {
		c := dial(t, v)
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, c.CloseWrite())
		id := await(t, h.ended)
		require.Less(t, id.Slot(), conns/2-1, "slots are not given back")
		want := strings.Repeat("late", i%2)
		on(t, v, func(s *runtime.Shard) {
			conn := s.Conn(id)
			_ = conn.Write([]byte(want))
			conn.Close()
		})
		got, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		require.ErrorIs(t, await(t, reasons), runtime.ErrClosedByApp)
		for statsOf(t, v).Conns > 0 {
			time.Sleep(time.Millisecond)
		}
	}
}
