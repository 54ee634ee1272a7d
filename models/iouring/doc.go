// Package iouring is the model of completions: the socket half and the ops of
// syslets are entries of one io_uring per shard, and a turn of the loop is one
// io_uring_enter that submits what the last turn queued and waits for what ends.
// Plain functions, which no ring runs, go to a pool of helper threads.
//
// A receive stays armed (multishot) and takes its buffers from a ring of them. A send
// that the socket takes whole, as nearly all are, completes in silence (quiet.go), so
// that the enter which submits it can be the one that sleeps (sleep.go).
// runtime.RingOptions choose among these and other tricks; package uring has a table
// of what each gives.
//
// # Ops
//
// How each op is made, the kernel that has the entry (the model as a whole needs
// Linux 6.1), and whether the op can be part of a chain:
//
//	nop, add    computed here; between the ops of a chain, too
//	openat      OPENAT      5.6   linked; into a slot of the file table (5.15), see below
//	close       CLOSE       5.6   linked
//	pread       READ        5.6   linked; nothing, or an offset below 0: by the plain call
//	pwrite      WRITE       5.6   linked; the same
//	fsync       FSYNC       5.1   linked
//	fdatasync   FSYNC       5.1   linked
//	statx       STATX       5.6   linked; of an open descriptor: by the plain call
//	renameat    RENAMEAT    5.11  linked
//	unlinkat    UNLINKAT    5.11  linked
//	mkdirat     MKDIRAT     5.15  linked
//	fallocate   FALLOCATE   5.6   linked
//	recv, send  RECV, SEND  5.6   alone; after EAGAIN behind a POLL_ADD
//	connect     CONNECT     5.5   alone; after EINPROGRESS a POLL_ADD, then SO_ERROR
//	accept      ACCEPT      5.5   alone; after EAGAIN behind a POLL_ADD
//	poll        POLL_ADD    5.1   alone; a helper if the ring reports what was not asked for
//	sleep       TIMEOUT     5.4   alone
//	splice      SPLICE      5.7   alone; a helper for more than 4 GiB, nothing: by the plain call
//	call        a helper thread
//
// Async makes an entry IOSQE_ASYNC: a worker of the kernel's runs it, without a try
// in our enter (not poll and sleep, which wait without a thread). Sync makes the
// plain call in the loop. Direct changes nothing.
//
// # Chains
//
// A program goes to the kernel as far as its flags and data allow, in one
// submission of linked entries; chain.go says how far that is. What needs an
// earlier result that is not known before goes in a submission of its own, and so
// does all that is left of a chain that broke. An open, a read and a close are one
// submission, because the open can go into a slot of the ring's file table (5.19),
// which is known before; scan.go says when it may. Without a free slot, or without
// the table, the open makes a descriptor and ends its chain. A file that is in a
// slot when its program ends gets a descriptor then (FIXED_FD_INSTALL, 6.8); kernels
// that cannot do that run only those programs in slots that never need it.
//
// A chain ends behind fsync, fallocate, statx, renameat, unlinkat and mkdirat if the
// program looks at what they give: since Linux 6.0 they break no link when they
// fail. So write, fsync, rename is one submission only without a stop behind the
// fsync; with one the rename follows when the fsync has ended.
//
// # Cancel
//
// Every op but call is cancelled where it is: poll, recv, send, accept, connect,
// sleep and splice are interrupted at once, and so is what a kernel worker has not
// begun. A file op that runs ends first. What a chain has done stays done, and its
// results are in their registers. package conformance tests it (RunInterrupts).
//
// # Results
//
// They are those of the plain calls, errors included; what is left:
//
//   - pread and pwrite of a pipe or a socket, which the plain calls refuse (ESPIPE),
//     read and write it. Only a system call more per op could tell.
//   - openat of a FIFO does not wait for its other end (to write: ENXIO), unless it
//     is marked Async.
//   - The number of a descriptor that its program closes itself may be a stand-in,
//     and that of one which a program leaves open because an op failed may be that
//     of a descriptor which was closed meanwhile. If there is no descriptor left for
//     it (EMFILE), it is closed and its register holds that error.
package iouring
