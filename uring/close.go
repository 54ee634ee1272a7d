//go:build linux

package uring

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Close cancels what is in the kernel, waits for every completion (their results
// are lost), then frees buffer rings, mappings and the descriptor. Entries that were
// not submitted never will be. It may be called again and then does nothing. With
// ops pending it must run on the issuer thread (ErrNotIssuer), unless that thread
// has exited; with none, any thread may. If ops outlast Config.CloseTimeoutNs it
// frees nothing, because the kernel may yet write, returns an error that wraps
// ErrPending, and can be called again.
func (r *Ring) Close() error {
	if r.closed {
		return nil
	}
	if r.issuer != 0 && r.pending != 0 && !r.issuerGone() {
		if unix.Gettid() != r.issuer {
			return fmt.Errorf("%w; %d ops are pending", ErrNotIssuer, r.pending)
		}
		if err := r.drain(); err != nil {
			return err
		}
	}
	r.closed = true
	r.err = ErrClosed
	r.disown()
	errs := []error{r.release()}
	for len(r.bufRings) > 0 {
		errs = append(errs, r.bufRings[0].release(false))
	}
	return errors.Join(errs...)
}

// issuerGone says that the issuer thread has exited; the kernel then has cancelled
// its ops.
func (r *Ring) issuerGone() bool {
	return unix.Tgkill(unix.Getpid(), r.issuer, 0) == unix.ESRCH
}

// drain cancels everything and harvests until nothing is pending.
func (r *Ring) drain() error {
	r.dropQueued()
	deadline := time.Now().Add(time.Duration(r.closeNs))
	var batch [64]CQE
	for r.pending > 0 {
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("%w: %d of them after %v; raise Config.CloseTimeoutNs",
				ErrPending, r.pending, time.Duration(r.closeNs))
		}
		r.err = nil // whatever killed the ring, try: the kernel still has our ops
		// Cancel in each round: a linked op may have started since the last.
		r.Next(0).prepCancelAny()
		_, err := r.SubmitAndWait(r.pending, int64(min(left, 100*time.Millisecond)))
		if err != nil && !errors.Is(err, ErrDropped) {
			return fmt.Errorf("%w: %d of them: %w", ErrPending, r.pending, err)
		}
		for r.Harvest(batch[:]) > 0 {
		}
	}
	return nil
}

// release frees what the ring has, in whatever state it is.
func (r *Ring) release() error {
	var errs []error
	for _, mem := range []*[]byte{&r.ringMem, &r.sqeMem, &r.ownMem} {
		if *mem != nil {
			errs = append(errs, unix.Munmap(*mem))
			*mem = nil
		}
	}
	// A late call finds an empty queue and a place to write, not unmapped memory.
	r.sqes, r.sqMask, r.times = make([]SQE, 1), 0, make([]kernelTimespec, 1)
	r.cqes, r.cqMask, r.cqHead, r.cqTail, r.wait = nil, 0, 0, 0, nil
	var none [5]uint32
	r.kSQHead, r.kSQTail, r.kSQFlags, r.kCQHead, r.kCQTail = &none[0], &none[1], &none[2], &none[3], &none[4]
	if r.fd >= 0 {
		errs = append(errs, unix.Close(r.fd))
		r.fd = -1
	}
	return errors.Join(errs...)
}
