package threadlet

// word is the whole ownership state of a pool in 64 bits, so that one compare-and-swap decides who is head:
//
//	bits  0..2   state
//	bits  3..9   thread: index of the head's thread; while offered, of the thread that gave the role away
//	bits 10..31  epoch: grows by one with each hand-over, announced or detected
//	bits 32..63  body: grows by one with each Enter
//
// Invariant: a value never comes back within 2^22 hand-overs and 2^32 bodies, so a stale compare-and-swap fails.
type word uint64

// state says who may change the word: the head alone while running, any standby in the others.
type state uint64

const (
	// running: the head runs its loop (a callback, or an idle wait). Nobody else may change the word.
	running state = iota
	// inBody: the head is inside a body. The head may leave; a standby that saw it blocked may take over.
	inBody
	// offered: there is no head; the first standby that comes by becomes it.
	offered
	// claimed: as offered, but the head did not give the role away: the watcher of the idle detector saw it blocked.
	claimed
	// parked: the head sleeps in an idle wait and touches nothing of the shard. It comes back by itself; until then a thread that has
	// ended its body may act for it.
	parked
	// lent: such a thread acts for the head that parked, and gives the role back before it does anything that may block.
	lent
	// ended: the loop ended for good. Final.
	ended
)

const (
	stateBits   = 3
	threadBits  = 7
	epochBits   = 22
	threadShift = stateBits
	epochShift  = threadShift + threadBits
	bodyShift   = epochShift + epochBits

	stateMask  = word(1)<<stateBits - 1
	threadMask = (word(1)<<threadBits - 1) << threadShift
	epochMask  = (word(1)<<epochBits - 1) << epochShift
	bodyOne    = word(1) << bodyShift

	maxThreads = 1 << threadBits
)

func (w word) state() state  { return state(w & stateMask) }
func (w word) thread() int   { return int((w & threadMask) >> threadShift) }
func (w word) epoch() uint32 { return uint32((w & epochMask) >> epochShift) }
func (w word) body() uint32  { return uint32(w >> bodyShift) }

func (w word) withState(s state) word { return w&^stateMask | word(s) }

// enter is the head's step into its next body.
func (w word) enter() word { return (w + bodyOne).withState(inBody) }

// offer gives the role away: a new epoch without a head.
func (w word) offer() word { return w.nextEpoch().withState(offered) }

// take makes thread i the head in a new epoch.
func (w word) take(i int) word { return w.nextEpoch().withThread(i).withState(running) }

// claim takes the role from a blocked head for a standby that is still to come: a new epoch without a head. (The watcher does
// this in assembly; so the model of the protocol and the tests have the same thing to hold it to.)
func (w word) claim() word { return w.nextEpoch().withState(claimed) }

// vacant says that there is no head: the next standby becomes it.
func (w word) vacant() bool { return w.state() == offered || w.state() == claimed }

// accept makes thread i the head of the epoch that offer or claim began.
func (w word) accept(i int) word { return w.withThread(i).withState(running) }

func (w word) withThread(i int) word { return w&^threadMask | word(i)<<threadShift }

func (w word) nextEpoch() word { return w&^epochMask | (w+1<<epochShift)&epochMask }

// Ticket proves that a body was entered: Enter gives it, Leave and HandOver want it back. It is a plain value (the
// ownership word of that moment) and may be kept in a register.
type Ticket uint64
