// Package goroutine is the baseline: a goroutine per connection, the net
// package, plain blocking calls in goroutines of their own, and a mutex where
// the models have a loop. It is what a Go programmer would otherwise write,
// under the same contract as the models.
package goroutine

import (
	"fmt"
	"math"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// Driver implements runtime.Driver. "The head" of the contract is whichever
// goroutine holds mu.
type Driver struct {
	shard *runtime.Shard
	wg    sync.WaitGroup
	wake  chan struct{} // one token: the keeper is to look

	mu       sync.Mutex // guards the shard and everything below
	listener net.Listener
	arriving *net.TCPConn // between accept and Attach
	conns    []*conn      // by slot
	reader   *conn        // whose goroutine holds mu
	keeperNs int64        // when the keeper will look by itself
	sleeps   map[*runtime.Syslet]chan struct{}
	views    *views // free list

	accepts, reads, writes uint64
}

// New makes the driver of s; it is a runtime.DriverFactory.
func New(s *runtime.Shard) (runtime.Driver, error) {
	return &Driver{shard: s, wake: make(chan struct{}, 1), sleeps: map[*runtime.Syslet]chan struct{}{}}, nil
}

// Run is the keeper: it looks after timers, mail and foreign requests, which
// belong to no connection. CPUs are not bound: where goroutines run is the Go
// scheduler's affair.
func (d *Driver) Run() error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	d.shard.LabelHead() // all goroutines below are started from this one
	for {
		d.mu.Lock()
		if !d.shard.Quit() {
			d.shard.Begin()
		}
		d.enter()
		wait := d.settle()
		quit := d.shard.Quit()
		d.mu.Unlock()
		if quit {
			d.StopListening()
			d.wg.Wait()
			return nil
		}
		timer.Reset(time.Duration(wait))
		select {
		case <-d.wake:
		case <-timer.C:
		}
	}
}

// enter begins a turn; the caller holds mu.
func (d *Driver) enter() { d.shard.Woke() }

// settle ends a turn: until nothing is left to do now. It gives the time to
// the next timer in ns. The caller holds mu.
func (d *Driver) settle() int64 {
	for {
		d.shard.EndTurn()
		wait := d.shard.WaitNs()
		if d.shard.Quit() {
			return 0
		}
		if wait == 0 || !d.shard.MayWait() {
			continue
		}
		if wait < 0 {
			wait = math.MaxInt64 / 2
		}
		d.keeperNs = d.shard.NowNs() + wait
		return wait
	}
}

// leave ends a turn of a connection's goroutine and releases mu.
func (d *Driver) leave() {
	d.settleFor()
	d.mu.Unlock()
}

// settleFor is settle on behalf of the keeper.
func (d *Driver) settleFor() {
	before := d.keeperNs
	d.settle()
	if d.keeperNs < before || d.shard.Quit() {
		d.Wake() // a timer that is due earlier than the keeper knows
	}
}

// Wake has the keeper look.
func (d *Driver) Wake() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Turn is not called: there is no loop.
func (d *Driver) Turn(int64) bool { return true }

// Listen accepts on fd in a goroutine.
func (d *Driver) Listen(fd int) error {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("goroutine: cannot duplicate the listening socket: %w", err)
	}
	f := os.NewFile(uintptr(dup), "listener")
	defer f.Close()
	if d.listener, err = net.FileListener(f); err != nil {
		return fmt.Errorf("goroutine: cannot use the listening socket: %w", err)
	}
	d.wg.Add(1)
	go d.accept(d.listener)
	return nil
}

// StopListening ends the accepting goroutine.
func (d *Driver) StopListening() {
	if d.listener != nil {
		_ = d.listener.Close()
	}
}

func (d *Driver) accept(l net.Listener) {
	defer d.wg.Done()
	for {
		nc, err := l.Accept()
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() || isShortage(err) {
				time.Sleep(10 * time.Millisecond) // descriptors have run out
				continue
			}
			return
		}
		d.mu.Lock()
		d.accepts++
		d.enter()
		d.arriving = nc.(*net.TCPConn)
		if d.shard.Accepted(rawFd(d.arriving), nc.RemoteAddr().(*net.TCPAddr).AddrPort()) == nil {
			_ = nc.Close()
		}
		d.leave()
	}
}

// Submit runs the syslet in a goroutine.
func (d *Driver) Submit(y *runtime.Syslet) runtime.Outcome {
	d.wg.Add(1)
	go d.run(y)
	return runtime.Queued
}

func (d *Driver) run(y *runtime.Syslet) {
	defer d.wg.Done()
	defer d.finish(y) // deferred, because a call may end its goroutine
	for op := y.Op(); op != nil; op = y.Op() {
		if op.Code == runtime.OpSleep {
			y.Apply(d.sleep(y, time.Duration(y.Value(op.Args[0]))))
			continue
		}
		y.Apply(y.Exec())
	}
}

func (d *Driver) finish(y *runtime.Syslet) {
	d.mu.Lock()
	d.enter()
	d.shard.Finish(y)
	d.leave()
}

// sleep is what a Go programmer would write: no thread waits.
func (d *Driver) sleep(y *runtime.Syslet, t time.Duration) int64 {
	ch := make(chan struct{})
	d.mu.Lock()
	d.sleeps[y] = ch
	if y.Cancelled() {
		t = 0
	}
	d.mu.Unlock()
	timer := time.NewTimer(t)
	defer timer.Stop()
	var res int64
	select {
	case <-timer.C:
	case <-ch:
		res = -int64(unix.ECANCELED)
	}
	d.mu.Lock()
	delete(d.sleeps, y)
	d.mu.Unlock()
	return res
}

// Cancel ends a sleep; other calls go on to their end.
func (d *Driver) Cancel(y *runtime.Syslet) {
	if ch, ok := d.sleeps[y]; ok {
		delete(d.sleeps, y)
		close(ch)
	}
}

// ReadStats adds what can be known here: calls of the net package, each at
// least one system call; the netpoller's own are not to be seen.
func (d *Driver) ReadStats(st *runtime.Stats) {
	st.SysAccept += d.accepts
	st.SysRecv += d.reads
	st.SysSend += d.writes
}
