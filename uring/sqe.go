//go:build linux

package uring

import (
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
)

// SQE is one submission queue entry: an op being described to the kernel. It
// lies in memory shared with the kernel and belongs to the caller from
// [Ring.Next] to the next call of Next, Reserve or a submit on the same ring.
// The Prep methods fill a fresh entry (one Prep per entry); the flag methods come
// after Prep. All return the entry, so that calls chain. None allocates.
type SQE struct {
	raw iosys.SubmissionQueueEntry64
}

// Link makes the next entry wait for this one's success; a failure (a short
// read or write is one) completes the rest of the chain with ECANCELED. A chain
// does not reach across a submit: call [Ring.Reserve] before its first entry.
// Since Linux 6.0 some ops fail without breaking the chain, because they do not mark
// their entry as failed: fsync, fallocate, statx, renameat, unlinkat, mkdirat.
// (IOSQE_IO_LINK, 5.3)
func (s *SQE) Link() *SQE {
	s.raw.SetFlags(iosys.IOSQE_FLAGS_IO_LINK)
	return s
}

// HardLink is Link that goes on after a failure too. (IOSQE_IO_HARDLINK, 5.5)
func (s *SQE) HardLink() *SQE {
	s.raw.SetFlags(iosys.IOSQE_FLAGS_IO_HARDLINK)
	return s
}

// Async sends the op to a kernel worker without trying it inline first.
// (IOSQE_ASYNC, 5.6)
func (s *SQE) Async() *SQE {
	s.raw.SetFlags(iosys.IOSQE_FLAGS_ASYNC)
	return s
}

// Drain makes the op wait until all entries submitted before it have completed; those
// behind it wait too. A ring that has used SkipSuccess may refuse it (EOPNOTSUPP), and
// a multishot op holds it up until it ends. (IOSQE_IO_DRAIN, 5.2)
func (s *SQE) Drain() *SQE {
	s.raw.SetFlags(iosys.IOSQE_FLAGS_IO_DRAIN)
	return s
}

// FixedFile says that the op's fd is a slot of the ring's own file table (a
// direct descriptor, see [Ring.RegisterFiles]). (IOSQE_FIXED_FILE, 5.1)
func (s *SQE) FixedFile() *SQE {
	s.raw.SetFlags(iosys.IOSQE_FLAGS_FIXED_FILE)
	return s
}

// PollFirst makes a recv, send, recvmsg or sendmsg wait for readiness before its
// first try: cheaper where a socket is usually empty (or full).
// (IORING_RECVSEND_POLL_FIRST, 5.19)
func (s *SQE) PollFirst() *SQE {
	s.orIoprio(_IORING_RECVSEND_POLL_FIRST)
	return s
}

// Bundle lets one completion of a recv with a [BufRing] fill several of its buffers,
// the one that it names and those behind it: see [BufRing.Next].
// (IORING_RECVSEND_BUNDLE, 6.10)
func (s *SQE) Bundle() *SQE {
	s.orIoprio(_IORING_RECVSEND_BUNDLE)
	return s
}

// orIoprio adds bits to sqe->ioprio, which the library can only overwrite.
func (s *SQE) orIoprio(bits uint16) {
	const ioprioOffset = 2 // u8 opcode, u8 flags, u16 ioprio
	*(*uint16)(unsafe.Add(unsafe.Pointer(s), ioprioOffset)) |= bits
}

// skips says that the entry was marked by SkipSuccess.
func (s *SQE) skips() bool {
	const flagsOffset = 1
	return *(*uint8)(unsafe.Add(unsafe.Pointer(s), flagsOffset))&_IOSQE_CQE_SKIP_SUCCESS != 0
}

// prep fills the fields that most ops share.
func (s *SQE) prep(op uint8, fd int32, addr uint64, n uint32, off uint64) *SQE {
	s.raw.PrepOperation(op, fd, addr, n, off)
	return s
}

// intoSlot makes an op that opens a descriptor put it into slot of the ring's
// file table; AllocSlot lets the kernel pick one and return it as the result.
func (s *SQE) intoSlot(slot int) *SQE {
	if slot == AllocSlot {
		s.raw.SetSpliceFdIn(_IORING_FILE_INDEX_ALLOC)
	} else {
		s.raw.SetSpliceFdIn(int32(slot) + 1) // 0 means "no slot" to the kernel
	}
	return s
}

// AllocSlot as a slot lets the kernel choose a free one.
const AllocSlot = -1

var (
	escapeNever bool // never true; the compiler does not know
	escapeSink  unsafe.Pointer
)

// address turns a pointer into the integer that an entry holds. What it points to
// is forced off the stack, because stacks move; it is not kept alive.
func address(p unsafe.Pointer) uint64 {
	if escapeNever {
		escapeSink = p
	}
	return uint64(uintptr(p))
}

// bytesAddress is address for the first byte of b, 0 for an empty b.
func bytesAddress(b []byte) uint64 {
	return address(unsafe.Pointer(unsafe.SliceData(b)))
}

// MostBytes is what the kernel moves at once at most; the rest of a larger buffer
// is left alone. (MAX_RW_COUNT with pages of 4 KiB)
const MostBytes = 0x7ffff000

// length is the size of b for an entry.
func length(b []byte) uint32 { return uint32(min(len(b), MostBytes)) }
