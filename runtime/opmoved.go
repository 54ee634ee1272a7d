package runtime

import "golang.org/x/sys/unix"

// Sends and receives that move a part of their data and go on: a send until all
// is sent, a receive with MSG_WAITALL until its buffer is full or the stream
// ends, so that blocking and nonblocking sockets, and all models, behave alike.
// A call moves less than it was asked to when the socket is nonblocking, when it
// was tried with MSG_DONTWAIT, and when a signal interrupts it.

// Rest is the part of the op's data that is still to be moved.
func (y *Syslet) Rest(op *Op) []byte { return y.Data(op)[y.moved:] }

// Moved takes what a call of a send or recv gave, bytes or the negated errno.
// done is false if the op is to go on with its Rest; otherwise res is its result:
// all that was moved, or the errno if that is nothing.
func (y *Syslet) Moved(op *Op, got int64) (res int64, done bool) {
	if got > 0 && y.moved+int(got) < len(y.Data(op)) && y.movesAll(op) {
		y.moved += int(got)
		return 0, false
	}
	if y.moved == 0 {
		return got, true
	}
	res, y.moved = int64(y.moved)+max(got, 0), 0
	return res, true
}

// movesAll reports whether op goes on when a part was moved. The rest of a
// datagram is no part of the next one.
func (y *Syslet) movesAll(op *Op) bool {
	flags := y.Value(op.Args[1])
	if op.Code == OpSend {
		return flags&unix.MSG_DONTWAIT == 0
	}
	if flags&(unix.MSG_WAITALL|unix.MSG_DONTWAIT|unix.MSG_PEEK) != unix.MSG_WAITALL {
		return false
	}
	kind, err := unix.GetsockoptInt(int(y.Value(op.Args[0])), unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && kind == unix.SOCK_STREAM
}
