package runtime_test

import (
	"context"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models/threadlet"
	srt "github.com/syslet/syslet/runtime"
)

// blockCase is an op that blocks until feed lets it go on, which the next head
// calls, or by itself.
type blockCase struct {
	op    srt.Op
	feed  func()
	reset func(y *srt.Syslet) // after a round, off the clock
}

// rounds makes the op block again and again.
type rounds struct {
	*blockCase
	s      *srt.Shard
	y, z   *srt.Syslet // the op, and what lets it go on
	left   int
	flying int
	err    error
	end    chan struct{}
}

func measureBlocked(b *testing.B, c *blockCase, announced bool) {
	if err := threadlet.Probe(); err != nil {
		b.Skipf("model refused: %v", err)
	}
	strategy := srt.StrategyDetect
	if announced {
		strategy = srt.StrategyTry
	}
	v := serve(b, strategy)
	r := &rounds{blockCase: c, left: b.N, end: make(chan struct{}), y: srt.NewSyslet(c.op)}
	if c.feed != nil {
		r.z = srt.NewSyslet(srt.Call(func(*srt.Syslet) int64 { c.feed(); return 0 }))
		r.z.Done = r.over
	}
	r.y.Done = r.over
	b.ReportAllocs()
	b.ResetTimer()
	v.Shards()[0].Do(func(s *srt.Shard) { r.begin(s) })
	<-r.end
	b.StopTimer()
	check(b, r.err)
	st, err := v.Stats(context.Background())
	check(b, err)
	p50, p99, taken := st.DetectedP50Ns, st.DetectedP99Ns, st.TakeoversDetected
	if announced {
		p50, p99, taken = st.AnnouncedP50Ns, st.AnnouncedP99Ns, st.TakeoversAnnounced
	}
	b.ReportMetric(float64(p50), "p50-ns")
	b.ReportMetric(float64(p99), "p99-ns")
	b.ReportMetric(float64(taken)/float64(b.N), "taken/op")
}

// begin submits the op; what lets it go on stands behind it, for the next head.
func (r *rounds) begin(s *srt.Shard) {
	r.flying = 1
	if s.Submit(r.y) == srt.Completed {
		r.over(s, r.y)
		return
	}
	if r.z != nil {
		r.flying++
		s.Submit(r.z)
	}
}

func (r *rounds) over(s *srt.Shard, y *srt.Syslet) {
	if y.Result() < 0 {
		r.err = y.Errno()
	}
	if r.flying--; r.flying > 0 {
		return
	}
	if r.reset != nil {
		r.reset(r.y)
	}
	if r.left--; r.left == 0 || r.err != nil {
		close(r.end)
		return
	}
	r.begin(s)
}

// direct is a file whose reads wait for the device.
func direct(b *testing.B, f srt.Flags) *blockCase {
	name := b.TempDir() + "/f"
	check(b, os.WriteFile(name, make([]byte, 1<<20), 0o600))
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		b.Skipf("missing feature: O_DIRECT in the temporary directory: %v", err)
	}
	b.Cleanup(func() { check(b, unix.Close(fd)) })
	check(b, unix.Fsync(fd))
	p, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON) // aligned
	check(b, err)
	b.Cleanup(func() { check(b, unix.Munmap(p)) })
	return &blockCase{op: srt.Pread(imm(fd), p, srt.Imm(0)).With(f)}
}

func directPread(b *testing.B) *blockCase       { return direct(b, srt.Direct) }
func directPreadUnsaid(b *testing.B) *blockCase { return direct(b, 0) }

// fsyncDisk has a block to write each time.
func fsyncDisk(b *testing.B) *blockCase {
	fd, p := file(b, b.TempDir()), make([]byte, 4096)
	dirty := func(*srt.Syslet) { must(unix.SYS_PWRITE64, uintptr(fd), cstr(p), 4096, 0) }
	dirty(nil)
	return &blockCase{op: srt.Fsync(imm(fd)), reset: dirty}
}

func recvEmpty(b *testing.B) *blockCase {
	here, there := socketpair(b)
	p := make([]byte, 1)
	return &blockCase{op: srt.Recv(imm(here), make([]byte, 1), 0), feed: func() { must(unix.SYS_WRITE, uintptr(there), cstr(p), 1, 0) }}
}

func pollEmpty(b *testing.B) *blockCase {
	here, there := socketpair(b)
	p := make([]byte, 1)
	return &blockCase{
		op:    srt.Poll(imm(here), unix.POLLIN),
		feed:  func() { must(unix.SYS_WRITE, uintptr(there), cstr(p), 1, 0) },
		reset: func(*srt.Syslet) { must(unix.SYS_READ, uintptr(here), cstr(p), 1, 0) },
	}
}

func acceptNobody(b *testing.B) *blockCase {
	l := listener(b)
	name, client := nameOf(b, l), 0
	return &blockCase{
		op:   srt.Accept(imm(l), unix.SOCK_CLOEXEC),
		feed: func() { client = dial(name) },
		reset: func(y *srt.Syslet) {
			must(unix.SYS_CLOSE, uintptr(client), 0, 0, 0)
			must(unix.SYS_CLOSE, uintptr(y.Result()), 0, 0, 0)
		},
	}
}

func sleepLong(*testing.B) *blockCase {
	return &blockCase{op: srt.Sleep(srt.Imm(int64(100 * time.Microsecond)))}
}

// callRead is a function that reads a pipe, of which the runtime knows nothing.
func callRead(b *testing.B) *blockCase {
	r, w := pipe(b)
	in, out := make([]byte, 1), make([]byte, 1)
	read := func(*srt.Syslet) int64 { return int64(must(unix.SYS_READ, uintptr(r), cstr(in), 1, 0)) }
	return &blockCase{op: srt.Call(read), feed: func() { must(unix.SYS_WRITE, uintptr(w), cstr(out), 1, 0) }}
}

func callNanosleep(*testing.B) *blockCase {
	ts := unix.NsecToTimespec(int64(100 * time.Microsecond))
	return &blockCase{op: srt.Call(func(*srt.Syslet) int64 { _ = unix.Nanosleep(&ts, nil); return 0 })}
}
