package load

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// peer is the least server that gives the recorded answers: it counts the bytes that
// it gets without looking at them (MSG_TRUNC) and sends what was recorded for so many.
// One locked thread for each CPU, each with a listening socket of its own on one port.
type peer struct {
	of      *recording
	target  string
	loops   []*peerLoop
	threads sync.WaitGroup
	// stopped ends the threads at their next turn; nothing else hangs on it.
	stopped atomic.Bool
}

type peerLoop struct {
	peer     *peer
	cpus     []int
	listener int
	poll     *poller
	conns    map[int]*peerConn
	err      error
	// idleNs and busyNs are time in turns that found nothing, and something. Read by
	// others while they grow: no order with anything else matters.
	idleNs, busyNs atomic.Int64
}

// peerConn is where a connection is in the recording.
type peerConn struct {
	got, next int // bytes, and the exchange that is not answered yet
	sent      int // of recording.sent
	writing   bool
}

func newPeer(of *recording, cpus []int) (*peer, error) {
	p := &peer{of: of}
	n := max(1, len(cpus))
	var err error
	for i := 0; i < n && err == nil; i++ {
		var l *peerLoop
		if l, err = p.listen(); err == nil {
			if len(cpus) > 0 {
				l.cpus = cpus[i : i+1]
			}
			p.loops = append(p.loops, l)
		}
	}
	if err != nil {
		for _, l := range p.loops {
			l.close()
		}
		return nil, fmt.Errorf("load: a peer to calibrate against: %w", err)
	}
	for _, l := range p.loops {
		p.threads.Go(l.run)
	}
	return p, nil
}

// listen opens a socket on the port of the first, or one that is free.
func (p *peer) listen() (l *peerLoop, err error) {
	l = &peerLoop{peer: p, listener: -1, conns: map[int]*peerConn{}}
	if l.poll, err = newPoller(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return l, os.NewSyscallError("socket", err)
	}
	at := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if len(p.loops) > 0 {
		name, err := unix.Getsockname(p.loops[0].listener)
		if err != nil {
			return l, os.NewSyscallError("getsockname", err)
		}
		at.Port = name.(*unix.SockaddrInet4).Port
	}
	if err = errors.Join(unix.SetsockoptInt(l.listener, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1), unix.Bind(l.listener, at), unix.Listen(l.listener, 4096)); err != nil {
		return l, err
	}
	name, err := unix.Getsockname(l.listener)
	if err != nil {
		return l, os.NewSyscallError("getsockname", err)
	}
	p.target = fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	return l, os.NewSyscallError("epoll_ctl", l.poll.add(l.listener, unix.EPOLLIN, int32(l.listener), 0))
}

// stop ends the peer and returns what went wrong in it.
func (p *peer) stop() error {
	p.stopped.Store(true)
	p.threads.Wait()
	var errs []error
	for _, l := range p.loops {
		errs = append(errs, l.err)
	}
	return errors.Join(errs...)
}

// idle is the share of the time since the last call in which its threads, taken
// together, found nothing to do.
func (p *peer) idle() float64 {
	var idle, busy int64
	for _, l := range p.loops {
		idle += l.idleNs.Swap(0)
		busy += l.busyNs.Swap(0)
	}
	return float64(idle) / float64(max(1, idle+busy))
}

func (l *peerLoop) close() {
	for fd := range l.conns {
		unix.Close(fd)
	}
	if l.listener >= 0 {
		unix.Close(l.listener)
	}
	l.poll.close()
}

func (l *peerLoop) run() {
	runtime.LockOSThread() // never unlocked: the pinning ends with the thread
	defer l.close()
	if l.err = prepareThread(l.cpus); l.err != nil {
		return
	}
	for last, quiet := time.Now(), 0; !l.peer.stopped.Load(); {
		var n int
		if quiet < 1000 {
			n, l.err = l.poll.poll()
		} else {
			n, l.err = l.poll.wait(time.Millisecond)
		}
		if l.err != nil {
			return
		}
		for i := range n {
			l.event(&l.poll.events[i])
		}
		now := time.Now()
		if took := int64(now.Sub(last)); n > 0 {
			l.busyNs.Add(took)
			quiet = 0
		} else {
			l.idleNs.Add(took)
			quiet++
		}
		last = now
	}
}

func (l *peerLoop) event(ev *unix.EpollEvent) {
	fd := int(ev.Fd)
	if fd == l.listener {
		conn, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = unix.SetsockoptInt(conn, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		c := &peerConn{}
		l.conns[conn] = c
		if l.poll.add(conn, unix.EPOLLIN, int32(conn), 0) != nil {
			l.drop(conn)
			return
		}
		l.answer(conn, c) // a hello of no bytes
		return
	}
	c := l.conns[fd]
	if c == nil {
		return // dropped in this batch
	}
	if ev.Events&^unix.EPOLLOUT != 0 && !l.count(fd, c) {
		l.drop(fd)
		return
	}
	l.answer(fd, c)
}

func (l *peerLoop) drop(fd int) {
	delete(l.conns, fd)
	unix.Close(fd)
}

// discardMost is how many bytes a read may throw away: there is no buffer behind it.
const discardMost = 1 << 20

// count takes what is there; false at the end.
func (l *peerLoop) count(fd int, c *peerConn) bool {
	n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), 0, discardMost, unix.MSG_TRUNC, 0, 0)
	switch {
	case e == unix.EAGAIN || e == unix.EINTR:
		return true
	case e != 0 || n == 0:
		return false
	}
	c.got += int(n)
	return true
}

// answer sends what is due for what was asked. After the last exchange the first
// after the hello follows.
func (l *peerLoop) answer(fd int, c *peerConn) {
	r := l.peer.of
	for {
		for c.next < len(r.asked) && c.got >= r.asked[c.next] {
			c.next++
		}
		due := 0
		if c.next > 0 {
			due = r.answered[c.next-1]
		}
		for c.sent < due {
			n, e := send(fd, r.sent[c.sent:due])
			if e == unix.EAGAIN {
				if !c.writing && l.poll.change(fd, unix.EPOLLIN|unix.EPOLLOUT, int32(fd), 0) == nil {
					c.writing = true
				}
				return
			}
			if e != 0 && e != unix.EINTR {
				l.drop(fd)
				return
			}
			c.sent += n
		}
		if c.next < len(r.asked) {
			break
		}
		c.got -= r.asked[c.next-1] - r.asked[0]
		c.next, c.sent = 1, r.answered[0]
	}
	if c.writing && l.poll.change(fd, unix.EPOLLIN, int32(fd), 0) == nil {
		c.writing = false
	}
}
