// Package helper is the pool of threads to which the state-machine models give
// what cannot be made nonblocking: one pool per shard, its head the only
// producer.
package helper

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models/internal/queue"
	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/blocking"
)

// Pool runs syslets on helper threads and gives them back by Shard.FinishFrom.
type Pool struct {
	shard *srt.Shard
	// stopsAt tells a helper to give the syslet back to the loop before this op.
	stopsAt func(op *srt.Op) bool
	wg      sync.WaitGroup

	work *queue.Queue
	// waiting helpers look at the queue once more after they counted themselves, so
	// a producer that then sees none need not wake any. One that has not started yet
	// is among them.
	waiting atomic.Int32
	// procsFor is the number of busy helpers for which GOMAXPROCS has been raised.
	// On the head only.
	procsFor, threads int
	// posted is the futex that they wait on; it grows with each wake-up. One wakes
	// one: the readers of an eventfd would all be woken.
	posted  atomic.Uint32
	stopped atomic.Bool

	// Wakes counts the system calls that woke helpers. On the head only.
	Wakes uint64
}

// Open starts threads helpers for s. stopsAt may be nil.
func Open(s *srt.Shard, threads int, stopsAt func(op *srt.Op) bool) *Pool {
	p := &Pool{shard: s, stopsAt: stopsAt, work: queue.New(s), procsFor: procsAtFirst, threads: threads}
	p.wg.Add(threads)
	p.waiting.Store(int32(threads))
	for i := range threads {
		go p.help(fmt.Sprintf("helper%d-%d", s.Index(), i))
	}
	return p
}

// Give queues y. There is always room: Options.MaxInFlight bounds what is in
// flight. On the head only.
func (p *Pool) Give(y *srt.Syslet) {
	p.work.Push(y)
	waiting := int(p.waiting.Load())
	if p.threads-waiting >= p.procsFor && p.procsFor < p.threads {
		p.raiseProcs()
	}
	if waiting > 0 {
		p.Wakes++
		p.post(1)
	}
}

// procsAtFirst is the number of helpers that get by with what the server has set.
const procsAtFirst = 2

// raiseProcs gives helpers a P each once many are busy together: one that comes out
// of a call needs a P at once, and on a CPU that they share each P may be held by a
// thread that waits for the CPU. 32 reads in flight got to a half of the rate with 4 or 7
// Ps. Not before: the garbage collector takes as many threads as there are Ps. In a
// goroutine of its own, since it waits for a collection to end.
func (p *Pool) raiseProcs() {
	p.procsFor = min(2*p.procsFor, p.threads)
	go srt.RaiseProcs(p.shard.Shards()*(1+p.procsFor) + 2)
}

// futex(2); x/sys does not name them.
const (
	futexWaitPrivate = 0 | 128
	futexWakePrivate = 1 | 128
)

// post wakes up to n helpers. Raw: it does not block.
func (p *Pool) post(n int) {
	p.posted.Add(1)
	_, _, _ = unix.RawSyscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&p.posted)), futexWakePrivate, uintptr(n))
}

func (p *Pool) help(name string) {
	defer p.wg.Done()
	runtime.LockOSThread() // for its name, and because it blocks more than it runs
	defer runtime.UnlockOSThread()
	srt.NameThread(name)
	defer srt.NameThread("go")
	// A helper that the loop has just woken must not push the loop off their CPU.
	defer srt.DeferThread()()
	var y *srt.Syslet
	defer func() {
		if y != nil { // a call in it ended this goroutine: another takes its place
			p.shard.FinishFrom(y)
			p.wg.Add(1)
			p.waiting.Add(1)
			go p.help(name)
		}
	}()
	p.waiting.Add(-1)
	yielded := false // since the last syslet
	for {
		y = p.work.Pop()
		if y == nil {
			if p.stopped.Load() {
				return
			}
			if !yielded { // what it has given back may come again at once
				yielded = true
				_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
				continue
			}
			p.wait()
			continue
		}
		yielded = false
		p.run(y)
		p.shard.FinishFrom(y)
	}
}

func (p *Pool) wait() {
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	posted := p.posted.Load()
	if !p.work.Empty() || p.stopped.Load() {
		return
	}
	_, _ = blocking.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&p.posted)), futexWaitPrivate, uintptr(posted), 0, 0, 0)
}

func (p *Pool) run(y *srt.Syslet) {
	if y.Cancelled() {
		y.Abort(unix.ECANCELED)
		return
	}
	for first := true; ; first = false {
		op := y.Op()
		if op == nil || !first && p.stopsAt != nil && p.stopsAt(op) {
			return
		}
		y.Apply(y.Exec())
	}
}

// Close ends the helpers once they have run what was given. The head calls it
// when nothing is in flight, or means to wait for it.
func (p *Pool) Close() {
	p.stopped.Store(true)
	p.post(math.MaxInt32)
	p.wg.Wait()
}
