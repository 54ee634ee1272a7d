package threadlet_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

const (
	stressPages = 64
	stressPage  = 4096
	stressPairs = 4
)

// stressKit is what the ops of the stress test work on: a file of which each byte is the number of its page, also mapped; pairs
// of sockets, of which a goroutine feeds most; a mutex and a channel.
type stressKit struct {
	path          []byte
	direct, plain int64 // descriptors of the file
	mem           []byte
	pairs         [stressPairs][2]int
	silent        [2]int // a pair that nobody feeds
	mu            sync.Mutex
	ping          chan int
	quit          atomic.Bool
}

func newStressKit(t *testing.T) *stressKit {
	name := filepath.Join(t.TempDir(), "pages")
	content := make([]byte, stressPages*stressPage)
	for i := range content {
		content[i] = byte(i / stressPage)
	}
	require.NoError(t, os.WriteFile(name, content, 0o600))
	plain, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	direct, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_DIRECT, 0)
	if err != nil { // a file system in memory
		direct, err = unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
	}
	mem, err := unix.Mmap(plain, 0, len(content), unix.PROT_READ, unix.MAP_SHARED)
	require.NoError(t, err)
	k := &stressKit{path: runtime.CPath(name), direct: int64(direct), plain: int64(plain), mem: mem, ping: make(chan int)}
	for i := range k.pairs {
		k.pairs[i], err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
	}
	k.silent, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	fed := make(chan struct{})
	go func() { defer close(fed); k.feed() }()
	t.Cleanup(func() {
		k.quit.Store(true)
		<-fed
		for _, p := range append(k.pairs[:], k.silent) {
			require.NoError(t, errors.Join(unix.Close(p[0]), unix.Close(p[1])))
		}
		require.NoError(t, errors.Join(unix.Munmap(mem), unix.Close(plain), unix.Close(direct)))
	})
	return k
}

// feed sends a byte to each socket now and then: whoever receives has something to wait for.
func (k *stressKit) feed() {
	for !k.quit.Load() {
		for _, p := range k.pairs {
			_ = unix.Sendto(p[1], []byte{'x'}, unix.MSG_DONTWAIT, nil)
		}
		time.Sleep(300 * time.Microsecond)
	}
}

// op is a random op, or one without a syslet, which stands for a threadlet.
func (k *stressKit) op(rng *rand.Rand) *stressOp {
	ns, page := rng.Int64N(300_000), rng.Int64N(stressPages)
	offset := runtime.Imm(page * stressPage)
	buf := alignedPage()
	is := func(want int64) func(*runtime.Syslet) bool {
		return func(y *runtime.Syslet) bool { return y.Result() == want }
	}
	read := func(y *runtime.Syslet) bool {
		return y.Regs[0] == stressPage && buf[0] == byte(page) && buf[stressPage-1] == byte(page)
	}
	fd := runtime.Imm(int64(k.pairs[rng.IntN(stressPairs)][0]))
	op := func(kind string, valid func(*runtime.Syslet) bool, ops ...runtime.Op) *stressOp {
		return &stressOp{kind: kind, y: runtime.NewSyslet(ops...), valid: valid}
	}
	switch rng.IntN(13) {
	case 0:
		return op("sleep", is(0), runtime.Sleep(runtime.Imm(ns)))
	case 1:
		return op("direct", read, runtime.Pread(runtime.Imm(k.direct), buf, offset).To(0).With(runtime.Direct))
	case 2:
		return op("pread", read, runtime.Pread(runtime.Imm(k.plain), buf, offset).To(0))
	case 3:
		return op("recv", is(1), runtime.Recv(fd, buf[:1], 0))
	case 4:
		return op("async recv", is(1), runtime.Recv(fd, buf[:1], 0).With(runtime.Async))
	case 5:
		return op("poll", is(unix.POLLIN), runtime.Poll(fd, unix.POLLIN))
	case 6:
		return op("fdatasync", is(0), runtime.Fdatasync(runtime.Imm(k.plain)))
	case 7:
		call := k.block(rng)
		return op("call", is(7), runtime.Call(func(*runtime.Syslet) int64 { call(); return 7 }))
	case 8:
		return k.program(ns, buf, offset, read)
	case 9:
		call := k.block(rng)
		return op("call and recv", is(1), runtime.Call(func(*runtime.Syslet) int64 { call(); return 7 }), runtime.Sleep(runtime.Imm(ns/4)),
			runtime.Recv(fd, buf[:1], 0))
	case 10:
		var st unix.Statx_t
		return op("statx", func(y *runtime.Syslet) bool { return y.Result() == 0 && st.Size == stressPages*stressPage },
			runtime.Statx(runtime.AtCwd, k.path, 0, unix.STATX_SIZE, &st))
	case 11:
		// It would wait for ever, so it is cancelled before it begins.
		o := op("silent recv", is(-int64(unix.ECANCELED)), runtime.Recv(runtime.Imm(int64(k.silent[0])), buf[:1], 0))
		o.hopeless = true
		return o
	}
	return &stressOp{kind: "threadlet"}
}

// program is a syslet that blocks in several places.
func (k *stressKit) program(ns int64, buf []byte, offset runtime.Arg, read func(*runtime.Syslet) bool) *stressOp {
	return &stressOp{kind: "program", y: runtime.NewSyslet(
		runtime.Nop(runtime.Imm(1)).To(2),
		runtime.Sleep(runtime.Imm(ns/4)),
		runtime.Pread(runtime.Imm(k.plain), buf, offset).To(0),
		runtime.Add(runtime.Reg(2), runtime.Imm(1)).To(2).With(runtime.StopOnZero),
		runtime.Pread(runtime.Imm(k.direct), buf, offset).To(1).With(runtime.Direct),
	), valid: func(y *runtime.Syslet) bool { return read(y) && y.Regs[1] == stressPage && y.Regs[2] == 2 }}
}

// alignedPage is memory as O_DIRECT wants it.
func alignedPage() []byte {
	b := make([]byte, 2*stressPage)
	skip := (stressPage - int(uintptr(unsafe.Pointer(&b[0]))%stressPage)) % stressPage
	return b[skip : skip+stressPage]
}

// block is a function that blocks, computes, or does neither.
func (k *stressKit) block(rng *rand.Rand) func() {
	ns, page := rng.Int64N(200_000), rng.IntN(stressPages)
	switch rng.IntN(6) {
	case 0:
		return func() { k.mu.Lock(); time.Sleep(time.Duration(ns / 4)); k.mu.Unlock() }
	case 1:
		return func() { go func() { k.ping <- 1 }(); <-k.ping }
	case 2:
		return func() { k.fault(page) }
	case 3:
		return func() {
			for begin := time.Now(); int64(time.Since(begin)) < 5*ns; {
			}
		}
	case 4:
		return func() { ts := unix.NsecToTimespec(ns); _ = unix.Nanosleep(&ts, nil) }
	}
	return func() {}
}

// fault touches a page of the mapped file that is not in memory any more, if the file system can drop it.
func (k *stressKit) fault(page int) {
	at := page * stressPage
	_ = unix.Madvise(k.mem[at:at+stressPage], unix.MADV_DONTNEED)
	_ = unix.Fadvise(int(k.plain), int64(at), stressPage, unix.FADV_DONTNEED)
	if k.mem[at] != byte(page) {
		panic("another page")
	}
}

var errPanicked, errStress = errors.New("panicked"), errors.New("stress")

// function is a threadlet's, with the error that is to come of it.
func (k *stressKit) function(rng *rand.Rand) (fn func() error, want error) {
	block := k.block(rng)
	switch rng.IntN(20) {
	case 0:
		return func() error { block(); panic("stress") }, errPanicked
	case 1:
		return func() error { block(); goruntime.Goexit(); return nil }, runtime.ErrGoexit
	case 2:
		return func() error { block(); return errStress }, errStress
	}
	return func() error { block(); return nil }, nil
}
