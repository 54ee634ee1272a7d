package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// A threadlet's function is ordinary Go: whatever it calls may block, and the
// shard goes on.

// blocker makes a function that blocks until release is called. Most prove by
// what they return that they did.
type blocker struct {
	name string
	make func(t *testing.T) (body func() error, release func())
}

// onGate is a blocker that waits for a channel in some way.
func onGate(wait func(gate chan struct{}) error) func(*testing.T) (func() error, func()) {
	return func(*testing.T) (func() error, func()) {
		gate := make(chan struct{})
		return func() error { return wait(gate) }, func() { close(gate) }
	}
}

var blockers = []blocker{
	{"channel", onGate(func(gate chan struct{}) error { <-gate; return nil })},
	{"select", onGate(func(gate chan struct{}) error {
		select {
		case <-gate:
			return nil
		case <-time.After(patience):
			return errors.New("nobody opened the gate")
		}
	})},
	{"sleep", onGate(func(gate chan struct{}) error {
		for {
			select {
			case <-gate:
				return nil
			default:
				time.Sleep(time.Millisecond)
			}
		}
	})},
	{"goroutines", onGate(func(gate chan struct{}) error {
		var wg sync.WaitGroup
		var sum atomic.Int32
		for range 8 {
			wg.Go(func() { <-gate; sum.Add(1) })
		}
		wg.Wait()
		if sum.Load() != 8 {
			return fmt.Errorf("%d of 8 goroutines ended", sum.Load())
		}
		return nil
	})},
	{"collections", onGate(func(gate chan struct{}) error {
		for {
			select {
			case <-gate:
				return nil
			default:
				garbage()
			}
		}
	})},
	{"mutex", heldMutex}, {"fifo", fifo}, {"pipe", pipe}, {"net", dialing}, {"exec", execing},
}

// garbage makes some, and has it collected: the world stops while a body runs.
func garbage() {
	var keep [][]byte
	for i := range 64 {
		keep = append(keep, make([]byte, 64<<10))
		keep[i][i] = 1
	}
	goruntime.GC()
	goruntime.KeepAlive(keep)
}

func heldMutex(*testing.T) (func() error, func()) {
	var mu sync.Mutex
	mu.Lock()
	return func() error { mu.Lock(); defer mu.Unlock(); return nil }, mu.Unlock
}

// fifo blocks in open(2), which no poller can wait for.
func fifo(t *testing.T) (func() error, func()) {
	path := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(path, 0o600))
	body := func() error {
		got, err := os.ReadFile(path)
		return sameText(string(got), "through the fifo", err)
	}
	return body, func() { require.NoError(t, os.WriteFile(path, []byte("through the fifo"), 0)) }
}

// pipe blocks in read(2): a descriptor that is blocking, so that Go's netpoller
// has no part in it.
func pipe(t *testing.T) (func() error, func()) {
	var fds [2]int
	require.NoError(t, unix.Pipe2(fds[:], unix.O_CLOEXEC))
	body := func() error {
		defer unix.Close(fds[0])
		buf := make([]byte, 100)
		n, err := unix.Read(fds[0], buf)
		return sameText(string(buf[:max(n, 0)]), "through the pipe", err)
	}
	return body, func() {
		_, err := unix.Write(fds[1], []byte("through the pipe"))
		require.NoError(t, err)
		require.NoError(t, unix.Close(fds[1]))
	}
}

// dialing connects to a listener and waits for an answer.
func dialing(t *testing.T) (func() error, func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	body := func() error {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write([]byte("question")); err != nil {
			return err
		}
		got, err := io.ReadAll(c)
		return sameText(string(got), "answer to question", err)
	}
	return body, func() {
		c, err := l.Accept()
		require.NoError(t, err)
		question := make([]byte, len("question"))
		_, err = io.ReadFull(c, question)
		require.NoError(t, err)
		_, err = fmt.Fprintf(c, "answer to %s", question)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.NoError(t, l.Close())
	}
}

// execing waits for a process, which waits for us.
func execing(t *testing.T) (func() error, func()) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	body := func() error {
		defer r.Close()
		if err := exec.Command("true").Run(); err != nil {
			return err
		}
		cat := exec.Command("cat")
		cat.Stdin = r
		got, err := cat.Output()
		return sameText(string(got), "through the cat", err)
	}
	return body, func() {
		_, err := w.WriteString("through the cat")
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
}

func sameText(got, want string, err error) error {
	if err == nil && got != want {
		err = fmt.Errorf("got %q, want %q", got, want)
	}
	return err
}

// bodiesBlock: while a body is blocked, the shard serves a connection and a
// timer; then the result arrives, once.
func (s suite) bodiesBlock(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	inline := v.Options().Files == runtime.FilesInline
	c := dial(t, v)
	ping(t, c)
	for _, b := range blockers {
		t.Run(b.name, func(t *testing.T) {
			body, release := b.make(t)
			release = sync.OnceFunc(release)
			defer release() // or a server that has failed could not be stopped
			begun, done := make(chan struct{}), make(chan error, 2)
			v.Shards()[0].Do(func(s *runtime.Shard) {
				if out := s.Threadlet(func() error { close(begun); return body() }, func(err error) { done <- err }); out != runtime.Queued {
					t.Errorf("outcome %v, want queued", out)
				}
			})
			await(t, begun)
			if !inline { // there the loop itself is blocked, by definition
				for range 3 {
					ping(t, c)
				}
				fires(t, v)
				require.Empty(t, done, "the body has ended before it was let go")
			}
			release()
			require.NoError(t, await(t, done))
			ping(t, c)
			on(t, v, func(*runtime.Shard) {}) // a second completion would have come by now
			require.Empty(t, done, "done was called twice")
		})
	}
}

// fires waits for a timer of the first shard.
func fires(t *testing.T, v *runtime.Server) {
	t.Helper()
	fired := make(chan struct{})
	on(t, v, func(s *runtime.Shard) {
		s.Arm(runtime.NewTimer(func(*runtime.Shard) { close(fired) }), time.Microsecond)
	})
	await(t, fired)
}

// body runs one threadlet to its end and gives what done was told.
func body(t *testing.T, v *runtime.Server, fn func() error) error {
	t.Helper()
	done := make(chan error, 2)
	v.Shards()[0].Do(func(s *runtime.Shard) {
		if s.Threadlet(fn, func(err error) { done <- err }) != runtime.Queued {
			t.Error("not queued")
		}
	})
	err := await(t, done)
	on(t, v, func(*runtime.Shard) {})
	require.Empty(t, done, "done was called twice")
	return err
}

// bodiesRun: what takes a body long without a handshake: a file that is not
// in memory, a stack that grows, memory that is collected.
func (s suite) bodiesRun(t *testing.T) {
	v := s.serve(t, runtime.Options{}, echoApp())
	c := dial(t, v)
	const size = 4 << 20
	path, sum := coldFile(t, size)
	for name, fn := range map[string]func() error{
		"file":   func() error { p, err := os.ReadFile(path); return sameSum(p, sum, err) },
		"mapped": func() error { return readMapped(path, size, sum) },
		"stack": func() error {
			if n := deep(200_000); n != 200_000 {
				return fmt.Errorf("depth %d", n)
			}
			return nil
		},
		"memory": func() error {
			for range 4 {
				garbage()
			}
			return nil
		},
	} {
		cool(t, path)
		require.NoError(t, body(t, v, fn), name)
		ping(t, c)
	}
}

// coldFile writes a file of that size to the disk; sum is of its bytes.
func coldFile(t *testing.T, size int) (path string, sum uint64) {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(i * 7919 >> 8)
		sum += uint64(p[i])
	}
	path = filepath.Join(t.TempDir(), "cold")
	require.NoError(t, os.WriteFile(path, p, 0o600))
	return path, sum
}

// cool drops the file from the page cache, where the file system lets it.
func cool(t *testing.T, path string) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Sync()) // dirty pages stay
	require.NoError(t, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
}

func sameSum(p []byte, want uint64, err error) error {
	var sum uint64
	for _, b := range p {
		sum += uint64(b)
	}
	if err == nil && sum != want {
		err = fmt.Errorf("sum %d, want %d", sum, want)
	}
	return err
}

// readMapped blocks in page faults: no system call that anybody could hook.
func readMapped(path string, size int, sum uint64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	defer unix.Munmap(p)
	_ = unix.Madvise(p, unix.MADV_RANDOM) // no reading ahead: every page faults
	return sameSum(p, sum, nil)
}

//go:noinline
func deep(n int) int {
	var room [16]int
	room[n%16] = n
	if n == 0 {
		return room[0]
	}
	return deep(n-1) + 1 + room[(n+1)%16]
}

var errOwn = errors.New("the body's own error")

// bodiesFail: errors and panics, before and after a block, are the body's
// result; the shard lives on.
func (s suite) bodiesFail(t *testing.T) {
	v := s.serve(t, runtime.Options{Helpers: 2, Standbys: 2}, echoApp())
	c := dial(t, v)
	block := func() { time.Sleep(100 * time.Microsecond) }
	isPanic := func(value any) func(error) bool {
		return func(err error) bool {
			var p *runtime.PanicError
			return errors.As(err, &p) && p.Value == value && len(p.Stack) > 0
		}
	}
	for name, x := range map[string]struct {
		fn func() error
		is func(error) bool
	}{
		"error": {func() error { return errOwn }, func(err error) bool { return errors.Is(err, errOwn) }},
		"panic": {func() error { panic(errOwn) }, isPanic(errOwn)},
		"fault": {func() error { var p *[1]int; p[0]++; return nil }, func(err error) bool {
			var p *runtime.PanicError
			if !errors.As(err, &p) {
				return false
			}
			_, fault := p.Value.(goruntime.Error)
			return fault
		}},
	} {
		for range 5 { // more often than there are threads to lose
			for _, first := range []func(){func() {}, block} {
				if err := body(t, v, func() error { first(); return x.fn() }); !x.is(err) {
					t.Fatalf("%s: done was told %v", name, err)
				}
				ping(t, c)
			}
		}
	}
}

// bodiesGoexit: a body may end its goroutine, more often than there are threads
// to lose, and the shard and its threads live on.
func (s suite) bodiesGoexit(t *testing.T) {
	v := s.serve(t, runtime.Options{Helpers: 2, Standbys: 2}, echoApp())
	c := dial(t, v)
	block := func() { time.Sleep(100 * time.Microsecond) }
	for range 10 {
		for _, first := range []func(){func() {}, block} {
			err := body(t, v, func() error { first(); goruntime.Goexit(); return nil })
			require.ErrorIs(t, err, runtime.ErrGoexit)
			ping(t, c)
		}
	}
	require.NoError(t, body(t, v, func() error { block(); return nil }))
	if v.Options().Files == runtime.FilesInline {
		return
	}
	// All threads are there still: as many bodies as ever can be blocked.
	gate, done := make(chan struct{}), make(chan error, 2)
	for range 2 {
		begun := make(chan struct{})
		on(t, v, func(s *runtime.Shard) {
			s.Threadlet(func() error { close(begun); <-gate; return nil }, func(err error) { done <- err })
		})
		await(t, begun)
		ping(t, c)
	}
	close(gate)
	require.NoError(t, await(t, done))
	require.NoError(t, await(t, done))
}

// bodiesMany: more bodies than threads. As many as there are threads beside
// the loop may be blocked and the loop goes on; the others wait their turn, and
// all end.
func (s suite) bodiesMany(t *testing.T) {
	const spare, many = 3, 40
	v := s.serve(t, runtime.Options{Helpers: spare, Standbys: spare}, echoApp())
	needsAsync(t, v)
	c := dial(t, v)
	gate, begun := make(chan struct{}), make(chan struct{}, many)
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	var done []int // the shard's
	all := make(chan struct{})
	submit := func(i int) {
		on(t, v, func(s *runtime.Shard) {
			s.Threadlet(func() error { begun <- struct{}{}; <-gate; return nil }, func(error) {
				if done = append(done, i); len(done) == many { // not again if one ends twice
					close(all)
				}
			})
		})
	}
	for i := range spare {
		submit(i)
		await(t, begun)
		ping(t, c)
	}
	ping(t, c)
	// From here on the loop may have to wait for a body: the bodies' gate must
	// not depend on it.
	time.AfterFunc(10*time.Millisecond, open)
	for i := spare; i < many; i++ {
		submit(i)
	}
	await(t, all)
	ping(t, c)
	var ended []int
	on(t, v, func(*runtime.Shard) { ended = slices.Sorted(slices.Values(done)) })
	require.Len(t, slices.Compact(ended), many, "a body ended twice")
}

// bodiesStop: a stop waits for bodies that are blocked, and tells their done.
func (s suite) bodiesStop(t *testing.T) {
	const n = 3
	v := s.serve(t, runtime.Options{Helpers: n, Standbys: n}, echoApp())
	needsAsync(t, v)
	gate, begun := make(chan struct{}), make(chan struct{}, n)
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	told := 0 // the shard's, and ours when it has ended
	for range n {
		on(t, v, func(s *runtime.Shard) {
			s.Threadlet(func() error { begun <- struct{}{}; <-gate; return nil }, func(error) { told++ })
		})
		await(t, begun)
	}
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		stopped <- v.Stop(ctx)
	}()
	// It has begun when it says that it was begun before.
	for !isStopping(v) {
		time.Sleep(time.Millisecond)
	}
	require.Empty(t, stopped, "a stop did not wait for bodies")
	open()
	require.NoError(t, await(t, stopped))
	require.Equal(t, n, told)
}

func isStopping(v *runtime.Server) bool {
	_, err := v.Stats(context.Background())
	return errors.Is(err, runtime.ErrNotRunning)
}
