package differential

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Prop is a descriptor that the harness makes for a run. A name with an N is
// that of a nonblocking one.
type Prop uint8

const (
	dirFD        Prop = iota // the world's directory
	eofSocket                // has bytes to read, then the end
	eofSocketN               //
	openSocket               // has bytes to read, then nothing: to be received from with MSG_DONTWAIT
	openSocketN              //
	fullSocket               // its peer reads nothing: to be sent to with MSG_DONTWAIT
	fullSocketN              //
	deadSocket               // its peer is closed
	resetSocket              // its peer was closed with bytes unread
	lateSocket               // bytes and the end come while the program runs
	lateSocketN              //
	splitSocket              // has a part of the bytes, the rest comes late: to be received from with MSG_WAITALL
	splitSocketN             //
	drainSocket              // full, and late its peer begins to read everything
	drainSocketN             //
	listener                 // has connections, then accept fails (EINVAL)
	lateListener             // one connection comes late, then accept fails
	unixClient               // not connected
	unixClientN              //
	tcpClient                //
	tcpClientN               //
	pipeIn                   // has bytes to read, then the end
	pipeOut                  // has room
	ownSocket                // as eofSocket, in a register only: the program may close it
	unixTarget               // what connects go to
	tcpTarget                //
	tcpNobody                //
	propCount
)

// String gives the name that programs are printed with.
func (p Prop) String() string {
	return [...]string{"dir", "eof", "eofN", "open", "openN", "full", "fullN", "dead", "reset", "late", "lateN", "split", "splitN", "drain", "drainN",
		"listener", "lateListener", "client", "clientN", "tcpClient", "tcpClientN", "pipeIn", "pipeOut", "own",
		"unixTarget", "tcpTarget", "tcpNobody"}[p]
}

func (p Prop) nonblocking() bool {
	switch p {
	case eofSocketN, openSocketN, fullSocketN, lateSocketN, splitSocketN, drainSocketN, unixClientN, tcpClientN:
		return true
	}
	return false
}

var (
	early    = letters(100)
	lateData = letters(40)
)

func (w *world) open(p Prop) (err error) {
	switch p {
	case dirFD:
		w.fds[p], err = unix.Open(w.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	case pipeIn, pipeOut:
		err = w.openPipe(p)
	case listener, lateListener, unixTarget:
		err = w.openListener(p)
	case tcpTarget, tcpNobody:
		err = w.openTCP(p)
	case unixClient, unixClientN:
		w.fds[p], err = socket(unix.AF_UNIX, p)
	case tcpClient, tcpClientN:
		w.fds[p], err = socket(unix.AF_INET, p)
		if err == nil { // ends with a reset: no port is left waiting
			err = unix.SetsockoptLinger(w.fds[p], unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		}
	default:
		err = w.openPair(p)
	}
	return err
}

func kindOf(p Prop) int {
	if p.nonblocking() {
		return unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	}
	return unix.SOCK_STREAM | unix.SOCK_CLOEXEC
}

func socket(family int, p Prop) (int, error) { return unix.Socket(family, kindOf(p), 0) }

func (w *world) openPipe(p Prop) error {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	if p == pipeOut {
		w.peers[p], w.fds[p] = ends[0], ends[1]
		return unix.SetNonblock(ends[0], true)
	}
	w.fds[p] = ends[0]
	_, err := unix.Write(ends[1], early[:50])
	_ = unix.Close(ends[1])
	return err
}

// openPair makes a pair of sockets in the state that p is named after.
func (w *world) openPair(p Prop) error {
	ends, err := unix.Socketpair(unix.AF_UNIX, kindOf(p), 0)
	if err != nil {
		return err
	}
	fd, peer := ends[0], ends[1]
	w.fds[p], w.peers[p] = fd, peer
	switch p {
	case eofSocket, eofSocketN, ownSocket:
		_, err = unix.Write(peer, early)
		_ = unix.Shutdown(peer, unix.SHUT_WR)
	case openSocket, openSocketN:
		_, err = unix.Write(peer, early[:30])
	case splitSocket, splitSocketN:
		_, err = unix.Write(peer, early[:20])
	case fullSocket, fullSocketN:
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1) // the least that there is
		w.filled[p] = fill(fd)
	case drainSocket, drainSocketN:
		w.filled[p] = fill(fd)
	case deadSocket, resetSocket:
		if p == resetSocket {
			_, err = unix.Write(fd, early[:5])
		}
		_ = unix.Close(peer)
		w.peers[p] = -1
	}
	if p == ownSocket {
		w.ownIno = inode(fd)
	}
	return err
}

// fill sends until nothing more is taken.
func fill(fd int) (total int) {
	for size := 32 << 10; size > 0; size /= 32 {
		for {
			n, err := unix.SendmsgN(fd, bigData[:size], nil, nil, unix.MSG_DONTWAIT)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				break
			}
			total += n
		}
	}
	return total
}

func inode(fd int) uint64 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	return st.Ino
}

// socketName is the abstract name of one of w's listeners.
func (w *world) socketName(p Prop) string {
	return fmt.Sprintf("syslet-diff-%d.%s.%s", os.Getpid(), w.name, p)
}

// listenerWorld names the world of an accepted socket, which has its listener's
// name, or gives "".
func listenerWorld(fd int) string {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return ""
	}
	a, ok := sa.(*unix.SockaddrUnix)
	if !ok {
		return ""
	}
	parts := strings.Split(a.Name, ".")
	if len(parts) != 3 || parts[0] != fmt.Sprintf("@syslet-diff-%d", os.Getpid()) {
		return ""
	}
	return parts[1]
}

func (w *world) openListener(p Prop) (err error) {
	if w.fds[p], err = socket(unix.AF_UNIX, p); err != nil {
		return err
	}
	if err := unix.Bind(w.fds[p], &unix.SockaddrUnix{Name: "@" + w.socketName(p)}); err != nil {
		return err
	}
	if err := unix.Listen(w.fds[p], 8); err != nil {
		return err
	}
	if p != listener {
		return nil
	}
	for i, n := range []int{30, 10, 0} {
		if err := w.connectClient(p, early[:n], i == 1); err != nil {
			return err
		}
	}
	// Those that have connected are still to be accepted; then it says EINVAL.
	return unix.Shutdown(w.fds[p], unix.SHUT_RD)
}

// connectClient has somebody connect to a listener, send data and the end of the
// stream, and go, if gone says so.
func (w *world) connectClient(p Prop, data []byte, gone bool) error {
	fd, err := socket(unix.AF_UNIX, p)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: "@" + w.socketName(p)}); err != nil {
		_ = unix.Close(fd)
		return err
	}
	_, _ = unix.Write(fd, data)
	if gone {
		return unix.Close(fd)
	}
	w.clients = append(w.clients, fd)
	return unix.Shutdown(fd, unix.SHUT_WR)
}

func (w *world) openTCP(p Prop) (err error) {
	if w.fds[p], err = socket(unix.AF_INET, p); err != nil {
		return err
	}
	if err := unix.Bind(w.fds[p], &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if p == tcpTarget {
		return unix.Listen(w.fds[p], 8)
	}
	return nil
}

// sockaddr is where a connect to t goes, as the kernel has it.
func (w *world) sockaddr(t Target) []byte {
	switch t {
	case toUnix, toUnixNobody:
		name := w.socketName(unixTarget)
		if t == toUnixNobody {
			name += ".nobody"
		}
		return append([]byte{unix.AF_UNIX, 0, 0}, name...)
	case toTCP, toTCPNobody:
		p := tcpTarget
		if t == toTCPNobody {
			p = tcpNobody
		}
		addr := append([]byte{unix.AF_INET, 0, 0, 0, 127, 0, 0, 1}, make([]byte, 8)...)
		if sa, err := unix.Getsockname(w.fds[p]); err == nil {
			binary.BigEndian.PutUint16(addr[2:], uint16(sa.(*unix.SockaddrInet4).Port))
		}
		return addr
	case toShort:
		return []byte{unix.AF_INET, 0}
	}
	return append([]byte{unix.AF_NETLINK, 0}, make([]byte, 10)...)
}
