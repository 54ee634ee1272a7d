//go:build linux

package uring

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// MaxBuffers is the most buffers that one BufRing can have.
const MaxBuffers = 1 << 15

// BufRing is a ring of equal buffers from which the kernel picks one when data has
// arrived, so that an idle socket ties up no memory. (PBUF_RING, 5.19) All its
// methods belong to the thread of its Ring.
//
// A buffer is the kernel's until a completion names it ([CQE.Buffer]), then the
// caller's until Recycle and Commit. Both ring and buffers are mapped, off the Go
// heap: the slice from Bytes is not the garbage collector's and must not be used
// after Recycle.
//
// When no buffer is left, a recv completes with ENOBUFS; a multishot recv ends with
// it (no [CQE.More]). No data is lost: it waits in the socket. Recycle and
// Commit some buffers and only then arm again; armed before, it fails again at once.
// The end of the stream, too, is seen only if a buffer is free.
//
// An incremental ring's buffers are filled bit by bit: a completion takes as much of
// one as it has bytes, the next completion, of whichever op, goes on behind
// them. While [CQE.BufferGoesOn], take the bytes with Part and do not recycle. So many
// small messages lie side by side in a few cache lines. (PBUF_RING_INC, 6.12)
//
// With [SQE.Bundle] one completion can fill several buffers: Behind tells which.
// A ring is incremental or serves bundles, not both.
type BufRing struct {
	ring    *Ring
	group   uint16
	size    int // bytes per buffer
	mask    uint16
	used    []uint32 // by bid, of an incremental ring: bytes of it that Part has given; else nil
	entries []ioUringBuf
	buffers []byte
	ringMem []byte

	// tail counts the buffers recycled, committed those the kernel was shown, both
	// modulo 2^16. Invariant: committed <= tail.
	tail      uint16
	committed uint16
	firstBid  uint16 // bid of entry 0, which shares a word with the kernel's tail
	tailWord  *uint32
	lent      []bool // by bid: the caller has it. Guards against recycling twice
	// placed is by bid the tail at which it was recycled last, and order, by tail modulo
	// twice the count, the reverse. Twice: the last buffer of a bundle may still have
	// to be looked up while buffers behind it have come round again.
	placed    []uint16
	order     []uint16
	lentCount int
	closed    bool
}

// NewBufRing registers count buffers (a power of two, at most MaxBuffers) of size
// bytes each as the ring's buffer group; a group number can be used once at a time.
// The kernel gets all buffers at once.
func (r *Ring) NewBufRing(group uint16, count, size int) (*BufRing, error) {
	return r.newBufRing(group, count, size, 0)
}

// NewIncrementalBufRing is NewBufRing for an incremental ring; it needs [BufferRingInc].
func (r *Ring) NewIncrementalBufRing(group uint16, count, size int) (*BufRing, error) {
	return r.newBufRing(group, count, size, _IOU_PBUF_RING_INC)
}

func (r *Ring) newBufRing(group uint16, count, size int, flags uint16) (*BufRing, error) {
	if r.closed {
		return nil, ErrClosed
	}
	if count < 1 || count > MaxBuffers || count&(count-1) != 0 {
		return nil, fmt.Errorf("uring: a buffer ring of %d buffers: the count must be a power of two up to %d", count, MaxBuffers)
	}
	if size < 1 || size > 1<<30 {
		return nil, fmt.Errorf("uring: a buffer ring with buffers of %d bytes: the size must be 1 to 2^30", size)
	}
	b := &BufRing{ring: r, group: group, size: size, mask: uint16(count - 1),
		lent: make([]bool, count), placed: make([]uint16, count), order: make([]uint16, 2*count)}
	if flags&_IOU_PBUF_RING_INC != 0 {
		b.used = make([]uint32, count)
	}
	if err := b.mapMemory(count); err != nil {
		return nil, errors.Join(err, b.unmap())
	}
	reg := ioUringBufReg{
		ringAddr:    uint64(uintptr(unsafe.Pointer(&b.ringMem[0]))),
		ringEntries: uint32(count),
		bgid:        group,
		flags:       flags,
	}
	if err := iosys.IOURingRegister(r.fd, _IORING_REGISTER_PBUF_RING, unsafe.Pointer(&reg), 1); err != nil {
		return nil, errors.Join(fmt.Errorf("uring: register buffer group %d: %w", group, err), b.unmap())
	}
	r.bufRings = append(r.bufRings, b)
	for bid := range count {
		b.lent[bid] = true
		b.lentCount++
		b.Recycle(uint16(bid))
	}
	b.Commit()
	return b, nil
}

// mapMemory maps the ring (which must lie on a page of its own) and the buffers.
func (b *BufRing) mapMemory(count int) error {
	ringSize := count * int(unsafe.Sizeof(ioUringBuf{}))
	var err error
	if b.ringMem, err = mapAnonymous(ringSize); err != nil {
		return fmt.Errorf("uring: map a buffer ring (%d bytes): %w", ringSize, err)
	}
	if b.buffers, err = mapAnonymous(count * b.size); err != nil {
		return fmt.Errorf("uring: map %d buffers of %d bytes: %w", count, b.size, err)
	}
	b.entries = unsafe.Slice((*ioUringBuf)(unsafe.Pointer(&b.ringMem[0])), count)
	const bidOffset = 12 // u64 addr, u32 len, u16 bid, u16 tail
	b.tailWord = word(b.ringMem, bidOffset)
	return nil
}

// Bytes is the n bytes that a completion put into the buffer it named; n is that
// completion's result. From here to Recycle the buffer is the caller's.
func (b *BufRing) Bytes(bid uint16, n int) []byte {
	if !b.lent[bid] {
		b.lent[bid] = true
		b.lentCount++
	}
	off, end := int(bid)*b.size, (int(bid)+1)*b.size
	if b.used != nil {
		off += int(b.used[bid])
	}
	return b.buffers[off : off+n : end]
}

// Part is Bytes for a buffer of an incremental ring that goes on: it stays the
// kernel's, but for these n bytes, which are the caller's until the buffer's last
// part has been recycled.
func (b *BufRing) Part(bid uint16, n int) []byte {
	off := int(bid)*b.size + int(b.used[bid])
	b.used[bid] += uint32(n)
	return b.buffers[off : off+n : off+n]
}

// Behind is the buffer that the kernel fills after bid, in a bundle. Look before bid
// is recycled.
func (b *BufRing) Behind(bid uint16) uint16 {
	return b.order[int(b.placed[bid]+1)&(len(b.order)-1)]
}

// Recycle gives a buffer back; the kernel sees it at the next Commit. It panics for
// a buffer that Bytes did not hand out since its last Recycle: recycled twice, two
// sockets would receive into it.
func (b *BufRing) Recycle(bid uint16) {
	if !b.lent[bid] {
		panic("uring: BufRing.Recycle of a buffer that is not lent")
	}
	b.lent[bid] = false
	b.lentCount--
	if b.used != nil {
		b.used[bid] = 0
	}
	b.placed[bid] = b.tail
	b.order[int(b.tail)&(len(b.order)-1)] = bid
	i := b.tail & b.mask
	e := &b.entries[i]
	e.addr = uint64(uintptr(unsafe.Pointer(&b.buffers[int(bid)*b.size])))
	e.len = uint32(b.size)
	if i == 0 {
		b.firstBid = bid // written by Commit, with the tail: one word holds both
	} else {
		e.bid = bid
	}
	b.tail++
}

// Commit shows the kernel all that was recycled, with one store. Call it before the
// next submit.
func (b *BufRing) Commit() {
	if b.committed == b.tail {
		return
	}
	b.committed = b.tail
	// Atomic: the kernel reads the tail, and must find the entries written before it.
	atomic.StoreUint32(b.tailWord, halves(b.firstBid, b.tail))
}

// Len is the number of buffers, Size their bytes each, Group their number.
func (b *BufRing) Len() int { return len(b.lent) }

// Size is the bytes of one buffer.
func (b *BufRing) Size() int { return b.size }

// Group is the buffer group's number.
func (b *BufRing) Group() uint16 { return b.group }

// Lent counts the buffers that Bytes handed out and Recycle has not taken back.
func (b *BufRing) Lent() int { return b.lentCount }

// Close unregisters the group and unmaps its memory. No recv may be armed on it, and
// no slice from Bytes be used after. Calling it again does nothing; Ring.Close does
// it too.
func (b *BufRing) Close() error { return b.release(true) }

// release frees the buffer ring; unregister is false when the ring itself goes.
func (b *BufRing) release(unregister bool) error {
	if b.closed {
		return nil
	}
	if unregister {
		reg := ioUringBufReg{bgid: b.group}
		if err := iosys.IOURingRegister(b.ring.fd, _IORING_UNREGISTER_PBUF_RING, unsafe.Pointer(&reg), 1); err != nil {
			return fmt.Errorf("uring: unregister buffer group %d: %w", b.group, err)
		}
	}
	b.closed = true
	list := b.ring.bufRings
	for i := range list {
		if list[i] == b {
			b.ring.bufRings = append(list[:i], list[i+1:]...)
			break
		}
	}
	return b.unmap()
}

// unmap gives the memory back.
func (b *BufRing) unmap() error {
	var errs []error
	for _, mem := range []*[]byte{&b.ringMem, &b.buffers} {
		if *mem != nil {
			errs = append(errs, unix.Munmap(*mem))
			*mem = nil
		}
	}
	b.entries, b.tailWord = nil, nil
	return errors.Join(errs...)
}
