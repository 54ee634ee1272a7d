//go:build linux

package uring

import (
	"unsafe"

	iosys "github.com/iceber/iouring-go/syscall"
)

// Kernel names, literal, for what iouring-go/syscall (of April 2023) does not
// have. Source: include/uapi/linux/io_uring.h of Linux 6.18. The underscore
// only keeps them out of the exported names.

// Ops.
const _IORING_OP_FIXED_FD_INSTALL uint8 = 54 // 6.8

// io_uring_setup flags.
const (
	_IORING_SETUP_SINGLE_ISSUER uint32 = 1 << 12 // 6.0
	_IORING_SETUP_DEFER_TASKRUN uint32 = 1 << 13 // 6.1
	_IORING_SETUP_NO_SQARRAY    uint32 = 1 << 16 // 6.6
)

// io_uring_params.features.
const (
	_IORING_FEAT_EXT_ARG         uint32 = 1 << 8
	_IORING_FEAT_NATIVE_WORKERS  uint32 = 1 << 9
	_IORING_FEAT_RSRC_TAGS       uint32 = 1 << 10
	_IORING_FEAT_CQE_SKIP        uint32 = 1 << 11
	_IORING_FEAT_LINKED_FILE     uint32 = 1 << 12
	_IORING_FEAT_REG_REG_RING    uint32 = 1 << 13
	_IORING_FEAT_RECVSEND_BUNDLE uint32 = 1 << 14
	_IORING_FEAT_MIN_TIMEOUT     uint32 = 1 << 15
)

// io_uring_enter flags. The library's IORING_ENTER_FLAGS_GETEVENTS is bit 0.
const (
	_IORING_ENTER_EXT_ARG         uint32 = 1 << 3
	_IORING_ENTER_REGISTERED_RING uint32 = 1 << 4
)

// sq_ring->flags. The library has NEED_WAKEUP and CQ_OVERFLOW.
const _IORING_SQ_TASKRUN uint32 = 1 << 2

// io_uring_register opcodes.
const (
	_IORING_REGISTER_FILES2      uint8 = 13
	_IORING_REGISTER_RING_FDS    uint8 = 20
	_IORING_UNREGISTER_RING_FDS  uint8 = 21
	_IORING_REGISTER_PBUF_RING   uint8 = 22
	_IORING_UNREGISTER_PBUF_RING uint8 = 23
	_IORING_REGISTER_SYNC_CANCEL uint8 = 24
	_IORING_REGISTER_SEND_MSG    uint8 = 31 // REGISTER_SEND_MSG_RING, 6.13
	_IORING_RSRC_REGISTER_SPARSE       = 1 << 0
	_IO_URING_OP_SUPPORTED             = 1 << 0
	_IORING_FILE_INDEX_ALLOC     int32 = -1
)

// sqe->flags. The library has bits 0 to 5.
const _IOSQE_CQE_SKIP_SUCCESS uint8 = 1 << 6

// sqe->ioprio of send and recv, and of accept.
const (
	_IORING_RECVSEND_POLL_FIRST uint16 = 1 << 0
	_IORING_RECV_MULTISHOT      uint16 = 1 << 1
	_IORING_ACCEPT_MULTISHOT    uint16 = 1 << 0
	_IORING_RECVSEND_BUNDLE     uint16 = 1 << 4 // 6.10
)

// sqe->len of POLL_ADD.
const _IORING_POLL_ADD_MULTI uint32 = 1 << 0

// sqe->cancel_flags.
const (
	_IORING_ASYNC_CANCEL_ALL      uint32 = 1 << 0
	_IORING_ASYNC_CANCEL_FD       uint32 = 1 << 1
	_IORING_ASYNC_CANCEL_ANY      uint32 = 1 << 2
	_IORING_ASYNC_CANCEL_FD_FIXED uint32 = 1 << 3
)

// sqe->timeout_flags. The library has ABS (bit 0).
const _IORING_TIMEOUT_ETIME_SUCCESS uint32 = 1 << 5

// MSG_RING: command in sqe->addr, flags in sqe->msg_ring_flags.
const (
	_IORING_MSG_DATA            uint64 = 0
	_IORING_MSG_RING_FLAGS_PASS uint32 = 1 << 1 // 6.3
)

// cqe->flags.
const (
	_IORING_CQE_F_BUFFER        uint32 = 1 << 0
	_IORING_CQE_F_MORE          uint32 = 1 << 1
	_IORING_CQE_F_SOCK_NONEMPTY uint32 = 1 << 2
	_IORING_CQE_F_NOTIF         uint32 = 1 << 3
	_IORING_CQE_F_BUF_MORE      uint32 = 1 << 4 // 6.12
	_IORING_CQE_BUFFER_SHIFT           = 16
)

// Not the kernel's: a bit of the upper half of cqe->flags, which the kernel
// uses only together with F_BUFFER. PrepMsgRing has it passed along, so that
// the receiving ring knows the completion answers none of its own entries.
const cqeFlagMessage uint32 = 1 << 31

// io_uring_buf_reg.flags.
const _IOU_PBUF_RING_INC uint16 = 2 // 6.12

// struct io_uring_buf; the ring's tail lies in the last two bytes of entry 0.
type ioUringBuf struct {
	addr uint64
	len  uint32
	bid  uint16
	tail uint16 // resv, but for entry 0
}

// struct io_uring_buf_reg.
type ioUringBufReg struct {
	ringAddr    uint64
	ringEntries uint32
	bgid        uint16
	flags       uint16
	resv        [3]uint64
}

// struct __kernel_timespec.
type kernelTimespec struct {
	sec  int64
	nsec int64
}

// struct io_uring_getevents_arg.
type ioUringGeteventsArg struct {
	sigmask     uint64
	sigmaskSz   uint32
	minWaitUsec uint32 // 6.12; padding before
	ts          uint64
}

// struct io_uring_rsrc_register.
type ioUringRsrcRegister struct {
	nr    uint32
	flags uint32
	resv2 uint64
	data  uint64
	tags  uint64
}

// struct io_uring_rsrc_update, also the argument of REGISTER_RING_FDS and,
// named io_uring_files_update, of REGISTER_FILES_UPDATE.
type ioUringRsrcUpdate struct {
	offset uint32
	resv   uint32
	data   uint64
}

// struct io_uring_sync_cancel_reg.
type ioUringSyncCancelReg struct {
	addr    uint64
	fd      int32
	flags   uint32
	timeout kernelTimespec
	opcode  uint8
	pad     [7]uint8
	pad2    [3]uint64
}

// struct io_uring_probe with room for every opcode a byte can name.
type ioUringProbe struct {
	lastOp uint8
	opsLen uint8
	resv   uint16
	resv2  [3]uint32
	ops    [256]struct {
		op    uint8
		resv  uint8
		flags uint16
		resv2 uint32
	}
}

// The layouts the kernel sees; a wrong size does not compile.
var (
	_ [64]byte = [unsafe.Sizeof(iosys.SubmissionQueueEntry64{})]byte{}
	_ [16]byte = [unsafe.Sizeof(iosys.CompletionQueueEvent16{})]byte{}
	_ [16]byte = [unsafe.Sizeof(ioUringBuf{})]byte{}
	_ [40]byte = [unsafe.Sizeof(ioUringBufReg{})]byte{}
	_ [24]byte = [unsafe.Sizeof(ioUringGeteventsArg{})]byte{}
	_ [32]byte = [unsafe.Sizeof(ioUringRsrcRegister{})]byte{}
	_ [16]byte = [unsafe.Sizeof(ioUringRsrcUpdate{})]byte{}
	_ [64]byte = [unsafe.Sizeof(ioUringSyncCancelReg{})]byte{}
)
