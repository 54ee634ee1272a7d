package main

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The protocol of the workload framed, as workloads/echo has it. A request is
// 16 bytes, little endian: u8 kind (0 echo, 1 read a block first), three zero
// bytes, u32 tag, u32 block number modulo the file's, u32 anything. An answer is
// the request with, for kind 1, the CRC-32 (IEEE) of the block at 12, or
// 0xffffffff there and the errno at 8. Answers come in any order. Another kind
// ends the connection.
const (
	frameBytes = 16
	blockBytes = 4096

	kindEcho = 0
	kindDisk = 1
)

type frame [frameBytes]byte

// splitFrames walks over the whole frames of p: echo gets each longest run of
// frames to send back as they are, read each frame that asks for a block. It
// returns how many bytes it took, and false at a frame of unknown kind.
func splitFrames(p []byte, echo func(run []byte), read func(f *frame)) (taken int, ok bool) {
	run := 0
	flush := func(end int) {
		if end > run {
			echo(p[run:end])
		}
	}
	for ; len(p)-taken >= frameBytes; taken += frameBytes {
		switch p[taken] {
		case kindEcho:
			continue
		case kindDisk:
			flush(taken)
			read((*frame)(p[taken:]))
			run = taken + frameBytes
		default:
			flush(taken)
			return taken, false
		}
	}
	flush(taken)
	return taken, true
}

// disk is the file that frames of kind 1 read.
type disk struct {
	fd     int
	blocks uint32
}

func openDisk(path string) (*disk, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("--disk-file %q: cannot open with O_DIRECT (the file system must support it): %w", path, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Size < blockBytes {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("--disk-file %q: has %d bytes, want at least %d (error: %v)", path, st.Size, blockBytes, err)
	}
	return &disk{fd: fd, blocks: uint32(st.Size / blockBytes)}, nil
}

// answer turns the request f into its answer; buf is an alignedBlock. It
// blocks for the device.
func (d *disk) answer(f *frame, buf []byte) {
	off := int64(binary.LittleEndian.Uint32(f[8:])%d.blocks) * blockBytes
	n, err := unix.Pread(d.fd, buf, off)
	for err == unix.EINTR {
		n, err = unix.Pread(d.fd, buf, off)
	}
	sum := uint32(0xffffffff)
	if n == blockBytes {
		sum = crc32.ChecksumIEEE(buf)
	} else {
		errno, _ := err.(unix.Errno)
		binary.LittleEndian.PutUint32(f[8:], uint32(errno))
	}
	binary.LittleEndian.PutUint32(f[12:], sum)
}

// alignedBlock is blockBytes of memory at a multiple of blockBytes, as
// O_DIRECT wants.
func alignedBlock() []byte {
	b := make([]byte, 2*blockBytes)
	off := blockBytes - int(uintptr(unsafe.Pointer(&b[0]))%blockBytes)
	return b[off : off+blockBytes : off+blockBytes]
}
