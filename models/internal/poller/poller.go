// Package poller is the half that the readiness models share: it turns epoll
// events into deliveries to a shard. What a model does with syslets is not here.
package poller

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models/internal/nap"
	"github.com/syslet/syslet/models/internal/outlet"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/blocking"
)

const (
	batch       = 256      // events per epoll_wait
	recvBytes   = 64 << 10 // the shard's one receive buffer
	recvsPerRun = 4        // reads of one connection before the others' turn
	acceptsMax  = 64
	iovMax      = 64
	sleptForNs  = 2000 // a wait that took longer did not find its events waiting
)

// What an event is about: a ConnID, unless the top bit is set (a ConnID's is
// not: MaxShards).
const (
	special  = 1 << 63
	wakeKey  = special | 1
	acceptTo = special | 2
	alarmKey = special | 3
	watchKey = special | 1<<62 // with a watch's key in the low bits
)

// Poller is a shard's epoll set. Everything but Wake is for the head, and all
// state is here, so that another thread can go on where one has stopped.
type Poller struct {
	shard  *runtime.Shard
	epfd   int
	wakefd int

	events  [batch]unix.EpollEvent
	n, next int // events[next:n] are still to be handled
	conns   []state
	ready   []runtime.ConnID // have more to read than one run took
	again   []runtime.ConnID // scratch

	nap    nap.Nap
	alarm  alarm
	sleeps bool // the last wait that might sleep did

	listenFd  int
	listening bool
	reopen    *runtime.Timer // begins to accept again after descriptors ran out

	buf   []byte
	views [iovMax][]byte
	iovs  [iovMax]unix.Iovec
	// outlet is for connections with ranges of files.
	outlet outlet.Outlet
	from   unix.RawSockaddrAny
	addrN  uint32

	// OnWatch is told of an event of a descriptor given to Watch.
	OnWatch func(key uint32)
	// BeforeSleep and AfterSleep, if set, are called directly before and after the
	// system call that may wait long. Between them all that the kernel touches here is
	// events, so that another thread may act for the head (not in Wait or Step).
	BeforeSleep, AfterSleep func()

	sysWait, sysRecv, sysSend, sysAccept, sysClose, sysCtl, wakes uint64
}

// state is what the poller knows of the connection in a slot.
type state struct {
	readable bool // an edge told so and no read has found the end of it yet
	ending   bool // an edge told of the stream's end; there is no second one, so reads go on until they find it
	paused   bool
	blocked  bool // the socket's send buffer is full; an edge will come
}

// Open makes the epoll set of s.
func Open(s *runtime.Shard) (*Poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("poller: cannot make an epoll set: %w", err)
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epfd)
		return nil, fmt.Errorf("poller: cannot make an eventfd: %w", err)
	}
	p := &Poller{shard: s, epfd: epfd, wakefd: wakefd, listenFd: -1, buf: make([]byte, recvBytes)}
	p.reopen = runtime.NewTimer(func(*runtime.Shard) { p.startAccepting() })
	if err := p.alarm.open(); err != nil {
		p.Close()
		return nil, err
	}
	for key, fd := range map[uint64]int{wakeKey: wakefd, alarmKey: p.alarm.fd} {
		if e := p.ctl(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN|unix.EPOLLET, key); e != 0 {
			p.Close()
			return nil, fmt.Errorf("poller: cannot watch the eventfd and the timerfd: %w", e)
		}
	}
	return p, nil
}

// Close releases the set. The descriptors in it stay open.
func (p *Poller) Close() {
	_ = unix.Close(p.epfd)
	_ = unix.Close(p.wakefd)
	p.alarm.close()
}

func (p *Poller) ctl(op, fd int, events uint32, key uint64) unix.Errno {
	ev := unix.EpollEvent{Events: events, Fd: int32(key), Pad: int32(key >> 32)}
	p.sysCtl++
	_, _, e := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.epfd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return e
}

func key(ev *unix.EpollEvent) uint64 { return uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32 }

// Wake ends a wait. Any thread. Edge triggered: the counter need not be read.
func (p *Poller) Wake() {
	one := uint64(1)
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(p.wakefd), uintptr(unsafe.Pointer(&one)), 8)
}

// Wait fills the batch, unless some of the last one is left. It polls first, which
// costs a loaded loop nothing it would not pay, and sleeps only if there is nothing,
// for at most timeoutNs; negative: for ever. A loop that really slept the last time is
// about to do so again, so it does not poll: a system call less for each wake-up.
func (p *Poller) Wait(timeoutNs int64) {
	if p.next < p.n {
		return
	}
	p.next, p.n = 0, 0
	must := timeoutNs == 0 || len(p.ready)+len(p.again) > 0 // or the work that is there would wait
	if must || !p.sleeps {
		p.n = p.poll()
	}
	if p.n > 0 || must {
		return
	}
	if !p.shard.MayWait() {
		return
	}
	p.sleep(timeoutNs)
}

func (p *Poller) poll() int {
	p.sysWait++
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), batch, 0, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

// sleep waits for an event, the alarm's among them, raw or through the scheduler's
// hooks (package nap). EINTR is a wake-up like any other: the loop computes its next
// timeout anew.
func (p *Poller) sleep(timeoutNs int64) {
	fromNs := p.shard.NowNs()
	if p.alarm.due(fromNs, timeoutNs) {
		p.sysWait++
	}
	const forEver = ^uintptr(0)
	var n uintptr
	var e unix.Errno
	p.sysWait++
	raw := p.nap.Raw()
	if p.BeforeSleep != nil {
		p.BeforeSleep()
	}
	if raw {
		n, e = blocking.Wait6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), batch, forEver, 0, 0)
	} else {
		n, _, e = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), batch, forEver, 0, 0)
	}
	if p.AfterSleep != nil {
		p.AfterSleep()
	}
	if e == 0 {
		p.n = int(n)
	}
	p.shard.Woke()
	sleptNs := p.shard.NowNs() - fromNs
	p.sleeps = sleptNs > sleptForNs
	p.nap.Woke(sleptNs, e == unix.EINTR)
}

// Step handles one event and reports whether there was one.
func (p *Poller) Step() bool {
	if p.next >= p.n {
		return p.stepReady()
	}
	ev := &p.events[p.next]
	p.next++
	switch k := key(ev); {
	case k == wakeKey:
		p.wakes++
	case k == alarmKey:
		p.alarm.atNs = 0
	case k == acceptTo:
		p.accept()
	case k&watchKey == watchKey:
		p.OnWatch(uint32(k))
	default:
		p.connEvent(runtime.ConnID(k), ev.Events)
	}
	return true
}

// stepReady goes on with a connection that had more than its share to read.
// Those that it adds wait for the next batch.
func (p *Poller) stepReady() bool {
	if len(p.again) == 0 {
		p.again, p.ready = p.ready, p.again[:0]
		if len(p.again) == 0 {
			return false
		}
	}
	last := len(p.again) - 1
	id := p.again[last]
	p.again = p.again[:last]
	if c := p.shard.ConnAt(id); c != nil {
		p.receive(c)
	}
	return last > 0
}

// Watch reports, once, when events hold for fd: OnWatch(key).
func (p *Poller) Watch(fd int, events uint32, k uint32) unix.Errno {
	return p.ctl(unix.EPOLL_CTL_ADD, fd, events|unix.EPOLLONESHOT, watchKey|uint64(k))
}

// Unwatch ends a Watch, also one that has reported.
func (p *Poller) Unwatch(fd int) { p.ctl(unix.EPOLL_CTL_DEL, fd, 0, 0) }

// ReadStats adds what the poller counted.
func (p *Poller) ReadStats(st *runtime.Stats) {
	st.SysWait += p.sysWait
	st.SysRecv += p.sysRecv
	st.SysSend += p.sysSend + p.outlet.Calls
	st.SysAccept += p.sysAccept
	st.SysClose += p.sysClose
	st.SysCtl += p.sysCtl
	st.Wakes += p.wakes
}
