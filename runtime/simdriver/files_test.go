package simdriver_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/simdriver"
)

// fileBytes is more than the runtime asks the page cache for at once.
const fileBytes = 300_000

// ranges is an App's queueing of ranges of a file among bytes of its own.
type ranges struct {
	t       *testing.T
	m       *simdriver.Sim
	fd      int
	content []byte
	want    map[runtime.ConnID][]byte
	short   map[runtime.ConnID]bool // promised more than the file has
	files   []*runtime.File
}

// file makes one file for all seeds, on the disk, so that pages can leave the cache.
func file(t *testing.T) (fd int, content []byte) {
	t.Helper()
	content = make([]byte, fileBytes)
	rng := rand.NewChaCha8([32]byte{7})
	_, _ = rng.Read(content)
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	require.NoError(t, f.Sync())
	return int(f.Fd()), content
}

// fill queues up to eight things on c, and all of them are wanted.
func (r *ranges) fill(c *runtime.Conn) {
	m, id := r.m, c.ID()
	dup, err := unix.FcntlInt(uintptr(r.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	f := c.Shard().NewFile(dup)
	r.files = append(r.files, f)
	for range m.Rand.IntN(8) {
		own := bytes.Repeat([]byte{byte(m.Rand.Uint32())}, m.Rand.IntN(3000))
		off := m.Rand.Int64N(fileBytes)
		n := 1 + m.Rand.Int64N(min(fileBytes-off, 20_000))
		switch m.Rand.IntN(8) {
		case 0, 1:
			err = c.Write(own)
		case 2:
			err = c.WriteBlock(runtime.NewBlock(own))
		case 3:
			off, n, own = 0, fileBytes, r.content
			err = c.WriteFile(f, off, n)
		default:
			own = r.content[off : off+n]
			err = c.WriteFile(f, off, n)
		}
		if err != nil {
			r.t.Errorf("queueing on %d: %v", id, err)
		}
		r.want[id] = append(r.want[id], own...)
	}
	if m.Rand.IntN(8) == 0 {
		r.short[id] = true
		r.want[id] = append(r.want[id], r.content[fileBytes-10:]...)
		_ = c.WriteFile(f, fileBytes-10, 11)
	}
	f.Release()                              // what is queued holds it
	if !r.short[id] && m.Rand.IntN(2) == 0 { // or Close would be the reason of its end
		c.Close()
	}
}

// read answers the ops that bring pages in: wholly, in part, or not at all.
func read(rng *rand.Rand, y *runtime.Syslet, op *runtime.Op) int64 {
	if op.Code != runtime.OpPread {
		return 0
	}
	return rng.Int64N(64<<10 + 1)
}

// run has clients take what is queued for them, and gives them.
func (r *ranges) run(w *witness) []*client {
	m := r.m
	if m.Rand.IntN(2) == 0 {
		_ = unix.Fadvise(r.fd, 0, 0, unix.FADV_DONTNEED)
	}
	m.Ops = read
	w.opened = r.fill
	w.serve()
	all := dialMany(m, 1+m.Rand.IntN(4))
	talk(m, all, 30)
	return all
}

// done ends the server; then nobody holds a file.
func (r *ranges) done(w *witness, all []*client) {
	for _, c := range all {
		c.CloseWrite()
	}
	w.stop()
	for i, f := range r.files {
		if f.Fd() != -1 {
			r.t.Errorf("file %d of %d is still open", i, len(r.files))
		}
	}
}

func ranged(t *testing.T, fd int, content []byte, m *simdriver.Sim) *ranges {
	return &ranges{t: t, m: m, fd: fd, content: content, want: map[runtime.ConnID][]byte{}, short: map[runtime.ConnID]bool{}}
}

// Ranges of files and bytes go out in the order in which they were queued, whatever
// the splits and whether the pages were there; a file that is too short ends the
// connection behind its last byte.
func TestFileRangesKeepOrder(t *testing.T) {
	fd, content := file(t)
	short, fetched := 0, uint64(0)
	everySeed(t, runtime.Options{Shards: 2}, simdriver.Calm(), func(t *testing.T, m *simdriver.Sim) {
		r, w := ranged(t, fd, content, m), newWitness(t, m)
		all := r.run(w)
		err := settle(m, func() bool {
			for _, c := range all {
				id, ok := c.Accepted()
				if c.got = append(c.got, c.ReadAll()...); !ok || len(c.got) < len(r.want[id]) {
					return false
				}
				if _, over := w.reasons[id]; r.short[id] && !over {
					return false
				}
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			id, _ := c.Accepted()
			if !bytes.Equal(r.want[id], c.got) {
				t.Errorf("client %d: %d bytes queued, %d arrived, or others", c.Index(), len(r.want[id]), len(c.got))
			}
			if r.short[id] {
				short++
				if !errors.Is(w.reasons[id], runtime.ErrFileShort) {
					t.Errorf("client %d: closed with %v", c.Index(), w.reasons[id])
				}
			}
		}
		r.done(w, all)
		fetched += w.stats.Fetches
	})
	if *oneSeed < 0 {
		require.NotZero(t, short, "no seed had a file that is too short")
		t.Logf("%d files too short, %d windows brought in", short, fetched)
	}
}

// Under every fault at once a client gets a beginning of what was queued, and no
// file stays open.
func TestFileRangesUnderFaults(t *testing.T) {
	fd, content := file(t)
	o := runtime.Options{Shards: 2, UnsentPolicy: runtime.PolicyPause, MailboxSlots: 2}
	everySeed(t, o, simdriver.Chaos(), func(t *testing.T, m *simdriver.Sim) {
		r, w := ranged(t, fd, content, m), newWitness(t, m)
		all := r.run(w)
		if c := all[m.Rand.IntN(len(all))]; m.Rand.IntN(2) == 0 {
			c.Reset()
		}
		talk(m, all, 60)
		r.done(w, all)
		for _, c := range all {
			c.got = append(c.got, c.ReadAll()...)
			if id, _ := c.Accepted(); !bytes.HasPrefix(r.want[id], c.got) {
				t.Errorf("client %d got what was not queued for it", c.Index())
			}
		}
	})
}
