package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// IdleConfig is what OpenIdle is told.
type IdleConfig struct {
	// Target is "host:port" of the server, TCP.
	Target string
	// Conns is the number of connections.
	Conns int
	// SourceAddrs is the number of loopback addresses, 127.0.0.2 and up, that the
	// connections come from in turn: one address has no more ports towards a server
	// than net.ipv4.ip_local_port_range. 0: as many as are needed, and for a server
	// that is not at 127.0.0.0/8 the system's choice, which is the only one then.
	SourceAddrs int
	// EchoBytes are sent by each connection when all are open and must come back
	// before it counts as idle: a server must give back what it took for them.
	EchoBytes int
	// ConnectRate is the largest number of connects begun per second; 0 is no limit.
	ConnectRate float64
	// InFlight is the largest number of connections that connect or echo at a time;
	// default 64.
	InFlight int
	// Timeout is the longest that all may take; default 120 s.
	Timeout time.Duration
}

const (
	defaultIdleTimeout = 120 * time.Second
	// connsPerAddr leaves an address room in the default port range, of which the
	// system prefers one half.
	connsPerAddr = 10_000
	// mostIdleEcho keeps what is in flight within the sockets' buffers.
	mostIdleEcho = 1 << 20
)

func (c IdleConfig) withDefaults() (IdleConfig, error) {
	if c.InFlight == 0 {
		c.InFlight = defaultInFlight
	}
	if c.Timeout == 0 {
		c.Timeout = defaultIdleTimeout
	}
	switch {
	case c.Target == "":
		return c, errors.New("load: IdleConfig.Target is empty: give host:port of the server")
	case c.Conns < 1 || c.Conns > mostConns:
		return c, fmt.Errorf("load: IdleConfig.Conns is %d: must be 1 to %d", c.Conns, mostConns)
	case c.SourceAddrs < 0 || c.SourceAddrs > 1<<16:
		return c, fmt.Errorf("load: IdleConfig.SourceAddrs is %d: must be 0 to %d", c.SourceAddrs, 1<<16)
	case c.EchoBytes < 0 || c.EchoBytes > mostIdleEcho:
		return c, fmt.Errorf("load: IdleConfig.EchoBytes is %d: must be 0 to %d", c.EchoBytes, mostIdleEcho)
	case c.ConnectRate < 0 || c.InFlight < 0 || c.Timeout < 0:
		return c, fmt.Errorf("load: IdleConfig.ConnectRate %v, InFlight %d, Timeout %v: none may be negative", c.ConnectRate, c.InFlight, c.Timeout)
	}
	return c, nil
}

// IdleReport is how the connections came to be.
type IdleReport struct {
	Target      string `json:"target"`
	Conns       int    `json:"conns"`
	SourceAddrs int    `json:"source_addrs,omitempty"` // 0: the system's choice
	EchoBytes   int    `json:"echo_bytes,omitempty"`
	// ConnectS is from the first connect until the last connection was open, in
	// seconds; RatePerS the connections per second.
	ConnectS float64 `json:"connect_s"`
	RatePerS float64 `json:"rate_per_s"`
	// EchoS is how long the echoes took after that, in seconds.
	EchoS float64 `json:"echo_s,omitempty"`
}

// Idlers are open connections on which nothing happens. For one goroutine at a time.
type Idlers struct {
	cfg     IdleConfig
	report  IdleReport
	address unix.Sockaddr
	family  int
	poll    *poller
	conns   []idler
	// Of the pass that goes on, connecting or echoing: those that have begun it, and
	// of them those that are through.
	begun, done int
	lost        int
	scratch     []byte
}

type idler struct {
	fd             int32
	stage          stage
	toSend, toCome int32 // bytes
}

// OpenIdle opens the connections and returns when all are. A connection that
// fails or is closed before ends it: half a population misleads. The context's
// end ends it, too.
func OpenIdle(ctx context.Context, cfg IdleConfig) (*Idlers, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &Idlers{cfg: cfg, conns: make([]idler, cfg.Conns), scratch: make([]byte, scratchBytes)}
	if d.address, d.family, err = resolve(cfg.Target); err != nil {
		return nil, err
	}
	if err := d.chooseSources(); err != nil {
		return nil, err
	}
	if d.poll, err = newPoller(); err != nil {
		return nil, err
	}
	if err := d.passes(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// passes connects all, and then has all echo.
func (d *Idlers) passes(ctx context.Context) error {
	r := &d.report
	r.Target, r.Conns, r.EchoBytes = d.cfg.Target, d.cfg.Conns, d.cfg.EchoBytes
	took, err := d.pass(ctx, "connecting", d.cfg.ConnectRate, d.begin)
	if err != nil {
		return err
	}
	r.ConnectS, r.RatePerS = took, float64(r.Conns)/took
	if r.EchoBytes > 0 {
		r.EchoS, err = d.pass(ctx, "echoing", 0, d.beginEcho)
	}
	return err
}

// Report is how they came to be.
func (d *Idlers) Report() IdleReport { return d.report }

func (d *Idlers) chooseSources() error {
	v4, ok := d.address.(*unix.SockaddrInet4)
	if !ok || v4.Addr[0] != 127 {
		if d.cfg.SourceAddrs > 0 {
			return fmt.Errorf("load: IdleConfig.SourceAddrs is %d, but Target %s is not in 127.0.0.0/8: only there have we many addresses", d.cfg.SourceAddrs, d.cfg.Target)
		}
		return nil
	}
	d.report.SourceAddrs = d.cfg.SourceAddrs
	if d.report.SourceAddrs == 0 {
		d.report.SourceAddrs = (d.cfg.Conns + connsPerAddr - 1) / connsPerAddr
	}
	return nil
}

// sourceAddr is the i-th address from 127.0.0.2 on.
func sourceAddr(i int) [4]byte {
	i += 2
	return [4]byte{127, byte(i >> 16), byte(i >> 8), byte(i)}
}

// pass has each connection begin something and waits until all are done, InFlight
// at a time. It returns how long it took, in seconds.
func (d *Idlers) pass(ctx context.Context, what string, rate float64, begin func(i int) error) (float64, error) {
	began := time.Now()
	failed := func(err error) (float64, error) {
		return 0, fmt.Errorf("load: idle connections to %s, %s: of %d %d have begun and %d are done: %w", d.cfg.Target, what, len(d.conns), d.begun, d.done, err)
	}
	for d.begun, d.done = 0, 0; d.done < len(d.conns); {
		since := time.Since(began)
		if err := ctx.Err(); err != nil {
			return failed(err)
		}
		if since > d.cfg.Timeout {
			return failed(fmt.Errorf("not all within %v (IdleConfig.Timeout)", d.cfg.Timeout))
		}
		allowed := len(d.conns)
		if rate > 0 {
			allowed = min(allowed, 1+int(since.Seconds()*rate))
		}
		for d.begun < allowed && d.begun-d.done < d.cfg.InFlight {
			d.begun++
			if err := begin(d.begun - 1); err != nil {
				return failed(err)
			}
		}
		n, err := d.poll.wait(time.Millisecond)
		if err != nil {
			return failed(err)
		}
		for i := range n {
			if err := d.event(&d.conns[d.poll.events[i].Fd]); err != nil {
				return failed(err)
			}
		}
	}
	return time.Since(began).Seconds(), nil
}

// begin makes the socket and starts a nonblocking connect. Edge triggered: one
// epoll_ctl for the whole life of the connection.
func (d *Idlers) begin(i int) error {
	fd, err := unix.Socket(d.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket (raise `ulimit -n` if too many open files)", err)
	}
	d.conns[i] = idler{fd: int32(fd), stage: stageConnecting}
	if n := d.report.SourceAddrs; n > 0 {
		// The port is chosen by connect, which knows the other end: bind would need
		// one that nobody has towards anywhere (Linux 4.2).
		err := errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
			unix.Bind(fd, &unix.SockaddrInet4{Addr: sourceAddr(i % n)}))
		if err != nil {
			return fmt.Errorf("bind to %v: %w", sourceAddr(i%n), err)
		}
	}
	switch err := unix.Connect(fd, d.address); err {
	case nil, unix.EINPROGRESS, unix.EINTR:
	case unix.EADDRNOTAVAIL:
		return fmt.Errorf("connect: %w: no local port left (more IdleConfig.SourceAddrs, or widen net.ipv4.ip_local_port_range)", err)
	default:
		return os.NewSyscallError("connect", err)
	}
	return os.NewSyscallError("epoll_ctl", d.poll.add(fd, readable|writable|unix.EPOLLET, int32(i), 0))
}

var errClosedByServer = errors.New("closed by the server")

func (d *Idlers) beginEcho(i int) error {
	c := &d.conns[i]
	c.stage, c.toSend, c.toCome = stageHello, int32(d.cfg.EchoBytes), int32(d.cfg.EchoBytes)
	return d.event(c)
}

// event moves a connection on as far as it goes.
func (d *Idlers) event(c *idler) error {
	if c.stage == stageConnecting {
		code, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil || code != 0 {
			return errors.Join(err, unix.Errno(code))
		}
		c.stage = stageHello
	}
	if err := d.send(c); err != nil {
		return err
	}
	if err := d.receive(c); err != nil {
		return err
	}
	if c.stage == stageHello && c.toCome == 0 {
		c.stage = stageReady
		d.done++
	}
	return nil
}

func (d *Idlers) send(c *idler) error {
	for c.toSend > 0 {
		n, e := send(int(c.fd), d.scratch[:min(int(c.toSend), len(d.scratch))])
		switch e {
		case 0:
			c.toSend -= int32(n)
		case unix.EINTR:
		case unix.EAGAIN:
			return nil
		default:
			return e
		}
	}
	return nil
}

// receive reads to the end of what there is, as an edge asks.
func (d *Idlers) receive(c *idler) error {
	for {
		n, e := receive(int(c.fd), d.scratch)
		switch {
		case e == unix.EINTR:
		case e == unix.EAGAIN:
			return nil
		case e != 0:
			return e
		case n == 0:
			return errClosedByServer
		case int32(n) > c.toCome:
			return fmt.Errorf("the server sent %d bytes more than it got", int32(n)-c.toCome)
		default:
			c.toCome -= int32(n)
		}
	}
}

// Lost looks, without waiting, which connections have ended since or got bytes,
// and returns how many there are in all.
func (d *Idlers) Lost() (int, error) {
	for {
		n, err := d.poll.poll()
		if n == 0 || err != nil {
			return d.lost, err
		}
		for i := range n {
			c := &d.conns[d.poll.events[i].Fd]
			if c.stage == stageReady && d.receive(c) != nil {
				c.stage = stageGone
				d.lost++
			}
		}
	}
}

// Close resets them all: nothing is under way, and 100,000 ends in good order
// would hold their ports for a minute.
func (d *Idlers) Close() {
	for i := range d.conns {
		if c := &d.conns[i]; c.stage != stageNew {
			_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
			_ = unix.Close(int(c.fd))
		}
	}
	d.poll.close()
}
