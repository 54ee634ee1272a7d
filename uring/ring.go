//go:build linux

package uring

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

const (
	// DefaultEntries is the submission queue's size if Config names none.
	DefaultEntries = 256
	// MaxEntries is the largest submission queue: the kernel allows 65,536
	// completions, and the completion queue must be four times as large.
	MaxEntries = 1 << 14
	// cqPerSQ is the least ratio of the two queues.
	cqPerSQ = 4
)

// Config says how to open a ring. The zero value is good.
type Config struct {
	// Entries is the size of the submission queue, rounded up to a power of two;
	// 0 means DefaultEntries, at most MaxEntries.
	Entries uint32
	// CQEntries is the size of the completion queue, rounded up to a power of two;
	// 0 means four times Entries, which is also the least.
	CQEntries uint32
	// Disabled opens a ring that no thread owns yet; the thread that calls Enable
	// becomes its issuer. (R_DISABLED, 5.10)
	Disabled bool
	// RegisterFd enters the ring through the issuer thread's table of rings instead of
	// its descriptor table: some 80 ns less per enter, more with many threads. The
	// price: another thread that enters by mistake may reach a ring of its own
	// instead of ErrNotIssuer. Without effect where the kernel cannot, or the thread
	// has 16 such rings. (REGISTER_RING_FDS, 5.18)
	RegisterFd bool
	// SQArray has the kernel go through its table of entries (which is the identity),
	// as before 6.6. It is there to be measured against.
	SQArray bool
	// Features, if set, is what the ring may use, which is less than Probe found: see
	// [Features.AsOf].
	Features *Features
	// CloseTimeoutNs bounds how long Close waits for cancelled ops; 0 means 5 s.
	CloseTimeoutNs int64
}

// Stats counts what a ring has done. Plain fields: read them on the ring's thread.
type Stats struct {
	Enters          uint64 // io_uring_enter calls
	Waits           uint64 // those of them that were allowed to sleep
	Submitted       uint64 // entries the kernel took
	Completed       uint64 // completions harvested
	OverflowFlushes uint64 // enters made because the completion queue had overflowed
	Interrupts      uint64 // waits ended by a signal (EINTR)
	Refusals        uint64 // enters refused for the moment (EAGAIN, EBUSY)
}

// Ring is one io_uring. All methods must be called on its issuer thread, the one
// that called Open (or Enable), except where a comment says otherwise. See the
// package comment for the contract.
type Ring struct {
	Stats Stats

	fd     int
	issuer int // thread id; 0 while disabled

	// What enters use: fd and no flags, or, registered, an index and the flag for it.
	enterFd    int
	enterFlags uint32
	register   bool // Config.RegisterFd

	// Submission. Invariant: head <= tail <= head+sqEntries (modulo 2^32); entries
	// [head, tail) are the caller's and not yet the kernel's.
	sqEntries uint32
	sqMask    uint32
	head      uint32
	tail      uint32
	sqes      []SQE
	times     []kernelTimespec // one per entry, for NextTimeout

	// Completion. Invariant: cqHead <= cqTail; cqTail is the kernel's tail as last
	// seen, the kernel's own is at least that.
	cqMask uint32
	cqHead uint32
	cqTail uint32
	cqes   []CQE

	// pending counts entries handed out whose last completion is not yet harvested.
	pending int

	// Shared with the kernel, hence atomics: it writes kSQHead, kSQFlags and kCQTail
	// and reads the other two, and the race detector sees none of that.
	kSQHead  *uint32
	kSQTail  *uint32
	kSQFlags *uint32
	kCQHead  *uint32
	kCQTail  *uint32

	wait     *waitArg // argument of a timed enter, off the heap
	err      error    // sticky: once set, the ring is dead and waits for Close
	closed   bool
	closeNs  int64
	gathers  bool // MIN_TIMEOUT
	bufRings []*BufRing

	ringMem, sqeMem, ownMem []byte // the mappings
}

// waitArg lies in a mapping of our own, so that the address of ts inside arg
// stays right whatever the Go runtime does.
type waitArg struct {
	arg ioUringGeteventsArg
	ts  kernelTimespec
}

// Open makes a ring (SINGLE_ISSUER, DEFER_TASKRUN, SUBMIT_ALL; Linux 6.1 or newer).
// Lock the goroutine to its thread first (runtime.LockOSThread): that thread alone
// may use the ring, unless cfg.Disabled leaves that to Enable. A kernel that is too
// old, or forbids io_uring, gives the error of [Features.Require].
func Open(cfg Config) (*Ring, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	f := cfg.Features
	if f == nil {
		f = Probe()
	}
	if err := f.Require(baseFeatures...); err != nil {
		return nil, err
	}
	flags := iosys.IORING_SETUP_SUBMIT_ALL | _IORING_SETUP_SINGLE_ISSUER |
		_IORING_SETUP_DEFER_TASKRUN | iosys.IORING_SETUP_TASKRUN_FLAG
	if f.Has(NoSQArray) && !cfg.SQArray {
		flags |= _IORING_SETUP_NO_SQARRAY
	}
	r, err := open(cfg, flags)
	if err == nil {
		r.gathers = f.Has(MinTimeout)
	}
	return r, err
}

// fill puts defaults into a Config and refuses what cannot be.
func (cfg *Config) fill() error {
	if cfg.Entries == 0 {
		cfg.Entries = DefaultEntries
	}
	if cfg.Entries > MaxEntries {
		return fmt.Errorf("uring: Config.Entries is %d, more than %d", cfg.Entries, MaxEntries)
	}
	cfg.Entries = roundUp(cfg.Entries)
	if cfg.CQEntries == 0 {
		cfg.CQEntries = cqPerSQ * cfg.Entries
	}
	if cfg.CQEntries > cqPerSQ*MaxEntries {
		return fmt.Errorf("uring: Config.CQEntries is %d, more than %d", cfg.CQEntries, cqPerSQ*MaxEntries)
	}
	cfg.CQEntries = roundUp(cfg.CQEntries)
	if cfg.CQEntries < cqPerSQ*cfg.Entries {
		return fmt.Errorf("uring: Config.CQEntries is %d for %d Entries; it must be at least %d, "+
			"or completions overflow", cfg.CQEntries, cfg.Entries, cqPerSQ*cfg.Entries)
	}
	if cfg.CloseTimeoutNs <= 0 {
		cfg.CloseTimeoutNs = 5e9
	}
	return nil
}

// roundUp is the least power of two that is at least n; n is not 0.
func roundUp(n uint32) uint32 { return 1 << bits.Len32(n-1) }

// open makes a ring with exactly the given setup flags, sizes apart.
func open(cfg Config, flags uint32) (*Ring, error) {
	p := iosys.IOURingParams{CQEntries: cfg.CQEntries}
	p.Flags = flags | iosys.IORING_SETUP_CQSIZE | iosys.IORING_SETUP_CLAMP
	if cfg.Disabled {
		p.Flags |= iosys.IORING_SETUP_R_DISABLED
	}
	fd, err := iosys.IOURingSetup(uint(cfg.Entries), &p)
	if err != nil {
		return nil, fmt.Errorf("uring: open a ring of %d entries: %w", cfg.Entries, err)
	}
	// The kernel opens it close-on-exec.
	r := &Ring{fd: fd, enterFd: fd, closeNs: cfg.CloseTimeoutNs, register: cfg.RegisterFd}
	if err := r.mapMemory(&p); err != nil {
		return nil, errors.Join(err, r.release())
	}
	if !cfg.Disabled {
		r.adopt()
	}
	return r, nil
}

// adopt makes the calling thread the issuer.
func (r *Ring) adopt() {
	r.issuer = unix.Gettid()
	if !r.register {
		return
	}
	const anyIndex = ^uint32(0)
	update := ioUringRsrcUpdate{offset: anyIndex, data: uint64(r.fd)}
	err := iosys.IOURingRegister(r.fd, _IORING_REGISTER_RING_FDS, unsafe.Pointer(&update), 1)
	if err == nil && update.offset != anyIndex {
		r.enterFd, r.enterFlags = int(update.offset), _IORING_ENTER_REGISTERED_RING
	}
}

// disown takes the ring out of the issuer thread's table of rings. Called on another
// thread it can not: then the table keeps the ring, though nothing of this process,
// until that thread exits.
func (r *Ring) disown() {
	if r.enterFlags == 0 || unix.Gettid() != r.issuer {
		return
	}
	update := ioUringRsrcUpdate{offset: uint32(r.enterFd)}
	_ = iosys.IOURingRegister(r.fd, _IORING_UNREGISTER_RING_FDS, unsafe.Pointer(&update), 1) // at worst as above
	r.enterFd, r.enterFlags = r.fd, 0
}

// Enable makes the calling thread, which must be locked, the issuer of a ring that
// was opened with Config.Disabled. (IORING_REGISTER_ENABLE_RINGS, 5.10)
func (r *Ring) Enable() error {
	if r.closed {
		return ErrClosed
	}
	if err := iosys.IOURingRegister(r.fd, iosys.IORING_REGISTER_ENABLE_RINGS, nil, 0); err != nil {
		return fmt.Errorf("uring: enable the ring: %w", err)
	}
	r.adopt()
	if r.err == ErrDisabled {
		r.err = nil // what is queued can go now
	}
	return nil
}

// mapMemory maps the queues and sets up the views on them.
func (r *Ring) mapMemory(p *iosys.IOURingParams) error {
	noArray := p.Flags&_IORING_SETUP_NO_SQARRAY != 0
	size := p.CQOffset.Cqes + p.CQEntries*uint32(unsafe.Sizeof(CQE{}))
	if !noArray {
		size = max(size, p.SQOffset.Array+p.SQEntries*4)
	}
	const prot, shared = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	var err error
	if r.ringMem, err = unix.Mmap(r.fd, int64(iosys.IORING_OFF_SQ_RING), int(size), prot, shared); err != nil {
		return fmt.Errorf("uring: map the queues (%d bytes): %w", size, err)
	}
	size = p.SQEntries * uint32(unsafe.Sizeof(SQE{}))
	if r.sqeMem, err = unix.Mmap(r.fd, int64(iosys.IORING_OFF_SQES), int(size), prot, shared); err != nil {
		return fmt.Errorf("uring: map the entries (%d bytes): %w", size, err)
	}
	head := uint32(unsafe.Sizeof(waitArg{}))
	size = head + p.SQEntries*uint32(unsafe.Sizeof(kernelTimespec{}))
	if r.ownMem, err = mapAnonymous(int(size)); err != nil {
		return fmt.Errorf("uring: map the timers (%d bytes): %w", size, err)
	}
	r.sqEntries, r.sqMask = p.SQEntries, p.SQEntries-1
	r.cqMask = p.CQEntries - 1
	r.sqes = unsafe.Slice((*SQE)(unsafe.Pointer(&r.sqeMem[0])), p.SQEntries)
	r.cqes = unsafe.Slice((*CQE)(unsafe.Pointer(&r.ringMem[p.CQOffset.Cqes])), p.CQEntries)
	r.times = unsafe.Slice((*kernelTimespec)(unsafe.Pointer(&r.ownMem[head])), p.SQEntries)
	r.wait = (*waitArg)(unsafe.Pointer(&r.ownMem[0]))
	r.kSQHead, r.kSQTail = word(r.ringMem, p.SQOffset.Head), word(r.ringMem, p.SQOffset.Tail)
	r.kSQFlags = word(r.ringMem, p.SQOffset.Flags)
	r.kCQHead, r.kCQTail = word(r.ringMem, p.CQOffset.Head), word(r.ringMem, p.CQOffset.Tail)
	if !noArray {
		array := unsafe.Slice(word(r.ringMem, p.SQOffset.Array), p.SQEntries)
		for i := range array {
			array[i] = uint32(i) // slot i of the queue is entry i, for good
		}
	}
	return nil
}

// word is the 32-bit word at an offset of a mapping.
func word(mem []byte, off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&mem[off])) }

// mapAnonymous gives zeroed memory off the Go heap.
func mapAnonymous(size int) ([]byte, error) {
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
}

// Fd is the ring's descriptor, for [SQE.PrepMsgRing] of another ring. Any thread.
func (r *Ring) Fd() int { return r.fd }

// Entries is the size of the submission queue. Any thread.
func (r *Ring) Entries() int { return int(r.sqEntries) }

// Err is the error that killed the ring, nil while it is well. After one, entries
// from Next go nowhere and every submit returns it: close the ring.
func (r *Ring) Err() error { return r.err }

// Pending counts the entries handed out by Next whose last completion has not been
// harvested: at 0 the kernel holds none of the caller's memory. An op marked
// SkipSuccess is not counted (its chain's last op is; see Forgo).
func (r *Ring) Pending() int { return r.pending }

// overflowed says that completions wait in the kernel for room in the queue.
func (r *Ring) overflowed() bool {
	return atomic.LoadUint32(r.kSQFlags)&iosys.IORING_SQ_CQ_OVERFLOW != 0
}
