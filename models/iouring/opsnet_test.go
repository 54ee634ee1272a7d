package iouring

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
)

// The rest of the answers, and their test.

func sockets(w *world) map[string]srt.Op {
	all := map[string]srt.Op{}
	for name, fd := range map[string]int{"stream": w.sockets[0], "dgram": w.dgrams[0], "half": w.half[0], "gone": w.gone[0], "file": w.file, "bad": badFd, "client": w.client, "pipe": w.filled[0]} {
		for _, flags := range []int{0, unix.MSG_DONTWAIT, unix.MSG_PEEK, unix.MSG_TRUNC, unix.MSG_WAITALL, unix.MSG_DONTWAIT | unix.MSG_WAITALL, 1 << 29} {
			n := 8
			if flags&unix.MSG_WAITALL != 0 {
				n = 6 // what is there
			}
			all[fmt.Sprintf("recv %s %#x", name, flags)] = srt.Recv(imm(fd), w.buf[:n], flags)
			all[fmt.Sprintf("recv few %s %#x", name, flags)] = srt.Recv(imm(fd), w.buf, flags).Len(srt.Imm(3))
			all[fmt.Sprintf("send %s %#x", name, flags)] = srt.Send(imm(fd), []byte("xyz"), flags&^unix.MSG_PEEK)
		}
		all["recv nothing "+name] = srt.Recv(imm(fd), nil, unix.MSG_DONTWAIT)
		all["send nothing "+name] = srt.Send(imm(fd), nil, 0)
	}
	all["recv not now"] = srt.Recv(imm(w.quiet[0]), w.buf, unix.MSG_DONTWAIT)
	all["send too much now"] = srt.Send(imm(w.quiet[0]), tooMuch, unix.MSG_DONTWAIT)
	all["recv out of band"] = srt.Recv(imm(w.quiet[0]), w.buf, unix.MSG_OOB|unix.MSG_DONTWAIT)
	for _, flags := range []int{0, unix.SOCK_CLOEXEC, unix.SOCK_NONBLOCK, 1 << 20} {
		all[fmt.Sprintf("accept %#x", flags)] = srt.Accept(imm(w.listener), flags)
	}
	for name, fd := range map[string]int{"stream": w.sockets[0], "dgram": w.dgrams[0], "file": w.file, "bad": badFd, "client": w.client} {
		all["accept "+name] = srt.Accept(imm(fd), 0)
	}
	return all
}

// tooMuch is more than a socket takes at once.
var tooMuch = make([]byte, 16<<20)

func connects(w *world) map[string]srt.Op {
	none := append([]byte{unix.AF_UNIX, 0}, w.path("none")...)
	stream := w.fd(unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	udp := w.fd(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0))
	return map[string]srt.Op{
		"connect":           srt.Connect(imm(w.client), w.addr),
		"connect nobody":    srt.Connect(imm(w.client), w.nobody),
		"connect datagrams": srt.Connect(imm(udp), w.addr),
		"connect none":      srt.Connect(imm(stream), none[:min(len(none), 108)]),
		"connect family":    srt.Connect(imm(stream), w.addr),
		"connect nowhere":   srt.Connect(imm(w.client), nil),
		"connect short":     srt.Connect(imm(w.client), w.addr[:4]),
		"connect long":      srt.Connect(imm(w.client), make([]byte, 500)),
		"connect connected": srt.Connect(imm(w.sockets[0]), none[:8]),
		"connect listener":  srt.Connect(imm(w.listener), w.addr),
		"connect file":      srt.Connect(imm(w.file), w.addr),
		"connect bad":       srt.Connect(imm(badFd), w.addr),
	}
}

func waits(w *world) map[string]srt.Op {
	all := map[string]srt.Op{
		"nop": srt.Nop(srt.Imm(-7)), "add": srt.Add(srt.Imm(1<<62), srt.Imm(5)),
		"sleep": srt.Sleep(srt.Imm(1000)), "sleep 0": srt.Sleep(srt.Imm(0)), "sleep less": srt.Sleep(srt.Imm(-1 << 63)),
		"call": srt.Call(func(y *srt.Syslet) int64 { return 12 }), "panic": srt.Call(func(*srt.Syslet) int64 { panic("ouch") }),
	}
	for name, fd := range map[string]int{"stream": w.sockets[0], "half": w.half[0], "gone": w.gone[0], "file": w.file, "listener": w.listener, "full": w.full[0],
		"filled": w.filled[0], "client": w.client, "null": w.fd(unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)), "bad": badFd} {
		for _, events := range []int{unix.POLLIN, unix.POLLOUT, unix.POLLIN | unix.POLLOUT | unix.POLLRDHUP, unix.POLLIN | unix.POLLOUT | unix.POLLPRI | 1<<20} {
			if holds(fd, events) {
				all[fmt.Sprintf("poll %s %#x", name, events)] = srt.Poll(imm(fd), events)
			}
		}
	}
	return all
}

// holds reports whether a poll would end at once.
func holds(fd, events int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: int16(events)}}
	n, err := unix.Poll(p, 0)
	return n > 0 && err == nil
}

func splices(w *world) map[string]srt.Op {
	splice := func(in, inOff, out, outOff, n, flags int) srt.Op {
		return srt.Splice(imm(in), imm(inOff), imm(out), imm(outOff), imm(n), flags)
	}
	in, out := w.pipe[1], w.filled[0]
	return map[string]srt.Op{
		"splice from file":       splice(w.file, 2, in, -1, 5, 0),
		"splice from position":   splice(w.file, -1, in, -1, 5, 0),
		"splice from -7":         splice(w.file, -7, in, -7, 5, unix.SPLICE_F_MOVE),
		"splice from end":        splice(w.file, 10, in, -1, 5, 0),
		"splice more than is":    splice(w.file, 8, in, -1, 500, unix.SPLICE_F_MORE),
		"splice to file":         splice(out, -1, w.file, 4, 5, 0),
		"splice to position":     splice(out, -1, w.file, -1, 3, 0),
		"splice to appending":    splice(out, -1, w.appending, -1, 3, 0),
		"splice to reader":       splice(out, -1, w.readOnly, 0, 3, 0),
		"splice from writer":     splice(w.writeOnly, 0, in, -1, 3, 0),
		"splice pipes":           splice(out, -1, in, -1, 5, 0),
		"splice socket":          splice(w.sockets[0], -1, in, -1, 5, 0),
		"splice to socket":       splice(out, -1, w.quiet[0], -1, 5, 0),
		"splice socket offset":   splice(w.sockets[0], 3, in, -1, 5, 0),
		"splice pipe offset":     splice(out, 0, w.file, 0, 5, 0),
		"splice to pipe offset":  splice(w.file, 0, in, 1, 5, 0),
		"splice files":           splice(w.file, 0, w.writeOnly, 0, 5, 0),
		"splice one pipe":        splice(out, -1, w.filled[1], -1, 5, 0),
		"splice nothing":         splice(badFd, 0, badFd, 0, 0, 0),
		"splice folder":          splice(w.folder, 0, in, -1, 5, 0),
		"splice bad":             splice(badFd, -1, in, -1, 5, 0),
		"splice to bad":          splice(w.file, -1, badFd, -1, 5, 0),
		"splice flags":           splice(w.file, 0, in, -1, 5, 1<<20),
		"splice slot flag":       splice(w.file, 0, in, -1, 5, 1<<31),
		"splice less":            splice(w.file, 0, in, -1, -1, 0),
		"splice very much":       splice(w.file, 0, in, -1, 1<<33, 0),
		"splice not now":         splice(w.pipe[0], -1, w.file, 0, 5, unix.SPLICE_F_NONBLOCK),
		"splice not now to full": splice(w.file, 0, w.full[1], -1, 5, unix.SPLICE_F_NONBLOCK),
	}
}

// TestEveryOpAnswersAsThePlainCall runs each op by the ring, tried at once or by a
// worker, and by the plain call in a world of its own.
func TestEveryOpAnswersAsThePlainCall(t *testing.T) {
	conformance.CheckLeaks(t)
	v, _ := serve(t, srt.Options{}, echo())
	dir, n, codes := t.TempDir(), 0, map[srt.OpCode]bool{}
	fresh := func(kind int) *world { return newWorld(t, filepath.Join(dir, fmt.Sprint(n)), kind) }
	end := func(w *world, y *srt.Syslet) string {
		switch y.Ops[0].Code {
		case srt.OpOpenat, srt.OpRenameat, srt.OpUnlinkat, srt.OpMkdirat:
			defer func() { n++ }()
		}
		return w.end(y)
	}
	flags := []srt.Flags{0, srt.Async}
	if testing.Short() {
		flags = flags[:1]
	}
	for _, kind := range kinds {
		first := fresh(kind)
		for name := range answers(first, kind) {
			plain := fresh(kind)
			y := srt.NewSyslet(answers(plain, kind)[name])
			y.RunBlocking()
			want := end(plain, y)
			codes[y.Ops[0].Code] = true
			for _, f := range flags {
				w := fresh(kind)
				y := srt.NewSyslet(answers(w, kind)[name].With(f))
				run(t, v, y)
				if got := end(w, y); want != got {
					t.Errorf("%s, kind %d, flags %#x\nplain: %s\nring:  %s", name, kind, f, want, got)
				}
			}
		}
		first.end(srt.NewSyslet(srt.Nop(srt.Imm(0))))
	}
	for code := srt.OpNop; code <= srt.OpCall; code++ {
		require.True(t, codes[code], code.String())
	}
}
