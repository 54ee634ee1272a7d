//go:build linux

package uring

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// trial is an op that shows by its result whether the kernel knows a flag. All but
// the last name a descriptor that cannot be: a kernel that knows the flag gets
// as far as EBADF, one that does not says EINVAL before it looks at the descriptor.
type trial struct {
	feature Feature
	prep    func(r *Ring, s *SQE)
}

// noGroup stands in for a buffer ring; the op fails before it is looked for.
var noGroup = &BufRing{group: 0xffff}

var trials = []trial{
	{PollMultishot, func(_ *Ring, s *SQE) { s.PrepPollMultishot(-1, unix.POLLIN) }},
	{AcceptMultishot, func(_ *Ring, s *SQE) { s.PrepAcceptMultishot(-1, 0) }},
	{RecvMultishot, func(_ *Ring, s *SQE) { s.PrepRecvMultishot(-1, noGroup, 0) }},
	{PollFirst, func(_ *Ring, s *SQE) { s.PrepRecv(-1, nil, 0).PollFirst() }},
	{CancelFd, func(_ *Ring, s *SQE) { s.PrepCancelFd(-1) }},
	{MsgRingFlags, func(r *Ring, s *SQE) { s.PrepMsgRing(r.fd, uint64(featureCount), 0) }},
}

// runTrials finds out by trying. The ring is a plain one, so that it opens on any
// kernel.
func runTrials(f *Features) {
	r, err := open(Config{Entries: 2, CQEntries: 8, CloseTimeoutNs: 1e9}, 0)
	if err != nil {
		for _, t := range trials {
			f.judge(t.feature, err)
			if f.State(t.feature) == Missing { // it is the ring, not the feature
				f.set(t.feature, Unknown, err)
			}
		}
		return
	}
	for _, t := range trials {
		f.judge(t.feature, r.try(t))
	}
	_ = r.Close() // nothing is pending, or the kernel ends it with the descriptor
}

// try runs one trial. None of them waits, so the completion is there on return.
func (r *Ring) try(t trial) error {
	t.prep(r, r.Next(uint64(t.feature)))
	if err := r.Submit(); err != nil {
		return err
	}
	result := errors.New("the trial did not complete")
	for c := r.Peek(); c != nil; c = r.Peek() {
		if c.UserData() == uint64(t.feature) {
			switch errno := c.Errno(); errno {
			case 0, unix.EBADF, unix.ENOENT:
				result = nil
			default:
				result = fmt.Errorf("trial of %s: %w", t.feature.Name(), errno)
			}
		}
		r.Advance(1)
	}
	return result
}
