package differential

import (
	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
)

// Ops on sockets. Which descriptor an op may have, and with which flags, keeps
// every wait finite and every result the same, however late something comes.

func (g generator) socketOp(op Op) Op {
	switch op.Code {
	case runtime.OpRecv:
		return g.recv(op)
	case runtime.OpSend:
		return g.send(op)
	case runtime.OpPoll:
		return g.poll(op)
	case runtime.OpConnect:
		return g.connect(op)
	}
	op.Dst = regSocket
	op.FD = pick(g, own(listener), own(listener), own(listener), own(lateListener), own(eofSocket), own(openSocket), own(fullSocket), own(unixClient),
		reg(regFile0), reg(regSocket), own(dirFD), own(pipeIn), imm(badFD), imm(hugeFD))
	op.Bits = pick(g, 0, unix.SOCK_CLOEXEC, unix.SOCK_NONBLOCK, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0x10)
	switch {
	case op.Bits == 0x10: // one mistake at a time: see pathOp
		op.FD = own(listener)
	case op.FD == own(lateListener): // how much has been sent on it when it is accepted is a matter of time
		op.Dst = none
	}
	return op
}

// recv. A register holds a socket whose stream ends, so that it may wait. What
// is late comes in one piece, or is waited for in full.
func (g generator) recv(op Op) Op {
	op.Buf, op.Limit = g.slice(true), g.limit()
	var wait, dontWait = []int{0, 0, unix.MSG_PEEK, unix.MSG_WAITALL}, []int{unix.MSG_DONTWAIT, unix.MSG_DONTWAIT | unix.MSG_PEEK}
	either := append(append(wait, dontWait...), unix.MSG_DONTWAIT|unix.MSG_WAITALL)
	switch g.IntN(14) {
	case 0, 1, 2, 3:
		op.FD, op.Bits = reg(regSocket), pick(g, either...)
	case 4, 5:
		op.FD, op.Bits = pick(g, own(eofSocket), own(eofSocketN)), pick(g, either...)
	case 6:
		op.FD, op.Bits = pick(g, own(deadSocket), own(resetSocket)), pick(g, either...)
	case 7:
		op.FD = pick(g, own(openSocket), own(openSocketN), own(fullSocket), own(fullSocketN), own(unixClient), own(unixClientN), own(tcpClient))
		op.Bits = pick(g, dontWait...)
	case 8, 9:
		op.FD, op.Bits = own(lateSocket), pick(g, wait...)
	case 10:
		op.FD, op.Bits = own(lateSocketN), pick(g, wait...)
	case 11:
		op.FD, op.Bits = pick(g, own(splitSocket), own(splitSocketN)), unix.MSG_WAITALL
	case 12:
		op.FD, op.Bits = pick(g, own(listener), own(pipeIn), own(dirFD)), pick(g, either...)
	default:
		op.FD, op.Bits = pick(g, reg(regFile0), imm(badFD), imm(hugeFD)), pick(g, either...)
	}
	return op
}

// send. Nothing is sent that has no room, except to what is drained.
func (g generator) send(op Op) Op {
	op.Buf, op.Limit = g.slice(false), g.limit()
	op.Bits = pick(g, 0, 0, unix.MSG_DONTWAIT)
	switch g.IntN(14) {
	case 0, 1, 2, 3:
		op.FD = reg(regSocket)
	case 4, 5:
		op.FD = pick(g, own(eofSocket), own(eofSocketN), own(openSocket), own(openSocketN))
	case 6:
		op.FD = pick(g, own(deadSocket), own(resetSocket))
	case 7: // nothing is sent of nothing, so that tells no more than the state
		op.FD, op.Bits = pick(g, own(fullSocket), own(fullSocketN)), unix.MSG_DONTWAIT
	case 8:
		op.FD, op.Bits = pick(g, own(drainSocket), own(drainSocketN)), 0
	case 9:
		op.FD, op.Bits = pick(g, own(drainSocket), own(drainSocketN)), 0
		if g.chance(30) {
			op.Buf, op.Limit = Slice{bigBuffer, 0, bigBytes}, nil
		}
	case 10, 11:
		op.FD = pick(g, own(unixClient), own(unixClientN), own(tcpClient), own(tcpClientN))
	case 12:
		op.FD = pick(g, own(listener), own(pipeOut), own(dirFD))
	default:
		op.FD = pick(g, reg(regFile0), imm(badFD), imm(hugeFD))
	}
	return op
}

// poll of what is ready, or will be by what one asks for, and by nothing else.
func (g generator) poll(op Op) Op {
	both := unix.POLLIN | unix.POLLOUT
	switch g.IntN(8) {
	case 0, 1:
		op.FD, op.Bits = reg(regSocket), pick(g, unix.POLLIN, both, both|unix.POLLRDHUP)
	case 2:
		op.FD, op.Bits = pick(g, own(eofSocket), own(eofSocketN)), pick(g, unix.POLLIN, both, unix.POLLRDHUP)
	case 3:
		op.FD, op.Bits = pick(g, own(deadSocket), own(resetSocket)), pick(g, unix.POLLIN, both, 0, unix.POLLPRI)
	case 4:
		op.FD, op.Bits = pick(g, own(lateSocket), own(lateSocketN), own(listener), own(lateListener)), unix.POLLIN
	case 5:
		op.FD, op.Bits = pick(g, own(drainSocket), own(drainSocketN)), unix.POLLOUT
	case 6:
		op.FD, op.Bits = pick(g, reg(regFile0), own(dirFD), imm(badFD), imm(hugeFD)), pick(g, both, unix.POLLIN)
	default:
		op.FD, op.Bits = own(pipeIn), pick(g, unix.POLLIN, both)
	}
	return op
}

func (g generator) connect(op Op) Op {
	switch g.IntN(8) {
	case 0, 1, 2:
		op.FD = pick(g, own(unixClient), own(unixClientN))
	case 3, 4:
		op.FD = pick(g, own(tcpClient), own(tcpClientN))
	case 5:
		op.FD = own(eofSocket)
	default:
		op.FD = pick(g, reg(regFile0), reg(regSocket), imm(badFD), imm(hugeFD), own(listener), own(dirFD))
	}
	op.To = Target(g.IntN(int(targetCount)))
	return op
}
