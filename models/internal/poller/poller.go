// Package poller is the half that the readiness models share: it turns epoll
// events into deliveries to a shard. What a model does with syslets is not here.
package poller

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models/internal/nap"
	"github.com/syslet/syslet/runtime"
)

const (
	batch       = 256      // events per epoll_wait
	recvBytes   = 64 << 10 // the shard's one receive buffer
	recvsPerRun = 4        // reads of one connection before the others' turn
	acceptsMax  = 64
	iovMax      = 64
)

// What an event is about: a ConnID, unless the top bit is set (a ConnID's is
// not: MaxShards).
const (
	special  = 1 << 63
	wakeKey  = special | 1
	acceptTo = special | 2
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

	nap nap.Nap

	listenFd  int
	listening bool
	reopen    *runtime.Timer // begins to accept again after descriptors ran out

	buf   []byte
	views [iovMax][]byte
	iovs  [iovMax]unix.Iovec
	from  unix.RawSockaddrAny
	addrN uint32

	// OnWatch is told of an event of a descriptor given to Watch.
	OnWatch func(key uint32)
	// BeforeSleep, if set, is called before the one wait that may be long.
	BeforeSleep func()

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
	if e := p.ctl(unix.EPOLL_CTL_ADD, wakefd, unix.EPOLLIN|unix.EPOLLET, wakeKey); e != 0 {
		p.Close()
		return nil, fmt.Errorf("poller: cannot watch the eventfd: %w", e)
	}
	return p, nil
}

// Close releases the set. The descriptors in it stay open.
func (p *Poller) Close() {
	_ = unix.Close(p.epfd)
	_ = unix.Close(p.wakefd)
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

// Wait fills the batch, unless some of the last one is left. It polls first
// (that alone costs a loaded loop nothing it would not pay) and sleeps only if
// there is nothing, for at most timeoutNs; negative: for ever.
func (p *Poller) Wait(timeoutNs int64) {
	if p.next < p.n {
		return
	}
	p.next = 0
	p.n = p.poll()
	if p.n > 0 || timeoutNs == 0 || len(p.ready)+len(p.again) > 0 {
		return
	}
	if !p.shard.MayWait() {
		return
	}
	if p.BeforeSleep != nil {
		p.BeforeSleep()
	}
	fromNs := p.shard.NowNs()
	p.n = p.sleep(timeoutNs)
	p.shard.Woke()
	p.nap.Slept(p.shard.NowNs() - fromNs)
}

func (p *Poller) poll() int {
	p.sysWait++
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), batch, 0, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

// sleep waits raw if it will not be for long, and otherwise through the
// scheduler's hooks (package nap). EINTR is a wake-up like any other: the loop
// computes its next timeout anew.
func (p *Poller) sleep(timeoutNs int64) int {
	first := p.nap.First(timeoutNs)
	if first > 0 {
		ts := unix.NsecToTimespec(first)
		p.sysWait++
		n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), batch, uintptr(unsafe.Pointer(&ts)), 0, 0)
		switch {
		case e == 0 && n > 0:
			return int(n)
		case e == unix.EINTR || e == 0 && first == timeoutNs:
			return 0
		case e == unix.ENOSYS:
			first = 0
		}
	}
	return p.sleepLong(nap.Rest(timeoutNs, first))
}

func (p *Poller) sleepLong(timeoutNs int64) int {
	var ts *unix.Timespec
	if timeoutNs >= 0 {
		t := unix.NsecToTimespec(timeoutNs)
		ts = &t
	}
	p.sysWait++
	n, _, e := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), batch, uintptr(unsafe.Pointer(ts)), 0, 0)
	if e == unix.ENOSYS {
		n, _, e = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epfd), uintptr(unsafe.Pointer(&p.events[0])), batch, uintptr(roundUpMs(timeoutNs)), 0, 0)
	}
	if e != 0 {
		return 0
	}
	return int(n)
}

// roundUpMs is for kernels before 5.11, which cannot wait for less.
func roundUpMs(ns int64) int {
	if ns < 0 {
		return -1
	}
	return int((ns + int64(time.Millisecond) - 1) / int64(time.Millisecond))
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
	st.SysSend += p.sysSend
	st.SysAccept += p.sysAccept
	st.SysClose += p.sysClose
	st.SysCtl += p.sysCtl
	st.Wakes += p.wakes
}
