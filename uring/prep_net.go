//go:build linux

package uring

import (
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// PrepAccept accepts one connection; the result is its descriptor. flags are
// those of accept4(2). addr and addrLen may both be nil; else the kernel writes
// them until completion. (IORING_OP_ACCEPT, 5.5)
func (s *SQE) PrepAccept(fd int, addr *unix.RawSockaddrAny, addrLen *uint32, flags int) *SQE {
	s.prep(iosys.IORING_OP_ACCEPT, int32(fd), address(unsafe.Pointer(addr)), 0,
		address(unsafe.Pointer(addrLen)))
	s.raw.SetOpFlags(uint32(flags))
	return s
}

// PrepAcceptMultishot accepts connection after connection, one completion each,
// until one comes without [CQE.More]: then arm again. (5.19)
func (s *SQE) PrepAcceptMultishot(fd int, flags int) *SQE {
	s.PrepAccept(fd, nil, nil, flags)
	s.orIoprio(_IORING_ACCEPT_MULTISHOT)
	return s
}

// PrepAcceptDirect is PrepAccept into slot (or AllocSlot) of the ring's file
// table; SOCK_CLOEXEC is not allowed. (5.19)
func (s *SQE) PrepAcceptDirect(fd int, slot int, flags int) *SQE {
	return s.PrepAccept(fd, nil, nil, flags).intoSlot(slot)
}

// PrepRecv receives once into buf, which the kernel writes until completion. The
// result is the number of bytes, 0 at the end of the stream. (5.6)
func (s *SQE) PrepRecv(fd int, buf []byte, flags int) *SQE {
	s.prep(iosys.IORING_OP_RECV, int32(fd), bytesAddress(buf), length(buf), 0)
	s.raw.SetOpFlags(uint32(flags))
	return s
}

// PrepRecvSelect is PrepRecv into a buffer that the kernel takes from a
// [BufRing]; ENOBUFS if that has none. (PBUF_RING, 5.19)
func (s *SQE) PrepRecvSelect(fd int, bufs *BufRing, flags int) *SQE {
	s.prep(iosys.IORING_OP_RECV, int32(fd), 0, 0, 0)
	s.raw.SetOpFlags(uint32(flags))
	s.raw.SetFlags(iosys.IOSQE_FLAGS_BUFFER_SELECT)
	s.raw.SetBufGroup(bufs.group)
	return s
}

// PrepRecvMultishot receives again and again, each completion with a buffer of
// its own from bufs, until one comes without [CQE.More]: end of stream (result
// 0, no buffer), an error, or ENOBUFS. See [BufRing]. (6.0)
func (s *SQE) PrepRecvMultishot(fd int, bufs *BufRing, flags int) *SQE {
	s.PrepRecvSelect(fd, bufs, flags)
	s.orIoprio(_IORING_RECV_MULTISHOT)
	return s
}

// PrepSend sends buf once; the result is the number of bytes, which may be fewer.
// With MSG_WAITALL the kernel goes on until all are sent, or an error. The
// kernel reads buf until completion. (5.6; WAITALL retry 5.19)
func (s *SQE) PrepSend(fd int, buf []byte, flags int) *SQE {
	s.prep(iosys.IORING_OP_SEND, int32(fd), bytesAddress(buf), length(buf), 0)
	s.raw.SetOpFlags(uint32(flags))
	return s
}

// PrepSendmsg is sendmsg(2). What msg points to, itself included, must live until
// completion. (5.3)
func (s *SQE) PrepSendmsg(fd int, msg *unix.Msghdr, flags int) *SQE {
	s.prep(iosys.IORING_OP_SENDMSG, int32(fd), address(unsafe.Pointer(msg)), 1, 0)
	s.raw.SetOpFlags(uint32(flags))
	return s
}

// PrepRecvmsg is recvmsg(2). What msg points to, itself included, must live until
// completion. (5.3)
func (s *SQE) PrepRecvmsg(fd int, msg *unix.Msghdr, flags int) *SQE {
	s.prep(iosys.IORING_OP_RECVMSG, int32(fd), address(unsafe.Pointer(msg)), 1, 0)
	s.raw.SetOpFlags(uint32(flags))
	return s
}

// PrepConnect is connect(2); addr holds a raw socket address of addrLen bytes and
// must live until completion. (5.5)
func (s *SQE) PrepConnect(fd int, addr unsafe.Pointer, addrLen uint32) *SQE {
	return s.prep(iosys.IORING_OP_CONNECT, int32(fd), address(addr), 0, uint64(addrLen))
}

// PrepShutdown is shutdown(2); how is SHUT_RD, SHUT_WR or SHUT_RDWR. (5.11)
func (s *SQE) PrepShutdown(fd int, how int) *SQE {
	return s.prep(iosys.IORING_OP_SHUTDOWN, int32(fd), 0, uint32(how), 0)
}
