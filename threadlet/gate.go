package threadlet

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime/blocking"
	"github.com/syslet/syslet/runtime/perfring"
)

// causes says why a standby was woken, as a set of bits.
type causes uint32

const (
	causeOffer   causes = 1 << iota // the head announced a block
	causeAlarm                      // a perf ring has a new switch-out
	causeTick                       // the sampling timer
	causeOverrun                    // the timer of bodies that may overrun
	causeStop                       // the pool ends
	causeReturn                     // nobody woke it: it has just come home
)

const gateEventsMax = 4

// gate is where the free standbys of a pool wait: one epoll set. Its waiters are exclusive and the last one in is the
// first one out (epoll_wait adds itself at the front), so an event wakes one standby, the one whose caches are warm; no
// standby is special and none has to be told to move up when another one leaves.
//
// All descriptors but stop are edge triggered and never read: an edge that finds nobody waiting is kept for the next.
type gate struct {
	epfd    int
	offerFd int // eventfd: one write wakes one standby
	stopFd  int // eventfd, level triggered: one write wakes them all
	// timerfds, CLOCK_MONOTONIC, one shot
	tickFd    int
	overrunFd int
}

func openGate() (g *gate, err error) {
	g = &gate{epfd: -1, offerFd: -1, stopFd: -1, tickFd: -1, overrunFd: -1}
	defer func() {
		if err != nil {
			g.close()
			err = fmt.Errorf("threadlet: standbys' waiting place: %w", err)
		}
	}()
	if g.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if g.offerFd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, err
	}
	if g.stopFd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, err
	}
	if g.tickFd, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return nil, err
	}
	if g.overrunFd, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return nil, err
	}
	if err = g.add(g.overrunFd, causeOverrun, unix.EPOLLET); err != nil {
		return nil, err
	}
	if err = g.add(g.offerFd, causeOffer, unix.EPOLLET); err != nil {
		return nil, err
	}
	if err = g.add(g.tickFd, causeTick, unix.EPOLLET); err != nil {
		return nil, err
	}
	return g, g.add(g.stopFd, causeStop, 0)
}

// add makes fd wake standbys with the given cause. Any thread.
func (g *gate) add(fd int, why causes, flags uint32) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | flags, Fd: int32(why)}
	return unix.EpollCtl(g.epfd, unix.EPOLL_CTL_ADD, fd, &ev)
}

// addAlarm makes r, which is silent yet, t's alarm. It will wake a standby, once: after that it is silent until rearm. So the further blocks of a body that was
// taken over, and its way home, wake nobody.
func (g *gate) addAlarm(t *thread, r *perfring.Ring) error {
	r.Pause(true)
	t.alarm = r
	t.alarmFd.Store(int32(r.FD()))
	ev := alarmEvent(t)
	t.armed.Store(true)
	return unix.EpollCtl(g.epfd, unix.EPOLL_CTL_ADD, r.FD(), &ev)
}

// rearm makes the alarm wake a standby again. Not one that has already fired: epoll_ctl takes the event's poll flag and loses it, so who
// rearms for another thread looks at that thread once more. Any thread. Not raw: epoll's lock may be held by a thread that
// has lost the processor.
func (g *gate) rearm(t *thread) bool {
	fd := t.alarmFd.Load()
	if fd < 0 {
		return false
	}
	t.armed.Store(true)
	ev := alarmEvent(t)
	_, _, _ = unix.Syscall6(unix.SYS_EPOLL_CTL, uintptr(g.epfd), unix.EPOLL_CTL_MOD, uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return true
}

func alarmEvent(t *thread) unix.EpollEvent {
	return unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET | unix.EPOLLONESHOT, Fd: int32(causeAlarm), Pad: int32(t.index)}
}

// wait blocks the calling standby t until something happens; 0 means interrupted by a signal. Through the Go scheduler's
// hooks, so that the sleeping thread holds no P.
func (g *gate) wait(t *thread) causes {
	events := &t.events
	t.numEvents = 0
	const forever = ^uintptr(0)
	n, errno := blocking.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(g.epfd), uintptr(unsafe.Pointer(events)), gateEventsMax, forever, 0, 0)
	if errno != 0 {
		return 0
	}
	t.numEvents = int(n)
	var why causes
	for _, ev := range events[:n] {
		why |= causes(ev.Fd)
	}
	return why
}

var eventfdOne = uint64(1)

// wakeOne and wakeAll: a write to an eventfd that is nowhere near its maximum does not block, so the call is raw.
func (g *gate) wakeOne() { signalEventfd(g.offerFd) }
func (g *gate) wakeAll() { signalEventfd(g.stopFd) }

func signalEventfd(fd int) {
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&eventfdOne)), 8)
}

func (g *gate) tickAfterNs(ns int64)    { setTimer(g.tickFd, ns) }
func (g *gate) overrunAfterNs(ns int64) { setTimer(g.overrunFd, ns) }

// setTimer sets a timer to fire once. Raw: timerfd_settime(2) does not block.
func setTimer(fd int, ns int64) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(ns)}
	_, _, _ = unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(fd), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
}

func (g *gate) close() {
	for _, fd := range []int{g.epfd, g.offerFd, g.stopFd, g.tickFd, g.overrunFd} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}
