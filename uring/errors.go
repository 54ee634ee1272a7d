//go:build linux

package uring

import "errors"

var (
	// ErrClosed: the ring was closed.
	ErrClosed = errors.New("uring: the ring is closed")

	// ErrNotIssuer: a thread other than the ring's own used it. Lock the goroutine
	// to its thread (runtime.LockOSThread) before Open or Enable and keep it there.
	ErrNotIssuer = errors.New("uring: called on a thread that is not the ring's issuer; " +
		"lock the goroutine to its thread before Open or Enable (SINGLE_ISSUER, EEXIST)")

	// ErrDisabled: the ring was opened with Config.Disabled and not enabled yet.
	ErrDisabled = errors.New("uring: the ring is not enabled; call Enable on the thread that will use it")

	// ErrDropped: the kernel had no memory to keep completions that did not fit,
	// and lost some (EBADR). Ops are unaccounted for; the ring cannot be trusted.
	ErrDropped = errors.New("uring: the kernel lost completions for want of memory (EBADR); raise Config.CQEntries")

	// ErrStuck: the kernel took no entries after many tries (EAGAIN or EBUSY).
	ErrStuck = errors.New("uring: the kernel takes no more entries (EAGAIN or EBUSY, many times); " +
		"it is out of memory, or completions are not harvested: raise Config.CQEntries or harvest more often")

	// ErrPending: Close could not see the end of every op.
	ErrPending = errors.New("uring: ops are still in the kernel, so nothing was freed")
)
