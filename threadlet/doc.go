// Package threadlet lets a loop run its work straight through and survive whatever in it blocks.
//
// A pool has one head, the thread that runs the loop, and a bounded number of standbys. The loop brackets each piece of work that
// might block, a body, with Enter and Leave. If the body blocks, a standby takes the loop over within microseconds; the old head
// keeps its body, finishes it alone, learns from Leave that it is head no more, and comes home as a standby. A body that
// does not block costs two atomic operations. The idea is that of the threadlets proposed for Linux in 2007, which moved the
// context inside the kernel; here it takes no kernel patch and no privilege.
//
//	p, err := threadlet.Open(threadlet.Config{Name: "shard0", CPU: 0, Standbys: 3, Loop: func() {
//		for !p.Stopping() {
//			work := shard.next()             // polls; before a wait that may sleep: p.Idle()
//			ticket := p.Enter()
//			result := work()                 // may block in any way
//			if !p.Leave(ticket) {
//				shard.post(result)       // by way of a queue: this thread owns nothing of the shard any more
//				return
//			}
//			shard.done(result)
//		}
//	}})
//	err = p.Run()
//
// # Ownership
//
// One 64-bit word holds state, head's thread, epoch and number of the body, and every change of role is one
// compare-and-swap (CAS) on it:
//
//	from      to        by                  with    what else must hold
//	running   inBody    head: Enter         store   only the head writes while running
//	running   offered   head: Offer         store   the same; a free standby was reserved first; new epoch
//	inBody    running   head: Leave         CAS     same word, so nobody took over
//	inBody    offered   head: HandOver      CAS     a free standby was reserved first; new epoch
//	inBody    claimed   the watcher         CAS     the head was seen blocked; a free standby was reserved first; new epoch
//	inBody    running   a standby           CAS     the head was seen blocked; it reserved itself; new epoch, new thread
//	offered   running   a standby           CAS     new thread, the epoch of the offer
//	claimed   running   a standby           CAS     new thread, the epoch of the claim
//	running   parked    head: Park          store   as Enter; it is about to sleep and leaves the shard alone
//	parked    running   head: Unpark        CAS     it has woken
//	parked    lent      a visitor: Visit    CAS     it has ended its body; the head does not want the role back
//	lent      parked    it: EndVisit        store   only the visitor writes while lent; it then looks whether the head wants the role
//	running   ended     head: Loop returned CAS     final
//
//	            Enter                  HandOver; the watcher sees the block
//	running ------------> inBody ---------------------> offered, claimed
//	 | |  ^                 |  |                            |     ^
//	 | |  +------ Leave ----+  +-- a standby sees           |     |
//	 | |  |                        the block, or the        |     |
//	 | |  |                        body overruns            |     |
//	 | |  +---------------------------------------+---------+     |
//	 | |                                      a standby           |
//	 | +-------------------------- Offer -------------------------+
//	 +---> ended
//
// So there is never more than one head: a thread is head while the word names it in running or inBody, and only one CAS can
// leave a given word. And there is never none for long: the word is in offered or claimed only after a waiting standby was set
// aside for it (the counter free), and a standby, before it sleeps and before it leaves, looks at the word. The model in
// model_*_test.go goes through every interleaving of a small pool and finds neither.
//
// Parked and lent (visit.go) are a lock between the head that sleeps and the threads that come home meanwhile: in lent the visitor alone
// touches the shard. The word names the head all the time, as it will go on.
//
// A detected takeover is safe whenever the CAS succeeds. Who wants the role reads the word, then looks whether the head is
// blocked, then swaps. The words of two bodies differ, so if the swap succeeds the head is still in that body, and has touched
// nothing of the shard since Enter; it may have woken up meanwhile, but then Leave will fail. The detector is only a reason to
// try, never an argument.
//
// Why each field is atomic is said at the field. Go's atomics are sequentially consistent, and what a head did before it
// gave up the word happens before what its successor does: plain shard state needs no lock, and the race detector agrees.
//
// # Detectors
//
// idle (idledetector.go, watcher.go): a thread of class SCHED_IDLE on the head's processor runs when the head leaves it, sees in
// a mapped perf ring that the newest switch-out of the head was no preemption, claims, and wakes a standby. It needs a pool bound
// to one processor. switch (switchdetector.go, perfring.go): the kernel wakes a standby in epoll_wait whenever the head is
// switched out. A timed look at a head that runs bodies, once a millisecond, is the backstop of both. timer
// (timerdetector.go): only the timed look, through /proc. explicit: HandOver and Offer alone. Another one is a file with a detector
// and a line in candidates.
//
// From just before the call that blocks to the next head in its loop, pool bound to one of two virtual processors (AMD EPYC, Linux 6.18;
// BenchmarkTakeover, quiet; median and p99 in us, for a read and a nanosleep), then what a loop of requests of 1 us keeps of its
// rate when 1 in 100 blocks for 300 us (BenchmarkOneOfHundredBlocks; waiting each block out keeps 0.19), and what the
// detector costs a head that never blocks (BenchmarkBusyHead):
//
//	            announced    read       nanosleep    keeps   costs
//	idle        4.1    8     6.5   14    15    125   0.79    3 %
//	switch      5.2   12    15.6   42    20    113   0.59    1 %
//	timer                   1060 1140                0.20    1 %
//	explicit    3.5    5                                     0
//
// In a virtual machine the timer of a nanosleep is half of its figure, and a wake-up by perf (switch, and idle where others want the
// processor) costs 11 us: it is an interrupt to the own processor. A perf event on a thread makes each of its switches
// dearer, by 2 us, also while its output is paused: the first form of idle read the head's perf ring and was dropped for that.
// Beside busy threads of others idle notices by alarm (20 us) and, until it has seen that it starves, by the backstop (1 ms).
//
// Tried and dropped: SCHED_BATCH for standbys. What comes home then waits until the head blocks and takes over on the spot, so
// that the loop above keeps 0.82; but a standby that is woken by a timer, because a body overruns or the watcher starves, waits
// for up to 4 ms as well. A short time slice (dress.go) does better there. Disabling the perf event around idle waits instead of
// pausing its output: 1.8 us against 0.7.
//
// # Living with Go
//
// A standby that wakes up needs a P (GOMAXPROCS), and a head that blocks inside a system call keeps its own until the
// scheduler's monitor takes it away, 20 us to 10 ms later. So GOMAXPROCS must be at least the number of loops + 1; one per body that
// may be blocked at the same time is better, and costs nothing when unused. A head that runs for 10 ms without a break is parked by
// Go's preemption (it is a locked thread: another thread must hand it a P): that is a block like any other and, in a
// body, is taken over. Loop must not wait on a channel or a lock outside a body: it would wait as head.
package threadlet
