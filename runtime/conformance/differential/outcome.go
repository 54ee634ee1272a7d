package differential

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// What is compared, as text, so that a difference can be read.
//
// Left out, because it differs between two runs of the same calls: descriptors'
// numbers (only that a register holds one is compared), inode numbers, devices,
// times, blocks, the sizes of directories, and the order of their entries.

// ending is what a run says of itself.
type ending struct {
	regs [runtime.RegCount]int64
	last int
	res  int64
	err  string // what a call panicked with
}

// report gives the lines of a run: what the program says, then what it has done
// to its world. open is the number of descriptors that it left.
func (w *world) report(p *Program, e ending, open int) string {
	var b strings.Builder
	for i, r := range e.regs {
		if i < fdRegs && r >= 0 && r != hugeFD {
			r = fdMarker
		}
		fmt.Fprintf(&b, "Regs[%d] = %s\n", i, number(r))
	}
	res := e.res
	if len(p.Ops) > 0 && res >= 0 {
		switch p.Ops[e.last].Code {
		case runtime.OpOpenat, runtime.OpAccept:
			res = fdMarker
		}
	}
	fmt.Fprintf(&b, "Last() = %d, %s\n", e.last, number(res))
	if e.err != "" {
		fmt.Fprintf(&b, "Err() = %s\n", e.err)
	}
	for i := range bufferSizes {
		fmt.Fprintf(&b, "buf%d = %s\n", i, brief(w.bufs[i]))
	}
	for i := range w.stats {
		if st := &w.stats[i]; p.Ops[i].Code == runtime.OpStatx {
			fmt.Fprintf(&b, "stat of op %d = %s\n", i, statText(st))
		}
	}
	fmt.Fprintf(&b, "left open = %d\n", open)
	w.peersReport(&b)
	treeReport(&b, w.dir, "")
	return b.String()
}

func number(n int64) string {
	switch {
	case n == fdMarker:
		return "a descriptor"
	case n < 0 && n > -4096:
		if name := unix.ErrnoName(unix.Errno(-n)); name != "" {
			return fmt.Sprintf("%d (-%s)", n, name)
		}
	}
	return fmt.Sprint(n)
}

func brief(p []byte) string {
	if len(p) <= 40 {
		return fmt.Sprintf("%q", p)
	}
	h := fnv.New64a()
	_, _ = h.Write(p)
	return fmt.Sprintf("%d bytes %q... hash %016x", len(p), p[:20], h.Sum64())
}

func statText(st *unix.Statx_t) string {
	if st.Mode == 0 && st.Mask == 0 {
		return "not filled"
	}
	size := fmt.Sprint(st.Size)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		size = "-"
	}
	return fmt.Sprintf("mask %#x mode %#o nlink %d size %s uid %d", st.Mask, st.Mode, st.Nlink, size, st.Uid)
}

// settle says what is left of the connections, before the sweep closes what may
// hold them. The run is over.
func (w *world) settle() {
	w.end()
	if w.fds[ownSocket] >= 0 && inode(w.fds[ownSocket]) != w.ownIno {
		w.fds[ownSocket] = -1 // the program has closed it
	}
	for p := range propCount {
		switch p {
		case dirFD, pipeIn, pipeOut, unixTarget, listener, lateListener, tcpTarget, tcpNobody, tcpClient, tcpClientN:
			continue
		}
		w.drainPeer(p)
		w.drained[p] = w.drained[p][min(w.filled[p], len(w.drained[p])):]
	}
}

// peersReport says what the other ends have got and what the program has left unread.
func (w *world) peersReport(b *strings.Builder) {
	for p := range propCount {
		if w.fds[p] < 0 {
			if w.peers[p] >= 0 {
				fmt.Fprintf(b, "%s is closed; its peer got %s\n", p, brief(w.drained[p]))
			}
			continue
		}
		switch p {
		case dirFD, tcpTarget, tcpNobody, tcpClient, tcpClientN:
			// TCP's bytes may be on their way.
		case pipeIn:
			fmt.Fprintf(b, "left in %s = %s\n", p, brief(readAll(w.fds[p])))
		case pipeOut:
			fmt.Fprintf(b, "got through %s = %s\n", p, brief(readAll(w.peers[p])))
		case listener, lateListener, unixTarget:
			for fd := accept(w.fds[p]); fd >= 0; fd = accept(w.fds[p]) {
				fmt.Fprintf(b, "left in %s: a connection with %s\n", p, brief(drain(fd)))
				_ = unix.Close(fd)
			}
		default:
			fmt.Fprintf(b, "%s's peer got %s, left unread is %s\n", p, brief(w.drained[p]), brief(drain(w.fds[p])))
		}
	}
	for i, fd := range w.clients {
		fmt.Fprintf(b, "client %d got %s\n", i, brief(drain(fd)))
	}
}

// accept takes a connection that is there, or gives -1.
func accept(fd int) int {
	_ = unix.SetNonblock(fd, true)
	for {
		got, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return -1
		}
		return got
	}
}

// readAll reads to the end, or to where it would have to wait.
func readAll(fd int) (all []byte) {
	buf := make([]byte, 16<<10)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return all
		}
		all = append(all, buf[:n]...)
	}
}

// treeReport lists a directory and what is below, by name.
func treeReport(b *strings.Builder, dir, below string) {
	entries, err := os.ReadDir(dir) // in the order of names
	if err != nil {
		fmt.Fprintf(b, "%s: %v\n", below, err)
		return
	}
	slices.SortFunc(entries, func(x, y os.DirEntry) int { return strings.Compare(x.Name(), y.Name()) })
	for _, e := range entries {
		path, name := dir+"/"+e.Name(), below+e.Name()
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			fmt.Fprintf(b, "%s: %v\n", name, err)
			continue
		}
		fmt.Fprintf(b, "%s: mode %#o nlink %d", name, st.Mode, st.Nlink)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			data, err := os.ReadFile(path)
			if err != nil {
				data = []byte(err.Error())
			}
			fmt.Fprintf(b, " %s\n", brief(data))
		case unix.S_IFLNK:
			to, _ := os.Readlink(path)
			fmt.Fprintf(b, " to %s\n", to)
		default:
			b.WriteString("\n")
			if e.IsDir() {
				treeReport(b, path, name+"/")
			}
		}
	}
}

// difference lists the lines in which two reports differ; "" if in none.
func difference(want, got string) string {
	if want == got {
		return ""
	}
	var b bytes.Buffer
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for _, line := range w {
		if !slices.Contains(g, line) {
			fmt.Fprintf(&b, "    reference: %s\n", line)
		}
	}
	for _, line := range g {
		if !slices.Contains(w, line) {
			fmt.Fprintf(&b, "    driver:    %s\n", line)
		}
	}
	if b.Len() == 0 { // the same lines, not as often
		fmt.Fprintf(&b, "    reference:\n%s\n    driver:\n%s\n", want, got)
	}
	return b.String()
}
