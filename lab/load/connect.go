package load

import (
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// resolve turns Config.Target into a socket address.
func resolve(target string) (unix.Sockaddr, int, error) {
	addr, err := net.ResolveTCPAddr("tcp", target)
	if err != nil {
		return nil, 0, fmt.Errorf("load: Config.Target %q: %w", target, err)
	}
	if v4 := addr.IP.To4(); v4 != nil || len(addr.IP) == 0 {
		sa := &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte{127, 0, 0, 1}}
		if v4 != nil && !v4.IsUnspecified() {
			copy(sa.Addr[:], v4)
		}
		return sa, unix.AF_INET, nil
	}
	sa := &unix.SockaddrInet6{Port: addr.Port}
	copy(sa.Addr[:], addr.IP.To16())
	return sa, unix.AF_INET6, nil
}

// connectAll opens every connection and waits until each script is ready. Any
// failure here ends the run: figures of half a population mislead.
func (l *loop) connectAll() error {
	began := l.now()
	deadline := began + int64(l.cfg.ConnectTimeout)
	for int(l.count.ready) < l.own {
		now := l.now()
		if l.shared.stopped.Load() {
			return fmt.Errorf("load: stopped while connecting: %s", l.connectState())
		}
		if now > deadline {
			return fmt.Errorf("load: not all connections ready after %v (Config.ConnectTimeout): %s", l.cfg.ConnectTimeout, l.connectState())
		}
		if err := l.beginConnects(now - began); err != nil {
			return err
		}
		l.publish(now)
		n, err := l.poll.wait(time.Millisecond)
		if err != nil {
			return err
		}
		for i := range n {
			l.event(&l.poll.events[i])
		}
		if l.count.gone > 0 {
			return fmt.Errorf("load: a connection to %s failed before all were ready: %w: %s", l.cfg.Target, l.failure, l.connectState())
		}
	}
	return nil
}

func (l *loop) connectState() string {
	return fmt.Sprintf("of %d connections %d begun, %d connected, %d ready", l.own, l.begun, l.count.connected, l.count.ready)
}

// beginConnects starts as many as Config.ConnectsInFlight and ConnectRate allow.
func (l *loop) beginConnects(sinceNs int64) error {
	allowed, threads := int64(l.own), float64(l.share.threads)
	if l.cfg.ConnectRate > 0 {
		allowed = min(allowed, 1+int64(float64(sinceNs)/1e9*l.cfg.ConnectRate/threads))
	}
	for int64(l.begun) < allowed && l.begun-int(l.count.ready) < max(1, l.share.of(l.cfg.ConnectsInFlight)) {
		c := &l.conns[l.begun]
		l.begun++
		if err := l.begin(c); err != nil {
			return err
		}
	}
	return nil
}

// begin makes the socket and starts a nonblocking connect.
func (l *loop) begin(c *conn) error {
	fd, err := unix.Socket(l.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("load: socket of connection "+fmt.Sprint(c.index)+" (raise `ulimit -n` if too many open files)", err)
	}
	c.fd, c.stage = fd, stageConnecting
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("load: setsockopt(TCP_NODELAY)", err)
	}
	if c.slow { // before the connect: the window that is offered then never shrinks
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, slowBufferBytes); err != nil {
			return os.NewSyscallError("load: setsockopt(SO_RCVBUF)", err)
		}
	}
	switch err := unix.Connect(fd, l.address); err {
	case nil, unix.EINPROGRESS, unix.EINTR:
	case unix.EADDRNOTAVAIL:
		return fmt.Errorf("load: connect %s: %w: no local port left (widen net.ipv4.ip_local_port_range)", l.cfg.Target, err)
	default:
		return fmt.Errorf("load: connect %s: %w", l.cfg.Target, err)
	}
	if err := l.poll.add(fd, readable|writable, c.number, c.generation); err != nil {
		return os.NewSyscallError("load: epoll_ctl", err)
	}
	c.writing = true
	return nil
}

// connected is called when a connecting socket reports an event.
func (l *loop) connected(c *conn) {
	code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || code != 0 {
		l.gone(c, unix.Errno(code))
		return
	}
	c.stage = stageHello
	now := l.now()
	if c.timing != nil {
		c.timing.connected(now - c.beganNs)
	}
	if int(c.number) < l.own {
		l.count.connected++
	}
	c.out = c.client.Hello(c.out)
	l.flush(c) // also turns EPOLLOUT off
	if c.stage == stageHello && c.client.Ready() {
		l.ready(c, now)
	}
}

// ready puts the connection among those that arrivals pick from. Those of the storm
// are asked nothing.
func (l *loop) ready(c *conn, now int64) {
	c.stage = stageReady
	if c.timing != nil {
		c.timing.ready(now - c.beganNs)
	}
	if int(c.number) >= l.own {
		l.storm.readyOne(now)
		return
	}
	c.place = int32(len(l.alive))
	l.alive = append(l.alive, c.number)
	l.count.ready++
	if l.refill {
		l.topUp(c, now)
	}
}
