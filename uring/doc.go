//go:build linux

// Package uring is an io_uring ring for one thread, built on the system calls and
// layouts of github.com/iceber/iouring-go/syscall. It is mechanism only: it knows
// ops, completions and memory, nothing of what they are for.
//
// # Shape
//
//	r, err := uring.Open(uring.Config{})      // on a locked thread
//	r.Next(userData).PrepRecv(fd, buf, 0)     // queue; no system call
//	ready, err := r.SubmitAndWait(1, timeoutNs) // one io_uring_enter
//	for n := r.Harvest(batch[:]); n > 0; n = r.Harvest(batch[:]) {
//		... batch[i].UserData(), batch[i].Res() ...
//	}
//
// Nothing on this path allocates, locks, or calls through an interface.
//
// # Thread
//
// A ring belongs to one OS thread: the one that called [Open], or [Ring.Enable]
// after Config.Disabled. Lock the goroutine to it first and for good. The kernel
// enforces it (SINGLE_ISSUER: EEXIST, here [ErrNotIssuer]) and in return
// leaves out locks and, with DEFER_TASKRUN, posts completions only inside our own
// enters: so completions appear in SubmitAndWait, and never in between. Nothing in
// a Ring is made for a second thread, [Ring.Fd] and [Ring.Entries] apart; to reach
// a ring from another, send it a message ([SQE.PrepMsgRing]) or poll an eventfd.
//
// An enter that cannot wait goes past the Go scheduler (RawSyscall6), one that can
// tells it (Syscall6): a thread that sleeps unannounced would hold up garbage collection.
// So submit in moderate batches: while an enter runs ops inline, its P waits.
//
// # Completion
//
// Every entry has exactly one last completion, cancelled ones too (ECANCELED): one
// without [CQE.More]. Three exceptions: an entry marked [Ring.SkipSuccess] that
// succeeds has none, nor have those behind it in its chain if it fails (say so:
// [Ring.Forgo]), and completions with [CQE.Message] answer no entry of this ring. [Ring.Pending] counts the entries that still owe their last one. A multishot
// op owes many; when one comes without More, for whatever reason (ENOBUFS, an
// overflowed queue, an error), it has ended: arm it again if it is still wanted.
//
// An error of an op is its result and concerns that op alone (SUBMIT_ALL: the
// entries after it are submitted all the same). An error of a Ring method means
// that the ring is dead; it sticks ([Ring.Err]). EINTR, ETIME, EAGAIN and EBUSY of
// an enter are none: SubmitAndWait then returns early, with fewer completions than
// asked. Harvest, compute the timeout anew, call again.
//
// The completion queue is at least four times the submission queue. If it overflows
// all the same, the kernel keeps the rest in memory of its own, sets a flag, and
// ends multishot ops; Peek and Harvest see the flag once the queue is empty and
// fetch the rest (Stats.OverflowFlushes). A count that grows asks for a larger
// Config.CQEntries.
//
// # Ownership
//
// An entry holds addresses as integers. They keep nothing alive and nothing in
// place; the caller does:
//
//   - Everything that an op reads or writes (buffers, socket addresses, message
//     headers and what they point to, the Statx_t) must live, and not be
//     touched, from Prep to the op's last completion. Cancelling does not end
//     that; the completion does. Nor does closing the descriptor: the op holds the file.
//   - Paths must live until submitted; the kernel copies them (SUBMIT_STABLE, 5.5).
//     Times given to NextTimeout and NextLinkTimeout are copied at once.
//   - Best lies such memory off the Go heap (an anonymous mapping; [BufRing] is
//     one), in a table indexed by user data. Go memory will do if something
//     reachable holds it until the last completion, say the record of the op:
//     Go's heap does not move. Stacks do, so the Prep methods force what they are
//     given onto the heap: a local buffer costs an allocation, visible in a profile.
//
// Think of an op as submitted, waited for, abandoned (nobody wants the result, yet
// the kernel has the buffer), completed. Only completed frees. (monoio's four states)
//
// # Closing
//
// In this order: stop arming; cancel ([SQE.PrepCancel], [SQE.PrepCancelFd]) what is
// in the kernel, before its descriptor is closed; harvest until [Ring.Pending] is 0; then free
// buffers. [Ring.Close] does the same for what is left, discards the results, and
// frees nothing while an op is in the kernel. After Close has returned nil, all
// memory is the caller's again.
//
// # What helps a server of small messages
//
// Measured with the model iouring (options of runtime.RingOptions, or syslet serve
// --ring) on two virtual CPUs, Linux 6.18: CPU per message with the option, relative
// to without it, the others as by default but direct off, paired slices of 0.2 s,
// median and its 95 % interval over 16, 14 and 8 rounds. Below 1 is a gain. An interval
// that holds 1 is no effect that could be measured.
//
//	option           Linux  echo, 64 connections,  the same,         fan-out to 500,   default
//	                        20,000 messages/s      saturated         saturated, 64 B
//	quiet-sends      5.17   0.95 [0.90 0.97]       1.00 [0.98 1.00]  0.99 [0.97 1.03]  on
//	one-enter        -      0.94 [0.92 1.09]       0.99 [0.98 1.00]                    on
//	standing-timer   5.4    nothing to gain: echo has no deadlines                     on
//	registered-ring  5.18   1.02 [0.95 1.17]       1.00 [0.98 1.00]                    on
//	no-sqarray       6.6    0.96 [0.93 1.05]       1.00 [0.99 1.00]                    on
//	direct           5.19   1.04 [0.89 1.06]       1.00 [1.00 1.03]  0.97 [0.93 0.99]  on
//	incremental      6.12   1.02 [0.92 1.13]       1.01 [1.00 1.03]                    off
//	bundle           6.10                          1.00 [1.00 1.02]                    off
//	poll-first       5.19                          1.00 [0.99 1.05]                    off
//	message-wakes    6.13   0.99 [0.93 1.08]                                           off
//	spin=30us        -      1.48 [1.32 1.66]       1.01 [1.00 1.04]                    off
//	gather=50us      6.12   1.38 [1.17 1.62]                                           off
//
// More than all of these gives what is no option: a loop that sleeps often sets no
// timer for each sleep ([Ring.SubmitAndHold]). With a timeout of 1 ms in every wait
// the same echo costs 1.20 times as much in plain C (5 rounds, 1.18 to 1.39).
//
// Spinning buys 3 us of the median latency (32 to 29), gathering costs 33. Bundles
// are for streams; poll-first touches only the first receive of a
// connection; message-wakes only wakes between threads, of which an echo has few. A
// submission queue of 4,096 entries instead of 1,024 made no difference to a fan-out to
// 500: 0.99 [0.95 1.03]. Not used at all: SQPOLL (it burns a CPU), zero-copy sends
// (on loopback they copy, and complete twice), an accept that tells the peer's
// address (a multishot one has nowhere to put it; getpeername is one call in the
// life of a connection).
//
// # Kernels
//
// [Open] needs Linux 6.1. [Probe] says what is there, missing, forbidden or could
// not be found out; [Features.Require] makes one error of it. Sources: io_uring(7),
// io_uring_setup(2), io_uring_enter(2), io_uring_register(2) and the manual pages of
// liburing; the kernel version of each feature is at its method.
package uring
