package threadlet

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime/blocking"
)

// A loop whose work is bodies that block sleeps, most of the time, until one of them has ended. To wake the head for that, and another
// standby for the next body, takes three context switches where a thread that blocks by itself takes one. And while a batch of
// bodies ends, all their threads run before the head does, and the device has nothing to do. So the head lends its role while it
// sleeps: it parks, and a thread that has ended its body visits the shard, gives it the result, takes the next body along, gives the role
// back and blocks again. The head sleeps on, in the same system call.
//
// Between Park and Unpark the role is a lock, parked when it is free: the visitors compete for it with the head that wakes. The head
// alone waits for it. Which head has parked does not change meanwhile, so the word's epoch does not either.

// homecoming is how a head that wakes from its idle wait while a visitor has the role hears that it may have it back.
type homecoming struct {
	// state is wanted from before the head looks at the word for the last time until a visitor has seen it after giving the role
	// back, or the head has the role. The head stores it and then loads the word; the visitor stores the word and then loads
	// state; both orders are sequentially consistent, so one of the two sees the other. It is the futex that the head sleeps on.
	state atomic.Uint32
}

// futex(2); x/sys does not name them.
const (
	futexWakePrivate = 1 | 128
	futexWaitPrivate = 0 | 128
)

const (
	content = 0 // the head sleeps, or runs
	wanted  = 1
	granted = 2 // a visitor has given the role back because it was wanted; the head is on its way, so that no other visitor begins
)

// Park is Idle, and lends the role until Unpark: the caller is about to sleep and touches nothing of the shard before Unpark
// returns. Head's thread only, outside a body.
func (p *Pool) Park() {
	p.Idle()
	// A store suffices, as in Enter; it publishes what the head did to a visitor.
	p.word.Store(uint64(word(p.word.Load()).withState(parked)))
}

// Unpark makes the thread that has parked head again, at once unless a visitor is there: then when it has gone.
func (p *Pool) Unpark() {
	for {
		// A compare-and-swap, as a visitor wants the same.
		if w := word(p.word.Load()); w.state() == parked && p.word.CompareAndSwap(uint64(w), uint64(w.withState(running))) {
			break
		}
		p.home.state.Store(wanted)
		if word(p.word.Load()).state() == lent {
			_, _ = blocking.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&p.home.state)), futexWaitPrivate, wanted, 0, 0, 0)
		}
	}
	if p.home.state.Load() != content {
		p.home.state.Store(content)
	}
}

// Visit makes the caller act for a head that has parked, if there is one and nobody else does so and it does not want its role
// back. True: the caller owns what the head owns, except what the head's wait uses, until EndVisit; it must not enter a body, offer or
// wait, and should be through in a few microseconds. Any thread of the pool that is not head and does not stand by: one whose Offer or
// HandOver succeeded, or whose Leave said false, or in Spare. Two atomic operations with EndVisit.
func (p *Pool) Visit() bool {
	w := word(p.word.Load())
	if w.state() != parked || p.home.state.Load() != content || !p.word.CompareAndSwap(uint64(w), uint64(w.withState(lent))) {
		return false
	}
	p.count.visits.Add(1)
	return true
}

// EndVisit gives the role back. The caller touches nothing of the shard after.
func (p *Pool) EndVisit() {
	// A store suffices: while lent nobody else writes. Before the look at state, as said there.
	p.word.Store(uint64(word(p.word.Load()).withState(parked)))
	if p.home.state.Load() == wanted && p.home.state.CompareAndSwap(wanted, granted) {
		_, _, _ = unix.RawSyscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&p.home.state)), futexWakePrivate, 1)
	}
}

// WakeSpare has a standby look whether there is work for Spare. For who has added some and found a standby free. Any thread of the
// pool; one wake-up, no wait.
func (p *Pool) WakeSpare() { p.gate.wakeOne() }
