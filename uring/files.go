//go:build linux

package uring

import (
	"fmt"
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
)

// RegisterFiles gives the ring a file table of n empty slots, for ops that open
// into a slot and for [SQE.FixedFile]. Once per ring; Close empties it.
// (IORING_REGISTER_FILES2 with RSRC_REGISTER_SPARSE, 5.19)
func (r *Ring) RegisterFiles(n int) error {
	if r.closed {
		return ErrClosed
	}
	reg := ioUringRsrcRegister{nr: uint32(n), flags: _IORING_RSRC_REGISTER_SPARSE}
	err := iosys.IOURingRegister(r.fd, _IORING_REGISTER_FILES2, unsafe.Pointer(&reg), uint32(unsafe.Sizeof(reg)))
	if err != nil {
		return fmt.Errorf("uring: register a table of %d files (RLIMIT_NOFILE bounds it): %w", n, err)
	}
	return nil
}

// UpdateFile puts descriptor fd into a slot of the file table, or empties the slot
// with fd -1. The descriptor itself may be closed after; the slot keeps the file
// open. (IORING_REGISTER_FILES_UPDATE, 5.5)
func (r *Ring) UpdateFile(slot, fd int) error {
	if r.closed {
		return ErrClosed
	}
	fds := []int32{int32(fd)}
	update := iosys.IOURingFilesUpdate{Offset: uint32(slot), Fds: &fds[0]}
	err := iosys.IOURingRegister(r.fd, iosys.IORING_REGISTER_FILES_UPDATE, unsafe.Pointer(&update), 1)
	if err != nil {
		return fmt.Errorf("uring: put descriptor %d into slot %d: %w", fd, slot, err)
	}
	return nil
}
