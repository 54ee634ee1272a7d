//go:build linux

package uring

import (
	iosys "github.com/iceber/iouring-go/syscall"
	"golang.org/x/sys/unix"
)

// CQE is one completion.
type CQE struct {
	raw iosys.CompletionQueueEvent16
}

// UserData is what the caller gave to [Ring.Next].
func (c *CQE) UserData() uint64 { return c.raw.UserData() }

// Res is the op's result: what its system call returns, or minus the errno.
func (c *CQE) Res() int32 { return c.raw.Result() }

// Errno is the op's error, 0 for none.
func (c *CQE) Errno() unix.Errno {
	if res := c.raw.Result(); res < 0 {
		return unix.Errno(-res)
	}
	return 0
}

// Flags is cqe->flags as the kernel wrote it.
func (c *CQE) Flags() uint32 { return c.raw.Flags() }

// More says that the same entry will complete again. Without it, this was the
// entry's last completion: a multishot op must be armed again.
// (IORING_CQE_F_MORE)
func (c *CQE) More() bool { return c.raw.Flags()&_IORING_CQE_F_MORE != 0 }

// Buffer gives the buffer that the kernel took from the entry's [BufRing]; ok is
// false if it took none. (IORING_CQE_F_BUFFER)
func (c *CQE) Buffer() (bid uint16, ok bool) {
	flags := c.raw.Flags()
	return uint16(flags >> _IORING_CQE_BUFFER_SHIFT), flags&_IORING_CQE_F_BUFFER != 0
}

// BufferGoesOn says that the kernel has not used its buffer up and will go on behind
// these bytes. (BufferConfig.Incremental; IORING_CQE_F_BUF_MORE, 6.12)
func (c *CQE) BufferGoesOn() bool { return c.raw.Flags()&_IORING_CQE_F_BUF_MORE != 0 }

// SockNonempty says that the socket had more to read after this recv.
// (IORING_CQE_F_SOCK_NONEMPTY, 5.19)
func (c *CQE) SockNonempty() bool { return c.raw.Flags()&_IORING_CQE_F_SOCK_NONEMPTY != 0 }

// Message says that another ring posted this with [SQE.PrepMsgRing]; it answers
// no entry of this ring.
func (c *CQE) Message() bool {
	const mask = cqeFlagMessage | _IORING_CQE_F_BUFFER
	return c.raw.Flags()&mask == cqeFlagMessage
}

// final says that the entry behind this completion will not complete again.
func (c *CQE) final() bool { return !c.More() && !c.Message() }
