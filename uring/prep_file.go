//go:build linux

package uring

import (
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// CurrentOffset as an offset means the file's own position; pipes and sockets
// need it. (RW_CUR_POS, 5.6)
const CurrentOffset int64 = -1

// PrepRead reads once into buf at offset bytes; the result is the number of bytes.
// The kernel writes buf until completion. (5.6)
func (s *SQE) PrepRead(fd int, buf []byte, offset int64) *SQE {
	return s.prep(iosys.IORING_OP_READ, int32(fd), bytesAddress(buf), length(buf), uint64(offset))
}

// PrepWrite writes buf once at offset bytes; the result is the number of bytes,
// which may be fewer. The kernel reads buf until completion. (5.6)
func (s *SQE) PrepWrite(fd int, buf []byte, offset int64) *SQE {
	return s.prep(iosys.IORING_OP_WRITE, int32(fd), bytesAddress(buf), length(buf), uint64(offset))
}

// PrepFsync is fsync(2). (5.1)
func (s *SQE) PrepFsync(fd int) *SQE {
	return s.prep(iosys.IORING_OP_FSYNC, int32(fd), 0, 0, 0)
}

// PrepFdatasync is fdatasync(2). (5.1)
func (s *SQE) PrepFdatasync(fd int) *SQE {
	s.prep(iosys.IORING_OP_FSYNC, int32(fd), 0, 0, 0)
	s.raw.SetOpFlags(iosys.IORING_FSYNC_DATASYNC)
	return s
}

// PrepFallocate is fallocate(2): mode, then offset and length in bytes. (5.6)
func (s *SQE) PrepFallocate(fd int, mode uint32, offset, length int64) *SQE {
	return s.prep(iosys.IORING_OP_FALLOCATE, int32(fd), uint64(length), mode, uint64(offset))
}

// PrepOpenat is openat(2); the result is the descriptor. path ends with a zero
// byte and must live until it is submitted. (5.6)
func (s *SQE) PrepOpenat(dirfd int, path *byte, flags int, mode uint32) *SQE {
	s.prep(iosys.IORING_OP_OPENAT, int32(dirfd), address(unsafe.Pointer(path)), mode, 0)
	s.raw.SetOpFlags(uint32(flags))
	return s
}

// PrepOpenat2 is openat2(2); the result is the descriptor. path ends with a zero
// byte; it and how must live until completion. (5.6)
func (s *SQE) PrepOpenat2(dirfd int, path *byte, how *unix.OpenHow) *SQE {
	return s.prep(iosys.IORING_OP_OPENAT2, int32(dirfd), address(unsafe.Pointer(path)), uint32(unsafe.Sizeof(*how)), address(unsafe.Pointer(how)))
}

// PrepOpenatDirect is PrepOpenat into slot (or AllocSlot) of the ring's file
// table: no descriptor of the process is made, and a linked op may use the slot
// with FixedFile before the open has happened. O_CLOEXEC is not allowed. (5.15)
func (s *SQE) PrepOpenatDirect(dirfd int, path *byte, flags int, mode uint32, slot int) *SQE {
	return s.PrepOpenat(dirfd, path, flags, mode).intoSlot(slot)
}

// PrepClose closes a descriptor. (5.6)
func (s *SQE) PrepClose(fd int) *SQE {
	return s.prep(iosys.IORING_OP_CLOSE, int32(fd), 0, 0, 0)
}

// PrepCloseDirect empties a slot of the ring's file table. Unlike close(2) it does
// not flush the file: what a network file system would report then is lost. (5.15)
func (s *SQE) PrepCloseDirect(slot int) *SQE {
	return s.prep(iosys.IORING_OP_CLOSE, 0, 0, 0, 0).intoSlot(slot)
}

// PrepFdInstall gives the file in a slot of the ring's file table a descriptor,
// close-on-exec, which is the result; the slot keeps the file too.
// (FIXED_FD_INSTALL, 6.8)
func (s *SQE) PrepFdInstall(slot int) *SQE {
	return s.prep(_IORING_OP_FIXED_FD_INSTALL, int32(slot), 0, 0, 0).FixedFile()
}

// PrepStatx is statx(2). path ends with a zero byte and must live until it is
// submitted; the kernel writes into stat until completion. (5.6)
func (s *SQE) PrepStatx(dirfd int, path *byte, flags int, mask uint32, stat *unix.Statx_t) *SQE {
	s.prep(iosys.IORING_OP_STATX, int32(dirfd), address(unsafe.Pointer(path)), mask,
		address(unsafe.Pointer(stat)))
	s.raw.SetOpFlags(uint32(flags))
	return s
}

// PrepRenameat is renameat2(2). Both paths end with a zero byte and must live until
// they are submitted. (5.11)
func (s *SQE) PrepRenameat(oldDirfd int, oldPath *byte, newDirfd int, newPath *byte, flags uint32) *SQE {
	s.prep(iosys.IORING_OP_RENAMEAT, int32(oldDirfd), address(unsafe.Pointer(oldPath)),
		uint32(newDirfd), address(unsafe.Pointer(newPath)))
	s.raw.SetOpFlags(flags)
	return s
}

// PrepUnlinkat is unlinkat(2), with AT_REMOVEDIR for a folder. path ends with a zero
// byte and must live until it is submitted. (5.11)
func (s *SQE) PrepUnlinkat(dirfd int, path *byte, flags int) *SQE {
	s.prep(iosys.IORING_OP_UNLINKAT, int32(dirfd), address(unsafe.Pointer(path)), 0, 0)
	s.raw.SetOpFlags(uint32(flags))
	return s
}

// PrepMkdirat is mkdirat(2). path ends with a zero byte and must live until it is
// submitted. (5.15)
func (s *SQE) PrepMkdirat(dirfd int, path *byte, mode uint32) *SQE {
	return s.prep(iosys.IORING_OP_MKDIRAT, int32(dirfd), address(unsafe.Pointer(path)), mode, 0)
}

// PrepSplice moves up to n bytes from fdIn to fdOut, one of which is a pipe. An
// offset is CurrentOffset for a pipe. flags are those of splice(2). FixedFile speaks
// of fdOut. (5.7)
func (s *SQE) PrepSplice(fdIn int, offIn int64, fdOut int, offOut int64, n uint32, flags uint32) *SQE {
	s.prep(iosys.IORING_OP_SPLICE, int32(fdOut), uint64(offIn), n, uint64(offOut))
	s.raw.SetSpliceFdIn(int32(fdIn))
	s.raw.SetOpFlags(flags)
	return s
}
