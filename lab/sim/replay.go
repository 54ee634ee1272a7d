package sim

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// player replays a trace in lock step: a step's bytes go out when the answer to the
// one before is here and the server has nothing more to do. It uses plain blocking
// sockets, for it shares its thread with the freezer.
type player struct {
	trace *Trace
	fds   []int
	next  int // the step that is due; the trace begins anew at its end
	busy  func() bool
	// stalled is called when an answer takes longer than stallAfter, and the wait goes on.
	stalled func()
	room    []byte
}

const (
	// stallAfter is far longer than the simulator needs for a request.
	stallAfter = 200 * time.Millisecond
	// stallsMost is how often in a row an answer may not come.
	stallsMost = 50
	// quietLooks in a row must find no thread runnable: one that has just been woken
	// is on no list for a moment.
	quietLooks = 2
	// busyMost bounds the wait for quiet: a server that works by the clock has none.
	busyMost = 20 * time.Millisecond
)

// connect opens the trace's connections, one after the other.
func (p *player) connect(port int) error {
	p.room = make([]byte, answerRoom)
	for range p.trace.Conns {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("sim: cannot open a socket: %w", err)
		}
		p.fds = append(p.fds, fd)
		wait := unix.NsecToTimeval(int64(stallAfter))
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait)
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		}
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		}
		if err != nil {
			return fmt.Errorf("sim: cannot connect to the server on port %d: %w", port, err)
		}
		p.settle()
	}
	return nil
}

func (p *player) close() {
	for _, fd := range p.fds {
		_ = unix.Close(fd)
	}
	p.fds = nil
}

// play does n steps.
func (p *player) play(n int) error {
	for range n {
		s := &p.trace.Steps[p.next]
		if err := p.step(s); err != nil {
			return fmt.Errorf("sim: step %d of the trace: %w", p.next, err)
		}
		p.next = (p.next + 1) % len(p.trace.Steps)
		p.settle()
	}
	return nil
}

func (p *player) step(s *Step) error {
	for sent := 0; sent < len(s.Send); {
		n, err := unix.Write(p.fds[s.Conn], s.Send[sent:])
		if err != nil && err != unix.EINTR {
			return err
		}
		sent += max(n, 0)
	}
	for got, stalls := 0, 0; got < s.Answer; {
		n, err := unix.Read(p.fds[s.Conn], p.room[:min(len(p.room), s.Answer-got)])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if stalls++; stalls > stallsMost {
				return fmt.Errorf("no answer within %v", stallsMost*stallAfter)
			}
			p.stalled()
		case err != nil:
			return err
		case n == 0:
			return fmt.Errorf("the server closed connection %d after %d of %d bytes of its answer", s.Conn, got, s.Answer)
		default:
			got += n
		}
	}
	return nil
}

// settle waits until the server is quiet.
func (p *player) settle() {
	until := time.Now().Add(busyMost)
	for looks := 0; looks < quietLooks; looks++ {
		if p.busy() {
			looks = -1
			if time.Now().After(until) {
				return
			}
		}
	}
}
