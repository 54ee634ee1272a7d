package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models/nonblock"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sample() *store.Record {
	r := &store.Record{Name: "ann-of_24-characters-ABC", Map: strings.Repeat("m", store.MaxMap), X: 1, Y: 255, Moves: 1 << 47, Chats: 1 << 31, Heard: 7}
	r.SetToken([]byte("secret"))
	return r
}

func TestRecordRoundTrip(t *testing.T) {
	r := sample()
	buf := make([]byte, store.FileSize)
	r.Encode(buf)
	var back store.Record
	require.NoError(t, back.Decode(buf))
	require.Equal(t, *r, back)
	require.True(t, back.CheckToken([]byte("secret")))
	require.False(t, back.CheckToken([]byte("Secret")))
	require.False(t, back.CheckToken(nil))
	other := sample()
	require.NotEqual(t, r.Sum, other.Sum, "the same token, another salt")
	require.NotContains(t, string(buf), "secret")
	require.Zero(t, testing.AllocsPerRun(100, func() { r.Encode(buf) }))
}

// No single wrong bit, and no wrong length, goes unnoticed.
func TestDamageIsNoticed(t *testing.T) {
	buf := make([]byte, store.FileSize)
	sample().Encode(buf)
	for i := range 8 * len(buf) {
		buf[i/8] ^= 1 << (i % 8)
		require.ErrorIs(t, new(store.Record).Decode(buf), store.ErrCorrupt, "bit %d", i)
		buf[i/8] ^= 1 << (i % 8)
	}
	for n := range buf {
		require.ErrorIs(t, new(store.Record).Decode(buf[:n]), store.ErrCorrupt)
	}
	require.ErrorIs(t, new(store.Record).Decode(append(buf, 0)), store.ErrCorrupt)
}

func FuzzDecode(f *testing.F) {
	buf := make([]byte, store.FileSize)
	sample().Encode(buf)
	f.Add(buf)
	f.Fuzz(func(t *testing.T, p []byte) {
		var r store.Record
		if r.Decode(p) == nil {
			out := make([]byte, store.FileSize)
			r.Encode(out)
			var again store.Record
			require.NoError(t, again.Decode(out))
			require.Equal(t, r, again)
		}
	})
}

// idle is an App that does nothing.
type idle struct{}

func (idle) Opened(*runtime.Conn)           {}
func (idle) Data(*runtime.Conn, []byte) int { return 0 }
func (idle) Closed(*runtime.Conn, error)    {}

// bench is a store on a shard of a running server.
type bench struct {
	t     testing.TB
	srv   *runtime.Server
	shard *runtime.Shard
	st    *store.Store
	dir   string
}

func open(t testing.TB, o runtime.Options) *bench {
	o.Listen = "127.0.0.1:0"
	srv, err := runtime.New(o, nonblock.New)
	require.NoError(t, err)
	require.NoError(t, srv.Start(func(*runtime.Shard) (runtime.App, error) { return idle{}, nil }))
	b := &bench{t: t, srv: srv, shard: srv.Shards()[0], dir: t.TempDir()}
	b.st, err = store.Open(filepath.Join(b.dir, "players"))
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		require.NoError(t, srv.Stop(ctx))
	})
	return b
}

// on runs fn on the shard and waits for what it sends.
func on[T any](b *bench, fn func(s *runtime.Shard, answer chan<- T)) T {
	answer := make(chan T, 64)
	b.shard.Do(func(s *runtime.Shard) { fn(s, answer) })
	return <-answer
}

type loaded struct {
	r   *store.Record
	err error
}

func (b *bench) load(name string) (*store.Record, error) {
	l := on(b, func(s *runtime.Shard, answer chan<- loaded) {
		b.st.Load(s, name, func(r *store.Record, err error) { answer <- loaded{r, err} })
	})
	return l.r, l.err
}

func (b *bench) save(r *store.Record) error {
	return on(b, func(s *runtime.Shard, answer chan<- error) {
		b.st.Saved = func(_ *store.Player, _ store.Ticket, err error) { answer <- err }
		b.st.NewPlayer(r).SaveFor(s, store.Ticket{})
	})
}

func modes(t *testing.T, test func(t *testing.T, b *bench)) {
	for name, files := range map[string]runtime.FilesMode{"helpers": runtime.FilesHelpers, "inline": runtime.FilesInline} {
		t.Run(name, func(t *testing.T) { test(t, open(t, runtime.Options{Files: files})) })
	}
}

// openFiles counts open descriptors of files in the bench's folder. (Others come and go: the runtime's own sensors.)
func (b *bench) openFiles(t testing.TB) (n int) {
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, b.dir) {
			n++
		}
	}
	return n
}

func TestSaveAndLoad(t *testing.T) {
	modes(t, func(t *testing.T, b *bench) {
		_, err := b.load("nobody")
		require.ErrorIs(t, err, store.ErrNotFound)
		r := sample()
		before := b.openFiles(t)
		for range 10 {
			r.Moves++
			require.NoError(t, b.save(r))
			back, err := b.load(r.Name)
			require.NoError(t, err)
			require.Equal(t, r, back)
		}
		require.Equal(t, before, b.openFiles(t), "open files")
		temps, _ := filepath.Glob(filepath.Join(b.dir, "players", "*", "*.tmp"))
		require.Empty(t, temps)
	})
}

// Each step of a save fails once; no file stays open, and the old content stays.
func TestSaveThatFails(t *testing.T) {
	modes(t, func(t *testing.T, b *bench) {
		r := sample()
		require.NoError(t, b.save(r))
		path := b.st.Path(r.Name)
		temp := strings.TrimSuffix(path, ".player") + ".tmp"
		newer := *r
		newer.Moves++
		before := b.openFiles(t)

		// The temporary file cannot be made.
		require.NoError(t, os.Mkdir(temp, 0o755))
		err := b.save(&newer)
		require.ErrorIs(t, err, unix.EISDIR)
		require.ErrorContains(t, err, temp)
		require.NoError(t, os.Remove(temp))

		// It cannot be written: a device that is always full.
		require.NoError(t, os.Symlink("/dev/full", temp))
		err = b.save(&newer)
		require.ErrorIs(t, err, unix.ELOOP, "a link is not followed")
		require.NoError(t, os.Remove(temp))

		back, err := b.load(r.Name)
		require.NoError(t, err)
		require.Equal(t, r, back)

		// It cannot be renamed.
		require.NoError(t, os.Remove(path))
		require.NoError(t, os.Mkdir(path, 0o755))
		err = b.save(&newer)
		require.ErrorIs(t, err, unix.EISDIR)
		require.NoFileExists(t, temp, "the temporary file is removed")
		require.NoError(t, os.Remove(path))

		// There is no folder.
		require.NoError(t, os.RemoveAll(filepath.Dir(path)))
		require.ErrorIs(t, b.save(&newer), unix.ENOENT)
		require.Equal(t, before, b.openFiles(t), "open files")
	})
}

// A write that the file size limit cuts short is not taken for a save.
func TestShortWrite(t *testing.T) {
	b := open(t, runtime.Options{})
	r := sample()
	require.NoError(t, b.save(r))
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &old))
	short := old
	short.Cur = store.FileSize / 2
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &short))
	newer := *r
	newer.Moves++
	before := b.openFiles(t)
	err := b.save(&newer)
	after := b.openFiles(t)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &old))
	require.ErrorIs(t, err, unix.ENOSPC)
	require.Equal(t, before, after, "open files")
	back, err := b.load(r.Name)
	require.NoError(t, err)
	require.Equal(t, r, back)
	require.NoFileExists(t, strings.TrimSuffix(b.st.Path(r.Name), ".player")+".tmp")
}

func TestLoadOfDamagedFileKeepsIt(t *testing.T) {
	modes(t, func(t *testing.T, b *bench) {
		r := sample()
		require.NoError(t, b.save(r))
		path := b.st.Path(r.Name)
		good, err := os.ReadFile(path)
		require.NoError(t, err)
		before := b.openFiles(t)
		for _, content := range [][]byte{nil, good[:70], append(good[:len(good):len(good)], 1), append([]byte("x"), good[1:]...)} {
			require.NoError(t, os.WriteFile(path, content, 0o644))
			_, err := b.load(r.Name)
			require.ErrorIs(t, err, store.ErrCorrupt)
			require.ErrorContains(t, err, path)
			require.FileExists(t, path)
		}
		require.NoError(t, os.Remove(path))
		require.NoError(t, os.Mkdir(path, 0o755))
		_, err = b.load(r.Name)
		require.ErrorIs(t, err, unix.EISDIR)
		require.NoError(t, os.Remove(path))
		require.NoError(t, os.Symlink("elsewhere", path))
		_, err = b.load(r.Name)
		require.ErrorIs(t, err, unix.ELOOP)
		require.NoError(t, os.Remove(path))
		// Another player's file under this name.
		other := *r
		other.Name = "bob"
		buf := make([]byte, store.FileSize)
		other.Encode(buf)
		require.NoError(t, os.WriteFile(path, buf, 0o644))
		_, err = b.load(r.Name)
		require.ErrorIs(t, err, store.ErrCorrupt)
		require.Equal(t, before, b.openFiles(t), "open files")
	})
}

// answered is the answer to a ticket, with what was on disk at that moment.
type answered struct {
	tag   uint8
	moves uint64
	err   error
}

// Requests that come while a save is in flight share the next one, and each is
// answered when its state is on disk.
func TestSavesCoalesce(t *testing.T) {
	b := open(t, runtime.Options{})
	r := sample()
	const requests = 50
	answers := make(chan answered, requests)
	b.shard.Do(func(s *runtime.Shard) {
		p := b.st.NewPlayer(r)
		b.st.Saved = func(p *store.Player, k store.Ticket, err error) {
			content, rerr := os.ReadFile(b.st.Path(r.Name))
			var disk store.Record
			answers <- answered{k.Tag, disk.Moves, errors.Join(err, rerr, disk.Decode(content))}
			require.LessOrEqual(t, uint64(k.Tag), disk.Moves, "answered too early")
		}
		p.Moves = 0
		for i := range uint8(requests) {
			p.Moves = uint64(i)
			p.Touch()
			p.SaveFor(s, store.Ticket{Tag: i})
		}
	})
	for i := range uint8(requests) {
		a := <-answers
		require.NoError(t, a.err)
		require.Equal(t, i, a.tag, "order")
	}
	counts := on(b, func(_ *runtime.Shard, answer chan<- store.Counts) { answer <- b.st.Counts })
	require.EqualValues(t, 2, counts.Saves)
	require.EqualValues(t, requests-1, counts.SavesCoalesced)
}

// A change without a ticket during a save is saved by the next one.
func TestSaveAgain(t *testing.T) {
	b := open(t, runtime.Options{})
	r := sample()
	moves := on(b, func(s *runtime.Shard, answer chan<- uint64) {
		p := b.st.NewPlayer(r)
		b.st.Idle = func(p *store.Player, err error) {
			require.NoError(t, err)
			require.False(t, p.Dirty())
			answer <- p.Moves
		}
		p.Touch()
		p.Save(s)
		p.Moves = 99
		p.Touch()
		p.Save(s)
	})
	require.EqualValues(t, 99, moves)
	back, err := b.load(r.Name)
	require.NoError(t, err)
	require.EqualValues(t, 99, back.Moves)
}

func TestBusy(t *testing.T) {
	b := open(t, runtime.Options{MaxInFlight: 1})
	r := sample()
	errs := make(chan error, 2)
	b.shard.Do(func(s *runtime.Shard) {
		b.st.Saved = func(_ *store.Player, _ store.Ticket, err error) { errs <- err }
		b.st.NewPlayer(r).SaveFor(s, store.Ticket{})
		other := *r
		other.Name = "bob"
		b.st.NewPlayer(&other).SaveFor(s, store.Ticket{})
	})
	require.ErrorIs(t, <-errs, store.ErrBusy)
	require.NoError(t, <-errs)
}

func TestPathsAreSpread(t *testing.T) {
	st, err := store.Open(t.TempDir())
	require.NoError(t, err)
	dirs := map[string]int{}
	for i := range 4000 {
		dirs[filepath.Dir(st.Path(fmt.Sprint("player", i)))]++
	}
	require.Greater(t, len(dirs), 240)
	for d, n := range dirs {
		require.Less(t, n, 60, d)
		require.DirExists(t, d)
	}
}

func BenchmarkSave(b *testing.B) {
	x := open(b, runtime.Options{})
	r := sample()
	done := make(chan error)
	p := x.st.NewPlayer(r)
	x.st.Saved = func(_ *store.Player, _ store.Ticket, err error) { done <- err }
	step := func(s *runtime.Shard) { p.Touch(); p.SaveFor(s, store.Ticket{}) }
	b.ReportAllocs()
	for b.Loop() {
		x.shard.Do(step)
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}
