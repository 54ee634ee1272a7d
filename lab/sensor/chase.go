package sensor

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lineBytes is the size of a cache line on all that Go supports but a few.
const lineBytes = 64

// chase is a buffer of cache lines, each holding the place of the next, in one
// random cycle through all of them: the next address is known only when the line
// has come, so no prefetcher helps and time per line is latency.
type chase struct {
	// mapped is outside the Go heap: the collector neither scans nor counts it.
	mapped []byte
	first  unsafe.Pointer
	lines  int
}

// newChase makes a buffer of at least two lines, all of them in the cycle.
func newChase(bytes int) (*chase, error) { return newSampledChase(bytes, bytes/lineBytes) }

// newSampledChase makes a buffer of which that many lines, at random, are in the
// cycle: a sample of a cache that is too large to be walked through. It asks for huge pages, so that a
// physically indexed cache is covered evenly and the TLB plays no part; that is a
// wish only.
func newSampledChase(bytes, lines int) (*chase, error) {
	const huge = 2 << 20
	if lines < 2 || bytes/lineBytes < lines || bytes/lineBytes > 1<<25 {
		return nil, fmt.Errorf("cache probe: buffer of %d bytes: must be 128 bytes to 2 GiB", bytes)
	}
	mapped, err := unix.Mmap(-1, 0, bytes+2*huge, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("cache probe: mmap of %d bytes: %w", bytes+2*huge, err)
	}
	_ = unix.Madvise(mapped, unix.MADV_HUGEPAGE)
	offset := -uintptr(unsafe.Pointer(&mapped[0])) & (huge - 1)
	c := &chase{mapped: mapped, first: unsafe.Pointer(&mapped[offset]), lines: lines}
	c.link(bytes / lineBytes)
	return c, nil
}

// link makes the cycle (Sattolo's algorithm) through c.lines of that many lines, the
// first among them. The seed is fixed: the order does not matter, only that it has no
// pattern.
func (c *chase) link(of int) {
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]uint32, of)
	for i := range all {
		all[i] = uint32(i)
	}
	for i := 1; i < c.lines; i++ {
		j := i + random.IntN(of-i)
		all[i], all[j] = all[j], all[i]
	}
	all = all[:c.lines]
	order := slices.Clone(all)
	for i := c.lines - 1; i > 0; i-- {
		j := random.IntN(i)
		order[i], order[j] = order[j], order[i]
	}
	for i, next := range order {
		*c.at(all[i] * lineBytes) = next * lineBytes
	}
}

func (c *chase) at(offset uint32) *uint32 { return (*uint32)(unsafe.Add(c.first, offset)) }

// walk goes through every line once and ends where it began, at line 0. The race
// detector's own accesses would displace what is measured.
//
//go:norace
//go:nocheckptr
func (c *chase) walk() uint32 {
	at := uint32(0)
	for range c.lines {
		at = *(*uint32)(unsafe.Add(c.first, at))
	}
	return at
}

// fill brings every line in and returns what a walk costs when all are there. One
// walk is not enough: caches do not replace in strict order of age, so that what it
// brings pushes out some of its own lines while the loop's stay. It walks on until
// a walk is no faster than the one before, and then once more for the time: the
// walks that decide when to stop are no fair sample.
func (c *chase) fill() (warmNs int64) {
	c.walk()
	before := c.timedWalk()
	for range mostFills {
		took := c.timedWalk()
		if took >= before-before/64 {
			break
		}
		before = took
	}
	return c.timedWalk()
}

const mostFills = 10

// timedWalk is walk's duration in nanoseconds.
func (c *chase) timedWalk() int64 {
	start := time.Now()
	if c.walk() != 0 {
		panic("cache probe: the chase did not end where it began") // unreachable, and keeps the walk alive
	}
	return int64(time.Since(start))
}

func (c *chase) close() error { return unix.Munmap(c.mapped) }
