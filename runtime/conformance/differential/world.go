package differential

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// world is what one run of one Program can touch: a directory with a small tree,
// sockets and pipes whose other ends are prepared, and buffers. Each run has its
// own, made in the same way. Nothing in it lets an op wait for ever.
type world struct {
	name string // of dir; also in the names of its sockets
	dir  string // absolute, no symbolic links on the way

	fds   [propCount]int // -1: not made
	peers [propCount]int // other ends, the harness's
	// clients have connected to listeners, from this side.
	clients []int
	filled  [propCount]int // bytes that filled a socket before the run
	ownIno  uint64         // of ownSocket: the program may close it, and the number may be taken since

	bufs  [][]byte
	stats []unix.Statx_t // by op
	addrs [targetCount]unix.Sockaddr

	late    sync.WaitGroup
	over    atomic.Bool // tells the late goroutine that the run has ended
	drained [propCount][]byte
}

var (
	bigData = letters(bigBytes)
	// worldCount makes names unique in this process, in which several harnesses may be.
	worldCount atomic.Uint64
)

// letters is text that never holds a slash or a dot: a path made of it stays in
// its directory.
func letters(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(i*7%26)
	}
	return b
}

// newWorld makes a world for p in the directory of that name below root, which
// may be new, or that of a world that was removed.
func newWorld(root, name string, p *Program) (w *world, err error) {
	w = &world{name: name, dir: filepath.Join(root, name), stats: make([]unix.Statx_t, len(p.Ops))}
	for i := range w.fds {
		w.fds[i], w.peers[i] = -1, -1
	}
	for i, n := range bufferSizes {
		w.bufs = append(w.bufs, make([]byte, n))
		copy(w.bufs[i], letters(n))
	}
	copy(w.bufs[pathBuffer], "f1\x00")
	w.bufs[pathBuffer][bufferSizes[pathBuffer]-1] = 0
	w.bufs = append(w.bufs, bigData)
	defer func() {
		if err != nil {
			w.remove()
		}
	}()
	if err := plant(w.dir); err != nil {
		return w, err
	}
	if p.Cold != coldNothing {
		if err := chill(w.dir, p.Cold); err != nil {
			return w, fmt.Errorf("differential: cannot take f2 out of the cache: %w", err)
		}
	}
	needs := p.needs()
	for prop := range propCount {
		if needs&(1<<prop) != 0 {
			if err := w.open(prop); err != nil {
				return w, fmt.Errorf("differential: cannot make %s: %w", prop, err)
			}
		}
	}
	return w, nil
}

// value is v when a run begins.
func (w *world) value(v Val) int64 {
	if v.kind == valProp {
		return int64(w.fds[v.prop()])
	}
	return v.n
}

// regs are the registers of a run's beginning.
func (w *world) regs(p *Program) (regs [runtime.RegCount]int64) {
	for i, v := range p.Regs {
		regs[i] = w.value(v)
	}
	return regs
}

// data is the part of a buffer that op names.
func (w *world) data(s Slice) []byte { return w.bufs[s.Index][s.From:s.To] }

// lateAfter is how long what comes late is waited for, at least.
const lateAfter = 100 * time.Microsecond

// begin starts what happens while the program runs.
func (w *world) begin() {
	var has bool
	for _, p := range []Prop{lateSocket, lateSocketN, splitSocket, splitSocketN, lateListener, drainSocket, drainSocketN} {
		has = has || w.fds[p] >= 0
	}
	if has {
		w.late.Add(1)
		go w.beLate()
	}
}

func (w *world) beLate() {
	defer w.late.Done()
	nanosleep(lateAfter)
	for _, p := range []Prop{lateSocket, lateSocketN, splitSocket, splitSocketN} {
		if peer := w.peers[p]; peer >= 0 {
			_, _ = unix.Write(peer, lateData)
			_ = unix.Shutdown(peer, unix.SHUT_WR)
		}
	}
	if fd := w.fds[lateListener]; fd >= 0 {
		_ = w.connectClient(lateListener, lateData, false)
		_ = unix.Shutdown(fd, unix.SHUT_RD)
	}
	for !w.over.Load() {
		w.drainPeer(drainSocket)
		w.drainPeer(drainSocketN)
		if w.fds[drainSocket] < 0 && w.fds[drainSocketN] < 0 {
			return
		}
		nanosleep(lateAfter / 2)
	}
}

// nanosleep sleeps in the kernel. Go's timers hang on a processor of its
// scheduler, and where a loop blocks with one they come up to 10 ms late.
func nanosleep(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil)
}

func (w *world) drainPeer(p Prop) {
	if w.peers[p] >= 0 {
		w.drained[p] = append(w.drained[p], drain(w.peers[p])...)
	}
}

// drain takes what a socket has now.
func drain(fd int) (all []byte) {
	buf := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return all
		}
		all = append(all, buf[:n]...)
	}
}

// end waits for what begin has started; the run is over.
func (w *world) end() {
	w.over.Store(true)
	w.late.Wait()
}

// remove closes everything; the directory is for another world. What the program
// has left open is swept before.
func (w *world) remove() {
	w.end()
	for _, fds := range [][]int{w.fds[:], w.peers[:], w.clients} {
		for _, fd := range fds {
			if fd >= 0 {
				_ = unix.Close(fd)
			}
		}
	}
}

// sweep closes what the programs of these worlds have left open and counts it,
// world by world. Descriptors are known by what they refer to: a file below the
// world's directory, or a socket with the name of its listeners. No run may be
// under way.
func sweep(root string, worlds []*world) (open []int, err error) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return nil, fmt.Errorf("differential: cannot tell which descriptors are open: %w", err)
	}
	defer dir.Close()
	entries, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	mine, byName := map[int]bool{}, map[string]int{}
	for i, w := range worlds {
		byName[w.name] = i
		for p, fd := range w.fds {
			mine[fd], mine[w.peers[p]] = true, true
		}
		for _, fd := range w.clients {
			mine[fd] = true
		}
	}
	open = make([]int, len(worlds))
	for _, e := range entries {
		var fd int
		if _, err := fmt.Sscan(e, &fd); err != nil || mine[fd] {
			continue
		}
		if i, ok := byName[worldOf(root, fd)]; ok {
			open[i]++
			_ = unix.Close(fd)
		}
	}
	return open, nil
}

// worldOf names the world that an open descriptor belongs to, or "".
func worldOf(root string, fd int) string {
	var buf [512]byte
	n, err := unix.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd), buf[:])
	if err != nil {
		return ""
	}
	link := string(buf[:n])
	if strings.HasPrefix(link, "socket:") {
		return listenerWorld(fd)
	}
	rest, ok := strings.CutPrefix(link, root+"/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}
